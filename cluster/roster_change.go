// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func (r *roster) promote(ctx context.Context, req adminRequest) *protocol.Error {
	r.changes.Lock()
	defer r.changes.Unlock()
	s, e := r.named(req.ID)
	if e != nil {
		return e
	}
	if s.Suffrage == raft.Voter {
		return nil
	}
	fault.Hit(fault.MembershipBefore)
	if e := changeOutcome(r.raft.AddVoter(s.ID, s.Address, 0, changeTimeout).Error()); e != nil {
		return e
	}
	e = r.writes.proposeFor(ctx, req.By, fsm.KindMemberPromoted, fsm.MemberPromoted{MemberID: req.ID, AskedAt: req.By.At})
	if e != nil && e.Code != protocol.CodeFeatureNotActive {
		return protocol.Unknownf(e.Code, "member %s has a vote now, but that may be missing in the audit log: %s", req.ID, e.Text)
	}
	return nil
}

// remove takes a member out of the cluster: first its record, then its place
// in the configuration. In the other order a leader that changes in between
// would find a record without a place, which is what a member has that just
// joined, and add it back.
func (r *roster) remove(ctx context.Context, req adminRequest) *protocol.Error {
	r.changes.Lock()
	defer r.changes.Unlock()
	id := req.ID
	_, recorded := r.record(id)
	s, e := r.named(id)
	switch {
	case e != nil && !recorded:
		return e
	case e != nil: // an earlier attempt got half-way, or it never started
		return r.writes.proposeFor(ctx, req.By, fsm.KindMemberForget, fsm.MemberForget{ID: id})
	}
	if e := r.removable(ctx, s, req.Force); e != nil {
		return e
	}
	if id == r.id {
		// The next leader removes this member: a leader that removes itself
		// leaves the others to find out by election timeout.
		if err := r.raft.LeadershipTransfer().Error(); err != nil {
			return protocol.NotAppliedf(codeNotLeader, "leadership could not be handed over before the removal: %v", err)
		}
		return protocol.NotAppliedf(codeNotLeader, "leadership was handed over")
	}
	if e := r.writes.proposeFor(ctx, req.By, fsm.KindMemberForget, fsm.MemberForget{ID: id}); e != nil {
		return e
	}
	fault.Hit(fault.MembershipBefore)
	return changeOutcome(r.raft.RemoveServer(s.ID, 0, changeTimeout).Error())
}

// removable refuses what would leave no majority of answering voters.
func (r *roster) removable(ctx context.Context, s raft.Server, force bool) *protocol.Error {
	if s.Suffrage != raft.Voter {
		return nil
	}
	rest, answering := 0, 0
	for _, v := range r.voters() {
		if v.ID == s.ID {
			continue
		}
		rest++
		if _, err := r.status.ask(ctx, string(v.ID)); string(v.ID) == r.id || err == nil {
			answering++
		}
	}
	switch {
	case rest == 0:
		return protocol.Errorf(protocol.CodeConflict, "member %s is the only voter: add another one first", s.ID)
	case !force && answering < rest/2+1:
		return protocol.Errorf(protocol.CodeConflict, "without member %s only %d of %d voters would answer, which is no majority: bring the others back first, or use force", s.ID, answering, rest)
	}
	return nil
}

// changeOutcome classifies errors of configuration changes.
func changeOutcome(err error) *protocol.Error {
	fault.Hit(fault.MembershipAfter)
	switch {
	case err == nil:
		return nil
	case neverLogged(err):
		return protocol.NotAppliedf(codeNotLeader, "%v", err)
	default:
		return protocol.Unknownf(protocol.CodeOutcomeUnknown, "the change of the configuration may or may not have happened: %v; look at `pilotctl cluster members`", err)
	}
}
