// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/binary"
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

// ReadIndex returns an index that covers every write acknowledged by any
// member before the call; a read of a state that has applied it is
// linearizable. It tries again through changes of leadership until ctx ends
// (10 s without a deadline). Errors: no_leader, quarantined, shutting_down.
func (n *Member) ReadIndex(ctx context.Context) (uint64, *protocol.Error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		changed := n.changed.next()
		if reason, yes := n.Quarantined(); yes {
			return 0, protocol.NotAppliedf(protocol.CodeQuarantined, "member %s is quarantined (%s); send the request to another member", n.id, reason)
		}
		index, err := n.rounds.join(ctx)
		if err == nil {
			return index, nil
		}
		if err.Code == protocol.CodeShuttingDown {
			return 0, err
		}
		if !rest(ctx, changed, pause) {
			return 0, protocol.NotAppliedf(protocol.CodeNoLeader,
				"the state could not be confirmed in time (%s; %s); nothing was changed; check `pilotctl cluster status`; a read can ask for consistency stale", err.Text, n.reachability())
		}
	}
}

// WaitApplied waits until this member has applied the index. Error: timeout_read.
func (n *Member) WaitApplied(ctx context.Context, index uint64) *protocol.Error {
	if err := n.applied.wait(ctx, index); err != nil {
		return protocol.NotAppliedf(protocol.CodeTimeoutRead, "member %s has applied index %d and did not reach %d in time; send the request again, or to another member", n.id, n.applied.index.Load(), index)
	}
	return nil
}

// DataAge is how long ago the newest entry was made that is applied here. With
// a leader there is one every second. It needs neither leader nor quorum.
func (n *Member) DataAge() time.Duration {
	return max(0, n.clock.source.Wall().Sub(time.UnixMilli(n.Root().Now())))
}

// FreshWithin reports whether this member's state covers every write that was
// acknowledged up to d ago: a round that began since then was answered and its
// index is applied here.
func (n *Member) FreshWithin(d time.Duration) bool {
	if _, yes := n.Quarantined(); yes {
		return false
	}
	begun, ok := n.rounds.freshest(n.applied.index.Load())
	return ok && time.Since(begun) <= d
}

// askIndex is one round as this member begins it.
func (n *Member) askIndex(ctx context.Context) (uint64, *protocol.Error) {
	switch leader := n.leaderID(); leader {
	case "":
		return 0, protocol.NotAppliedf(protocol.CodeNoLeader, "no leader is known")
	case n.id:
		return n.confirmedIndex(ctx)
	default:
		ctx, cancel := context.WithTimeout(ctx, 2*confirmTimeout)
		defer cancel()
		raw, err := n.client.Call(ctx, leader, rpcReadIndex, nil)
		if err != nil {
			return 0, readFailure(err)
		}
		if len(raw) != 8 {
			return 0, protocol.NotAppliedf(protocol.CodeInternal, "malformed read index from member %s", leader)
		}
		return binary.BigEndian.Uint64(raw), nil
	}
}

// confirmedIndex is the leader's part. The commit index is sampled before the
// round. It is raft's, not that of the leader's own state machine: another
// member may have applied, and shown, more than the leader has.
func (n *Member) confirmedIndex(ctx context.Context) (uint64, *protocol.Error) {
	n.awaitTerm(ctx)
	term := n.raft.CurrentTerm()
	if err := n.mayRead(term); err != nil {
		return 0, err
	}
	index := n.raft.CommitIndex()
	if err := n.confirm(ctx, term); err != nil {
		return 0, protocol.NotAppliedf(codeNotLeader, "leadership of member %s could not be confirmed: %v", n.id, err)
	}
	if err := n.mayRead(term); err != nil {
		return 0, err
	}
	return index, nil
}

// mayRead is mayLead without the brake on writes.
func (n *Member) mayRead(term uint64) *protocol.Error {
	if reason, yes := n.Quarantined(); yes {
		return protocol.NotAppliedf(protocol.CodeQuarantined, "member %s is quarantined: %s", n.id, reason)
	}
	if !n.leading(term) {
		return protocol.NotAppliedf(codeNotLeader, "member %s does not lead term %d", n.id, term)
	}
	return nil
}

// handleReadIndex serves another member; its rounds are shared with our own reads.
func (n *Member) handleReadIndex(ctx context.Context) ([]byte, *protocol.Error) {
	if n.leaderID() != n.id {
		return nil, protocol.NotAppliedf(codeNotLeader, "member %s is not the leader", n.id)
	}
	index, err := n.rounds.join(ctx)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint64(nil, index), nil
}

func readFailure(err error) *protocol.Error {
	out := *transportOutcome(err)
	out.Outcome = protocol.OutcomeNotApplied
	if out.Code == protocol.CodeOutcomeUnknown {
		out.Code = protocol.CodeNoLeader
	}
	return &out
}
