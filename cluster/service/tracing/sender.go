// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// tries is how often a batch is sent, and pause how long the first rest
	// between two tries is; each is twice the one before.
	tries = 3
	pause = time.Second
	// longestPause bounds what a receiver may ask for with Retry-After.
	longestPause = 15 * time.Second
	// requestTimeout bounds one try.
	requestTimeout = 10 * time.Second
)

// sender posts batches as OTLP over HTTP. The library's own client of this kind
// links gRPC, seven more modules, and does not read a token again that was renewed.
type sender struct {
	endpoint string
	headers  string
	client   *http.Client
	pause    time.Duration
}

var _ otlptrace.Client = (*sender)(nil)

func newSender(c Config) *sender {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots}
	return &sender{endpoint: c.Endpoint, headers: c.HeadersFile, pause: pause, client: &http.Client{
		Transport: transport, Timeout: requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Start implements otlptrace.Client.
func (s *sender) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (s *sender) Stop(context.Context) error {
	s.client.CloseIdleConnections()
	return nil
}

// UploadTraces sends a batch, again for a while if the receiver could not take it.
func (s *sender) UploadTraces(ctx context.Context, batch []*tracepb.ResourceSpans) error {
	// TracesData has the same form on the wire as ExportTraceServiceRequest.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: batch})
	if err != nil {
		return err
	}
	rest := s.pause
	for try := 1; ; try++ {
		wait, err := s.post(ctx, body)
		if err == nil || wait == never || try == tries {
			return err
		}
		t := time.NewTimer(min(max(wait, rest), longestPause))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
		rest *= 2
	}
}

// never says that trying again is of no use.
const never time.Duration = -1

// post sends a batch once. With an error it says how long to wait at least.
func (s *sender) post(ctx context.Context, body []byte) (wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, bytes.NewReader(body))
	if err != nil {
		return never, err
	}
	if s.headers != "" {
		if req.Header, err = ReadHeaders(s.headers); err != nil {
			return never, err
		}
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	switch {
	case resp.StatusCode/100 == 2:
		return 0, nil
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusBadGateway,
		resp.StatusCode == http.StatusServiceUnavailable, resp.StatusCode == http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return min(time.Duration(max(seconds, 0))*time.Second, longestPause), fmt.Errorf("the receiver answered %s", resp.Status)
	}
	return never, fmt.Errorf("the receiver answered %s", resp.Status)
}

// ReadHeaders reads a file of headers. Errors do not show what is in it.
func ReadHeaders(path string) (http.Header, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	raw = append(bytes.TrimSpace(raw), "\r\n\r\n"...)
	h, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(raw))).ReadMIMEHeader()
	if err != nil || len(h) == 0 {
		return nil, fmt.Errorf("%s: not one \"Name: value\" a line", path)
	}
	return http.Header(h), nil
}

// tracesPath is where receivers take traces over HTTP.
const tracesPath = "/v1/traces"

// ParseEndpoint reads the URL of a receiver. Without a path it gets the usual
// one. Headers, which have tokens, go to this machine or over TLS only.
func ParseEndpoint(text string, withHeaders bool) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("not a URL as in https://collector.example.net:4318") // it may hold a password
	case u.User != nil:
		return "", errors.New("a URL with a user name: give credentials in a file of headers")
	case withHeaders && u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "", errors.New("headers would leave this machine in clear: use https")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = tracesPath
	}
	return u.String(), nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || host == "localhost"
}
