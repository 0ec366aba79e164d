// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/cluster/base/termguard"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// applyEntry brings one entry through raft. The error is not_applied only when
// the entry certainly did not enter the log.
func (w *writes) applyEntry(ctx context.Context, entry *fsm.Entry) ([]fsm.Result, *protocol.Error) {
	return w.applyTimed(ctx, entry, nil)
}

// applyTimed is applyEntry, and notes the stages of the entry unless times is nil.
func (w *writes) applyTimed(_ context.Context, entry *fsm.Entry, times *entryTimes) ([]fsm.Result, *protocol.Error) {
	fault.Hit(fault.ProposeBefore)
	if w.cfg.hooks.apply != nil {
		w.cfg.hooks.apply()
	}
	_, _ = rand.Read(entry.Seed[:]) // never fails
	future := w.raft.Apply(fsm.AppendEntry(nil, entry), enqueueTimeout)
	times.handedOver()
	// A future that was queued for the state machine when raft stops is never
	// answered, so its wait must end with this member.
	decided := make(chan error, 1)
	go func() { decided <- future.Error() }()
	var err error
	select {
	case err = <-decided:
	case <-w.dead:
		return nil, protocol.Unknownf(protocol.CodeOutcomeUnknown, "the leader stopped before the command was decided")
	}
	fault.Hit(fault.ProposeAfter)
	if err != nil {
		return nil, outcomeOf(err)
	}
	results, ok := future.Response().([]fsm.Result)
	if !ok || len(results) != len(entry.Envelopes) {
		return nil, protocol.Unknownf(protocol.CodeOutcomeUnknown, "the leader halted while applying the command: %v", future.Response())
	}
	times.decided(future.Index(), w.lastApplied)
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

// mayPropose keeps out of the log what some member might not understand: such
// an entry would halt it. The proposer has checked this too, but against an
// older state, or as a newer version.
func (w *writes) mayPropose(code protocol.Code) *protocol.Error {
	if code >= fsm.InternalBase {
		if code > fsm.KindLast {
			return protocol.NotAppliedf(protocol.CodeFeatureNotActive, "internal command %d is not known to the leader (version %s)", code, w.cfg.Version)
		}
		if level := w.Root().Level(); level != 0 && fsm.KindSince(code) > level {
			return protocol.NotAppliedf(protocol.CodeFeatureNotActive, "internal command %d is not active at feature level %d", code, level)
		}
		return nil
	}
	row := protocol.ByCode(code)
	if level := w.Root().Level(); row == nil || !row.Writes() || row.Level() > level {
		return protocol.NotAppliedf(protocol.CodeFeatureNotActive, "command %d is not active at feature level %d; it will be when every member runs a version that has it", code, level)
	}
	return nil
}
