// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// good is a history with everything in it that a registry may do.
func good(w *world) (a, b uint32) {
	a, b = w.register(1, id("r1")), w.register(2)
	for i := range 3 {
		w.tags(a, fmt.Sprint("t", i))
		w.lookup(a, session("s1"))
		w.add(b, float64(i+1), id(fmt.Sprint("add", i)))
		w.score(b)
	}
	w.tags(a, "applied", ended(history.Unknown))
	w.lookup(a, level(protocol.Bounded), staleness(100), session("s1"), atLeast(3))
	w.add(b, 100, ended(history.Unknown))
	w.add(b, 200, ended(history.Unknown), id("add-unknown"))
	w.lost("update_polo_score", &protocol.UpdatePoloScore{NodeID: b, Delta: new(float64)}, key(fmt.Sprint("polo/", b)))
	w.lost("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"never"}}, key(fmt.Sprint("node/", a)), id("never"))
	w.score(b)
	goodNames(w, a, b)
	goodLife(w)
	return a, b
}

func goodNames(w *world, a, b uint32) {
	w.claim(a, "alpha")
	w.claim(b, "alpha") // refused
	w.resolve("alpha", a)
	w.resolve("beta", b) // not found
	w.claim(a, "beta")
	w.claim(b, "alpha", ended(history.Unknown))
	w.resolve("alpha", b)
	w.claim(b, "")
	w.read("lookup", &protocol.NodeRequest{NodeID: b}, key("names/a"))
}

func goodLife(w *world) {
	c := w.register(3)
	node := &protocol.NodeRequest{NodeID: c}
	w.read("lookup", node, key("key/3"))
	w.write("deregister", node, key("key/3"))
	w.read("lookup", node, key("key/3")) // not found
	w.write("register", &protocol.Register{PublicKey: testKey(3), ListenAddr: ":4000"}, key("key/3"), ended(history.Unknown))
	w.register(3, id("again"))
	w.read("lookup", node, key("key/3"))
	w.digest("n2")
}

// digest records what a member shows of its present state.
func (w *world) digest(member string) *history.Op {
	sum := w.m.Root().Digest()
	return w.done(&history.Op{ID: uint64(len(w.ops)) + 1, Command: history.CommandDigest, Key: "digest", Member: member, Call: w.tick(),
		Outcome: history.OK, Index: w.m.Root().Index(), Value: hex.EncodeToString(sum[:])})
}

func TestAGoodHistoryIsAccepted(t *testing.T) {
	w := newWorld(t)
	good(w)
	r := w.judge()
	want(t, r.Violations)
	if s := r.Replay; s.Writes != 14 || s.Resolved != 5 || s.Refusals != 3 || s.Digests != 1 || s.Uncovered != 0 || s.Reads != 13 {
		t.Errorf("looked at %+v", s)
	}
	if s := r.Linear; s.Keys != 6 || s.Unknown != 5 || s.Exempt != 0 {
		t.Errorf("searched %+v", s)
	}
}

// The same history with the beginning of the log compacted away.
func TestAGoodHistoryIsAcceptedBehindASnapshot(t *testing.T) {
	w := newWorld(t)
	good(w)
	w.snapshot()
	from := len(w.entries)
	good2 := w.register(9, id("r9"))
	w.lookup(good2)
	log := w.log()
	log.Entries = log.Entries[from-3:]
	r := check.Run(check.Input{Ops: w.ops, Log: log})
	want(t, r.Violations)
	if s := r.Replay; s.Writes != 1 || s.Reads != 2 || s.Remembered != 5 || s.Gaps != 1 || s.Uncovered == 0 {
		t.Errorf("looked at %+v", s)
	}
	r = check.Run(check.Input{Ops: w.ops, Log: log, MinCoverage: 0.9})
	want(t, r.Violations, check.RuleCoverage)
}

// A snapshot on the way is compared and not jumped to.
func TestSnapshotsOnTheWayAreCompared(t *testing.T) {
	w := newWorld(t)
	w.register(1)
	w.snapshot()
	good(w)
	w.snapshot()
	r := w.judge()
	want(t, r.Violations)
	if s := r.Replay; s.Snapshots != 2 || s.Gaps != 0 {
		t.Errorf("looked at %+v", s)
	}
	w.snaps[1].Digest[0]++
	want(t, w.judge().Violations, check.RuleDigest)
}

// Several commands of one entry share an index; equal ones are told apart.
func TestGroupCommit(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	var ops []*history.Op
	var cmds []fsm.Envelope
	delta := float64(5)
	for range 3 {
		o := w.op("update_polo_score", &protocol.UpdatePoloScore{NodeID: a, Delta: &delta}, []how{key(fmt.Sprint("polo/", a))})
		ops, cmds = append(ops, o), append(cmds, w.envelope(o))
	}
	for i, r := range w.commit(cmds...) {
		ops[2-i].Index, ops[2-i].Reply = r.Index, json.RawMessage(r.JSON()) // answered in another order
	}
	for _, o := range ops {
		w.done(o)
	}
	w.score(a)
	alike := []*history.Op{}
	cmds = nil
	for range 2 { // answered alike, too
		o := w.op("set_visibility", &protocol.SetVisibility{NodeID: a, Public: true}, []how{key(fmt.Sprint("node/", a))})
		alike, cmds = append(alike, o), append(cmds, w.envelope(o))
	}
	for i, r := range w.commit(cmds...) {
		alike[i].Index, alike[i].Reply = r.Index, json.RawMessage(r.JSON())
	}
	for _, o := range alike {
		w.done(o)
	}
	want(t, w.judge().Violations)
}

// Retries of one request: the log holds it twice, it took effect once.
func TestResentRequests(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	first := w.add(a, 5, id("same"))
	reply, index := first.Reply, first.Index
	again := w.envelope(first)
	if r := w.commit(again)[0]; !r.Replayed {
		t.Fatalf("the second sending took effect: %+v", r)
	}
	first.Replayed, first.Sends = true, 2
	session := fsm.SessionID{7} // the member's own retries, without an id of the client
	second := w.op("update_polo_score", &protocol.UpdatePoloScore{NodeID: a, Delta: new(float64)}, []how{key(fmt.Sprint("polo/", a))})
	env := w.envelope(second)
	env.Session, env.Seq = session, 1
	r := w.commit(env)[0]
	if twice := w.commit(env)[0]; !twice.Replayed {
		t.Fatalf("the second attempt took effect: %+v", twice)
	}
	second.Index, second.Reply = r.Index, json.RawMessage(r.JSON())
	w.done(second)
	w.score(a)
	want(t, w.judge().Violations)
	if string(reply) == "" || index == 0 {
		t.Error("the first sending was not acknowledged")
	}
}

// What others do on the same cluster is not held against the history.
func TestOthersAreNotOurs(t *testing.T) {
	w := newWorld(t)
	w.register(1)
	for n := 50; n < 53; n++ {
		w.write("register", &protocol.Register{PublicKey: testKey(n)}, id(fmt.Sprint("other", n)))
		w.ops = w.ops[:len(w.ops)-1]
	}
	w.register(2)
	want(t, w.judge().Violations)
}

// A node that goes offline by itself makes names and registrations vanish,
// which is not in the models.
func TestReapedNodesAreExempt(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	w.claim(a, "alpha")
	w.later(4 * 60 * 1000)
	w.internal(fsm.KindSweep, fsm.Sweep{Term: 1, Offline: []uint32{a}})
	if gone := w.resolve("alpha", a); gone.Outcome != history.Fail {
		t.Fatal("the node did not go offline")
	}
	r := w.judge()
	want(t, r.Violations)
	if r.Linear.Exempt != 2 || r.Replay.Refusals != 1 {
		t.Errorf("exempt %+v, %+v", r.Linear, r.Replay)
	}
	_, found := check.Linear(w.ops, check.LinearOptions{})
	want(t, found, check.RuleNotLinearizable)
}

// later commits a tick that moves log time.
func (w *world) later(ms int64) {
	w.t.Helper()
	index := uint64(len(w.entries)) + 1
	data := fsm.AppendEntry(nil, &fsm.Entry{Time: w.m.Root().Now() + ms, Term: 1, Envelopes: []fsm.Envelope{{Code: fsm.KindTick}}})
	if _, err := w.m.Apply(index, 1, data); err != nil {
		w.t.Fatal(err)
	}
	w.entries = append(w.entries, check.Entry{Index: index, Term: 1, Kind: check.EntryCommand, Data: data})
}

func TestResultsCanBeWritten(t *testing.T) {
	w := newWorld(t)
	good(w)
	raw, err := json.Marshal(w.judge())
	if err != nil || len(raw) == 0 {
		t.Fatalf("%s, %v", raw, err)
	}
}

// TestAWriteThatChangesNothingNeedsNoEntry: it is answered like a read. One
// that would have changed something was lost.
func TestAWriteThatChangesNothingNeedsNoEntry(t *testing.T) {
	for name, c := range map[string]struct {
		tags string
		lost bool
	}{"the same tags": {"kept", false}, "others": {"new", true}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.register(1)
			index := w.tags(a, "kept").Index
			w.acknowledge(a, c.tags)
			w.ops[len(w.ops)-1].Index = index
			w.add(a, 1)
			_, found := check.Replay(w.ops, w.log())
			if lost := slices.Contains(rules(found), check.RuleLostWrite); lost != c.lost || !lost && len(found) > 0 {
				t.Errorf("found %v", found)
			}
		})
	}
}

