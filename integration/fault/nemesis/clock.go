// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
)

var clockKinds = []*Kind{
	{Name: "clock-strobe", Doc: "the wall clock of a minority jumps to and fro by 100 ms", group: groupClock, target: targetMinority, run: clockStrobe},
	{Name: "clock-hour", Doc: "the leader's wall clock is an hour off", group: groupClock, target: targetLeader, args: jump(time.Hour), run: clockJump},
	{Name: "clock-day", Doc: "the wall clock of one member is a day off", group: groupClock, target: targetOne, args: jump(24 * time.Hour), run: clockJump},
	{Name: "wall-hour", Doc: "the leader's wall clock is an hour off, for whoever in its process asks", group: groupClock, target: targetLeader, args: jump(time.Hour), run: wallJump, missing: lab.NoWallClocks},
	{Name: "wall-day", Doc: "the wall clock of one member is a day off, for whoever in its process asks", group: groupClock, target: targetOne, args: jump(24 * time.Hour), run: wallJump, missing: lab.NoWallClocks},
	{Name: "clock-ages", Doc: "the wall clock of a minority is decades off", group: groupClock, target: targetMinority, args: jump(13 * 365 * 24 * time.Hour), run: clockJump},
}

func jump(by time.Duration) func(*rand.Rand, *Action, int64) {
	return func(r *rand.Rand, a *Action, _ int64) {
		a.Args["ms"] = by.Milliseconds() * int64(1-2*r.IntN(2))
	}
}

func clockJump(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	err = eachOf(members, func(m *lab.Member) error { return e.lab.Offset(m, a.duration("ms")) })
	e.lab.Note("clock", members[0].Name, "off by %s", a.duration("ms"))
	until(ctx)
	return errors.Join(err, setRight(e, members))
}

func clockStrobe(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	r := a.rand()
	for wait(ctx, time.Duration(20+r.IntN(80))*time.Millisecond) {
		by := time.Duration(r.IntN(200)-100) * time.Millisecond
		_ = eachOf(members, func(m *lab.Member) error { return e.lab.Offset(m, by) }) // it may just be down
	}
	return setRight(e, members)
}

// setRight takes clocks back; a member that is down or paused is calmed when
// the period is healed.
func setRight(e *env, members []*lab.Member) error {
	return eachOf(members, func(m *lab.Member) error {
		for _, up := range e.lab.Up() {
			if up == m {
				return e.lab.Offset(m, 0)
			}
		}
		return nil
	})
}

// MovesWallClocks reports whether an action of the plan does.
func (p *Plan) MovesWallClocks() bool { return p.Uses("wall-hour") || p.Uses("wall-day") }

func wallJump(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	err = eachOf(members, func(m *lab.Member) error { return e.lab.MoveWallClock(m, a.duration("ms")) })
	until(ctx)
	for _, m := range members {
		_ = e.lab.MoveWallClock(m, 0) // a process that has ended took its clock along
	}
	return err
}
