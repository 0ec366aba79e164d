// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/cluster/base/termguard"
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

// States of a command in the batcher.
const (
	itemWaiting int32 = iota
	itemTaken
	itemCancelled
)

// item is one command on its way into an entry.
type item struct {
	env    fsm.Envelope
	source share.Source // whose place in the queue it has
	term   uint64       // 0: any term
	state  atomic.Int32
	done   chan struct{}
	res    fsm.Result
	err    *protocol.Error
}

func (it *item) finish(res fsm.Result, err *protocol.Error) {
	it.res, it.err = res, err
	close(it.done)
}

// batcher is the leader's group commit: while one entry is on its way through
// raft, arriving commands gather; they leave together as the next one. There
// is no linger and never more than one entry in flight.
type batcher struct {
	node   *Member
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

func newBatcher(n *Member) *batcher {
	b := &batcher{node: n, limits: n.cfg.Limits, queue: newQueue(n.cfg.Limits, n.cfg.Exempt), wake: make(chan struct{}, 1)}
	b.last.Store(time.Now().UnixNano())
	return b
}

// submit waits until the command is decided, on this member as leader.
func (b *batcher) submit(ctx context.Context, env fsm.Envelope, term uint64) (fsm.Result, *protocol.Error) {
	if n := size(&env); n > b.limits.CommandBytes {
		return fsm.Result{}, protocol.NotAppliedf(protocol.CodeTooLarge, "command of %d bytes (max %d per log entry); send less at a time", n, b.limits.CommandBytes)
	}
	b.node.awaitTerm(ctx)
	if err := b.node.mayLead(); err != nil {
		return fsm.Result{}, err
	}
	if err := b.node.mayPropose(env.Code); err != nil {
		return fsm.Result{}, err
	}
	it := &item{env: env, term: term, done: make(chan struct{})}
	if err := b.enqueue(it); err != nil {
		return fsm.Result{}, err
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
	select {
	case <-it.done:
		return it.res, it.err
	case <-ctx.Done():
	}
	if it.state.CompareAndSwap(itemWaiting, itemCancelled) {
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
func (b *batcher) enqueue(it *item) *protocol.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return protocol.NotAppliedf(codeNotLeader, "this member is stopping")
	}
	return b.queue.push(it)
}

// drop removes a cancelled command, so that those who gave up do not fill the queue.
func (b *batcher) drop(it *item) {
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
		if it.state.CompareAndSwap(itemWaiting, itemTaken) {
			it.finish(fsm.Result{}, protocol.NotAppliedf(codeNotLeader, "this member is stopping"))
		}
	}
}

// take claims the commands of the next entry.
func (b *batcher) take() []*item {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.next()
}

// send puts the commands into one entry and gives each its own outcome.
func (b *batcher) send(ctx context.Context, items []*item) {
	term := b.node.raft.CurrentTerm()
	if err := b.node.mayLead(); err != nil {
		failAll(items, err)
		return
	}
	kept := items[:0]
	entry := fsm.Entry{Time: b.node.clock.now().UnixMilli(), Term: term}
	for _, it := range items {
		if it.term != 0 && it.term != term {
			it.finish(fsm.Result{}, protocol.NotAppliedf(protocol.CodeStaleTerm, "term %d has ended", it.term))
			continue
		}
		kept = append(kept, it)
		entry.Commands = append(entry.Commands, it.env)
	}
	if len(kept) == 0 {
		return
	}
	start := time.Now()
	b.sent.Store(start.UnixNano())
	results, err := b.node.applyEntry(ctx, &entry)
	b.sent.Store(0)
	b.last.Store(time.Now().UnixNano())
	if err != nil {
		failAll(kept, err)
		return
	}
	b.node.metrics.batch(len(kept), time.Since(start))
	for i, it := range kept {
		it.finish(results[i], nil)
	}
}

func failAll(items []*item, err *protocol.Error) {
	for _, it := range items {
		it.finish(fsm.Result{}, err)
	}
}

// applyEntry brings one entry through raft. The error is not_applied only when
// the entry certainly did not enter the log.
func (n *Member) applyEntry(ctx context.Context, entry *fsm.Entry) ([]fsm.Result, *protocol.Error) {
	fault.Hit(fault.ProposeBefore)
	if n.cfg.hooks.apply != nil {
		n.cfg.hooks.apply()
	}
	_, _ = rand.Read(entry.Seed[:]) // never fails
	future := n.raft.Apply(fsm.AppendEntry(nil, entry), enqueueTimeout)
	// A future that was queued for the state machine when raft stops is never
	// answered, so its wait must end with this node.
	decided := make(chan error, 1)
	go func() { decided <- future.Error() }()
	var err error
	select {
	case err = <-decided:
	case <-n.dead:
		return nil, protocol.Unknownf(protocol.CodeOutcomeUnknown, "the leader stopped before the command was decided")
	}
	fault.Hit(fault.ProposeAfter)
	if err != nil {
		return nil, outcomeOf(err)
	}
	results, ok := future.Response().([]fsm.Result)
	if !ok || len(results) != len(entry.Commands) {
		return nil, protocol.Unknownf(protocol.CodeOutcomeUnknown, "the leader halted while applying the command: %v", future.Response())
	}
	return results, nil
}

// neverLogged reports whether an error of raft says that the entry is in no
// log. ErrLeadershipLost does not: the next leader may still commit the entry
// (api.go of raft).
func neverLogged(err error) bool {
	for _, e := range []error{raft.ErrNotLeader, raft.ErrEnqueueTimeout, raft.ErrLeadershipTransferInProgress, termguard.ErrNotElected} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// outcomeOf classifies raft's errors.
func outcomeOf(err error) *protocol.Error {
	if neverLogged(err) {
		return protocol.NotAppliedf(codeNotLeader, "%v", err)
	}
	return protocol.Unknownf(protocol.CodeOutcomeUnknown, "the leader could not finish the command: %v", err)
}

// mayLead says whether this member may write now: it leads, its term has
// begun for the state machine, and nothing forbids it.
func (n *Member) mayLead() *protocol.Error {
	if reason, yes := n.Quarantined(); yes {
		// Another leader will take it; only our own clients are told to go elsewhere.
		return protocol.NotAppliedf(codeNotLeader, "member %s is quarantined: %s", n.id, reason)
	}
	if reason := n.diverged.Load(); reason != nil {
		return protocol.NotAppliedf(protocol.CodeQuarantined, "writes have stopped: %s", *reason)
	}
	if n.raft.State() != raft.Leader {
		return protocol.NotAppliedf(codeNotLeader, "member %s is not the leader", n.id)
	}
	if term := n.raft.CurrentTerm(); n.readyTerm.Load() != term {
		return protocol.NotAppliedf(codeNotReady, "member %s has just become leader", n.id)
	}
	return nil
}

// mayPropose keeps out of the log what some member might not understand: such
// an entry would halt it. The proposer has checked this too, but against an
// older state, or as a newer version.
func (n *Member) mayPropose(code protocol.Code) *protocol.Error {
	if code >= fsm.InternalBase {
		if code > fsm.KindLast {
			return protocol.NotAppliedf(protocol.CodeFeatureNotActive, "internal command %d is not known to the leader (version %s)", code, n.cfg.Version)
		}
		if level := n.Root().Level(); level != 0 && fsm.KindSince(code) > level {
			return protocol.NotAppliedf(protocol.CodeFeatureNotActive, "internal command %d is not active at feature level %d", code, level)
		}
		return nil
	}
	row := protocol.ByCode(code)
	if level := n.Root().Level(); row == nil || !row.Writes() || row.Level() > level {
		return protocol.NotAppliedf(protocol.CodeFeatureNotActive, "command %d is not active at feature level %d; it will be when every member runs a version that has it", code, level)
	}
	return nil
}
