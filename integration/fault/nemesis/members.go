// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
)

var memberKinds = []*Kind{
	{Name: "member-add", Doc: "a voter more, for a while", group: groupData, run: addMember(false)},
	{Name: "member-add-nonvoter", Doc: "a member without a vote more, for a while", group: groupData, run: addMember(true)},
	{Name: "member-remove", Doc: "one member is removed and keeps running", group: groupData, target: targetOne, run: removeMember},
	{Name: "member-remove-leader", Doc: "the leader is removed and keeps running", group: groupData, target: targetLeader, run: removeMember},
	{Name: "member-replace", Doc: "one member is removed, loses its disk and joins as a new one", group: groupData, target: targetOne, run: replaceMember},
	{Name: "roll", Doc: "one member after the other is started with another binary", group: groupData, run: roll},
	{Name: "transfers", Doc: "leadership is handed over, again and again", group: groupLead, args: between("every_ms", 150, 900), run: transfers},
}

// Changes of the membership are tried while other faults are in force, so they
// may fail, or may have happened without an answer; healing looks what came of
// them and restores the cluster's shape. Their errors are noted, not judged.

func addMember(nonvoter bool) func(context.Context, *env, Action) error {
	return func(ctx context.Context, e *env, _ Action) error {
		m, err := e.lab.Join(ctx, e.lab.Voters+e.lab.NonVoters+1, nonvoter)
		until(ctx)
		if err != nil && m == nil {
			return err
		}
		return nil
	}
}

// insist tries until it works or ctx ends.
func insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || !wait(ctx, 100*time.Millisecond) {
			return err
		}
	}
}

func removeMember(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	err = insist(ctx, func() error { return e.lab.Remove(ctx, members[0], false) })
	until(ctx)
	return err
}

func replaceMember(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	m := members[0]
	if err := insist(ctx, func() error { return e.lab.Remove(ctx, m, false) }); err != nil {
		return err
	}
	e.lab.Abandon(m, "it was replaced")
	return insist(ctx, func() error {
		fresh, err := e.lab.Join(ctx, m.Slot, m.NonVoter)
		if err != nil && fresh != nil {
			return nil // it is on its way
		}
		return err
	})
}

// roll starts every member with the next of the binaries, in a random order
// that sometimes begins and sometimes ends with the leader.
func roll(ctx context.Context, e *env, a Action) error {
	e.rolled++
	next := e.binaries[e.rolled%len(e.binaries)]
	members := e.lab.Members()
	a.rand().Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	for _, m := range members {
		if ctx.Err() != nil {
			break // half-way: a mixed cluster is what a roll goes through
		}
		e.lab.SetBinary(m, next)
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		err := e.lab.Restart(stop, m)
		cancel()
		if err != nil {
			return err
		}
		_ = e.lab.AwaitReady(ctx, m) // other faults may keep it from being ready
	}
	return nil
}

func transfers(ctx context.Context, e *env, a Action) error {
	r := a.rand()
	_ = repeat(ctx, func() time.Duration {
		return a.duration("every_ms")/2 + time.Duration(r.Int64N(int64(a.duration("every_ms"))))
	}, func() error {
		return e.transfer(ctx, r)
	})
	return nil // refusals are the normal case: nobody leads, or not for long
}

func (e *env) transfer(ctx context.Context, r *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	voters := e.lab.VotersNow()
	var to *lab.Member
	if len(voters) > 0 && r.IntN(2) == 0 {
		to = voters[r.IntN(len(voters))]
	}
	return e.lab.Transfer(ctx, to)
}
