// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// newTestWrites are the writes of a leader whose raft answers every command
// with its place in the entry, and of its group commit.
func newTestWrites(t *testing.T, cfg Config, peers fakePeers) (*writes, *fakeTerm, *fakeRaft) {
	t.Helper()
	s := begun(t, cfg)
	rf := raftOf(3, "a", "b", "c")
	rf.onApply = func(cmd []byte) (any, error) {
		entry, err := fsm.ParseEntry(cmd)
		if err != nil {
			return nil, err
		}
		results := make([]fsm.Result, len(entry.Envelopes))
		for i := range results {
			results[i].Index = uint64(i)
		}
		return results, nil
	}
	term := &fakeTerm{leader: "a"}
	w := newWrites(&writes{self: s, raft: rf, peers: peers, roster: fakeRoster{rf}, term: term, health: &fakeHealth{},
		clock: &leaderClock{source: systemClock{}}, metrics: newMetrics()})
	ctx, cancel := context.WithCancel(t.Context())
	s.run(func() { w.batch.run(ctx) })
	t.Cleanup(cancel)
	return w, term, rf
}

// tick is the smallest command.
func tick() fsm.Envelope { return fsm.Envelope{Code: fsm.KindTick} }

// While an entry is on its way, what arrives gathers and leaves as one.
func TestWritesShareAnEntry(t *testing.T) {
	t.Parallel()
	w, _, rf := newTestWrites(t, Config{}, nil)
	inner := rf.onApply
	reached, release := make(chan int, 10), make(chan struct{})
	rf.onApply = func(cmd []byte) (any, error) {
		entry, _ := fsm.ParseEntry(cmd)
		reached <- len(entry.Envelopes)
		<-release
		return inner(cmd)
	}
	var wg sync.WaitGroup
	write := func() {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if _, e := w.propose(t.Context(), tick()); e != nil {
				t.Error(e)
			}
		}()
	}
	write()
	if n := <-reached; n != 1 || !w.batch.busy() {
		t.Errorf("the first entry has %d commands, under way: %v", n, w.batch.busy())
	}
	for range 20 {
		write()
	}
	soon(t, "20 commands wait", func() bool { return w.batch.waiting() == 20 })
	if commands, bytes := w.batch.queued(); commands != 20 || bytes < 20 {
		t.Errorf("%d commands of %d bytes are in the queue", commands, bytes)
	}
	close(release)
	if n := <-reached; n != 20 {
		t.Errorf("the second entry has %d commands, want 20", n)
	}
	wg.Wait()
	if w.inflight.Load() != 0 || w.batch.busy() {
		t.Error("something is under way still")
	}
}

// A member that does not lead sends commands to the leader, and tries again
// where the leader is now.
func TestWritesAreForwarded(t *testing.T) {
	t.Parallel()
	var w *writes
	var term *fakeTerm
	var asked []string
	w, term, _ = newTestWrites(t, Config{}, func(_ context.Context, id string, typ byte, payload []byte) ([]byte, error) {
		entry, err := fsm.ParseEntry(payload)
		if err != nil || typ != rpcPropose || len(entry.Envelopes) != 1 || entry.Envelopes[0].Code != fsm.KindTick {
			t.Errorf("request %d with %+v, %v", typ, entry, err)
		}
		asked = append(asked, id)
		if id == "b" {
			term.lead("c")
			return nil, protocol.NotAppliedf(codeNotLeader, "member b is not the leader")
		}
		return encodeResult(fsm.Result{Index: 42}), nil
	})
	term.lead("b")
	res, e := w.propose(t.Context(), tick())
	if e != nil || res.Index != 42 || fmt.Sprint(asked) != "[b c]" {
		t.Errorf("%+v, %v; asked %v", res, e, asked)
	}
}

