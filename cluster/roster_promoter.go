// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
)

// promoter gives a vote to members that want one and keep up.
type promoter struct {
	roster *roster
	since  map[string]time.Time
}

func newPromoter(r *roster) *promoter {
	return &promoter{roster: r, since: map[string]time.Time{}}
}

// trailing is how many entries a member may lack and still count as caught up.
const trailing = 250

func (p *promoter) look(ctx context.Context, d DutyEnv) {
	r := p.roster
	if r.cfg.ManualPromotion {
		return
	}
	for _, s := range r.servers() {
		id := string(s.ID)
		if s.Suffrage == raft.Voter {
			delete(p.since, id)
			continue
		}
		rec, recorded := r.record(id)
		st, err := r.status.ask(ctx, id)
		// The join token decides who may vote; a member may only want no vote.
		if err != nil || !recorded || rec.NonVoter || !st.WantsVote || st.Quarantined != "" || st.LeaderID != r.id ||
			st.LastContactMS > 1000 || st.LastLogIndex+trailing < r.raft.LastIndex() {
			delete(p.since, id)
			continue
		}
		first, ok := p.since[id]
		if !ok {
			p.since[id] = time.Now()
			continue
		}
		if time.Since(first) < r.cfg.Duties.StableFor {
			continue
		}
		if !r.changes.TryLock() {
			continue // another change is under way; its turn comes at the next look
		}
		delete(p.since, id)
		fault.Hit(fault.MembershipBefore)
		err = r.raft.AddVoter(s.ID, s.Address, 0, changeTimeout).Error()
		fault.Hit(fault.MembershipAfter)
		r.changes.Unlock()
		if err != nil {
			d.Logger().Warn("member not promoted", "member", id, "error", err)
			continue
		}
		d.Logger().Info("member promoted to voter", "member", id)
	}
}
