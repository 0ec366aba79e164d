// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// counted are the spans by result.
func counted(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			out[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return out
}

// stuck is a receiver that takes nothing until it is let go.
type stuck struct{ free chan struct{} }

func (s stuck) ExportSpans(context.Context, []sdk.ReadOnlySpan) error { <-s.free; return nil }
func (stuck) Shutdown(context.Context) error                          { return nil }

// A receiver that hangs costs the spans that do not fit the queue, which are
// counted. No request waits for it.
func TestAReceiverThatHangsHoldsUpNothing(t *testing.T) {
	registry := prometheus.NewRegistry()
	tr, err := New(Config{Ratio: 1, Registry: registry, Endpoint: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	free := make(chan struct{})
	tr.exporter.(*delivery).next = stuck{free}
	tr.Tracer("a")
	const requests = queueSpans // of two spans each
	for range requests {
		_, trace := tr.Begin(t.Context(), &protocol.Request{Type: "lookup", Command: protocol.Must("lookup"), Body: &protocol.NodeRequest{}}, time.Now())
		trace.End("", nil)
	}
	if got := counted(t, registry); got[dropped] != requests || got[exported] != 0 {
		t.Errorf("spans by result: %v, want %d dropped", got, requests)
	}
	close(free)
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := counted(t, registry); got[exported] != queueSpans || tr.queue.waiting.Load() != 0 {
		t.Errorf("spans by result when the receiver is back: %v, %d wait", got, tr.queue.waiting.Load())
	}
}

// The ratio decides which requests are traced; those that are not have no trace.
func TestTheRatioOfTracedRequests(t *testing.T) {
	for ratio, want := range map[float64]int{0: 0, 1: 50} {
		tr, err := New(Config{Ratio: ratio, Registry: prometheus.NewRegistry(), Endpoint: "http://127.0.0.1:1"})
		if err != nil {
			t.Fatal(err)
		}
		tr.exporter.(*delivery).next = tracetest.NewNoopExporter()
		tr.Tracer("a")
		traced := 0
		for range 50 {
			ctx, trace := tr.Begin(t.Context(), &protocol.Request{}, time.Now())
			if trace != nil {
				traced++
				trace.End("", nil)
			} else if ctx != t.Context() {
				t.Fatal("a request that is not traced has another context")
			}
		}
		if traced != want {
			t.Errorf("ratio %v: %d of 50 traced, want %d", ratio, traced, want)
		}
		_ = tr.Close(t.Context())
	}
}

// A span names a network, and codes, and nothing that the request brings.
func TestWhatASpanTells(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tr := &Tracing{tracer: sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)).Tracer("")}
	body := &protocol.JoinNetwork{NodeID: 7, NetworkID: 3, Token: "SECRET"}
	req := &protocol.Request{Type: "join_network", Command: protocol.Must("join_network"), Body: body}
	req.Signature, req.AdminToken = "SECRET", "SECRET"
	_, trace := tr.Begin(t.Context(), req, time.Now())
	trace.Decided()
	trace.End(protocol.CodeNoLeader, errors.New("SECRET"))
	var names []string
	for _, s := range recorder.Ended() {
		names = append(names, s.Name())
		if text := fmt.Sprint(s.Name(), s.Attributes(), s.Events(), s.Status()); strings.Contains(text, "SECRET") {
			t.Errorf("a span has a secret: %s", text)
		}
	}
	if !slices.Equal(names, []string{"decode", "reply", "join_network"}) {
		t.Fatalf("spans %v", names)
	}
	if got := fmt.Sprint(recorder.Ended()[2].Attributes()); !strings.Contains(got, "pilot.network_id") || !strings.Contains(got, "no_leader") {
		t.Errorf("attributes %s", got)
	}
}

// answers is a receiver that answers with these statuses, then 200.
type answers struct {
	mu       sync.Mutex
	statuses []int
	tokens   []string
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens = append(a.tokens, r.Header.Get("Authorization"))
	if len(a.statuses) > 0 {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(a.statuses[0])
		a.statuses = a.statuses[1:]
	}
}

// What can pass is tried again, what cannot is not; the token is the one that the file has now.
func TestBatchesAreSentAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "headers")
	token := func(text string) {
		if err := os.WriteFile(file, []byte("Authorization: Bearer "+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		statuses []int
		asked    int
		fails    bool
	}{
		"busy twice":    {[]int{503, 429}, 3, false},
		"busy for good": {[]int{503, 502, 504}, 3, true},
		"wrong token":   {[]int{401}, 1, true},
		"moved":         {[]int{307}, 1, true},
		"well":          {nil, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := &answers{statuses: c.statuses}
			receiver := httptest.NewServer(a)
			defer receiver.Close()
			s := newSender(Config{Endpoint: receiver.URL, HeadersFile: file})
			s.pause = time.Millisecond
			token(name)
			err := s.UploadTraces(t.Context(), []*tracepb.ResourceSpans{{}})
			if (err != nil) != c.fails || len(a.tokens) != c.asked || a.tokens[0] != "Bearer "+name {
				t.Errorf("%v after %q", err, a.tokens)
			}
		})
	}
}

// The log hears once that the receiver fails, and once that it is back.
func TestFailuresAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	counts, err := newCounts(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	d := &delivery{queue: &queue{counts: counts}, log: hclog.New(&hclog.LoggerOptions{Output: &log})}
	for _, err := range []error{nil, errors.New("x"), errors.New("x"), nil, nil} {
		d.note(err)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 2 {
		t.Errorf("%d lines:\n%s", lines, &log)
	}
}

func TestParseEndpoint(t *testing.T) {
	for text, want := range map[string]string{
		"http://127.0.0.1:4318":          "http://127.0.0.1:4318/v1/traces",
		"https://c.example.net/":         "https://c.example.net/v1/traces",
		"https://c.example.net/otlp/x":   "https://c.example.net/otlp/x",
		"http://localhost:4318":          "http://localhost:4318/v1/traces",
		"http://c.example.net":           "", // headers in clear
		"https://user:pw@c.example.net":  "",
		"c.example.net:4318":             "",
		"grpc://c.example.net:4317":      "",
		"http://127.0.0.1.example.net:1": "",
	} {
		if got, err := ParseEndpoint(text, true); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"ftp://u:secret@c.example.net", "http://u:secret@c.example.net:bad", "http://u:secret@c.example.net", "http://c.example.net/?key=secret"} {
		if _, err := ParseEndpoint(text, true); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ParseEndpoint("http://c.example.net", false); err != nil {
		t.Error(err)
	}
}

func TestReadHeadersDoesNotShowThem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "headers")
	for _, text := range []string{"SECRET", "Authorization SECRET", "", "SECRET\nA: b"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if h, err := ReadHeaders(file); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: %v, %v", text, h, err)
		}
	}
}
