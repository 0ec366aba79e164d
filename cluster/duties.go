// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// sweepLimit bounds the ids in one sweep.
const sweepLimit = 1024

// dutyFunc makes a duty of a function that is called at an interval.
type dutyFunc struct {
	name  string
	every time.Duration
	do    func(ctx context.Context, d DutyEnv)
}

// Name of the duty, for logs.
func (f dutyFunc) Name() string { return f.name }

// Run calls the function until leadership ends.
func (f dutyFunc) Run(ctx context.Context, d DutyEnv) {
	t := time.NewTicker(f.every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f.do(ctx, d)
		}
	}
}

// duties are what this member does while it leads.
func (n *Member) duties() []Duty {
	c := n.cfg.Duties
	built := []Duty{
		dutyFunc{"tick", c.TickAfter / 4, n.tick},
		dutyFunc{"sweep", c.SweepEvery, n.sweep},
		dutyFunc{"level", time.Second, n.raiseLevel},
		dutyFunc{"checkpoint", min(c.CheckpointEvery, time.Second), n.checkpointDue()},
		dutyFunc{"promoter", max(c.StableFor/4, 20*time.Millisecond), (&promoter{node: n, since: map[string]time.Time{}}).look},
		dutyFunc{"clock", c.ClockEvery, n.guardClock},
	}
	return append(built, n.cfg.Extra...)
}

func envelope(code protocol.Code, body any) (fsm.Envelope, error) {
	env := fsm.Envelope{Code: code}
	if body == nil {
		return env, nil
	}
	raw, err := json.Marshal(body)
	env.Body = raw
	return env, err
}

// proposeDuty proposes for a duty; failures are logged unless the term is over.
func proposeDuty(ctx context.Context, d DutyEnv, code protocol.Code, body any) bool {
	env, err := envelope(code, body)
	if err != nil {
		d.Logger().Error("cannot encode a command", "error", err)
		return false
	}
	res, perr := d.Propose(ctx, env)
	if perr == nil {
		perr = res.Err
	}
	if perr != nil && ctx.Err() == nil {
		d.Logger().Debug("not proposed", "code", perr.Code, "error", perr.Text)
	}
	return perr == nil
}

// tick moves log time on an idle cluster, so that expiry does not wait for traffic.
func (n *Member) tick(ctx context.Context, d DutyEnv) {
	if time.Since(time.Unix(0, n.batch.last.Load())) >= n.cfg.Duties.TickAfter {
		proposeDuty(ctx, d, fsm.KindTick, nil)
	}
}

// sweep proposes what time has overtaken. Apply checks every id again.
func (n *Member) sweep(ctx context.Context, d DutyEnv) {
	for range 16 {
		s := d.Root().SweepCandidates(d.Now().UnixMilli(), sweepLimit)
		found := len(s.Offline) + len(s.Release) + len(s.Beacons) + s.Due
		if found == 0 && !s.Sessions {
			return
		}
		s.Term = d.Term()
		if !proposeDuty(ctx, d, fsm.KindSweep, s) || found < sweepLimit {
			return
		}
	}
}

// raiseLevel raises the feature level by one when every configured member can
// run at the next one. Members that are down count too: their record says what
// they could run when they were last up.
func (n *Member) raiseLevel(ctx context.Context, d DutyEnv) {
	root := d.Root()
	from := root.Level()
	if n.cfg.PreserveDowngrade || from == 0 || from >= n.cfg.LevelMax {
		return
	}
	records := map[string]fsm.MemberRecord{}
	for _, m := range root.Members() {
		records[m.ID] = m
	}
	for _, s := range n.servers() {
		m, ok := records[string(s.ID)]
		if !ok || m.LevelMin > from+1 || m.LevelMax < from+1 {
			return
		}
	}
	fault.Hit(fault.LevelRaiseBefore)
	if proposeDuty(ctx, d, fsm.KindRaiseLevel, fsm.RaiseLevel{From: from, To: from + 1, Term: d.Term()}) {
		fault.Hit(fault.LevelRaiseAfter)
		d.Logger().Info("feature level raised", "from", from, "to", from+1)
	}
}

// guardClock keeps log time with the median of the voters' clocks, and gives
// leadership away when this member's own clock is wrong: entries of this term
// carry the median and are right; the next leader's clock should be too.
func (n *Member) guardClock(ctx context.Context, d DutyEnv) {
	clocks, err := n.confirmRound(ctx, d.Term(), clockLinger)
	if err != nil {
		return
	}
	m := median(clocks, n.clock.now().UnixMilli())
	if n.clock.steer(m) {
		n.renewTime(ctx, d, m)
	}
	n.clock.compare(m)
	// With two voters nobody can say which of the two clocks is wrong.
	if !n.clock.skewed() || len(n.voters()) < 3 {
		n.skewedRounds = 0
		return
	}
	// All clocks may have been set in the middle of a round.
	if n.skewedRounds++; n.skewedRounds < 3 {
		return
	}
	d.Logger().Error("this member's clock is wrong, giving leadership away", "offset", n.clock.offset().String())
	if err := n.raft.LeadershipTransfer().Error(); err != nil {
		d.Logger().Warn("leadership was not handed over", "error", err)
	}
}

// renewTime lets log time begin anew with the median, as a new leader would:
// the machines were asleep, or all their clocks have been set. A second
// term_start gives everybody the same grace as after a change of leadership.
func (n *Member) renewTime(ctx context.Context, d DutyEnv, median time.Time) {
	d.Logger().Warn("log time was far behind the members' clocks and begins anew with them", "behind", (-n.clock.ahead()).String())
	n.clock.set(median, n.clock.now().UnixMilli())
	proposeDuty(ctx, d, fsm.KindTermStart, fsm.TermStart{Term: d.Term(), LeaderID: n.id, Version: n.cfg.Version})
}

// promoter gives a vote to members that want one and keep up.
type promoter struct {
	node  *Member
	since map[string]time.Time
}

// trailing is how many entries behind a member may be to count as caught up.
const trailing = 250

func (p *promoter) look(ctx context.Context, d DutyEnv) {
	n := p.node
	if n.cfg.ManualPromotion {
		return
	}
	for _, s := range n.servers() {
		id := string(s.ID)
		if s.Suffrage == raft.Voter {
			delete(p.since, id)
			continue
		}
		rec, recorded := n.record(id)
		st, err := n.askStatus(ctx, id)
		// The join token decides who may vote; a member may only want no vote.
		if err != nil || !recorded || rec.NonVoter || !st.WantsVote || st.Quarantined != "" || st.LeaderID != n.id ||
			st.LastContactMS > 1000 || st.LastLogIndex+trailing < n.raft.LastIndex() {
			delete(p.since, id)
			continue
		}
		first, ok := p.since[id]
		if !ok {
			p.since[id] = time.Now()
			continue
		}
		if time.Since(first) < n.cfg.Duties.StableFor {
			continue
		}
		if !n.membership.TryLock() {
			continue // another change is under way; its turn comes at the next look
		}
		delete(p.since, id)
		fault.Hit(fault.MembershipBefore)
		err = n.raft.AddVoter(s.ID, s.Address, 0, changeTimeout).Error()
		fault.Hit(fault.MembershipAfter)
		n.membership.Unlock()
		if err != nil {
			d.Logger().Warn("member not promoted", "member", id, "error", err)
			continue
		}
		d.Logger().Info("member promoted to voter", "member", id)
	}
}
