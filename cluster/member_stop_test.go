// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// A leader whose peers do not answer any more stops in good order: it does not
// wait for answers to what it has sent them.
func TestStoppingDoesNotWaitForSilentPeers(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	node := c.node(leader)
	c.faults.isolate(leader, c.others(leader)...)
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan struct{})
	go func() {
		close(sent)
		_, _ = leader.Propose(ctx, increment(t, node, "")) // replication is under way
	}()
	<-sent
	c.eventually("an entry waits for the silent peers", func() bool { return leader.engine.raft.LastIndex() > leader.engine.raft.CommitIndex() })
	cancel()
	impatient, done := context.WithCancel(t.Context())
	done()
	if err := leader.Shutdown(impatient); err != nil {
		t.Error(err)
	}
}

func TestDrainHandsOverWithoutAFailedWrite(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	rest := c.others(leader)
	node := c.node(leader)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	var done atomic.Int64
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for ctx.Err() == nil {
				if _, e := rest[w%2].Propose(context.Background(), increment(t, node, "")); e != nil {
					t.Errorf("during the drain: %v", e)
					return
				}
				done.Add(1)
			}
		}()
	}
	c.eventually("writes flow", func() bool { return done.Load() > 50 })
	if err := leader.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if _, e := leader.Propose(t.Context(), increment(t, node, "")); e == nil || e.Code != protocol.CodeShuttingDown || e.Outcome != protocol.OutcomeNotApplied {
		t.Errorf("a stopped member answered %v", e)
	}
	after := done.Load()
	c.eventually("writes flow on", func() bool { return done.Load() > after+50 })
	cancel()
	wg.Wait()
	if got := rest[0].mustRead(node); got != done.Load() {
		t.Errorf("counter is %d after %d acknowledged increments", got, done.Load())
	}
}
