// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

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

// Propose brings a command through consensus, from any member, and returns
// what the state machine decided; a decided refusal is in Result.Err.
//
// The error is non-nil only when nothing was decided, and says what is known:
// not_applied (shutting_down, overloaded, quarantined, too_large, no_leader)
// or unknown (outcome_unknown). Until ctx ends, after 10 s when it has no
// deadline and after 30 s in any case, Propose tries again through changes of leadership. It does so after an
// unknown outcome only when a repetition has no second effect: the command has
// a request id, gets one minted here, or is soft.
func (n *Member) Propose(ctx context.Context, env fsm.Envelope) (fsm.Result, *protocol.Error) {
	n.inflight.Add(1)
	defer n.inflight.Add(-1)
	if n.draining.Load() {
		return fsm.Result{}, protocol.NotAppliedf(protocol.CodeShuttingDown, "member %s is shutting down; send the request to another member", n.id)
	}
	if reason, yes := n.Quarantined(); yes {
		return fsm.Result{}, protocol.NotAppliedf(protocol.CodeQuarantined, "member %s is quarantined (%s); send the request to another member", n.id, reason)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	ctx, cancelRetry := context.WithTimeout(ctx, maxRetry)
	defer cancelRetry()
	minted := env.RequestID == "" && !soft(env.Code)
	if minted {
		env.Session, env.Seq = n.mint.session, n.mint.begin()
		defer n.mint.end(env.Seq)
	}
	n.metrics.waiting.Inc()
	defer n.metrics.waiting.Dec()
	return n.proposeUntil(ctx, env, minted)
}

func (n *Member) proposeUntil(ctx context.Context, env fsm.Envelope, minted bool) (fsm.Result, *protocol.Error) {
	ambiguous := false
	var last *protocol.Error
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		changed := n.changed.next()
		if minted {
			env.Floor = n.mint.floor()
		}
		res, err := n.attempt(ctx, env)
		if err == nil {
			return res, nil
		}
		last = err
		switch {
		case err.Outcome == protocol.OutcomeUnknown:
			ambiguous = true
		case err.Outcome != protocol.OutcomeNotApplied:
			return fsm.Result{}, err
		case !ambiguous && final(err):
			return fsm.Result{}, err
		}
		if !rest(ctx, changed, pause) {
			return fsm.Result{}, n.gaveUp(ambiguous, last)
		}
	}
}

// attempt tries once: here when this member leads, else at the leader.
func (n *Member) attempt(ctx context.Context, env fsm.Envelope) (fsm.Result, *protocol.Error) {
	leader := n.leaderID()
	switch leader {
	case "":
		return fsm.Result{}, protocol.NotAppliedf(protocol.CodeNoLeader, "no leader is known")
	case n.id:
		return n.batch.submit(ctx, env, 0)
	default:
		return n.forward(ctx, leader, env)
	}
}

// final says that trying again at once would only add load.
func final(err *protocol.Error) bool {
	switch err.Code {
	case protocol.CodeOverloaded, protocol.CodeTooLarge, protocol.CodeQuarantined, protocol.CodeFeatureNotActive:
		return true
	}
	return false
}

// gaveUp is the answer when the deadline has passed.
func (n *Member) gaveUp(ambiguous bool, last *protocol.Error) *protocol.Error {
	if ambiguous {
		return protocol.Unknownf(protocol.CodeOutcomeUnknown,
			"the command may or may not have been applied: it was sent, but no answer came in time (%s); send it again with the same request_id to learn which", last.Text)
	}
	return protocol.NotAppliedf(protocol.CodeNoLeader,
		"the command was not applied: no leader took it in time (%s; %s); check `pilotctl cluster status` and send it again", last.Text, n.reachability())
}

// reachability names who can be reached, for error texts.
func (n *Member) reachability() string {
	up, down := n.peersUp()
	text := fmt.Sprintf("member %s reaches %s", n.id, list(up))
	if len(down) > 0 {
		text += ", not " + list(down)
	}
	answering, voters := 0, n.voters()
	for _, v := range voters {
		if id := string(v.ID); id == n.id || slices.Contains(up, id) {
			answering++
		}
	}
	if answering < len(voters)/2+1 {
		text = fmt.Sprintf("no quorum: %d of %d voters answer; %s", answering, len(voters), text)
	}
	return text
}

func list(ids []string) string {
	if len(ids) == 0 {
		return "nobody"
	}
	return strings.Join(ids, ", ")
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
