// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// none is for cases in which a checker has nothing to say.
var none []check.Rule

// planted are defects of a registry as its clients would see them. Each says
// which rules of the replay checker and of the porcupine checker have to catch
// it, on their own.
var planted = []struct {
	name      string
	plant     func(w *world)
	replay    []check.Rule
	porcupine []check.Rule
}{
	{"a linearizable read from a member that lags", func(w *world) {
		a := w.register(1)
		w.tags(a, "old")
		stale := *w.lookup(a)
		w.tags(a, "new")
		o := w.lookup(a)
		o.Index, o.Reply = stale.Index, stale.Reply
	}, []check.Rule{check.RuleStaleRead}, []check.Rule{check.RuleNotLinearizable}},

	{"a read of an old state under a new index", func(w *world) {
		a := w.register(1)
		w.tags(a, "old")
		stale := w.lookup(a).Reply
		w.tags(a, "new")
		w.lookup(a).Reply = stale
	}, []check.Rule{check.RuleWrongRead}, []check.Rule{check.RuleNotLinearizable}},

	{"a stale read of a state that never was", func(w *world) {
		a := w.register(1)
		w.tags(a, "real")
		o := w.lookup(a, level(protocol.Stale))
		o.Reply = bytes.Replace(o.Reply, []byte("real"), []byte("fake"), 1)
	}, []check.Rule{check.RuleWrongRead}, none},

	{"an acknowledged write that is not in the log", func(w *world) {
		a := w.register(1)
		w.tags(a, "kept")
		w.acknowledge(a, "lost")
		w.later(1)
		w.lookup(a)
	}, []check.Rule{check.RuleLostWrite}, []check.Rule{check.RuleNotLinearizable}},

	{"an acknowledged write with a request id that is not in the log", func(w *world) {
		a := w.register(1)
		w.tags(a, "kept")
		w.acknowledge(a, "lost", id("x"))
		w.later(1)
		w.lookup(a)
	}, []check.Rule{check.RuleLostWrite}, []check.Rule{check.RuleNotLinearizable}},

	{"an acknowledged write past the end of the log", func(w *world) {
		a := w.register(1)
		w.tags(a, "kept")
		w.acknowledge(a, "lost")
	}, []check.Rule{check.RuleLostWrite}, none},

	{"a read of what was never committed", func(w *world) {
		a := w.register(1)
		w.tags(a, "kept")
		w.lookup(a).Index++
	}, []check.Rule{check.RuleWrongRead}, none},

	{"a counter that one request raises twice", func(w *world) {
		a := w.register(1)
		o := w.add(a, 5)
		w.commit(w.envelope(o))
		w.score(a)
	}, []check.Rule{check.RuleDoubledWrite}, []check.Rule{check.RuleNotLinearizable}},

	{"a request id that takes effect twice", func(w *world) {
		a := w.register(1)
		o := w.add(a, 5, id("twice"))
		again := w.envelope(o)
		w.later(6 * 60 * 1000) // the registry has forgotten it by now
		w.commit(again)
		w.score(a)
	}, []check.Rule{check.RuleDoubledWrite}, []check.Rule{check.RuleNotLinearizable}},

	{"an effect that nobody asked for", func(w *world) {
		a := w.register(1)
		o := *w.tags(a, "asked")
		o.Args = bytes.Replace(o.Args, []byte("asked"), []byte("thing"), 1)
		w.commit(w.envelope(&o))
		w.lookup(a)
	}, []check.Rule{check.RulePhantomWrite}, []check.Rule{check.RuleNotLinearizable}},

	{"an effect under an id that nobody used", func(w *world) {
		a := w.register(1)
		o := *w.add(a, 1)
		o.RequestID = "foreign"
		w.commit(w.envelope(&o))
		w.score(a)
	}, []check.Rule{check.RulePhantomWrite}, []check.Rule{check.RuleNotLinearizable}},

	{"a failed write that takes effect", func(w *world) {
		a := w.register(1)
		w.tags(a, "aborted", ended(history.Fail))
		w.lookup(a)
	}, []check.Rule{check.RuleAbortedWrite}, []check.Rule{check.RuleNotLinearizable}},

	{"a failed write with a request id that takes effect", func(w *world) {
		a := w.register(1)
		w.add(a, 3, id("aborted"), ended(history.Fail))
		w.score(a)
	}, []check.Rule{check.RuleAbortedWrite}, []check.Rule{check.RuleNotLinearizable}},

	{"two writes in the wrong order", func(w *world) {
		a := w.register(1)
		first := w.op("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"first"}}, []how{key(fmt.Sprint("node/", a))})
		first.Return = w.tick()
		w.tags(a, "second")
		r := w.commit(w.envelope(first))[0]
		first.Index, first.Reply = r.Index, json.RawMessage(r.JSON())
		w.ops = append(w.ops, *first)
		w.lookup(a)
	}, []check.Rule{check.RuleRealTime}, []check.Rule{check.RuleNotLinearizable}},

	{"two writes, one after the other, in one entry", func(w *world) {
		a := w.register(1)
		first := w.op("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"first"}}, []how{key(fmt.Sprint("node/", a))})
		first.Return = w.tick()
		second := w.op("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"second"}}, []how{key(fmt.Sprint("node/", a))})
		second.ID++
		for i, r := range w.commit(w.envelope(first), w.envelope(second)) {
			o := []*history.Op{first, second}[i]
			o.Index, o.Reply = r.Index, json.RawMessage(r.JSON())
		}
		w.ops = append(w.ops, *first)
		w.done(second)
	}, []check.Rule{check.RuleRealTime}, none},

	{"a write of unknown outcome before its call", func(w *world) {
		a := w.register(1)
		o := w.op("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"early"}}, []how{key(fmt.Sprint("node/", a)), id("early"), ended(history.Unknown)})
		w.commit(w.envelope(o))
		w.lookup(a)
		o.Call = w.tick()
		w.done(o)
	}, []check.Rule{check.RuleRealTime}, []check.Rule{check.RuleNotLinearizable}},

	{"a write of unknown outcome and without id before its call", func(w *world) {
		a := w.register(1)
		o := w.op("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"early"}}, []how{key(fmt.Sprint("node/", a)), ended(history.Unknown)})
		w.commit(w.envelope(o))
		w.lookup(a)
		o.Call = w.tick()
		w.done(o)
	}, []check.Rule{check.RuleRealTime}, []check.Rule{check.RuleNotLinearizable}},

	{"an acknowledgement with the wrong index", func(w *world) {
		a := w.register(1)
		o := w.tags(a, "moved", id("moved"))
		w.later(1)
		w.ops[len(w.ops)-1].Index = o.Index + 1
	}, []check.Rule{check.RuleWrongIndex}, none},

	{"an acknowledgement without index", func(w *world) {
		a := w.register(1)
		w.tags(a, "blind", id("blind"))
		w.lookup(a).Index = 0
	}, []check.Rule{check.RuleNoIndex}, none},

	{"a wrong answer to a write", func(w *world) {
		a := w.register(1)
		w.add(a, 5)
		o := w.add(a, 7)
		o.Reply = bytes.Replace(o.Reply, []byte(":12"), []byte(":7"), 1)
	}, []check.Rule{check.RuleWrongReply}, []check.Rule{check.RuleNotLinearizable}},

	{"a refusal of a free hostname", func(w *world) {
		a, b := w.register(1), w.register(2)
		w.claim(a, "alpha")
		w.claim(a, "")
		w.done(w.refused("set_hostname", &protocol.SetHostname{NodeID: b, Hostname: "alpha"}, protocol.CodeAlreadyExists))
		w.claim(a, "alpha")
	}, []check.Rule{check.RuleRefusal}, []check.Rule{check.RuleNotLinearizable}},

	{"not found, and it was there all the time", func(w *world) {
		a := w.register(1)
		w.claim(a, "alpha")
		w.done(w.refused("resolve_hostname", &protocol.ResolveHostname{Hostname: "alpha", RequesterID: a}, protocol.CodeNotFound))
	}, []check.Rule{check.RuleRefusal}, []check.Rule{check.RuleNotLinearizable}},

	{"a hostname given to two nodes", func(w *world) {
		a, b := w.register(1), w.register(2)
		first := *w.claim(a, "alpha")
		o := w.claim(b, "alpha")
		o.Outcome, o.Code, o.Index = history.OK, "", first.Index+1
		o.Reply = bytes.Replace(first.Reply, []byte(`"node_id":1`), []byte(`"node_id":2`), 1)
	}, []check.Rule{check.RuleLostWrite}, []check.Rule{check.RuleNotLinearizable}},

	{"a key that changes its id", func(w *world) {
		w.register(1)
		w.register(1)
		o := &w.ops[1]
		o.Reply = bytes.Replace(o.Reply, []byte(`"node_id":1`), []byte(`"node_id":9`), 1)
	}, []check.Rule{check.RuleWrongReply}, []check.Rule{check.RuleNotLinearizable}},

	{"a node that is there after it was deregistered", func(w *world) {
		a := w.register(1)
		node := &protocol.NodeRequest{NodeID: a}
		stale := *w.read("lookup", node, key("key/1"))
		w.write("deregister", node, key("key/1"))
		o := w.read("lookup", node, key("key/1"))
		*o = history.Op{ID: o.ID, Client: "late", Workload: "test", Command: "lookup", Key: "key/1", Args: stale.Args, Call: o.Call, Return: o.Return,
			Outcome: history.OK, Index: stale.Index, Reply: stale.Reply, Level: protocol.Linearizable}
	}, []check.Rule{check.RuleStaleRead}, []check.Rule{check.RuleNotLinearizable}},

	{"a connection that goes back in time", func(w *world) {
		a := w.register(1)
		old := *w.lookup(a, level(protocol.Stale), session("s"))
		w.tags(a, "new")
		w.lookup(a, level(protocol.Stale), session("s"))
		o := w.lookup(a, level(protocol.Stale), session("s"))
		o.Index, o.Reply = old.Index, old.Reply
	}, []check.Rule{check.RuleSession}, none},

	{"a connection that does not read its own write", func(w *world) {
		a := w.register(1)
		old := *w.lookup(a, level(protocol.Stale))
		w.tags(a, "mine", session("s"))
		o := w.lookup(a, level(protocol.Bounded), staleness(60_000), session("s"))
		o.Index, o.Reply = old.Index, old.Reply
	}, []check.Rule{check.RuleSession}, none},

	{"a read older than it asked for", func(w *world) {
		a := w.register(1)
		old := *w.lookup(a)
		index := w.tags(a, "new").Index
		o := w.lookup(a, level(protocol.Stale), atLeast(index))
		o.Index, o.Reply = old.Index, old.Reply
	}, []check.Rule{check.RuleMinIndex}, none},

	{"a bounded read older than its bound", func(w *world) {
		a := w.register(1)
		old := *w.lookup(a)
		w.tags(a, "new")
		w.now += int64(200 * time.Millisecond)
		o := w.lookup(a, level(protocol.Bounded), staleness(100))
		o.Index, o.Reply = old.Index, old.Reply
	}, []check.Rule{check.RuleBounded}, none},

	{"a member with another digest", func(w *world) {
		w.register(1)
		w.digest("n1")
		w.digest("n2").Value = "00"
	}, []check.Rule{check.RuleDigest}, none},

	{"a log that cannot be applied", func(w *world) {
		w.register(1)
		index := uint64(len(w.entries)) + 1
		w.entries = append(w.entries, check.Entry{Index: index, Term: 1, Kind: check.EntryCommand, Data: []byte{99}})
	}, []check.Rule{check.RuleHalted}, none},

	{"a log with a command from the future", func(w *world) {
		data := fsm.AppendEntry(nil, &fsm.Entry{Envelopes: []fsm.Envelope{{Code: fsm.InternalBase + 999}}})
		w.entries = append(w.entries, check.Entry{Index: uint64(len(w.entries)) + 1, Term: 1, Kind: check.EntryCommand, Data: data})
	}, []check.Rule{check.RuleHalted}, none},
}

// acknowledge records a set_tags that nobody carried out, with the next index.
func (w *world) acknowledge(node uint32, tag string, hows ...how) {
	w.t.Helper()
	o := w.op("set_tags", &protocol.SetTags{NodeID: node, Tags: []string{tag}}, append([]how{key(fmt.Sprint("node/", node))}, hows...))
	o.Index = uint64(len(w.entries)) + 1
	o.Reply = fmt.Appendf(nil, `{"node_id":%d,"tags":["%s"],"type":"set_tags_ok"}`, node, tag)
	w.done(o)
}

// refused makes a refusal that the present state does not give.
func (w *world) refused(command string, body protocol.Body, code string) *history.Op {
	w.t.Helper()
	o := w.op(command, body, []how{key("names/a")})
	o.Outcome, o.Code = history.Fail, code
	return o
}

func TestPlantedDefectsAreCaught(t *testing.T) {
	for _, tt := range planted {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.plant(w)
			history.Sort(w.ops)
			_, found := check.Replay(w.ops, w.log())
			want(t, found, tt.replay...)
			_, found = check.Linear(w.ops, check.LinearOptions{})
			want(t, found, tt.porcupine...)
		})
	}
}

// Without the log, the rules about indexes still hold.
func TestBoundsWithoutTheLog(t *testing.T) {
	for _, tt := range planted {
		for _, rule := range tt.replay {
			switch rule {
			case check.RuleStaleRead, check.RuleSession, check.RuleMinIndex, check.RuleBounded, check.RuleNoIndex, check.RuleDigest:
				w := newWorld(t)
				tt.plant(w)
				want(t, check.Bounds(w.ops), rule)
			}
		}
	}
}

// behindSnapshot is the verdict when nothing is left of the log but a snapshot
// at its end.
func (w *world) behindSnapshot() (check.ReplayStats, []check.Violation) {
	w.t.Helper()
	w.snapshot()
	log := w.log()
	log.Entries = nil
	return check.Replay(w.ops, log)
}

func TestAWriteThatASnapshotDoesNotRemember(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	w.tags(a, "old", id("old"))
	w.later(6 * 60 * 1000) // the registry has forgotten all this by now, and may
	w.tags(a, "more", id("more"))
	stats, found := w.behindSnapshot()
	want(t, found)
	if stats.Remembered != 1 {
		t.Errorf("%+v", stats)
	}
	w.acknowledge(a, "lost", id("lost"))
	w.later(1)
	w.tags(a, "kept", id("kept"))
	w.snaps = nil
	_, found = w.behindSnapshot()
	want(t, found, check.RuleLostWrite)
}
