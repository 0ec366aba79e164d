// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// TestReadWhenNoEntryFollows reads when the newest log entry is one that the
// state machine sees as a configuration, or not at all: right after elections,
// after a membership change, and on an idle cluster.
func TestReadWhenNoEntryFollows(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(_ int, cfg *Config) { cfg.Duties.TickAfter = time.Hour })
	node := c.node(c.members[0])
	readAll := func(when string) {
		t.Helper()
		for _, m := range c.members {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if _, e := m.read(ctx, node); e != nil {
				t.Errorf("%s, member %s: %v", when, m.id, e)
			}
			cancel()
		}
	}
	readAll("idle")
	for range 2 {
		if e := c.leader().TransferLeadership(t.Context(), ""); e != nil {
			t.Fatal(e)
		}
		readAll("after an election")
	}
	extra := c.join(3, true)
	c.ready(extra)
	readAll("after a non-voter was added")
	if isVoter(c.leader(), extra.id) {
		t.Error("a member with a nonvoter token got a vote")
	}
	leader := c.leader()
	if e := leader.Remove(t.Context(), extra.id, false); e != nil {
		t.Fatal(e)
	}
	extra.kill()
	c.members = c.members[:3]
	readAll("after a removal")
}

// TestNonVotersConfirmNothing: a leader that reaches only a non-voter must not
// serve reads, although raft's own VerifyLeader would let it.
func TestNonVotersConfirmNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(_ int, cfg *Config) {
		// A long lease keeps the cut-off leader in office while the test looks.
		cfg.Timeouts = Timeouts{Heartbeat: 1500 * time.Millisecond, Election: 1500 * time.Millisecond, LeaderLease: 1500 * time.Millisecond}
	})
	leader := c.leader()
	voters := c.others(leader)
	extra := c.join(3, true)
	c.ready(extra)
	node := c.node(leader)
	c.faults.isolate(leader, voters...)
	c.faults.isolate(extra, voters...)
	if err := leader.engine.raft.VerifyLeader().Error(); err != nil {
		t.Logf("raft's VerifyLeader noticed: %v", err)
	}
	_, e := leader.reads.leaderIndex(t.Context())
	if e == nil {
		t.Error("a read was confirmed with no voter but the leader itself")
	}
	if leader.engine.raft.State() != raft.Leader {
		t.Log("the leader stepped down before the round ended; the test has shown less than it could")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	for _, m := range []*member{leader, extra} {
		if _, e := m.read(ctx, node); e == nil || e.Outcome != protocol.OutcomeNotApplied {
			t.Errorf("member %s: got %v", m.id, e)
		}
	}
}

// TestOldAnswersConfirmNothing: answers that voters gave before a new leader
// was elected, delivered after it, must not confirm the old leader.
func TestOldAnswersConfirmNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(i int, cfg *Config) {
		if i == 0 {
			cfg.Timeouts = Timeouts{Heartbeat: 4 * time.Second, Election: 4 * time.Second, LeaderLease: 4 * time.Second}
		}
	})
	old := c.members[0]
	if c.leader() != old {
		if e := c.leader().TransferLeadership(t.Context(), old.id); e != nil {
			t.Fatal(e)
		}
		c.leader(old)
	}
	rest := c.others(old)
	node := c.node(old)

	// A round is asked and answered, but the answers stay on the way.
	release := []func(){}
	for _, m := range rest {
		release = append(release, c.faults.hold(peer.ProtoRPC, old, m), c.faults.hold(peer.ProtoRaft, old, m))
	}
	early := make(chan *protocol.Error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	before := c.answered(rest)
	go func() { _, e := old.reads.leaderIndex(ctx); early <- e }()
	c.eventually("the round is answered", func() bool { return c.answered(rest) > before })

	// Nothing the old leader sends arrives any more; the others elect a leader and write.
	for _, m := range rest {
		c.faults.cut(old, m)
	}
	successor := c.leader(rest...)
	write := successor.must(increment(t, node, ""))

	late := make(chan *protocol.Error, 1)
	var index uint64
	go func() {
		i, e := old.reads.leaderIndex(ctx)
		index = i
		late <- e
	}()
	for _, f := range release {
		f()
	}
	<-early // it may succeed: it began before the write
	if e := <-late; e == nil && index < write.Index {
		t.Errorf("the old leader confirmed index %d after index %d was acknowledged elsewhere", index, write.Index)
	}
}

// answered counts confirm requests the members have dealt with.
func (c *cluster) answered(members []*member) (n uint64) {
	for _, m := range members {
		n += m.reads.answered.Load()
	}
	return n
}

func TestFreshWithin(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	follower := c.others(leader)[0]
	node := c.node(leader)
	follower.mustRead(node)
	if !follower.FreshWithin(time.Hour) {
		t.Error("not fresh after a confirmed read")
	}
	if follower.FreshWithin(0) {
		t.Error("fresh without a round")
	}
	c.faults.isolate(follower, c.others(follower)...)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, e := follower.read(ctx, node); e == nil {
		t.Error("a cut-off member confirmed a read")
	}
	c.eventually("freshness ends", func() bool { return !follower.FreshWithin(200 * time.Millisecond) })
}

func TestWaitAppliedTimesOut(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	e := c.members[0].WaitApplied(ctx, 1<<40)
	if e == nil || e.Code != protocol.CodeTimeoutRead || !e.Retryable() {
		t.Errorf("got %v", e)
	}
}

// TestReadsShareRoundsButJoinNone: a read that arrives while a round is under
// way waits for the next one; those that wait together share it.
func TestReadsShareRoundsButJoinNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testReadsShareRounds)
}

func testReadsShareRounds(t *testing.T) {
	asked := make(chan chan uint64)
	r := &readRounds{ctx: t.Context(), ask: func(context.Context) (uint64, *protocol.Error) {
		answer := make(chan uint64)
		asked <- answer
		return <-answer, nil
	}}
	results := make(chan uint64, 4)
	read := func() {
		i, _ := r.join(t.Context())
		results <- i
	}
	go read()
	first := <-asked
	for range 3 {
		go read()
	}
	synctest.Wait() // all three wait
	first <- 1
	if got := <-results; got != 1 {
		t.Fatalf("first read got %d", got)
	}
	for got := 0; got < 3; {
		select {
		case a := <-asked:
			a <- 2
		case i := <-results:
			if i != 2 {
				t.Errorf("a later read got the round that began before it: %d", i)
			}
			got++
		}
	}
}
