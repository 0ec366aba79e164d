// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"os/exec"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
)

var processKinds = []*Kind{
	{Name: "kill-one", Doc: "SIGKILL of one member", group: groupProcess, target: targetOne, run: kill},
	{Name: "kill-leader", Doc: "SIGKILL of the leader", group: groupProcess, target: targetLeader, run: kill},
	{Name: "kill-majority", Doc: "SIGKILL of a majority of the voters", group: groupProcess, target: targetMajority, run: kill},
	{Name: "kill-all", Doc: "SIGKILL of all members at once", group: groupProcess, target: targetAll, run: kill, solo: true},
	{Name: "kill-again", Doc: "SIGKILL of one member, again soon after each start", group: groupProcess, target: targetOne,
		args: between("every_ms", 300, 1200), run: killAgain},
	{Name: "restart-leader", Doc: "SIGTERM of the leader: drain, hand over, start again", group: groupProcess, target: targetLeader, run: restart},
	{Name: "restart-each", Doc: "SIGTERM of one member after the other", group: groupProcess, target: targetAll, run: restart},
	{Name: "pause-one", Doc: "SIGSTOP of one member, 0.1 to 30 s", group: groupProcess, target: targetOne, args: pauseTime, run: pause},
	{Name: "pause-leader", Doc: "SIGSTOP of the leader, 0.1 to 30 s", group: groupProcess, target: targetLeader, args: pauseTime, run: pause},
	{Name: "pause-majority", Doc: "SIGSTOP of a majority of the voters, 0.1 to 30 s", group: groupProcess, target: targetMajority, args: pauseTime, run: pause},
	{Name: "pause-all", Doc: "SIGSTOP of all members, as when the machine is frozen", group: groupProcess, target: targetAll, args: pauseTime, run: pause},
	{Name: "cpu-strobe", Doc: "one member gets the processor for a fraction of the time", group: groupProcess, target: targetOne,
		args: each(between("on_ms", 10, 60), between("off_ms", 40, 200)), run: strobe},
	{Name: "cpu-busy", Doc: "other programs use all processors", group: groupProcess, target: targetAll, args: between("programs", 2, 4), run: busy},
}

// pauseTime draws short and long pauses alike, within the period.
func pauseTime(r *rand.Rand, a *Action, rest int64) {
	a.ForMS = min(rest, []int64{100, 300, 1000, 3500, 30000}[r.IntN(5)])
}

func kill(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	err = eachOf(members, e.lab.Kill)
	until(ctx)
	return errors.Join(err, eachOf(members, func(m *lab.Member) error { return e.lab.Start(m) }))
}

func killAgain(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	err = repeat(ctx, func() time.Duration { return a.duration("every_ms") }, func() error {
		return eachOf(members, func(m *lab.Member) error {
			if !e.lab.Running(m) {
				return e.lab.Start(m)
			}
			return errors.Join(e.lab.Kill(m), e.lab.Start(m))
		})
	})
	return errors.Join(err, eachOf(members, func(m *lab.Member) error { return e.lab.Start(m) }))
}

// drainTime is how long a member may take to stop in good order while other
// faults are in force: its own limit is 10 s.
const drainTime = 20 * time.Second

func restart(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	return eachOf(members, func(m *lab.Member) error {
		if ctx.Err() != nil {
			return nil
		}
		// The drain is not cut short by the end of the period.
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		return e.lab.Restart(stop, m)
	})
}

func pause(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	// Another action may have taken some of them down; the others are hit.
	hit := 0
	err = eachOf(members, func(m *lab.Member) error {
		err := e.lab.Pause(m)
		if err == nil {
			hit++
		}
		return err
	})
	if hit == 0 {
		return err
	}
	until(ctx)
	return eachOf(members, e.lab.Resume)
}

func strobe(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	e.foresee("too little processor time", members, lab.Stalled)
	defer func() { _ = eachOf(members, e.lab.Resume) }()
	for {
		_ = eachOf(members, e.lab.Pause) // it may just be down
		if !wait(ctx, a.duration("off_ms")) {
			return nil
		}
		_ = eachOf(members, e.lab.Resume)
		if !wait(ctx, a.duration("on_ms")) {
			return nil
		}
	}
}

// busy runs programs that do nothing, at the same priority as the members.
func busy(ctx context.Context, e *env, a Action) error {
	e.foresee("too little processor time", e.lab.Members(), lab.Stalled)
	var programs []*exec.Cmd
	var errs []error
	for range a.Args["programs"] {
		cmd := exec.Command("/bin/sh", "-c", "while :; do :; done")
		if err := e.lab.Spawn(cmd); err != nil {
			errs = append(errs, err)
			continue
		}
		programs = append(programs, cmd)
	}
	until(ctx)
	for _, cmd := range programs {
		errs = append(errs, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
	}
	return errors.Join(errs...)
}
