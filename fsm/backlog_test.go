// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// comingFrom makes calls come from another address.
func comingFrom(source string, by who) who {
	return func(w *world, c *Call) {
		if by != nil {
			by(w, c)
		}
		c.Source = source
	}
}

// floodUntilHeldBack repeats a write until a required sink holds it back, and
// says how often it was carried out.
func (w *world) floodUntilHeldBack(what func(i int) (string, protocol.Body, who)) (done int) {
	w.t.Helper()
	for i := range 1000 {
		_, e := w.try(what(i))
		if e == nil {
			done++
			continue
		}
		if e.Code != protocol.CodeAuditBehind || e.Outcome != protocol.OutcomeNotApplied {
			w.t.Fatalf("write %d of a flood: %v (%s)", i, e, e.Code)
		}
		return done
	}
	w.t.Fatal("nothing holds the flood back")
	return 0
}

func strangerFrom(w *world, source string) func(int) (string, protocol.Body, who) {
	return func(int) (string, protocol.Body, who) {
		w.index++ // another key every time
		return "register", &protocol.Register{PublicKey: testKey(int(w.index)).String(), RegisterFacts: protocol.RegisterFacts{Endpoint: "198.51.100.1:4000"}}, comingFrom(source, nil)
	}
}

func nodeFrom(id uint32, source string) func(int) (string, protocol.Body, who) {
	return func(i int) (string, protocol.Body, who) {
		return "set_task_exec", &protocol.SetTaskExec{NodeID: id, Enabled: i%2 == 0}, comingFrom(source, as(id))
	}
}

// While a required sink is behind, strangers and a node that flood wait. A
// client that behaves keeps writing, and so do strangers from elsewhere.
func TestFloodsDoNotStopWritesThatASinkMustSee(t *testing.T) {
	w := newWorld(t)
	victim, flooder, other := w.register(1), w.register(2), w.register(3)
	const bound = 1000
	w.do("set_audit_export", &protocol.SetAuditExport{Format: "json", Endpoint: "https://siem", Required: true, MaxLag: bound}, admin)
	if n := w.floodUntilHeldBack(strangerFrom(w, "192.0.2.1:1")); n > bound/4+1 {
		t.Errorf("strangers at one address have %d of %d places", n, bound)
	}
	write := nodeFrom(victim, "198.51.100.7:1")
	calm := func(after string) {
		t.Helper()
		for i := range 10 {
			if _, e := w.try(write(i)); e != nil {
				t.Fatalf("after a flood of %s a client that behaves gets %v", after, e)
			}
		}
	}
	calm("strangers at one address")
	if _, e := w.try(strangerFrom(w, "192.0.2.2:1")(0)); e != nil {
		t.Errorf("a stranger elsewhere gets %v", e)
	}
	for i := range 40 {
		w.floodUntilHeldBack(strangerFrom(w, fmt.Sprintf("192.0.2.%d:1", i+3)))
	}
	calm("strangers everywhere")
	_, e := w.try(strangerFrom(w, "192.0.2.99:1")(0))
	if e == nil || !strings.Contains(e.Text, "callers who do not prove who they are") {
		t.Errorf("strangers have their part and one more gets %v", e)
	}
	w.floodUntilHeldBack(nodeFrom(flooder, "203.0.113.1:1"))
	if _, e := w.try(nodeFrom(flooder, "203.0.113.2:1")(5)); e == nil {
		t.Error("the node that floods goes on from another address")
	}
	if _, e := w.try(nodeFrom(other, "203.0.113.1:2")(0)); e == nil {
		t.Error("another node at the flooder's address goes on")
	}
	calm("a node")
	w.do("set_visibility", &protocol.SetVisibility{NodeID: victim, Public: true}, comingFrom("198.51.100.8:1", admin))
	for len(w.deliver(protocol.SinkNameExport, 100).Events) > 0 {
		checkBacklog(t, w.m)
	}
	for _, flood := range []func(int) (string, protocol.Body, who){strangerFrom(w, "192.0.2.1:1"), nodeFrom(flooder, "203.0.113.1:1")} {
		if _, e := w.try(flood(7)); e != nil {
			t.Errorf("the sink has caught up, and who flooded gets %v", e)
		}
	}
}

// checkBacklog compares what a state counts with what its records say.
func checkBacklog(t *testing.T, m *Machine) {
	t.Helper()
	copied, err := clone(m)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := indexes(&m.Root().view), indexes(&copied.Root().view); got != want {
		t.Fatalf("the state counts:\n%s\nits records say:\n%s", got, want)
	}
}

// Whatever happens to a sink, its backlog is what its records say.
func TestBacklogFollowsItsSink(t *testing.T) {
	defer func(old [2]retention) { retentions = old }(retentions)
	retentions[1] = retention{count: 60, bytes: 1 << 20, age: dayMS}
	w := newWorld(t)
	a := w.register(1)
	put := func(required bool, lag uint32, endpoint string) {
		w.do("audit_sink_put", &protocol.AuditSinkPut{Name: "siem", Kind: "export", Format: "json", Endpoint: endpoint, Required: required, MaxLag: lag}, admin)
	}
	write := func(n int) {
		for i := range n {
			_, _ = w.try(nodeFrom(a, "203.0.113.1:1")(i))
			_, _ = w.try(strangerFrom(w, "192.0.2.1:1")(i))
		}
	}
	for name, step := range []func(){
		func() { put(true, 20, "https://siem") },
		func() { write(30) },
		func() { w.deliver("siem", 7) },
		func() { put(true, 200, "https://siem") },
		func() { write(60) }, // retention cuts events that the sink has not got
		func() { w.deliver("siem", 10) },
		func() { put(false, 0, "https://siem") },
		func() { write(5) },
		func() { put(true, 30, "https://siem") },
		func() { w.do("audit_replay", &protocol.AuditReplay{Name: "siem", FromSeq: 1}, admin) },
		func() { w.deliver("siem", 40) },
		func() { put(true, 30, "https://other") },
		func() { put(true, 30, "https://third") },
		func() {
			w.do("audit_sink_put", &protocol.AuditSinkPut{Name: "two", Kind: "export", Format: "json", Endpoint: "https://two", Required: true}, admin)
		},
		func() { write(5) },
		func() { w.deliver("two", 3) },
		func() { w.do("audit_sink_delete", &protocol.SinkName{Name: "siem"}, admin) },
		func() { w.do("audit_sink_delete", &protocol.SinkName{Name: "two"}, admin) },
	} {
		step()
		checkBacklog(t, w.m)
		if t.Failed() {
			t.Fatalf("after step %d", name)
		}
	}
	if w.m.Root().audit.backlog.total.Get() != 0 || w.m.Root().audit.backlog.held.Len() != 0 {
		t.Errorf("without a required sink %d events count", w.m.Root().audit.backlog.total.Get())
	}
}
