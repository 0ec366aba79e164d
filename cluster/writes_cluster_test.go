// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestWriteThroughAnyMemberReachesAll(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	node := c.node(c.members[0])
	for i, m := range c.members {
		m.must(increment(t, node, ""))
		for _, o := range c.members {
			if got := o.mustRead(node); got != int64(i+1) {
				t.Errorf("member %s reads %d after %d increments", o.id, got, i+1)
			}
		}
	}
	c.agree(c.members...)
}

func TestDecidedRefusalIsAResult(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	for _, m := range []*member{leader, c.others(leader)[0]} {
		res, e := m.Propose(t.Context(), increment(t, 4242, ""))
		if e != nil {
			t.Fatalf("want a decided refusal, got %v", e)
		}
		if res.Err == nil || res.Err.Code != protocol.CodeNotFound || res.Err.Outcome != "" || !res.Err.Stateful || res.Index == 0 {
			t.Errorf("through %s: got %+v", m.id, res.Err)
		}
	}
}

func TestRequestIDIsDecidedOnce(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	node := c.node(leader)
	first := leader.must(increment(t, node, "same"))
	again := c.others(leader)[0].must(increment(t, node, "same"))
	if !again.Replayed || again.Index != first.Index || string(again.JSON()) != string(first.JSON()) {
		t.Errorf("second answer %+v differs from first %+v", again, first)
	}
	if got := leader.mustRead(node); got != 1 {
		t.Errorf("counter is %d", got)
	}
}

// TestExactlyOnceThroughLeaderChanges increments from every member, with and
// without request ids, while leadership moves and members die.
func TestExactlyOnceThroughLeaderChanges(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	node := c.node(c.members[0])
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	victim := c.leader()
	survivors := c.others(victim)
	var wg sync.WaitGroup
	var done atomic.Int64
	for w := range 6 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 60 {
				id := ""
				if w%2 == 0 {
					id = fmt.Sprintf("w%d-%d", w, i)
				}
				res, e := survivors[w%2].Propose(ctx, increment(t, node, id))
				if e != nil || res.Err != nil {
					t.Errorf("increment: %v %v", e, res.Err)
					return
				}
				done.Add(1)
			}
		}()
	}
	c.eventually("some increments", func() bool { return done.Load() > 20 })
	for range 3 {
		before := done.Load()
		_ = survivors[0].TransferLeadership(ctx, "")
		c.eventually("progress after a transfer", func() bool { return done.Load() > before+10 || done.Load() == 360 })
	}
	victim.kill()
	wg.Wait()
	if got := survivors[0].mustRead(node); got != 360 || done.Load() != 360 {
		t.Errorf("counter is %d after %d acknowledged increments", got, done.Load())
	}
}

// TestLostAnswerIsNotAppliedTwice: the leader commits a write and dies before
// its answer arrives; the follower that sent it on asks the next leader.
func TestLostAnswerIsNotAppliedTwice(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "brought"} {
		c := newCluster(t, 3, nil)
		leader := c.leader()
		follower, other := c.others(leader)[0], c.others(leader)[1]
		node := c.node(leader)
		follower.mustRead(node)
		other.mustRead(node)
		c.faults.hold(peer.ProtoRPC, follower, leader)
		type answer struct {
			res  fsm.Result
			perr *protocol.Error
		}
		got := make(chan answer, 1)
		go func() {
			res, e := follower.Propose(context.Background(), increment(t, node, id))
			got <- answer{res, e}
		}()
		c.eventually("the write is applied everywhere", func() bool { return leader.score(node) == 1 && other.score(node) == 1 })
		leader.kill()
		a := <-got
		if a.perr != nil || a.res.Err != nil || !a.res.Replayed {
			t.Errorf("request id %q: got %+v, %v; want the first answer", id, a.res, a.perr)
		}
		if n := other.mustRead(node); n != 1 {
			t.Errorf("request id %q: applied %d times", id, n)
		}
	}
}

// TestNothingIsServedBeforeTheTermHasBegun: leading is not enough.
func TestNothingIsServedBeforeTheTermHasBegun(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	m := c.members[0]
	node := c.node(m)
	term := m.term.readyTerm.Swap(0)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, e := m.Propose(ctx, increment(t, node, "")); e == nil || e.Outcome != protocol.OutcomeNotApplied {
		t.Errorf("proposed: %v", e)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, e := m.ReadIndex(ctx); e == nil {
		t.Error("a read was confirmed")
	}
	m.term.readyTerm.Store(term)
	m.must(increment(t, node, ""))
}

func TestWritesResumeAfterLeaderDies(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	rest := c.others(leader)
	node := c.node(leader)
	leader.must(increment(t, node, ""))
	leader.kill()
	rest[0].must(increment(t, node, ""))
	for _, m := range rest {
		if got := m.mustRead(node); got != 2 {
			t.Errorf("member %s reads %d", m.id, got)
		}
	}
}

func TestWithoutQuorumNothingIsAcknowledged(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	node := c.node(leader)
	c.faults.isolate(leader, c.others(leader)...)
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	_, e := leader.Propose(ctx, increment(t, node, ""))
	if e == nil {
		t.Fatal("a write was acknowledged by a leader without a majority")
	}
	if e.Outcome != protocol.OutcomeUnknown || e.Code != protocol.CodeOutcomeUnknown {
		t.Errorf("the entry was in the log, so its outcome is unknown; got %s %s", e.Code, e.Outcome)
	}
	c.eventually("the cut-off leader steps down", func() bool { return leader.engine.raft.State() != raft.Leader })
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, e = leader.Propose(ctx, increment(t, node, ""))
	if e == nil || e.Outcome != protocol.OutcomeNotApplied || e.Code != protocol.CodeNoLeader {
		t.Errorf("nobody took the write, so it was not applied; got %v", e)
	}
	if st := leader.Status(t.Context()); len(st.Problems) == 0 || st.Next == "" {
		t.Errorf("status names no problem: %+v", st)
	}
}

func TestOverloadedWhenTheQueueIsFull(t *testing.T) {
	t.Parallel()
	t.Run("by number", func(t *testing.T) { testOverloaded(t, func(l *Limits) { l.Queue = 4 }) })
	t.Run("by length", func(t *testing.T) { testOverloaded(t, func(l *Limits) { l.QueueBytes = 700 }) }) // four increments
}

func testOverloaded(t *testing.T, limit func(*Limits)) {
	t.Parallel()
	gate := make(chan struct{})
	var closed atomic.Bool
	c := newCluster(t, 1, func(_ int, cfg *Config) {
		limit(&cfg.Limits)
		cfg.hooks.storeOp = func(name string) {
			if closed.Load() && name == "store_logs" {
				<-gate
			}
		}
	})
	t.Cleanup(sync.OnceFunc(func() { closed.Store(false); close(gate) }))
	leader := c.leader()
	node := c.node(leader)
	closed.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	errs := make(chan *protocol.Error, 32)
	for i := range 32 {
		go func() {
			env := increment(t, node, "")
			env.Source = fmt.Sprintf("192.0.2.%d:1", i) // one place each
			_, e := leader.Propose(ctx, env)
			errs <- e
		}()
	}
	overloaded := 0
	for range 32 {
		switch e := <-errs; {
		case e == nil:
			t.Error("acknowledged although nothing could be stored")
		case e.Code == protocol.CodeOverloaded && e.Outcome == protocol.OutcomeNotApplied:
			overloaded++
		}
	}
	if overloaded < 32-4-4 {
		t.Errorf("%d of 32 were answered overloaded, with room for 4 to wait", overloaded)
	}
}
