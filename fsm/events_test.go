// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestEvents(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	w.now += 5
	w.do("rotate_key", &protocol.RotateKey{NodeID: a, NewPublicKey: testKey(2).String()}, as(a))
	security := w.m.Root().Events(protocol.ClassSecurity, 0, 100)
	e := security[len(security)-1]
	if e.Action != protocol.EventKeyRotated || e.Actor != "node:1" || e.Source != "203.0.113.9:50000" || e.Time != w.now || e.Index != w.index ||
		e.Class != protocol.ClassSecurity || len(e.Attrs) != 1 || e.Attrs[0] != (Attr{Key: "node_id", Value: "1"}) {
		t.Errorf("event %+v", e)
	}
	activity := w.m.Root().Events(protocol.ClassActivity, 0, 100)
	if len(activity) != 1 || activity[0].Seq+1 != e.Seq {
		t.Errorf("the classes do not share one sequence: %+v, %+v", activity, e)
	}
	if got := w.m.Root().Events(protocol.ClassSecurity, e.Seq-1, 100); len(got) != 1 || got[0].Seq != e.Seq {
		t.Errorf("after %d: %+v", e.Seq-1, got)
	}
	if got := w.m.Root().Events(protocol.ClassSecurity, 0, 1); len(got) != 1 {
		t.Errorf("limit 1: %d events", len(got))
	}
	for _, after := range []uint64{e.Seq, 1<<64 - 1} {
		if got := w.m.Root().Events(protocol.ClassSecurity, after, 100); len(got) != 0 {
			t.Errorf("after %d: %+v", after, got)
		}
	}
	if got := w.m.Root().Events(9, 0, 100); got != nil {
		t.Errorf("an unknown class: %+v", got)
	}
}

func TestVerifyChain(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.register(i)
	}
	r := w.m.Root()
	chain := r.Chain(protocol.ClassActivity)
	events := r.Events(protocol.ClassActivity, chain.AnchorSeq, 100)
	head, err := protocol.VerifyChain(chain.Anchor, events)
	if err != nil || head != chain.Head || chain.Count != 20 || events[19].Seq != chain.HeadSeq {
		t.Fatal(err, chain)
	}
	for name, spoil := range map[string]func([]Event) []Event{
		"changed attribute": func(e []Event) []Event { e[3].Attrs = []Attr{{Key: "node_id", Value: "9"}}; return e },
		"changed actor":     func(e []Event) []Event { e[3].Actor = "node:1"; return e },
		"changed time":      func(e []Event) []Event { e[3].Time++; return e },
		"removed":           func(e []Event) []Event { return append(e[:3:3], e[4:]...) },
		"swapped":           func(e []Event) []Event { e[3], e[4] = e[4], e[3]; return e },
		"cut at the start":  func(e []Event) []Event { return e[1:] },
	} {
		spoiled := spoil(r.Events(protocol.ClassActivity, 0, 100))
		if _, err := protocol.VerifyChain(chain.Anchor, spoiled); err == nil {
			t.Errorf("%s went unnoticed", name)
		}
	}
}

// Old events are cut at the old end only, the rest stays verifiable from the
// anchor, and one class cannot push out the other.
func TestRetention(t *testing.T) {
	defer func(old [2]retention) { retentions = old }(retentions)
	retentions[1] = retention{count: 50, bytes: 1 << 20, age: dayMS}
	w := newWorld(t)
	a := w.register(1)
	w.do("rotate_key", &protocol.RotateKey{NodeID: a, NewPublicKey: testKey(2).String()}, as(a))
	security := w.m.Root().Chain(protocol.ClassSecurity)
	for i := range 200 {
		w.do("set_task_exec", &protocol.SetTaskExec{NodeID: a, Enabled: i%2 == 0}, as(a))
	}
	check := func(count uint64) Chain {
		t.Helper()
		r := w.m.Root()
		c := r.Chain(protocol.ClassActivity)
		events := r.Events(protocol.ClassActivity, 0, 1000)
		head, err := protocol.VerifyChain(c.Anchor, events)
		if err != nil || head != c.Head || c.Count != count || uint64(len(events)) != count || c.Cut+c.Count < count || events[0].Seq <= c.AnchorSeq {
			t.Fatalf("%d events, want %d; chain %+v: %v", len(events), count, c, err)
		}
		size := uint64(0)
		r.audit.events[1].Scan(func(_ uint64, e eventRecord) bool { size += uint64(len(e)); return true })
		if size != c.Bytes {
			t.Errorf("%d bytes are accounted for %d", c.Bytes, size)
		}
		return c
	}
	if c := check(50); c.Cut != 151 {
		t.Errorf("%d events were cut", c.Cut)
	}
	if w.m.Root().Chain(protocol.ClassSecurity) != security {
		t.Error("activity touched the security events")
	}
	w.tick(dayMS + 1)
	w.register(2)
	check(50 - maxCutsPerEvent + 1)
	retentions[1].bytes = 600
	for i := range 10 {
		w.do("set_task_exec", &protocol.SetTaskExec{NodeID: a, Enabled: i%2 == 0}, admin)
		w.register(2)
	}
	if c := w.m.Root().Chain(protocol.ClassActivity); c.Bytes > 600 {
		t.Errorf("%d bytes are kept", c.Bytes)
	}
}

func TestAuditNote(t *testing.T) {
	w := newWorld(t)
	w.internal(KindAuditNote, AuditNote{Term: 1, Notes: map[string]uint64{"set_tags:signature_invalid": 7, "a:b": 1, "m:n": 3}})
	if got := w.lastEvent(protocol.EventAuditNote); got != "system a:b=1 m:n=3 set_tags:signature_invalid=7" {
		t.Errorf("event %q", got)
	}
	w.internalErr(KindAuditNote, AuditNote{Term: 1}, protocol.CodeInvalid)
	w.internalErr(KindAuditNote, AuditNote{Term: 1, Notes: map[string]uint64{strings.Repeat("x", 200): 1}}, protocol.CodeInvalid)
}
