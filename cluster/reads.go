// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// reads proves that a state covers every write acknowledged before the read:
// with a round of the voters when this member leads, else by asking the leader
// for one.
type reads struct {
	*self
	raft interface {
		State() raft.RaftState
		CurrentTerm() uint64
		CommitIndex() uint64
	}
	peers  caller
	roster interface {
		voters() []raft.Server
		reachability() string
	}
	term interface {
		leaderID() string
		awaitTerm(ctx context.Context)
		mayRead(term uint64) *protocol.Error
	}
	health serving
	clock  *leaderClock
	// begun counts the rounds of this member as leader.
	begun interface{ Inc() }

	rounds *readRounds
	// answered counts the leaders' rounds that this member answered.
	answered atomic.Uint64
}

// newReads completes r; rounds end with ctx.
func newReads(ctx context.Context, r *reads) *reads {
	r.rounds = &readRounds{ctx: ctx, ask: r.askIndex}
	return r
}

// readIndex returns an index that covers every write acknowledged by any
// member before the call; a read of a state that has applied it is
// linearizable. It tries again through changes of leadership until ctx ends
// (10 s without a deadline). Errors: no_leader, quarantined, shutting_down.
func (r *reads) readIndex(ctx context.Context) (uint64, *protocol.Error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		changed := r.changed.next()
		if reason, yes := r.health.Quarantined(); yes {
			return 0, protocol.NotAppliedf(protocol.CodeQuarantined, "member %s is quarantined (%s); send the request to another member", r.id, reason)
		}
		index, e := r.rounds.join(ctx)
		if e == nil {
			return index, nil
		}
		if e.Code == protocol.CodeShuttingDown {
			return 0, e
		}
		if !rest(ctx, changed, pause) {
			return 0, protocol.NotAppliedf(protocol.CodeNoLeader,
				"the state could not be confirmed in time (%s; %s); nothing was changed; check `pilotctl cluster status`; a read can ask for consistency stale", e.Text, r.roster.reachability())
		}
	}
}

// waitApplied waits until this member has applied the index. Error: timeout_read.
func (r *reads) waitApplied(ctx context.Context, index uint64) *protocol.Error {
	if err := r.applied.wait(ctx, index); err != nil {
		return protocol.NotAppliedf(protocol.CodeTimeoutRead, "member %s has applied index %d and did not reach %d in time; send the request again, or to another member", r.id, r.applied.index.Load(), index)
	}
	return nil
}

// freshWithin reports whether this member's state covers every write that was
// acknowledged up to d ago: a round that began since then was answered and its
// index is applied here.
func (r *reads) freshWithin(d time.Duration) bool {
	if _, yes := r.health.Quarantined(); yes {
		return false
	}
	begun, ok := r.rounds.freshest(r.applied.index.Load())
	return ok && time.Since(begun) <= d
}

// askIndex is one round as this member begins it.
func (r *reads) askIndex(ctx context.Context) (uint64, *protocol.Error) {
	switch leader := r.term.leaderID(); leader {
	case "":
		return 0, protocol.NotAppliedf(protocol.CodeNoLeader, "no leader is known")
	case r.id:
		return r.leaderIndex(ctx)
	default:
		ctx, cancel := context.WithTimeout(ctx, 2*confirmTimeout)
		defer cancel()
		raw, err := r.peers.Call(ctx, leader, rpcReadIndex, nil)
		if err != nil {
			return 0, readFailure(err)
		}
		if len(raw) != 8 {
			return 0, protocol.NotAppliedf(protocol.CodeInternal, "malformed read index from member %s", leader)
		}
		return binary.BigEndian.Uint64(raw), nil
	}
}

// leaderIndex is the leader's part. The commit index is sampled before the
// round. It is raft's, not that of the leader's own state machine: another
// member may have applied, and shown, more than the leader has.
func (r *reads) leaderIndex(ctx context.Context) (uint64, *protocol.Error) {
	r.term.awaitTerm(ctx)
	term := r.raft.CurrentTerm()
	if e := r.term.mayRead(term); e != nil {
		return 0, e
	}
	index := r.raft.CommitIndex()
	if err := r.provesTerm(ctx, term); err != nil {
		return 0, protocol.NotAppliedf(codeNotLeader, "leadership of member %s could not be confirmed: %v", r.id, err)
	}
	if e := r.term.mayRead(term); e != nil {
		return 0, e
	}
	return index, nil
}

// handleReadIndex serves another member; its rounds are shared with our own reads.
func (r *reads) handleReadIndex(ctx context.Context) ([]byte, *protocol.Error) {
	if r.term.leaderID() != r.id {
		return nil, protocol.NotAppliedf(codeNotLeader, "member %s is not the leader", r.id)
	}
	index, e := r.rounds.join(ctx)
	if e != nil {
		return nil, e
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
