// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// request is what a receiver got.
type request struct {
	header http.Header
	path   string
	body   string
}

// receiver keeps what it gets and answers as it is told to.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []request
}

func (r *receiver) all() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.got...)
}

func (r *receiver) take(req *http.Request) request {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, request{req.Header, req.URL.RequestURI(), string(body)})
	return r.got[len(r.got)-1]
}

func receive(t *testing.T, answer func(n int, w http.ResponseWriter, req request)) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		got := r.take(req)
		if answer != nil {
			answer(len(r.all()), w, got)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// reset ends a connection without an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func open(t *testing.T, o Options) Exporter {
	t.Helper()
	x, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

func export(format, endpoint string) Options {
	return Options{Sink: protocol.SinkConfig{Name: "s", Kind: protocol.SinkExport, Format: format, Endpoint: endpoint}, ClusterID: clusterID}
}

const clusterID = "0b1e2d3c-0000-4000-8000-000000000000"

// some are events with sequence numbers from first on.
func some(first, n uint64) []protocol.AuditEvent {
	var out []protocol.AuditEvent
	for seq := first; seq < first+n; seq++ {
		e := *kicked()
		e.Seq, e.Time = seq, e.Time+int64(seq)
		out = append(out, e)
	}
	return out
}

func deliver(t *testing.T, x Exporter, events []protocol.AuditEvent) {
	t.Helper()
	if done, err := x.Deliver(t.Context(), events); done != len(events) || err != nil {
		t.Fatalf("delivered %d of %d: %v", done, len(events), err)
	}
}

func TestPostEachEvent(t *testing.T) {
	events := some(1, 3)
	for format, want := range map[string]struct {
		contentType string
		render      func(*protocol.AuditEvent) []byte
	}{
		protocol.FormatJSON: {"application/json", JSON},
		protocol.FormatCEF:  {"text/plain", CEF},
	} {
		r := receive(t, nil)
		o := export(format, r.URL+"/in?key=1")
		o.Secret = "tok"
		deliver(t, open(t, o), events)
		got := r.all()
		if len(got) != len(events) {
			t.Fatalf("%s: %d requests, want %d", format, len(got), len(events))
		}
		for i, req := range got {
			if req.path != "/in?key=1" || req.body != string(want.render(&events[i])) ||
				req.header.Get("Content-Type") != want.contentType || req.header.Get("Authorization") != "Splunk tok" {
				t.Errorf("%s: request %d is %+v", format, i, req)
			}
		}
		r = receive(t, nil)
		deliver(t, open(t, export(format, r.URL)), events[:1])
		if a, there := r.all()[0].header["Authorization"]; there {
			t.Errorf("%s: without a token Authorization is %q", format, a)
		}
	}
}

// A receiver a few milliseconds away gets a flood of events in few requests, in
// order, and after a failure continues after what it has.
func TestPostManyEventsInOneRequest(t *testing.T) {
	events := some(1, 250)
	for format, want := range map[string]struct {
		contentType string
		render      func(*protocol.AuditEvent) []byte
	}{
		protocol.FormatJSON: {"application/x-ndjson", JSON},
		protocol.FormatCEF:  {"text/plain", CEF},
	} {
		r := receive(t, func(n int, w http.ResponseWriter, _ request) {
			if n == 2 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		o := export(format, r.URL)
		o.Sink.Batch = true
		x := open(t, o)
		done, err := x.Deliver(t.Context(), events)
		if done != batchEvents || err == nil {
			t.Fatalf("%s: the second request fails and %d events are delivered: %v", format, done, err)
		}
		deliver(t, x, events[done:])
		var lines []string
		for i, req := range r.all() {
			if got := req.header.Get("Content-Type"); got != want.contentType {
				t.Errorf("%s: content type %q", format, got)
			}
			if i != 1 {
				lines = append(lines, strings.Split(req.body, "\n")...)
			}
		}
		if len(r.all()) != 4 || len(lines) != len(events) {
			t.Fatalf("%s: %d lines in %d requests", format, len(lines), len(r.all()))
		}
		for i := range events {
			if lines[i] != string(want.render(&events[i])) {
				t.Fatalf("%s: line %d is %s", format, i, lines[i])
			}
		}
	}
}

// An answer decides whether an event is delivered, and whether trying again
// is of use.
func TestAnswers(t *testing.T) {
	for status, want := range map[int]struct{ delivered, givenUp bool }{
		200: {true, false}, 201: {true, false}, 204: {true, false},
		301: {}, 302: {}, 304: {}, 307: {},
		400: {false, true}, 401: {false, true}, 404: {false, true}, 499: {false, true},
		408: {}, 429: {}, 500: {}, 503: {},
	} {
		for _, kind := range []string{protocol.SinkExport, protocol.SinkWebhook} {
			r := receive(t, func(n int, w http.ResponseWriter, _ request) {
				if n == 2 {
					w.Header().Set("Location", "/elsewhere")
					w.WriteHeader(status)
				}
			})
			o := export(protocol.FormatJSON, r.URL+"/here")
			o.Sink.Kind = kind
			done, err := open(t, o).Deliver(t.Context(), some(1, 3))
			if want.delivered {
				if done != 3 || err != nil || len(r.all()) != 3 {
					t.Errorf("%d: %d delivered, %v", status, done, err)
				}
				continue
			}
			var s *StatusError
			if done != 1 || !errors.As(err, &s) || s.Status != status || Meaning(err).Final != want.givenUp {
				t.Errorf("%d: %d delivered, %v, given up %v", status, done, err, Meaning(err).Final)
			}
			if got := r.all(); len(got) != 2 || got[1].path != "/here" {
				t.Errorf("%d: the requests are %+v", status, got)
			}
		}
	}
	if Meaning(nil).Final || Meaning(errors.New("400")).Final {
		t.Error("what is no answer is given up")
	}
}

// noSecrets looks at an error that is kept and shown.
func noSecrets(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("there is no error")
	}
	if s := err.Error(); len(s) > 200 || strings.Contains(s, "hunter2") || strings.ContainsAny(s, "\n\r\x00\x1b") || Meaning(err).Final {
		t.Errorf("the error is %q (%d bytes), given up %v", s, len(s), Meaning(err).Final)
	}
}

const secretPath = "/hunter2?token=hunter2"

// withSecrets is an export with a secret wherever there can be one.
func withSecrets(url string) Options {
	o := export(protocol.FormatJSON, url+secretPath)
	o.Secret = "hunter2"
	return o
}

func TestConnectionReset(t *testing.T) {
	r := receive(t, func(_ int, w http.ResponseWriter, _ request) { reset(w) })
	done, err := open(t, withSecrets(r.URL)).Deliver(t.Context(), some(1, 1))
	if done != 0 {
		t.Errorf("%d delivered", done)
	}
	noSecrets(t, err)
}

// A receiver cannot bring a secret, or a long text, into the error.
func TestAnswerIsNoHTTP(t *testing.T) {
	r := receive(t, func(_ int, w http.ResponseWriter, req request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		_, _ = io.WriteString(conn, "HTTP/1.1 "+req.header.Get("Authorization")+"\x1b"+strings.Repeat("ä", 300)+"\r\n\r\n")
		_ = conn.Close()
	})
	_, err := open(t, withSecrets(r.URL)).Deliver(t.Context(), some(1, 1))
	noSecrets(t, err)
}

// A receiver that never answers costs one bounded try; nobody who stops the
// delivery waits for it.
func TestHangingReceiver(t *testing.T) {
	entered := make(chan struct{}, 1)
	free := make(chan struct{})
	r := receive(t, func(int, http.ResponseWriter, request) {
		entered <- struct{}{}
		<-free
	})
	defer close(free)
	o := withSecrets(r.URL)
	o.timeout = 20 * time.Millisecond
	done, err := open(t, o).Deliver(t.Context(), some(1, 1))
	if done != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%d delivered, %v", done, err)
	}
	noSecrets(t, err)
	<-entered
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		<-entered
		stop()
	}()
	if done, err := open(t, withSecrets(r.URL)).Deliver(ctx, some(1, 1)); done != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d delivered, %v", done, err)
	}
}

