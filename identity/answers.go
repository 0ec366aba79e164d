// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
)

// errNotHTTP stands for what net/http says about an answer it cannot read:
// that repeats the answer, escaped, and an answer may repeat the request with
// its secrets.
var errNotHTTP = errors.New("the answer is not proper HTTP")

// discreet is a transport whose errors have no text of the receiver's.
type discreet struct{ *http.Transport }

// RoundTrip sends a request.
func (d discreet) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.Transport.RoundTrip(r)
	if err != nil && !ofTheConnection(err) {
		err = errNotHTTP
	}
	return resp, err
}

// ofTheConnection reports whether an error is about getting through to the
// receiver rather than about what it answered.
func ofTheConnection(err error) bool {
	var network net.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	for _, target := range []any{&network, &certificate, &record, &alert} {
		if errors.As(err, target) {
			return true
		}
	}
	for _, target := range []error{io.EOF, io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded, http.ErrSchemeMismatch} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
