// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// storeOps are the disk operations that are under way.
type storeOps struct {
	mu  sync.Mutex
	seq uint64
	ops map[uint64]storeOp
}

type storeOp struct {
	name  string
	begun time.Time
}

func newStoreOps() *storeOps { return &storeOps{ops: map[uint64]storeOp{}} }

// begin notes a disk operation; the function it returns ends it.
func (s *storeOps) begin(name string) func() time.Duration {
	op := storeOp{name: name, begun: time.Now()}
	s.mu.Lock()
	s.seq++
	id := s.seq
	s.ops[id] = op
	s.mu.Unlock()
	return func() time.Duration {
		s.mu.Lock()
		delete(s.ops, id)
		s.mu.Unlock()
		return time.Since(op.begun)
	}
}

// oldest is the operation that has been under way the longest.
func (s *storeOps) oldest() (op storeOp, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.ops {
		if !ok || o.begun.Before(op.begun) {
			op, ok = o, true
		}
	}
	return op, ok
}

// stopwatch measures how long something has not moved, in time in which this
// process ran: a member that was paused (a frozen machine, a stopped process)
// must not take its own pause for a stall of the disk.
type stopwatch struct {
	interval, limit time.Duration
	resumed         time.Time
}

// waited notes a wait for the next tick; one that came late by more than half
// the limit was a pause, and every measurement starts over.
func (s *stopwatch) waited(from, until time.Time) {
	if until.Sub(from) > s.interval+s.limit/2 {
		s.resumed = until
	}
}

// since is how long ago t was, or the end of the last pause.
func (s *stopwatch) since(t time.Time) time.Duration {
	if t.Before(s.resumed) {
		t = s.resumed
	}
	return time.Since(t)
}

// watchdog notices that the disk or raft's main loop is stuck. Raft itself
// does not: heartbeats run in other goroutines, so a leader whose disk
// hangs would stay leader forever and nothing would be committed.
type watchdog struct {
	*self
	ops  *storeOps
	raft interface {
		State() raft.RaftState
		CurrentTerm() uint64
		CommitIndex() uint64
		LastIndex() uint64
	}
	// writes tells whether an entry is on its way through raft.
	writes interface{ busy() bool }
	reads  interface {
		provesTerm(ctx context.Context, term uint64) error
	}
	health interface{ fatal(code int, reason string) }
	conns  interface{ cutOff() }
}

// guard runs the watchdog.
func (w *watchdog) guard(ctx context.Context) {
	limit := w.cfg.Duties.StallLimit
	watch := stopwatch{interval: limit / 10, limit: limit}
	t := time.NewTicker(watch.interval)
	defer t.Stop()
	var commit uint64
	moved := time.Now()
	for {
		from := time.Now()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		watch.waited(from, time.Now())
		if op, ok := w.ops.oldest(); ok && op.name != "verify" && watch.since(op.begun) > limit {
			w.stalled(fmt.Sprintf("the log store's %s has not returned for %s", op.name, time.Since(op.begun).Round(time.Millisecond)))
			return
		}
		if now := w.raft.CommitIndex(); now != commit || !w.uncommitted() {
			commit, moved = now, time.Now()
			continue
		}
		// A leader whose heartbeats a majority does not answer steps down by
		// itself, so one that still leads after twice the limit is stuck even
		// if nothing but heartbeats comes through.
		if stuck := watch.since(moved); stuck > 2*limit || stuck > limit && w.majorityAnswers(ctx) {
			w.stalled(fmt.Sprintf("nothing was committed for %s although a majority answers", time.Since(moved).Round(time.Millisecond)))
			return
		}
	}
}

// uncommitted reports whether this member leads and something waits to be committed.
func (w *watchdog) uncommitted() bool {
	if w.raft.State() != raft.Leader {
		return false
	}
	return w.writes.busy() || w.raft.LastIndex() > w.raft.CommitIndex()
}

func (w *watchdog) majorityAnswers(ctx context.Context) bool {
	return w.reads.provesTerm(ctx, w.raft.CurrentTerm()) == nil
}

// stalled leaves the cluster at once: with listener and connections closed the
// heartbeats stop and the others elect a leader. Leadership cannot be handed
// over, because raft's main loop is the goroutine that is stuck.
func (w *watchdog) stalled(what string) {
	w.conns.cutOff()
	w.health.fatal(ExitStalled, what+"; check the disk of "+w.cfg.DataDir+", then start the member again")
}
