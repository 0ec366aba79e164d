// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestIdentities(t *testing.T) {
	answer := func(w *world, n int, id, index uint64) {
		w.register(n)
		o := &w.ops[len(w.ops)-1]
		at := bytes.Index(o.Reply, []byte(`"node_id":`)) + len(`"node_id":`)
		end := at + bytes.IndexAny(o.Reply[at:], ",}")
		o.Reply = append(append(bytes.Clone(o.Reply[:at]), fmt.Sprint(id)...), o.Reply[end:]...)
		o.Index = index
	}
	for _, tt := range []struct {
		name string
		plan func(w *world)
		want []check.Rule
	}{
		{"rising", func(w *world) { answer(w, 1, 1, 10); answer(w, 2, 2, 10); answer(w, 3, 3, 11); answer(w, 1, 1, 12) }, nil},
		{"one id for two keys", func(w *world) { answer(w, 1, 1, 10); answer(w, 2, 1, 11) }, []check.Rule{check.RuleIDReused}},
		{"two ids for one key", func(w *world) { answer(w, 1, 1, 10); answer(w, 1, 2, 11) }, []check.Rule{check.RuleTwoIDs}},
		{"a smaller id later", func(w *world) { answer(w, 1, 2, 10); answer(w, 2, 1, 11) }, []check.Rule{check.RuleIDOrder}},
		{"a smaller id later, perhaps given earlier", func(w *world) {
			answer(w, 1, 2, 10)
			w.lost("register", &protocol.Register{PublicKey: testKey(2)}, key("key/2"))
			answer(w, 2, 1, 11)
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.plan(w)
			want(t, check.Identities(w.ops), tt.want...)
		})
	}
}

func TestNames(t *testing.T) {
	seen := func(command, host string, node int, index uint64) history.Op {
		return history.Op{ID: 1, Command: command, Key: "names/a", Outcome: history.OK, Index: index, Level: protocol.Stale,
			Args: fmt.Appendf(nil, `{"type":"%s"}`, command), Reply: fmt.Appendf(nil, `{"hostname":"%s","node_id":%d}`, host, node)}
	}
	for _, tt := range []struct {
		name string
		ops  []history.Op
		want []check.Rule
	}{
		{"inverse", []history.Op{seen("lookup", "x", 1, 5), seen("resolve_hostname", "x", 1, 5), seen("lookup", "", 2, 5), seen("lookup", "x", 2, 6)}, nil},
		{"two nodes with one name", []history.Op{seen("lookup", "x", 1, 5), seen("lookup", "x", 2, 5)}, []check.Rule{check.RuleNames}},
		{"resolves to another", []history.Op{seen("resolve_hostname", "x", 2, 5), seen("lookup", "x", 1, 5)}, []check.Rule{check.RuleNames}},
		{"resolves to one that has none", []history.Op{seen("resolve_hostname", "x", 1, 5), seen("lookup", "", 1, 5)}, []check.Rule{check.RuleNames}},
		{"another arena", []history.Op{seen("lookup", "x", 1, 5), {ID: 2, Command: "lookup", Key: "names/b", Outcome: history.OK, Index: 5, Args: []byte(`{}`), Reply: []byte(`{"hostname":"x","node_id":2}`)}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) { want(t, check.Names(tt.ops), tt.want...) })
	}
}

func TestRemoved(t *testing.T) {
	w := newWorld(t)
	a := w.register(1, by("n1"))
	from := w.tick()
	for _, tt := range []struct {
		name string
		make func() *history.Op
		bad  bool
	}{
		{"another member", func() *history.Op { return w.lookup(a, by("n1")) }, false},
		{"linearizable read", func() *history.Op { return w.lookup(a, by("n3")) }, true},
		{"stale read", func() *history.Op { return w.lookup(a, by("n3"), level(protocol.Stale)) }, false},
		{"fresh bounded read", func() *history.Op { return w.lookup(a, by("n3"), level(protocol.Bounded), staleness(60_000)) }, false},
		{"outlived bounded read", func() *history.Op {
			w.now += int64(time.Second)
			return w.lookup(a, by("n3"), level(protocol.Bounded), staleness(100))
		}, true},
		{"write", func() *history.Op { return w.tags(a, "x", by("n3")) }, true},
		{"write that failed", func() *history.Op { return w.tags(a, "y", by("n3"), ended(history.Fail)) }, false},
		{"write under way", func() *history.Op { return w.tags(a, "z", by("n3"), called(from-1)) }, false},
	} {
		op := *tt.make()
		found := check.Removed([]history.Op{op}, []check.Removal{{Member: "n3", From: from}})
		if (len(found) > 0) != tt.bad {
			t.Errorf("%s: %v", tt.name, found)
		}
	}
	op := *w.lookup(a, by("n3"))
	if found := check.Removed([]history.Op{op}, []check.Removal{{Member: "n3", From: from, Until: op.Call - 1}}); len(found) > 0 {
		t.Errorf("back in the cluster: %v", found)
	}
}

func TestTooManyOperationsOnAKey(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	for range check.MaxOpsPerKey {
		w.lookup(a)
	}
	stats, found := check.Linear(w.ops, check.LinearOptions{})
	want(t, found)
	w.lookup(a)
	_, found = check.Linear(w.ops, check.LinearOptions{})
	want(t, found, check.RuleTooMany)
	if stats.Ops != check.MaxOpsPerKey+1 {
		t.Errorf("searched %d operations", stats.Ops)
	}
}

// A search without an answer is not a pass.
func TestATimeoutIsAViolation(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	for i := range 60 { // every subset of these is a possible score
		delta := float64(1 + i%2)
		w.lost("update_polo_score", &protocol.UpdatePoloScore{NodeID: a, Delta: &delta}, key(fmt.Sprint("polo/", a)))
	}
	for range 5 {
		o := w.score(a)
		o.Reply = bytes.Replace(o.Reply, []byte(`"polo_score":0`), []byte(`"polo_score":1000`), 1)
	}
	_, found := check.Linear(w.ops, check.LinearOptions{KeyTimeout: 20 * time.Millisecond})
	want(t, found, check.RuleTimeout)
}

func TestUnknownKindsAreNotPassedOver(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	w.lookup(a, key("mystery/1"))
	_, found := check.Linear(w.ops, check.LinearOptions{})
	want(t, found, check.RuleUnchecked)
}

func TestAFailedKeyIsPictured(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	w.tags(a, "x")
	o := w.lookup(a)
	o.Reply = bytes.Replace(o.Reply, []byte(`["x"]`), []byte(`["y"]`), 1)
	_, found := check.Linear(w.ops, check.LinearOptions{Dir: t.TempDir()})
	want(t, found, check.RuleNotLinearizable)
	raw, err := os.ReadFile(found[0].Artifact)
	if err != nil || !strings.Contains(string(raw), "y private") || len(found[0].Ops) != 2 {
		t.Errorf("picture %q: %v", found[0].Artifact, err)
	}
}

// What is kept of one rule is bounded, what is counted is not.
func TestTotals(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	for range 40 {
		w.lookup(a).Index = 0
	}
	r := w.judge()
	if r.Totals[check.RuleNoIndex] != 40 || len(r.Violations) != 25 {
		t.Errorf("%d of %v kept", len(r.Violations), r.Totals)
	}
}
