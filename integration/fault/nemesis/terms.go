// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
)

var termKinds = []*Kind{
	{Name: "overtaken-leader", Doc: "another member wins an election, and its first heartbeat reaches the leader between its last look at its term and its next entry",
		group: groupLead, target: targetOne, args: each(between("ms", 60, 140), between("every_ms", 700, 1500)), run: overtake},
}

// Delays that leave the heartbeat as the only messenger of a new term. It
// comes by another way than everything else: it changes the leader's term
// while its main loop waits for the next entry. Raft sends the first one up to
// a fifth of the heartbeat timeout after the election.
const (
	voteDelay   = 300 * time.Millisecond
	appendDelay = 150 * time.Millisecond
)

// overtake lets voters stand for election one after the other while the leader
// pauses before each entry that it hands to raft.
func overtake(ctx context.Context, e *env, a Action) error {
	r := a.rand()
	e.foresee("a change of the configuration can come too late", e.lab.Members(), lab.Stalled)
	return repeat(ctx, func() time.Duration { return a.duration("every_ms") }, func() error {
		leader := e.leader(ctx, a)
		if leader == nil {
			return errNobody
		}
		var others []*lab.Member
		for _, m := range e.lab.VotersNow() {
			if m != leader && e.lab.Running(m) {
				others = append(others, m)
			}
		}
		if len(others) == 0 {
			return errNobody
		}
		next := others[r.IntN(len(others))]
		for _, o := range []struct {
			on    *lab.Member
			point fault.Point
			ms    int64
			times int
		}{
			{leader, fault.ProposeBefore, a.Args["ms"], 5},
			{leader, fault.AppendIdle, appendDelay.Milliseconds(), 2 * len(others)},
			{next, fault.VoteToLeader, voteDelay.Milliseconds(), 1},
			{next, fault.AppendIdle, appendDelay.Milliseconds(), len(others)},
			{next, fault.AppendEntries, appendDelay.Milliseconds(), len(others)},
		} {
			if err := e.lab.Order(o.on, lab.Order{Point: o.point, Action: "sleep", SleepMS: o.ms, Times: o.times}); err != nil {
				return err
			}
		}
		return e.lab.Stand(next)
	})
}