// Once the receiver has said 200 the event is delivered, whatever its body is.
func TestEndlessAnswer(t *testing.T) {
	r := receive(t, func(_ int, w http.ResponseWriter, _ request) {
		chunk := make([]byte, 32<<10)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	deliver(t, open(t, export(protocol.FormatJSON, r.URL)), some(1, 2))
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	_, err = open(t, withSecrets("http://"+l.Addr().String())).Deliver(t.Context(), some(1, 1))
	noSecrets(t, err)
}

func TestTimeouts(t *testing.T) {
	if x := open(t, export(protocol.FormatJSON, "http://h")).(*poster); x.timeout != 10*time.Second {
		t.Errorf("an export's try takes up to %v", x.timeout)
	}
	o := export("", "http://h")
	o.Sink.Kind = protocol.SinkWebhook
	if x := open(t, o).(*poster); x.timeout != 5*time.Second {
		t.Errorf("a webhook's try takes up to %v", x.timeout)
	}
}

// A client from outside keeps its own policy on redirects.
func TestClientIsNotChanged(t *testing.T) {
	r := receive(t, func(_ int, w http.ResponseWriter, _ request) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
	})
	o := export(protocol.FormatJSON, r.URL)
	o.Client = r.Client()
	if done, err := open(t, o).Deliver(t.Context(), some(1, 1)); done != 0 || err == nil || len(r.all()) != 1 {
		t.Errorf("%d delivered, %v, %d requests", done, err, len(r.all()))
	}
	if o.Client.CheckRedirect != nil || o.Client.Jar != nil {
		t.Error("the client was changed")
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, o := range []Options{
		export("xml", "http://hunter2"), export(protocol.FormatJSON, "ftp://hunter2"), export(protocol.FormatJSON, "http:/hunter2"),
		export(protocol.FormatJSON, "http://h:hunter2%zz/"), export(protocol.FormatSplunk, "tcp://hunter2:1"),
		export(protocol.FormatCEF, "unix:///hunter2"), export(protocol.FormatCEF, "udp://hunter2"), export(protocol.FormatCEF, "tcp://:1"),
		export(protocol.FormatCEF, "hunter2"),
		{Sink: protocol.SinkConfig{Kind: "hunter2"}}, {Sink: protocol.SinkConfig{Kind: protocol.SinkLog}},
		{Sink: protocol.SinkConfig{Kind: protocol.SinkWebhook, Endpoint: "http://h"}, Secret: "whsec_hunter2"},
	} {
		x, err := Open(o)
		if err == nil {
			_ = x.Close()
			t.Errorf("%+v is opened", o.Sink)
			continue
		}
		noSecrets(t, err)
	}
}
