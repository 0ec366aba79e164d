// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// withID gives a call a client's request id and the hash of its content.
func withID(c *Call, id string, hash byte) *Call {
	c.Options.RequestID = id
	c.Hash = [32]byte{hash}
	return c
}

func (w *world) polo(id uint32) int64 {
	w.t.Helper()
	return w.do("get_polo_score", &protocol.NodeRequest{NodeID: id}, nil).(*protocol.PoloScoreReply).PoloScore
}

func plusOne(w *world, id uint32) *Call {
	delta := 1.0
	return w.call("update_polo_score", &protocol.UpdatePoloScore{NodeID: id, Delta: &delta}, nil)
}

func TestClientRequestIDs(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	c := withID(plusOne(w, a), "r-1", 1)
	if _, known, e := w.m.Root().Replay(c); known || e != nil {
		t.Fatal("known before it was sent", e)
	}
	first := w.apply(envelope(c))[0]
	again := w.apply(envelope(c), envelope(c))
	for _, r := range again {
		if !r.Replayed || string(r.JSON()) != string(first.JSON()) || r.Index != first.Index {
			t.Errorf("a repetition got %+v, want %s at %d", r, first.JSON(), first.Index)
		}
	}
	if got := w.polo(a); got != 1 {
		t.Errorf("score %d: the repetition was carried out", got)
	}
	if r, known, e := w.m.Root().Replay(c); !known || e != nil || string(r.JSON()) != string(first.JSON()) || r.Index != first.Index {
		t.Errorf("replay %+v %v %v", r, known, e)
	}

	other := withID(plusOne(w, a), "r-1", 2)
	if r := w.apply(envelope(other))[0]; r.Err == nil || r.Err.Code != protocol.CodeRequestIDReused {
		t.Errorf("another request with the id: %v", r.Err)
	}
	if _, _, e := w.m.Root().Replay(other); e == nil || e.Code != protocol.CodeRequestIDReused {
		t.Errorf("replay of another request: %v", e)
	}

	// Five minutes of log time, and not a millisecond less.
	w.tick(5*minute - 1)
	if _, known, _ := w.m.Root().Replay(c); !known {
		t.Error("forgotten too early")
	}
	w.tick(1)
	if _, known, _ := w.m.Root().Replay(c); known {
		t.Error("remembered for too long")
	}
	if w.m.Root().once.results.Len() != 0 || w.m.Root().once.strangers.total.Get() != 0 || w.m.Root().once.strangers.held.Len() != 0 || w.m.Root().once.byExpiry.Len() != 0 {
		t.Error("something is left of it")
	}
	w.register(1)
	if r := w.apply(envelope(c))[0]; r.Replayed || r.Err != nil {
		t.Errorf("after that time it is a new request: %+v", r)
	}
	// Also for the first entry after that time, which finds it still in its table.
	w.now += 5 * minute
	if r := w.apply(envelope(c))[0]; r.Replayed || r.Err != nil {
		t.Errorf("after that time it is a new request: %+v", r)
	}
	if n := w.m.Root().once.byExpiry.Len(); n != 1 {
		t.Errorf("%d expiries for one result", n)
	}
}

func TestDecidedRefusalsAreRemembered(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	w.do("set_hostname", &protocol.SetHostname{NodeID: a, Hostname: "x"}, as(a))
	c := withID(w.call("set_hostname", &protocol.SetHostname{NodeID: b, Hostname: "x"}, as(b)), "r", 1)
	first := w.apply(envelope(c))[0]
	w.do("set_hostname", &protocol.SetHostname{NodeID: a}, as(a))
	again := w.apply(envelope(c))[0]
	if first.Err == nil || again.Err == nil || *again.Err != *first.Err || !again.Replayed {
		t.Errorf("first %v, again %v", first.Err, again.Err)
	}
}

