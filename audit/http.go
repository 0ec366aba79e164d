// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxAnswer is how much of an answer is read, so that its connection can be
// used again.
const maxAnswer = 64 << 10

// caller sends requests to one receiver.
type caller struct {
	client  *http.Client
	url     *url.URL
	secret  string
	header  http.Header
	timeout time.Duration
	// own closes the idle connections of a client that is not shared.
	own func()
}

// newCaller makes the caller of an export, which shows its token as Splunk
// does, whatever the format: receivers were set up for that.
func newCaller(o Options, contentType string) (*caller, error) {
	u, err := endpoint(o.Sink.Endpoint, "https", "http")
	if err != nil {
		return nil, err
	}
	c := &caller{url: u, secret: o.Secret, header: http.Header{}, timeout: o.bound(exportTimeout), own: func() {}}
	c.header.Set("Content-Type", contentType)
	c.header.Set("User-Agent", "pilot-registry")
	if o.Secret != "" {
		c.header.Set("Authorization", "Splunk "+o.Secret)
	}
	c.client = c.httpClient(o)
	return c, nil
}

func (c *caller) httpClient(o Options) *http.Client {
	client := http.Client{}
	if o.Client != nil {
		client = *o.Client
	} else {
		t := &http.Transport{DialContext: o.dial, TLSClientConfig: o.TLS, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second}
		client.Transport, c.own = t, t.CloseIdleConnections
	}
	// A redirect would turn the POST into a GET, or show the token elsewhere.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// keepCookies lets a load balancer send all requests to the same receiver.
func (c *caller) keepCookies() {
	if c.client.Jar == nil {
		c.client.Jar, _ = cookiejar.New(nil)
	}
}

// post sends a body, with the headers of extra too, and returns the
// beginning of the answer to it.
func (c *caller) post(ctx context.Context, u *url.URL, body []byte, extra http.Header) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	a, err := c.do(ctx, u, body, extra)
	return a, failed("POST to "+u.Host, err, c.secret)
}

// answer is what a receiver said.
type answer struct {
	// body is the beginning of it. It may repeat what was sent and is not to be shown.
	body []byte
	// encoding is how it says that the body is packed, "" for not at all.
	encoding string
	// cut says that the body broke off.
	cut bool
}

// do sends a body. The answer comes also with a [StatusError].
func (c *caller) do(ctx context.Context, u *url.URL, body []byte, extra http.Header) (a answer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	for _, h := range []http.Header{c.header, extra} {
		for k, v := range h {
			req.Header[k] = v
		}
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return a, err
	}
	// The status is the receiver's answer, also when the rest does not arrive.
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	a.cut, a.encoding = err != nil, resp.Header.Get("Content-Encoding")
	_ = resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return a, &StatusError{Status: resp.StatusCode, After: retryAfter(resp.Header.Get("Retry-After"), time.Now()), Code: -1}
	}
	return a, nil
}

// retryAfter reads how long a receiver asks to wait, in seconds or until a date.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// Close ends the idle connections.
func (c *caller) Close() error {
	c.own()
	return nil
}

// Bounds of one request with several events.
const (
	batchEvents = 100
	batchBytes  = 512 << 10
)

// batch is a body with the first n of the events, a line each: at least one,
// at most as many as most says.
func batch(events []protocol.AuditEvent, most int, render func(*protocol.AuditEvent) []byte) (body []byte, n int) {
	for n < min(len(events), most) {
		one := render(&events[n])
		if n > 0 {
			if len(body)+1+len(one) > batchBytes {
				break
			}
			body = append(body, '\n')
		}
		body = append(body, one...)
		n++
	}
	return body, n
}

// poster sends events in requests.
type poster struct {
	*caller
	render func(*protocol.AuditEvent) []byte
	// most is how many events go into a request.
	most int
	// extra are headers of an event's request, where there is one in each.
	extra func(e *protocol.AuditEvent, body []byte) http.Header
}

func openPoster(o Options, contentType string, render func(*protocol.AuditEvent) []byte) (Exporter, error) {
	c, err := newCaller(o, contentType)
	if err != nil {
		return nil, err
	}
	p := &poster{caller: c, render: render, most: 1}
	if o.Sink.Batch {
		p.most = batchEvents
	}
	return p, nil
}

// Deliver sends events until one is not taken.
func (p *poster) Deliver(ctx context.Context, events []protocol.AuditEvent) (done int, err error) {
	for done < len(events) {
		body, n := batch(events[done:], p.most, p.render)
		var extra http.Header
		if p.extra != nil {
			extra = p.extra(&events[done], body)
		}
		if _, err := p.post(ctx, p.url, body, extra); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}