// An answer that is lost leaves the outcome unknown. The command is sent again
// under the id it was minted, and if no answer ever comes, the error says that
// nobody knows. A request that never left was not applied.
func TestWritesSayWhatIsUnknown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want protocol.Outcome
		code string
	}{
		"lost after it was sent": {lost("b"), protocol.OutcomeUnknown, protocol.CodeOutcomeUnknown},
		"never sent":             {&peer.TransportError{Member: "b", Err: errors.New("refused")}, protocol.OutcomeNotApplied, protocol.CodeNoLeader},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			type id struct {
				session fsm.SessionID
				seq     uint64
			}
			sent := map[id]int{}
			w, term, _ := newTestWrites(t, Config{}, func(_ context.Context, _ string, _ byte, payload []byte) ([]byte, error) {
				entry, _ := fsm.ParseEntry(payload)
				sent[id{entry.Envelopes[0].Session, entry.Envelopes[0].Seq}]++
				return nil, c.err
			})
			term.lead("b")
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, e := w.propose(ctx, increment(t, 1, ""))
			if e == nil || e.Outcome != c.want || e.Code != c.code {
				t.Errorf("answer %+v, want %s %s", e, c.want, c.code)
			}
			for who, times := range sent {
				if times < 2 || who.seq == 0 || who.session == (fsm.SessionID{}) {
					t.Errorf("sent %d times as %v, want several times under one id", times, who)
				}
			}
			if len(sent) != 1 {
				t.Errorf("sent under %d ids, want one", len(sent))
			}
		})
	}
}

// What raft says of an entry decides whether it may be sent again.
func TestWritesClassifyRaft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		response any
		err      error
		outcome  protocol.Outcome
	}{
		"not the leader":            {nil, raft.ErrNotLeader, protocol.OutcomeNotApplied},
		"leadership lost":           {nil, raft.ErrLeadershipLost, protocol.OutcomeUnknown},
		"the machine halted":        {errHalted, nil, protocol.OutcomeUnknown},
		"another number of results": {[]fsm.Result{}, nil, protocol.OutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _, rf := newTestWrites(t, Config{}, nil)
			rf.onApply = func([]byte) (any, error) { return c.response, c.err }
			_, e := w.submit(t.Context(), tick(), 0)
			if e == nil || e.Outcome != c.outcome {
				t.Errorf("answer %+v, want %s", e, c.outcome)
			}
		})
	}
}

// A command for a term leaves only in that term.
func TestWritesOfATermEndWithIt(t *testing.T) {
	t.Parallel()
	w, _, _ := newTestWrites(t, Config{}, nil)
	if _, e := w.submit(t.Context(), tick(), 7); e != nil {
		t.Error(e)
	}
	if _, e := w.submit(t.Context(), tick(), 6); code(e) != protocol.CodeStaleTerm {
		t.Errorf("a command of the term before: %v", e)
	}
}

// What a member might not understand, and what the leader may not write, is refused before it is in the log.
func TestWritesAreRefused(t *testing.T) {
	t.Parallel()
	w, term, rf := newTestWrites(t, Config{Limits: Limits{CommandBytes: 1000}}, nil)
	rf.onApply = func([]byte) (any, error) { t.Error("an entry was made"); return nil, raft.ErrNotLeader }
	refused := func(env fsm.Envelope, want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, e := w.propose(ctx, env); code(e) != want || e.Outcome != protocol.OutcomeNotApplied {
			t.Errorf("command %d: %+v, want %s", env.Code, e, want)
		}
	}
	refused(fsm.Envelope{Code: fsm.KindLast + 1}, protocol.CodeFeatureNotActive)
	refused(fsm.Envelope{Code: protocol.Must("resolve").Code}, protocol.CodeFeatureNotActive) // a read
	refused(fsm.Envelope{Code: fsm.KindTick, Body: make([]byte, 1001)}, protocol.CodeTooLarge)
	term.refused = protocol.NotAppliedf(codeNotLeader, "another one leads")
	refused(tick(), protocol.CodeNoLeader)
	term.refused = nil
	w.health = &fakeHealth{reason: "sick"}
	refused(tick(), protocol.CodeQuarantined)
	w.draining.Store(true)
	refused(tick(), protocol.CodeShuttingDown)
}

// Draining waits for what is under way.
func TestDrainWaitsForWrites(t *testing.T) {
	t.Parallel()
	w, _, rf := newTestWrites(t, Config{}, nil)
	inner, release := rf.onApply, make(chan struct{})
	rf.onApply = func(cmd []byte) (any, error) { <-release; return inner(cmd) }
	done := make(chan *protocol.Error, 1)
	go func() { _, e := w.propose(t.Context(), tick()); done <- e }()
	soon(t, "the entry is on its way", w.batch.busy)
	drained := make(chan struct{})
	go func() { w.drain(t.Context()); close(drained) }()
	select {
	case <-drained:
		t.Fatal("drained while a command was under way")
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	<-drained
	if e := <-done; e != nil {
		t.Error(e)
	}
}