// The ids of different callers, and of different commands, do not meet.
func TestRequestIDScopes(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	calls := []*Call{
		w.call("set_tags", &protocol.SetTags{NodeID: a}, as(a)),
		w.call("set_tags", &protocol.SetTags{NodeID: b}, as(b)),
		w.call("set_task_exec", &protocol.SetTaskExec{NodeID: a}, as(a)),
		w.call("register", &protocol.Register{PublicKey: testKey(1).String()}, nil),
		w.call("register", &protocol.Register{PublicKey: testKey(2).String()}, nil),
		w.call("create_network", &protocol.CreateNetwork{NodeID: a, Name: "n"}, admin),
		plusOne(w, a),
	}
	for i, c := range calls {
		if r := w.apply(envelope(withID(c, "same", byte(i))))[0]; r.Err != nil || r.Replayed {
			t.Errorf("%s: %+v", c.Row.Name, r)
		}
	}
	// An administrator who names a node is not that node.
	tagged := withID(w.call("set_tags", &protocol.SetTags{NodeID: a}, admin), "same", 9)
	if r := w.apply(envelope(tagged))[0]; r.Replayed || r.Err != nil {
		t.Errorf("got %+v", r)
	}
}

func TestSoftCommandsAreNotRemembered(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	c := withID(w.call("heartbeat", &protocol.NodeRequest{NodeID: a}, as(a)), "r", 1)
	env := envelope(c)
	env.Session, env.Seq = SessionID{1}, 1
	w.apply(env)
	w.tick(minute)
	if r := w.apply(env)[0]; r.Replayed || !strings.Contains(string(r.JSON()), fmt.Sprint(w.now/1000)) {
		t.Errorf("got %s", r.JSON())
	}
	if w.m.Root().once.results.Len()+w.m.Root().once.minted.Len()+w.m.Root().once.sessions.Len() != 0 {
		t.Error("a heartbeat was remembered")
	}
}

func TestClientResultsAreBounded(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	w.apply(envelope(withID(plusOne(w, a), "first", 1)))
	w.m.x.once.strangers.total.Set(&w.m.x.w, w.m.x.once.strangers.total.Get()+strangerShares.Total) // as if there were many
	w.tick(0)
	c := withID(plusOne(w, a), "second", 1)
	for _, e := range []*protocol.Error{w.m.Root().Check(c), w.apply(envelope(c))[0].Err} {
		if e == nil || e.Code != protocol.CodeOverloaded || e.Outcome != protocol.OutcomeNotApplied || !e.Stateful {
			t.Errorf("got %+v", e)
		}
	}
	if r := w.apply(envelope(withID(plusOne(w, a), "first", 1)))[0]; !r.Replayed {
		t.Errorf("what is remembered is no longer found: %+v", r)
	}
	if r := w.apply(envelope(plusOne(w, a)))[0]; r.Err != nil {
		t.Errorf("a request without id: %v", r.Err)
	}
	if r := w.apply(envelope(withID(plusOne(w, a), strings.Repeat("x", 65), 1)))[0]; r.Err == nil || r.Err.Code != protocol.CodeInvalid {
		t.Errorf("a long id: %v", r.Err)
	}
}

func minted(c *Call, session byte, seq, floor uint64) Envelope {
	e := envelope(c)
	e.Session, e.Seq, e.Floor = SessionID{session}, seq, floor
	return e
}

