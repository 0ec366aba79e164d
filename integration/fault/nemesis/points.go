// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
)

var pointKinds = []*Kind{
	{Name: "crash-leader", Doc: "the leader is killed at a point of its code", group: groupPoint, target: targetLeader, args: point, run: crashAt},
	{Name: "crash-one", Doc: "one member is killed at a point of its code", group: groupPoint, target: targetOne, args: point, run: crashAt},
	{Name: "crash-starting", Doc: "one member is killed at a point of its code as it starts", group: groupPoint, target: targetOne, args: point, run: crashStarting},
	{Name: "sleep-leader", Doc: "the leader pauses at a point of its code", group: groupPoint, target: targetLeader,
		args: each(point, between("ms", 20, 1500)), run: sleepAt},
	{Name: "sleep-all", Doc: "all members pause at a point of their code", group: groupPoint, target: targetAll,
		args: each(point, between("ms", 5, 300)), run: sleepAt},
}

// point draws a place in the code, and how many times it is passed before.
func point(r *rand.Rand, a *Action, _ int64) {
	a.Args["point"] = int64(r.IntN(len(fault.Points)))
	a.Args["after"] = r.Int64N(40)
}

func (a Action) point() fault.Point { return fault.Points[int(a.Args["point"])%len(fault.Points)] }

func crashAt(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	e.foresee("killed at "+string(a.point()), members, lab.Killed)
	err = eachOf(members, func(m *lab.Member) error {
		return e.lab.Order(m, lab.Order{Point: a.point(), Action: "crash", After: int(a.Args["after"]), Times: 1})
	})
	until(ctx)
	return err
}

// crashStarting orders the crash before the member starts, so that points are
// hit that are passed only then.
func crashStarting(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	m := members[0]
	if e.lab.Running(m) {
		if err := e.lab.Kill(m); err != nil {
			return err
		}
	}
	e.foresee("killed at "+string(a.point()), members, lab.Killed)
	err = e.lab.StartWith(m, lab.Order{Point: a.point(), Action: "crash", After: int(a.Args["after"]) % 4, Times: 1})
	until(ctx)
	return err
}

func sleepAt(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	e.foresee("slow at "+string(a.point()), e.lab.Members(), lab.Stalled)
	// A hundred pauses at a point that every request passes are enough.
	o := lab.Order{Point: a.point(), Action: "sleep", SleepMS: a.Args["ms"], Times: 100}
	if strings.HasPrefix(string(o.Point), "apply.") || strings.HasPrefix(string(o.Point), "store.") {
		o.Times = 20
	}
	var errs []error
	for _, m := range members {
		errs = append(errs, e.lab.Order(m, o))
	}
	until(ctx)
	return errors.Join(errs...)
}
