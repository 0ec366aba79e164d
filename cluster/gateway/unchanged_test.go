package gateway_test

import (
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/gateway"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Daemons repeat what they have said: it is answered after a confirm round, and
// nothing is proposed.
func TestUnchangedWriteIsARead(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Policy{})
	id := c.register()
	say := func(host string) map[string]any {
		return c.call(map[string]any{"type": "set_hostname", "node_id": id, "hostname": host, "signature": c.sign(fmt.Sprintf("set_hostname:%d", id))})
	}
	say("alpha")
	e.catchUp()
	proposals, rounds := len(e.proposals), e.rounds
	for range 5 {
		if r := say("alpha"); r["type"] != "set_hostname_ok" || r["hostname"] != "alpha" || r["index"] == nil {
			t.Errorf("reply %v", r)
		}
	}
	if len(e.proposals) != proposals || e.rounds != rounds+5 {
		t.Errorf("%d proposals and %d rounds for five repetitions", len(e.proposals)-proposals, e.rounds-rounds)
	}
	// A member that lags may not take an older value for unchanged.
	lags := e.shown
	say("beta")
	e.shown = lags
	if r := say("alpha"); r["type"] != "set_hostname_ok" || len(e.proposals) != proposals+2 {
		t.Errorf("reply %v, %d proposals", r, len(e.proposals)-proposals)
	}
}

// A copy of a request that changed nothing, and was answered, arrives late: it
// must not undo what came in between.
func TestLateCopyOfAnUnchangedWriteUndoesNothing(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Policy{})
	id := c.register()
	say := func(request, host string) map[string]any {
		return c.call(map[string]any{"type": "set_hostname", "node_id": id, "hostname": host, "request_id": request, "signature": c.sign(fmt.Sprintf("set_hostname:%d", id))})
	}
	say("r-1", "alpha")
	events := e.machine.Root().Chain(protocol.ClassActivity)
	if r := say("r-2", "alpha"); r["type"] != "set_hostname_ok" {
		t.Fatal(r)
	}
	if e.machine.Root().Chain(protocol.ClassActivity) != events {
		t.Error("what changed nothing is an event")
	}
	say("r-3", "beta")
	if r := say("r-2", "alpha"); r["replayed"] != true {
		t.Errorf("the copy: %v", r)
	}
	if r := c.call(map[string]any{"type": "lookup", "node_id": id}); r["hostname"] != "beta" {
		t.Errorf("the copy was carried out: %v", r)
	}
}

// Strangers cannot fill the memory of request ids, nor the log, with
// deregistrations of nodes that are not there.
func TestStrangersDeregisterIsNeitherProposedNorRemembered(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Policy{})
	proposals := len(e.proposals)
	for i := range 5 {
		if r := c.call(map[string]any{"type": "deregister", "node_id": 999999, "request_id": fmt.Sprint(i)}); r["type"] != "deregister_ok" {
			t.Errorf("reply %v", r)
		}
	}
	if len(e.proposals) != proposals {
		t.Errorf("%d were proposed", len(e.proposals)-proposals)
	}
}
