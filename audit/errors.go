// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxError bounds the text of an error: it is kept with the dead letter.
const maxError = 200

// StatusError is an HTTP answer that is not a success.
type StatusError struct {
	Status int
	// After is how long the receiver asks to wait (Retry-After), 0 when it does not.
	After time.Duration
	// Code is of Splunk's answer, -1 when there was none.
	Code int
}

// Error names the status, not what the receiver had to say about it.
func (e *StatusError) Error() string {
	if text := hecTexts[e.Code]; text != "" && e.Code > 0 {
		return fmt.Sprintf("the collector answered %d with code %d: %s", e.Status, e.Code, text)
	}
	text := http.StatusText(e.Status)
	if e.Status >= 300 && e.Status < 400 {
		text += "; redirects are not followed"
	}
	return fmt.Sprintf("the receiver answered %d %s", e.Status, text)
}

// Answer is what an error means for what is to be done next.
type Answer struct {
	// Final is the receiver's last word on an event. Asking for time (408) or
	// for fewer requests (429) is not.
	Final bool
	// Gone says that the receiver wants no events any more (410).
	Gone bool
	// Content says that the receiver does not like what it was sent, so that
	// the same again is useless while another event may be taken.
	Content bool
	// After is how long it asks to wait, 0 when it does not.
	After time.Duration
}

// Meaning says what an error means; the zero value means to try again.
func Meaning(err error) Answer {
	var s *StatusError
	if !errors.As(err, &s) {
		return Answer{}
	}
	a := Answer{After: s.After, Gone: s.Status == http.StatusGone}
	a.Final = s.Status >= 400 && s.Status <= 499 && s.Status != http.StatusRequestTimeout && s.Status != http.StatusTooManyRequests
	switch s.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		a.Content = s.Code <= 0 || hecContent[s.Code]
	}
	return a
}

// failure is an error with a text that is fit to be shown.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

// failed makes an error fit to be shown: without the URL, whose path and
// query may be secrets, without the secret even if the receiver sent it back,
// on one line, and short.
func failed(doing string, err error, secret string) error {
	var s *StatusError
	if err == nil || errors.As(err, &s) {
		return err
	}
	cause := err
	if u := (*url.Error)(nil); errors.As(err, &u) {
		cause = u.Err
	}
	text := cause.Error()
	if secret != "" {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return &failure{text: short(doing + ": " + text), cause: cause}
}

// short makes a text one line of at most [maxError] bytes.
func short(s string) string {
	s = strings.Map(plain, strings.ToValidUTF8(s, "\ufffd"))
	if len(s) <= maxError {
		return s
	}
	return strings.ToValidUTF8(s[:maxError-3], "") + "..."
}
