// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// splunk has the shape of a Splunk indexer behind TLS.
type splunk struct {
	*httptest.Server
	token string
	// ackAfter is the question from which on a batch is acknowledged, 0 for never.
	ackAfter int
	mu       sync.Mutex
	batches  [][]uint64
	sizes    []int
	channels map[string]bool
	asked    map[uint64]int
	probes   int
}

func startSplunk(t *testing.T, ackAfter int) *splunk {
	s := &splunk{token: "tok", ackAfter: ackAfter, channels: map[string]bool{}, asked: map[uint64]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /proxy/services/collector/event", s.collect)
	mux.HandleFunc("POST /proxy/services/collector/ack", s.acks)
	s.Server = httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *splunk) options() Options {
	o := export(protocol.FormatSplunk, s.URL+"/proxy/services/collector/event")
	o.Secret, o.Sink.Index = s.token, "pilot_audit"
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	o.TLS = &tls.Config{RootCAs: pool}
	return o
}

func (s *splunk) allowed(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Authorization") == "Splunk "+s.token {
		return true
	}
	w.WriteHeader(http.StatusForbidden)
	return false
}

func (s *splunk) collect(w http.ResponseWriter, r *http.Request) {
	if !s.allowed(w, r) {
		return
	}
	body, _ := io.ReadAll(r.Body)
	var seqs []uint64
	for dec := json.NewDecoder(bytes.NewReader(body)); ; {
		var e hecEvent
		if err := dec.Decode(&e); err == io.EOF {
			break
		} else if err != nil || e.Index != "pilot_audit" || e.SourceType != "pilot:audit" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		seqs = append(seqs, e.Event.Seq)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches, s.sizes = append(s.batches, seqs), append(s.sizes, len(body))
	s.channels[r.Header.Get("X-Splunk-Request-Channel")] = true
	http.SetCookie(w, &http.Cookie{Name: "indexer", Value: "1", Path: "/"})
	fmt.Fprintf(w, `{"text":"Success","code":0,"ackId":%d}`, len(s.batches)-1)
}

func (s *splunk) acks(w http.ResponseWriter, r *http.Request) {
	if !s.allowed(w, r) {
		return
	}
	var q struct{ Acks []uint64 }
	channel := r.Header.Get("X-Splunk-Request-Channel")
	cookie, err := r.Cookie("indexer")
	if len(s.batches) == 0 {
		cookie, err = &http.Cookie{Value: "1"}, nil // nobody can have it yet
	}
	if json.NewDecoder(r.Body).Decode(&q) != nil || len(q.Acks) != 1 || r.URL.Query().Get("channel") != channel || err != nil || cookie.Value != "1" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels[channel] = true
	if len(s.batches) == 0 {
		s.probes++
		_, _ = io.WriteString(w, `{"acks":{"0":false}}`)
		return
	}
	s.asked[q.Acks[0]]++
	_ = json.NewEncoder(w).Encode(map[string]any{"acks": map[string]bool{fmt.Sprint(q.Acks[0]): s.ackAfter > 0 && s.asked[q.Acks[0]] >= s.ackAfter}})
}

func TestHECBatches(t *testing.T) {
	s := startSplunk(t, 0)
	deliver(t, open(t, s.options()), some(1, 201))
	var next uint64 = 1
	for i, want := range []int{100, 100, 1} {
		if i >= len(s.batches) || len(s.batches[i]) != want {
			t.Fatalf("the batches are %v, want batch %d of %d", s.batches, i, want)
		}
		for _, seq := range s.batches[i] {
			if seq != next {
				t.Fatalf("event %d comes after %d", seq, next-1)
			}
			next++
		}
	}
}

func TestHECBytes(t *testing.T) {
	s := startSplunk(t, 0)
	events := some(1, 4)
	for i, size := range []int{200 << 10, 200 << 10, 600 << 10, 10} {
		events[i].Attrs = []protocol.AuditAttr{{Key: "name", Value: strings.Repeat("x", size)}}
	}
	deliver(t, open(t, s.options()), events)
	if got := fmt.Sprint(s.batches); got != "[[1 2] [3] [4]]" {
		t.Errorf("the batches are %s (%v bytes)", got, s.sizes)
	}
}

func TestHECAcknowledgement(t *testing.T) {
	s := startSplunk(t, 2)
	o := s.options()
	o.Sink.Ack = true
	deliver(t, open(t, o), some(1, 150))
	if fmt.Sprint(s.asked) != "map[0:2 1:2]" || s.probes != 1 {
		t.Errorf("asked %v and %d times before, want each batch twice, and once", s.asked, s.probes)
	}
	if len(s.channels) != 1 {
		t.Errorf("the channels are %v, want one", s.channels)
	}
	for c := range s.channels {
		if _, err := uuid.Parse(c); err != nil {
			t.Errorf("channel %q: %v", c, err)
		}
	}
}

// Without an acknowledgement events are not delivered, although taken.
func TestHECNotAcknowledged(t *testing.T) {
	s := startSplunk(t, 0)
	o := s.options()
	o.Sink.Ack, o.timeout = true, time.Second
	done, err := open(t, o).Deliver(t.Context(), some(1, 150))
	if done != 0 || err == nil || len(s.batches) != 1 {
		t.Errorf("%d delivered, %v, batches %v", done, err, s.batches)
	}
	noSecrets(t, err)
}

func TestHECWithoutAckID(t *testing.T) {
	r := receive(t, func(_ int, w http.ResponseWriter, _ request) { _, _ = io.WriteString(w, `{"text":"Success","code":0}`) })
	o := export(protocol.FormatSplunk, r.URL)
	o.Sink.Ack = true
	if done, err := open(t, o).Deliver(t.Context(), some(1, 1)); done != 0 || err == nil || !strings.Contains(err.Error(), "ackId") {
		t.Errorf("%d delivered, %v", done, err)
	}
}

// A token without acknowledgement is noticed before anything is sent, which
// would have to be sent again.
func TestHECAcknowledgementDisabled(t *testing.T) {
	status, answer := http.StatusBadRequest, `{"text":"ACK is disabled","code":14}`
	r := receive(t, func(_ int, w http.ResponseWriter, _ request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})
	o := export(protocol.FormatSplunk, r.URL)
	o.Sink.Ack = true
	x := open(t, o)
	for range 2 {
		if done, err := x.Deliver(t.Context(), some(1, 1)); done != 0 || err == nil || !strings.Contains(err.Error(), "acknowledgement is not enabled for the token") {
			t.Errorf("%d delivered, %v", done, err)
		}
	}
	status = http.StatusServiceUnavailable
	if _, err := x.Deliver(t.Context(), some(1, 1)); err == nil {
		t.Error("delivered to a collector that is not there")
	}
	for _, q := range r.all() {
		if string(q.body) != `{"acks":[0]}` {
			t.Errorf("sent %s", q.body)
		}
	}
	status, answer = http.StatusBadRequest, `{"text":"Invalid data channel","code":11}` // to the question; the batch comes next
	if _, err := x.Deliver(t.Context(), some(1, 1)); err == nil || len(r.all()) != 5 {
		t.Errorf("%d requests, %v", len(r.all()), err)
	}
}

func TestHECWrongToken(t *testing.T) {
	s := startSplunk(t, 0)
	o := s.options()
	o.Secret = "other"
	if done, err := open(t, o).Deliver(t.Context(), some(1, 1)); done != 0 || !Meaning(err).Final {
		t.Errorf("%d delivered, %v", done, err)
	}
}

// A second batch that is refused leaves the first delivered.
func TestHECPartly(t *testing.T) {
	r := receive(t, func(n int, w http.ResponseWriter, _ request) {
		if n == 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(`{"text":"Success","code":0}`))
	})
	if done, err := open(t, export(protocol.FormatSplunk, r.URL)).Deliver(t.Context(), some(1, 201)); done != 100 || err == nil {
		t.Errorf("%d delivered, %v", done, err)
	}
}

// The certificate is verified.
func TestUnknownCertificate(t *testing.T) {
	s := startSplunk(t, 0)
	o := s.options()
	o.TLS = nil
	done, err := open(t, o).Deliver(t.Context(), some(1, 1))
	if done != 0 || len(s.batches) != 0 {
		t.Errorf("%d delivered to a receiver that nobody vouches for", done)
	}
	noSecrets(t, err)
}

func TestAckURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://h:8088":                                    "https://h:8088/services/collector/ack?channel=c",
		"https://h:8088/services/collector":                 "https://h:8088/services/collector/ack?channel=c",
		"https://h/a/services/collector/event/1.0?x=1":      "https://h/a/services/collector/ack?channel=c&x=1",
		"https://h:8088/services/collector/raw?channel=old": "https://h:8088/services/collector/ack?channel=c",
	} {
		u, err := endpoint(in, "https")
		if err != nil {
			t.Fatal(err)
		}
		if got := ackURL(u, "c").String(); got != want {
			t.Errorf("%s: asks at %s, want %s", in, got, want)
		}
	}
}