func TestMintedIDs(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	settled := func(r Result) bool {
		return r.Err != nil && r.Err.Code == protocol.CodeConflict && r.Err.Outcome == protocol.OutcomeNotApplied && strings.Contains(r.Err.Text, "already settled")
	}
	first := w.apply(minted(plusOne(w, a), 1, 5, 1))[0]
	if r := w.apply(minted(plusOne(w, a), 1, 5, 1))[0]; !r.Replayed || string(r.JSON()) != string(first.JSON()) || r.Index != first.Index {
		t.Errorf("a retry got %+v", r)
	}
	// Another session's numbers are its own.
	if r := w.apply(minted(plusOne(w, a), 2, 5, 1))[0]; r.Replayed || r.Err != nil {
		t.Errorf("got %+v", r)
	}
	// The floor settles what lies below it, for ever, and never sinks.
	w.apply(minted(plusOne(w, a), 1, 9, 8))
	if n := w.m.Root().once.minted.Len(); n != 2 { // session 1: 9, session 2: 5
		t.Errorf("%d results are remembered", n)
	}
	if r := w.apply(minted(plusOne(w, a), 1, 5, 1))[0]; !settled(r) {
		t.Errorf("a settled attempt got %+v", r)
	}
	if r := w.apply(minted(plusOne(w, a), 1, 7, 0))[0]; !settled(r) {
		t.Errorf("a settled attempt that never arrived got %+v", r)
	}
	if r := w.apply(minted(plusOne(w, a), 1, 3, 4))[0]; !settled(r) {
		t.Errorf("an attempt below its own floor got %+v", r)
	}
	// Within one entry, too.
	rs := w.apply(minted(plusOne(w, a), 1, 20, 8), minted(plusOne(w, a), 1, 20, 21), minted(plusOne(w, a), 1, 15, 8))
	if rs[0].Err != nil || !rs[1].Replayed || !settled(rs[2]) {
		t.Errorf("got %+v", rs)
	}
	if got := w.polo(a); got != 4 {
		t.Errorf("score %d, want 4", got)
	}
	// Internal kinds are remembered in the same way.
	init := Envelope{Code: KindPutToken, Session: SessionID{3}, Seq: 1, Body: []byte(`{"kind":1,"name":"b","mac":{"k":1,"m":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}`)}
	if r := w.apply(init)[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	gen, _ := w.m.Root().Token(TokenAdmin, "b")
	w.apply(init)
	if again, _ := w.m.Root().Token(TokenAdmin, "b"); again.Generation != gen.Generation {
		t.Error("an internal command was carried out twice")
	}
}

func TestSessionsExpire(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	w.apply(minted(plusOne(w, a), 1, 5, 5))
	w.tick(30 * aSecond)
	w.apply(minted(plusOne(w, a), 1, 6, 5))
	w.tick(30 * aSecond) // the first result's minute is over
	w.apply(minted(plusOne(w, a), 1, 7, 5))
	if n := w.m.Root().once.minted.Len(); n != 2 {
		t.Errorf("%d results are remembered", n)
	}
	if s := w.m.Root().SweepCandidates(w.now, 10); s.Sessions {
		t.Error("nothing has expired, and a sweep is proposed")
	}
	w.tick(minute)
	if s := w.sweep(); !s.Sessions || w.m.Root().once.minted.Len() != 0 || w.m.Root().once.sessions.Len() != 1 {
		t.Error("results outlive their minute")
	}
	for range 4 {
		w.tick(2 * minute)
		w.sweep()
	}
	if w.m.Root().once.sessions.Len() != 1 {
		t.Error("the session went too early")
	}
	w.tick(minute)
	w.sweep()
	if w.m.Root().once.sessions.Len() != 0 {
		t.Error("the session outlives ten idle minutes")
	}
}

// Log time is ahead of the clocks and runs slowly: a signed request that counted
// never counts again, whenever its bytes are sent once more.
func TestReplayWhileLogTimeIsAhead(t *testing.T) {
	for _, ahead := range []int64{-5 * minute, -minute, 0, 4 * minute, 5 * minute} {
		w := newWorld(t)
		a := w.register(1)
		real := w.now
		w.tick(max(ahead, 0))
		c := withID(w.call("update_polo_score", plusOne(w, a).Body, as(a)), SignedID(real-min(ahead, 0), "n-1"), 1)
		if r := w.apply(envelope(c))[0]; r.Err != nil {
			t.Fatalf("signed while log time is %d s ahead: %v", ahead/aSecond, r.Err)
		}
		for range 130 {
			w.tick(6 * aSecond)
			if r := w.apply(envelope(c))[0]; !r.Replayed && (r.Err == nil || r.Err.Code != protocol.CodeSignatureExpired) {
				t.Fatalf("signed while log time was %d s ahead, sent again %d s later: %+v", ahead/aSecond, (w.now-real)/aSecond, r)
			}
		}
		if got := w.polo(a); got != 1 {
			t.Errorf("the request counted %d times", got)
		}
	}
}
