// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	// defaultDeadline bounds calls whose context has none.
	defaultDeadline = 10 * time.Second
	// maxRetry bounds the life of a minted request id: well below the 60 s of
	// log time for which the state machine remembers its result.
	maxRetry = 30 * time.Second
	// Pauses between attempts; a change of leadership ends a pause early.
	retryMin = 5 * time.Millisecond
	retryMax = 50 * time.Millisecond
)

// writes brings commands into the log: through the group commit when this
// member leads, else through the leader.
type writes struct {
	*self
	raft interface {
		CurrentTerm() uint64
		Apply(cmd []byte, timeout time.Duration) raft.ApplyFuture
	}
	peers  caller
	roster interface{ reachability() string }
	term   interface {
		leaderID() string
		awaitTerm(ctx context.Context)
		mayLead() *protocol.Error
	}
	health  serving
	clock   interface{ now() time.Time }
	metrics *metrics
	// lastApplied is when this member applied the newest entry; nil unless it traces.
	lastApplied func() *appliedEntry

	batch *batcher
	mint  *minter
	// inflight counts proposals that are not answered yet, own and forwarded.
	inflight atomic.Int64
}

func newWrites(w *writes) *writes {
	w.batch, w.mint = newBatcher(w), newMinter()
	return w
}

// propose brings a command through consensus, from any member: see
// Member.Propose for what it promises.
func (w *writes) propose(ctx context.Context, env fsm.Envelope) (fsm.Result, *protocol.Error) {
	w.inflight.Add(1)
	defer w.inflight.Add(-1)
	if w.draining.Load() {
		return fsm.Result{}, protocol.NotAppliedf(protocol.CodeShuttingDown, "member %s is shutting down; send the request to another member", w.id)
	}
	if reason, yes := w.health.Quarantined(); yes {
		return fsm.Result{}, protocol.NotAppliedf(protocol.CodeQuarantined, "member %s is quarantined (%s); send the request to another member", w.id, reason)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	ctx, cancelRetry := context.WithTimeout(ctx, maxRetry)
	defer cancelRetry()
	minted := env.RequestID == "" && !soft(env.Code)
	if minted {
		env.Session, env.Seq = w.mint.session, w.mint.begin()
		defer w.mint.end(env.Seq)
	}
	w.metrics.waiting.Inc()
	defer w.metrics.waiting.Dec()
	return w.proposeUntil(ctx, env, minted)
}

func (w *writes) proposeUntil(ctx context.Context, env fsm.Envelope, minted bool) (fsm.Result, *protocol.Error) {
	ambiguous := false
	var last *protocol.Error
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		changed := w.changed.next()
		if minted {
			env.Floor = w.mint.floor()
		}
		res, e := w.attempt(ctx, env)
		if e == nil {
			return res, nil
		}
		last = e
		switch {
		case e.Outcome == protocol.OutcomeUnknown:
			ambiguous = true
		case e.Outcome != protocol.OutcomeNotApplied:
			return fsm.Result{}, e
		case !ambiguous && final(e):
			return fsm.Result{}, e
		}
		if !rest(ctx, changed, pause) {
			return fsm.Result{}, w.gaveUp(ambiguous, last)
		}
	}
}

// attempt tries once: here when this member leads, else at the leader.
func (w *writes) attempt(ctx context.Context, env fsm.Envelope) (fsm.Result, *protocol.Error) {
	leader := w.term.leaderID()
	switch leader {
	case "":
		return fsm.Result{}, protocol.NotAppliedf(protocol.CodeNoLeader, "no leader is known")
	case w.id:
		return w.batch.submit(ctx, env, 0)
	default:
		return w.forward(ctx, leader, env)
	}
}

// submit puts a command into an entry of this member's: of the given term, or
// of any when it is 0.
func (w *writes) submit(ctx context.Context, env fsm.Envelope, term uint64) (fsm.Result, *protocol.Error) {
	return w.batch.submit(ctx, env, term)
}

// tick moves log time on an idle cluster, so that expiry does not wait for traffic.
func (w *writes) tick(ctx context.Context, d DutyEnv) {
	if time.Since(time.Unix(0, w.batch.last.Load())) >= w.cfg.Duties.TickAfter {
		proposeDuty(ctx, d, fsm.KindTick, nil)
	}
}

// final says that trying again at once would only add load.
func final(e *protocol.Error) bool {
	switch e.Code {
	case protocol.CodeOverloaded, protocol.CodeTooLarge, protocol.CodeQuarantined, protocol.CodeFeatureNotActive:
		return true
	}
	return false
}

// gaveUp is the answer when the deadline has passed.
func (w *writes) gaveUp(ambiguous bool, last *protocol.Error) *protocol.Error {
	if ambiguous {
		return protocol.Unknownf(protocol.CodeOutcomeUnknown,
			"the command may or may not have been applied: it was sent, but no answer came in time (%s); send it again with the same request_id to learn which", last.Text)
	}
	return protocol.NotAppliedf(protocol.CodeNoLeader,
		"the command was not applied: no leader took it in time (%s; %s); check `pilotctl cluster status` and send it again", last.Text, w.roster.reachability())
}

func (w *writes) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	for w.inflight.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// soft commands are idempotent, so that repeating them is harmless and no
// result need be remembered. Internal kinds that only move time, or carry
// their own guard, are of this sort too.
func soft(code protocol.Code) bool {
	switch code {
	case fsm.KindTermStart, fsm.KindTick, fsm.KindClusterInit, fsm.KindMemberHello, fsm.KindMemberForget,
		fsm.KindRaiseLevel, fsm.KindSpendToken, fsm.KindSweep, fsm.KindCheckpoint, fsm.KindActivateKey,
		fsm.KindCountRequests:
		return true
	}
	row := protocol.ByCode(code)
	return row != nil && row.Soft
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, defaultDeadline)
}

// rest pauses with jitter until something changes; false when ctx has ended.
func rest(ctx context.Context, changed <-chan struct{}, pause time.Duration) bool {
	t := time.NewTimer(pause/2 + rand.N(pause))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	case <-t.C:
	}
	return ctx.Err() == nil
}
