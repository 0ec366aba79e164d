// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// round is one confirm round, shared by every read that waited when it began.
type round struct {
	done  chan struct{}
	begun time.Time
	index uint64
	err   *protocol.Error
}

// readRounds runs at most one round at a time. A read that arrives while one
// is under way waits for the next: the one under way began too early for it.
type readRounds struct {
	ask func(ctx context.Context) (uint64, *protocol.Error)
	ctx context.Context

	mu      sync.Mutex
	running bool
	next    *round
	wg      sync.WaitGroup

	// newest answered round, and newest one whose index is applied here.
	newest, usable round
}

// join waits for the outcome of a round that begins after the call.
func (r *readRounds) join(ctx context.Context) (uint64, *protocol.Error) {
	r.mu.Lock()
	if r.next == nil {
		r.next = &round{done: make(chan struct{})}
	}
	mine := r.next
	if !r.running && r.ctx.Err() == nil {
		r.running = true
		r.wg.Add(1)
		go r.run()
	}
	r.mu.Unlock()
	select {
	case <-mine.done:
		return mine.index, mine.err
	case <-ctx.Done():
		return 0, protocol.NotAppliedf(protocol.CodeTimeoutRead, "the confirm round did not finish in time")
	case <-r.ctx.Done():
		return 0, protocol.NotAppliedf(protocol.CodeShuttingDown, "this member is stopping")
	}
}

func (r *readRounds) run() {
	defer r.wg.Done()
	for {
		r.mu.Lock()
		cur := r.next
		r.next = nil
		if cur == nil || r.ctx.Err() != nil {
			r.running = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		cur.begun = time.Now()
		cur.index, cur.err = r.ask(r.ctx)
		if cur.err == nil {
			r.mu.Lock()
			r.newest = round{begun: cur.begun, index: cur.index}
			r.mu.Unlock()
		}
		close(cur.done)
	}
}

// freshest is when the newest round began whose index is applied here.
func (r *readRounds) freshest(applied uint64) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.newest.begun.IsZero() && r.newest.index <= applied {
		r.usable = r.newest
	}
	return r.usable.begun, !r.usable.begun.IsZero()
}
