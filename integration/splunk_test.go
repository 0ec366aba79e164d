// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// hecEvent is one event as Splunk's HTTP event collector takes it.
type hecEvent struct {
	Time       float64 `json:"time"`
	Source     string  `json:"source"`
	SourceType string  `json:"sourcetype"`
	Index      string  `json:"index"`
	Event      struct {
		Seq    uint64 `json:"seq"`
		Action string `json:"action"`
	} `json:"event"`
}

// collector behaves like Splunk's HTTP event collector: it takes one token,
// bodies of one or more events, and answers in Splunk's words.
type collector struct {
	token string

	mu      sync.Mutex
	events  []hecEvent
	batches []int
	wrong   []string
	// held, when set, is closed by the next request, which then gets no answer
	// before let is closed.
	held, let chan struct{}
}

// ServeHTTP takes a batch.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	events, problem := c.read(r)
	c.mu.Lock()
	if problem != "" {
		c.wrong = append(c.wrong, problem)
		c.mu.Unlock()
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"text":"Invalid token","code":4}`)
		return
	}
	c.events, c.batches = append(c.events, events...), append(c.batches, len(events))
	held, let := c.held, c.let
	c.held = nil
	c.mu.Unlock()
	if held != nil {
		close(held)
		<-let
	}
	fmt.Fprint(w, `{"text":"Success","code":0}`)
}

func (c *collector) read(r *http.Request) (events []hecEvent, problem string) {
	switch {
	case r.TLS == nil || r.Method != http.MethodPost || r.URL.Path != "/services/collector":
		return nil, fmt.Sprintf("%s %s, TLS %v", r.Method, r.URL.Path, r.TLS != nil)
	case r.Header.Get("Authorization") != "Splunk "+c.token:
		return nil, "Authorization: " + r.Header.Get("Authorization")
	}
	for d := json.NewDecoder(r.Body); ; {
		var e hecEvent
		if err := d.Decode(&e); err == io.EOF {
			return events, ""
		} else if err != nil {
			return nil, err.Error()
		}
		if e.SourceType != "pilot:audit" || e.Source != "pilot-registry" || e.Index != "pilot_audit" || e.Time == 0 || e.Event.Seq == 0 || e.Event.Action == "" {
			return nil, fmt.Sprintf("%+v", e)
		}
		events = append(events, e)
	}
}

// hold lets the next request wait for its answer.
func (c *collector) hold() (held <-chan struct{}, release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held, c.let = make(chan struct{}), make(chan struct{})
	let := c.let
	return c.held, sync.OnceFunc(func() { close(let) })
}

// has are the events at their first delivery, how many came again, and
// whether several came together.
func (c *collector) has() (first []uint64, again int, together bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[uint64]bool{}
	for _, e := range c.events {
		if seen[e.Event.Seq] {
			again++
			continue
		}
		seen[e.Event.Seq] = true
		first = append(first, e.Event.Seq)
	}
	for _, n := range c.batches {
		together = together || n > 1
	}
	return first, again, together
}

// recorded are the numbers of all events from one on, as get_audit_log has them.
func (s *sender) recorded(from uint64) (seqs []uint64) {
	s.t.Helper()
	reply := s.send(fmt.Sprintf(`{"type":"get_audit_log","admin_token":"$TOKEN","after_seq":%d,"limit":1000}`, from-1))
	for _, e := range reply["entries"].([]any) {
		seqs = append(seqs, uint64(e.(map[string]any)["seq"].(float64)))
	}
	return seqs
}

// delivers waits until the collector has what is recorded since the export was set.
func (c *collector) delivers(s *sender, from uint64) {
	s.t.Helper()
	await(s.t, "the events at Splunk", func() (any, bool) {
		want := s.recorded(from)
		got, _, _ := c.has()
		return fmt.Sprintf("it has %v of %v", got, want), len(want) > 0 && fmt.Sprint(got) == fmt.Sprint(want)
	})
}

// The audit_export of the product page against a collector with TLS and its
// own authority. The leader is killed while it waits for an answer:
// every event arrives, the first time in order.
func TestExampleSplunk(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	splunk := &collector{token: "HEC-TOKEN"}
	url := ca.serve(splunk)
	c := harness.Start(t, harness.Options{Set: []string{"outbound.ca_file=" + ca.File}})
	w := follower(t, c)
	export := strings.ReplaceAll(`"format": "splunk_hec",
		"endpoint": "https://splunk.acme.com:8088/services/collector",
		"token": "HEC-TOKEN",
		"index": "pilot_audit",
		"source": "pilot-registry"`, "https://splunk.acme.com:8088", url)
	w.send(`{"type":"provision_network","admin_token":"$TOKEN","blueprint":{"name":"prod-fleet","join_rule":"open","enterprise":true,"audit_export":{` + export + `}}}`)
	configured := w.newest()
	await(t, "the first event", func() (any, bool) { got, _, _ := splunk.has(); return got, len(got) > 0 })
	first, _, _ := splunk.has()
	if first[0] > configured {
		t.Errorf("the export began with %d; it was configured before %d", first[0], configured)
	}
	splunk.delivers(w, first[0])
	held, release := splunk.hold()
	defer release()
	w.changes(3)
	<-held
	w.changes(20) // waits for the request that has no answer
	leaderGone(t, c)
	release()
	w.changes(3)
	splunk.delivers(w, first[0])
	if _, again, together := splunk.has(); again == 0 || !together {
		t.Errorf("%d events came again, in batches: %v; the leader that was killed had no answer to its last batch", again, together)
	}
	w.send(`{"type":"set_audit_export","admin_token":"$TOKEN",` + export + `}`)
	w.changes(2)
	splunk.delivers(w, first[0])
	await(t, "the counters", func() (any, bool) {
		r := w.send(`{"type":"get_audit_export","admin_token":"$TOKEN"}`)
		n, _ := r["delivered"].(float64)
		return r, n > 0 && r["exported"] == n && r["dropped"] == 0.0 && r["lag"] == 0.0 && r["enabled"] == true && r["format"] == "splunk_hec"
	})
	w.send(fmt.Sprintf(`{"type":"set_identity_webhook","admin_token":"$TOKEN","url":%q}`, stranger.serve(splunk)))
	if r := w.try(`{"type":"register","listen_addr":":4000","identity_token":"x",` + newcomer(t) + `}`); !strings.Contains(fmt.Sprint(r["error"]), "certificate signed by unknown authority") {
		t.Errorf("a service with a stranger's certificate: %v", r)
	}
	splunk.mu.Lock()
	defer splunk.mu.Unlock()
	if len(splunk.wrong) > 0 {
		t.Errorf("the collector was sent %s", splunk.wrong)
	}
}

// changes makes n changes that are recorded.
func (s *sender) changes(n int) {
	s.t.Helper()
	for range n {
		s.send(`{"type":"register","listen_addr":":4000",` + newcomer(s.t) + `}`)
	}
}

// newcomer is the member of a registration with a new key.
func newcomer(t *testing.T) string {
	t.Helper()
	a, err := harness.NewAgent()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`"public_key":%q`, a.PublicKey())
}
