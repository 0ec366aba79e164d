// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/spans"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// Codes between members; they never reach clients.
const (
	codeNotLeader = "not_leader"
	codeNotReady  = "leader_not_ready"
)

// enqueueTimeout bounds the hand-over of an entry to raft's main loop.
const enqueueTimeout = 5 * time.Second

// States of a queued write.
const (
	writeWaiting int32 = iota
	writeTaken
	writeCancelled
)

// queued is a write that waits for its place in an entry.
type queued struct {
	env    fsm.Envelope
	source share.Source // whose place in the queue it has
	term   uint64       // 0: any term
	state  atomic.Int32
	done   chan struct{}
	res    fsm.Result
	err    *protocol.Error

	// since is when a traced write began to wait; zero for others.
	since time.Time
	// times are those of its entry, nil when none was made. Read after done.
	times *entryTimes
}

func (it *queued) finish(res fsm.Result, e *protocol.Error) {
	it.res, it.err = res, e
	close(it.done)
}

// batcher is the leader's group commit: while one entry is on its way through
// raft, arriving commands gather; they leave together as the next one. It
// never lingers, and never has more than one entry in flight.
type batcher struct {
	writes *writes
	limits Limits

	mu      sync.Mutex
	queue   *queue
	stopped bool
	wake    chan struct{}

	// sent is when the entry in flight was handed over, in Unix nanoseconds, 0 for none.
	sent atomic.Int64
	// last is when the last entry was decided.
	last atomic.Int64
}

func newBatcher(w *writes) *batcher {
	b := &batcher{writes: w, limits: w.cfg.Limits, queue: newQueue(w.cfg.Limits, w.cfg.Exempt), wake: make(chan struct{}, 1)}
	b.last.Store(time.Now().UnixNano())
	return b
}

// submit waits until the command is decided, on this member as leader.
func (b *batcher) submit(ctx context.Context, env fsm.Envelope, term uint64) (fsm.Result, *protocol.Error) {
	if n := size(&env); n > b.limits.CommandBytes {
		return fsm.Result{}, protocol.NotAppliedf(protocol.CodeTooLarge, "command of %d bytes (max %d per log entry); send less at a time", n, b.limits.CommandBytes)
	}
	b.writes.term.awaitTerm(ctx)
	if e := b.writes.term.mayLead(); e != nil {
		return fsm.Result{}, e
	}
	if e := b.writes.mayPropose(env.Code); e != nil {
		return fsm.Result{}, e
	}
	it := &queued{env: env, term: term, done: make(chan struct{})}
	if spans.Traced(ctx) {
		it.since = time.Now()
	}
	if e := b.enqueue(it); e != nil {
		return fsm.Result{}, e
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
	select {
	case <-it.done:
		it.trace(ctx)
		return it.res, it.err
	case <-ctx.Done():
	}
	if it.state.CompareAndSwap(writeWaiting, writeCancelled) {
		b.drop(it)
		return fsm.Result{}, protocol.NotAppliedf(protocol.CodeTimeout, "the leader did not get to the command in time")
	}
	select {
	case <-it.done:
		return it.res, it.err
	default:
		return fsm.Result{}, protocol.Unknownf(protocol.CodeOutcomeUnknown, "the command was written but not decided in time")
	}
}

// enqueue lets a command wait for the next entry.
func (b *batcher) enqueue(it *queued) *protocol.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return protocol.NotAppliedf(codeNotLeader, "this member is stopping")
	}
	return b.queue.push(it)
}

// drop removes a cancelled command, so that those who gave up do not fill the queue.
func (b *batcher) drop(it *queued) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue.remove(it)
}

// waiting is the number of commands that are not in an entry yet.
func (b *batcher) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue.items)
}

// queued is how many commands wait, and how long they are together.
func (b *batcher) queued() (commands, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue.items), b.queue.bytes
}

// busy reports whether an entry is on its way through raft.
func (b *batcher) busy() bool { return b.sent.Load() != 0 }

// run is the one goroutine that talks to raft.Apply for clients' commands.
func (b *batcher) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			b.stop()
			return
		case <-b.wake:
		}
		for items := b.take(); len(items) > 0; items = b.take() {
			b.send(ctx, items)
		}
	}
}

func (b *batcher) stop() {
	b.mu.Lock()
	b.stopped = true
	waiting := b.queue.all()
	b.mu.Unlock()
	for _, it := range waiting {
		if it.state.CompareAndSwap(writeWaiting, writeTaken) {
			it.finish(fsm.Result{}, protocol.NotAppliedf(codeNotLeader, "this member is stopping"))
		}
	}
}

// take claims the commands of the next entry.
func (b *batcher) take() []*queued {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.next()
}

// send puts the commands into one entry and gives each its own outcome.
func (b *batcher) send(ctx context.Context, items []*queued) {
	term := b.writes.raft.CurrentTerm()
	if e := b.writes.term.mayLead(); e != nil {
		failAll(items, e)
		return
	}
	kept := items[:0]
	entry := fsm.Entry{Time: b.writes.clock.now().UnixMilli(), Term: term}
	for _, it := range items {
		if it.term != 0 && it.term != term {
			it.finish(fsm.Result{}, protocol.NotAppliedf(protocol.CodeStaleTerm, "term %d has ended", it.term))
			continue
		}
		kept = append(kept, it)
		entry.Envelopes = append(entry.Envelopes, it.env)
	}
	if len(kept) == 0 {
		return
	}
	start := time.Now()
	b.sent.Store(start.UnixNano())
	results, e := b.writes.applyTimed(ctx, &entry, timesOf(kept, start))
	b.sent.Store(0)
	b.last.Store(time.Now().UnixNano())
	if e != nil {
		failAll(kept, e)
		return
	}
	b.writes.metrics.batch(len(kept), time.Since(start))
	for i, it := range kept {
		it.finish(results[i], nil)
	}
}

func failAll(items []*queued, e *protocol.Error) {
	for _, it := range items {
		it.finish(fsm.Result{}, e)
	}
}
