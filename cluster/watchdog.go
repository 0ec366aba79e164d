// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
)

// watchdog notices that the disk or raft's main loop is stuck. Raft itself
// does not: heartbeats run in goroutines of their own, so a leader whose disk
// hangs would stay leader forever and nothing would be committed.
type watchdog struct {
	mu  sync.Mutex
	seq uint64
	ops map[uint64]storeOp
}

type storeOp struct {
	name  string
	begun time.Time
}

// begin notes a disk operation; the function it returns ends it.
func (w *watchdog) begin(name string) func() time.Duration {
	op := storeOp{name: name, begun: time.Now()}
	w.mu.Lock()
	w.seq++
	id := w.seq
	w.ops[id] = op
	w.mu.Unlock()
	return func() time.Duration {
		w.mu.Lock()
		delete(w.ops, id)
		w.mu.Unlock()
		return time.Since(op.begun)
	}
}

// oldest is the operation that has been under way the longest.
func (w *watchdog) oldest() (op storeOp, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.ops {
		if !ok || o.begun.Before(op.begun) {
			op, ok = o, true
		}
	}
	return op, ok
}

// storeOptions lets the watchdog and the metrics see every disk operation.
func (n *Member) storeOptions() store.Options {
	return store.Options{
		Member: n.id,
		OnOp: func(name string) func(error) {
			end := n.watch.begin(name)
			if n.cfg.hooks.storeOp != nil {
				n.cfg.hooks.storeOp(name)
			}
			return func(error) { n.metrics.storeOp(name, end()) }
		},
		OnFailure: n.storeFailed,
	}
}

// storeFailed ends the member: after a failed write or fsync nobody knows what
// is on the disk, and damaged data must not vote. Entries that arrive damaged
// over the network are not a failure of this disk.
func (n *Member) storeFailed(err error) {
	var damage *store.DamageError
	switch {
	case errors.As(err, &damage):
		n.fatal(ExitDamaged, err.Error())
	case n.stopping.Load():
	default:
		n.fatal(ExitStalled, fmt.Sprintf("the disk failed: %v; check the disk of %s, then start the member again", err, n.dir.path))
	}
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

// guard runs the watchdog.
func (n *Member) guard(ctx context.Context) {
	limit := n.cfg.Duties.StallLimit
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
		if op, ok := n.watch.oldest(); ok && op.name != "verify" && watch.since(op.begun) > limit {
			n.stalled(fmt.Sprintf("the log store's %s has not returned for %s", op.name, time.Since(op.begun).Round(time.Millisecond)))
			return
		}
		if now := n.raft.CommitIndex(); now != commit || !n.uncommitted() {
			commit, moved = now, time.Now()
			continue
		}
		// A leader whose heartbeats a majority does not answer steps down by
		// itself, so one that still leads after twice the limit is stuck even
		// if nothing but heartbeats comes through.
		if stuck := watch.since(moved); stuck > 2*limit || stuck > limit && n.majorityAnswers(ctx) {
			n.stalled(fmt.Sprintf("nothing was committed for %s although a majority answers", time.Since(moved).Round(time.Millisecond)))
			return
		}
	}
}

// uncommitted reports whether this member leads and something waits to be committed.
func (n *Member) uncommitted() bool {
	if n.raft.State() != raft.Leader {
		return false
	}
	return n.batch.sent.Load() != 0 || n.raft.LastIndex() > n.raft.CommitIndex()
}

func (n *Member) majorityAnswers(ctx context.Context) bool {
	return n.confirm(ctx, n.raft.CurrentTerm()) == nil
}

// stalled leaves the cluster at once: with listener and connections closed the
// heartbeats stop and the others elect a leader. Leadership cannot be handed
// over, because raft's main loop is the goroutine that is stuck.
func (n *Member) stalled(what string) {
	n.server.Abort()
	n.client.CloseConns()
	n.fatal(ExitStalled, what+"; check the disk of "+n.dir.path+", then start the member again")
}

// fatal reports once and hands the process's end to the configured hook.
func (n *Member) fatal(code int, reason string) {
	n.fatalOnce.Do(func() {
		n.log.Error("this member must stop", "exit_code", code, "reason", reason)
		n.quarantine.CompareAndSwap(nil, &reason)
		n.cfg.Fatal(code, reason)
	})
}