// TestAnUnchangedWriteIsNotTheUnknownOne: the entry's command is of a write
// without a reply; another of the same words finds it done, at the same index.
func TestAnUnchangedWriteIsNotTheUnknownOne(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	unknown := w.write("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"kept"}}, ended(history.Unknown))
	unknown.Return = 0 // until the end
	index := uint64(len(w.entries))
	w.read("lookup", &protocol.NodeRequest{NodeID: a})
	w.acknowledge(a, "kept")
	w.ops[len(w.ops)-1].Index = index
	w.add(a, 1)
	if _, found := check.Replay(w.ops, w.log()); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

// TestAnUnchangedWriteIsNotACopy: a member that got no answer proposed a write
// again, and the copy, which does nothing, stands where the other was answered.
func TestAnUnchangedWriteIsNotACopy(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	first := w.op("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"kept"}}, nil)
	env := w.envelope(first)
	env.Session, env.Seq = fsm.SessionID{1}, 1
	r := w.commit(env)[0]
	first.Index, first.Reply = r.Index, json.RawMessage(r.JSON())
	w.commit(env)
	w.done(first)
	index := uint64(len(w.entries))
	w.read("lookup", &protocol.NodeRequest{NodeID: a})
	w.acknowledge(a, "kept")
	w.ops[len(w.ops)-1].Index = index
	w.add(a, 1)
	if _, found := check.Replay(w.ops, w.log()); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}
