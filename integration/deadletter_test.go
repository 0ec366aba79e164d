// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// hookSecret is a signing secret as Standard Webhooks have it.
const hookSecret = "whsec_cGxhbnRlZC13ZWJob29rLXNlY3JldC0xMjM0NTY3ODkw"

// hook is a receiver of webhooks that verifies signatures and answers what it
// is told to.
type hook struct {
	lib *standardwebhooks.Webhook
	url string

	mu     sync.Mutex
	status int
	tries  map[string]int // bodies → how often
	taken  []string
	wrong  []error
}

func newHook(t *testing.T, status int) *hook {
	t.Helper()
	lib, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	h := &hook{lib: lib, status: status, tries: map[string]int{}}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	h.url = s.URL
	return h
}

// ServeHTTP takes an event.
func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = h.lib.Verify(body, r.Header)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tries[string(body)]++
	if err != nil {
		h.wrong = append(h.wrong, err)
	} else if h.status == http.StatusOK {
		h.taken = append(h.taken, string(body))
	}
	w.WriteHeader(h.status)
}

func (h *hook) answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

// has returns how often every body came, those that were taken, and what was
// wrong with signatures.
func (h *hook) has() (tries []int, taken []string, wrong []error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.tries {
		tries = append(tries, n)
	}
	return tries, slices.Clone(h.taken), slices.Clone(h.wrong)
}

// promoted lets one member of a new network become an admin.
func promoted(t *testing.T, w *sender) (network, node any) {
	t.Helper()
	owner, member := agent(t, w.Wire), agent(t, w.Wire)
	network = w.send(fmt.Sprintf(`{"type":"create_network","admin_token":"$TOKEN","name":"fleet","join_rule":"open","enterprise":true,"node_id":%d}`, owner.ID))["network_id"]
	w.send(fmt.Sprintf(`{"type":"join_network","node_id":%d,"network_id":%v,"signature":%q}`, member.ID, network,
		member.Sign(fmt.Sprintf("join_network:%d:%v", member.ID, network))))
	w.send(fmt.Sprintf(`{"type":"promote_member","node_id":%d,"network_id":%v,"target_node_id":%d,"signature":%q}`, owner.ID, network, member.ID,
		owner.Sign(fmt.Sprintf("promote_member:%d:%v:%d", owner.ID, network, member.ID))))
	return network, float64(member.ID)
}

// What a webhook's receiver refuses waits as a dead letter, in the form that
// the product page shows, until pilotctl has it delivered.
func TestExampleDeadLetters(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{})
	w := follower(t, c)
	h := newHook(t, http.StatusUnprocessableEntity)
	w.send(fmt.Sprintf(`{"type":"audit_sink_put","admin_token":"$TOKEN","name":"audit_webhook","kind":"webhook","endpoint":%q,"secret":%q,"actions":["member.*"]}`, h.url, hookSecret))
	network, node := promoted(t, w)
	list := func() (map[string]any, []any) {
		r := w.send(`{"type":"get_webhook_dlq","admin_token":"$TOKEN"}`)
		events, _ := r["events"].([]any)
		return r, events
	}
	await(t, "the dead letter", func() (any, bool) { r, events := list(); return r, len(events) == 1 })
	reply, events := list()
	event := events[0].(map[string]any)
	details, _ := event["details"].(map[string]any)
	id, _ := event["event_id"].(float64)
	at, _ := event["timestamp"].(string)
	if _, err := time.Parse(time.RFC3339, at); err != nil || reply["type"] != "webhook_dlq_ok" || len(event) != 4 || id == 0 ||
		event["action"] != "member.promoted" || details["network_id"] != network || details["node_id"] != node || details["target_node_id"] != node {
		t.Errorf("got %v", reply)
	}
	if n := attempts(w); n != 1.0 {
		t.Errorf("a refusal was tried %v times", n)
	}
	h.answer(http.StatusOK)
	if out, err := ctl(t, c, "webhook", "dlq", "retry", fmt.Sprint(id)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	await(t, "the letter to be gone", func() (any, bool) { r, events := list(); return r, len(events) == 0 })
	if tries, taken, wrong := h.has(); len(taken) != 1 || len(tries) != 1 || len(wrong) > 0 {
		t.Errorf("delivered: %s; wrong: %v", taken, wrong)
	}
}

// A server error is tried four times before it becomes a dead letter.
func TestExampleDeadLettersOfServerErrors(t *testing.T) {
	t.Parallel()
	onlyE2E(t, "the pauses between the tries are 7 s")
	c := harness.Start(t, harness.Options{})
	w := follower(t, c)
	h := newHook(t, http.StatusServiceUnavailable)
	w.send(fmt.Sprintf(`{"type":"set_webhook","admin_token":"$TOKEN","url":%q,"secret":%q}`, h.url, hookSecret))
	w.changes(1)
	await(t, "a dead letter", func() (any, bool) {
		r := w.send(`{"type":"get_webhook_dlq","admin_token":"$TOKEN"}`)
		events, _ := r["events"].([]any)
		return r, len(events) > 0
	})
	// A new leader begins to count again, so the receiver may have seen more.
	if tries, _, wrong := h.has(); attempts(w) != 4.0 || len(tries) != 1 || tries[0] < 4 || len(wrong) > 0 {
		t.Errorf("%v tries, of which the receiver saw %v; wrong signatures: %v", attempts(w), tries, wrong)
	}
}

// attempts is how often the only dead letter was tried.
func attempts(w *sender) any {
	w.t.Helper()
	letters, _ := w.send(`{"type":"dlq_list","admin_token":"$TOKEN"}`)["letters"].([]any)
	if len(letters) != 1 {
		w.t.Fatalf("dead letters: %v", letters)
	}
	return letters[0].(map[string]any)["attempts"]
}
