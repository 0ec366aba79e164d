// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"errors"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
)

var diskKinds = []*Kind{
	{Name: "disk-error-leader", Doc: "the leader's disk answers EIO", group: groupDisk, target: targetLeader, run: diskFails("error")},
	{Name: "disk-error-minority", Doc: "the disks of a minority answer EIO", group: groupDisk, target: targetMinority, run: diskFails("error")},
	{Name: "disk-full-leader", Doc: "the leader's disk answers ENOSPC", group: groupDisk, target: targetLeader, run: diskFails("full")},
	{Name: "disk-full-minority", Doc: "the disks of a minority answer ENOSPC", group: groupDisk, target: targetMinority, run: diskFails("full")},
	{Name: "disk-slow-leader", Doc: "every write of the leader's disk takes long", group: groupDisk, target: targetLeader, args: between("ms", 20, 250), run: diskSlow},
	{Name: "disk-slow-all", Doc: "every write of every disk takes long", group: groupDisk, target: targetAll, args: between("ms", 5, 60), run: diskSlow},
	{Name: "disk-hung-leader", Doc: "a write of the leader's disk does not return", group: groupDisk, target: targetLeader, run: diskHung},
	{Name: "disk-hung-one", Doc: "a write of one member's disk does not return", group: groupDisk, target: targetOne, run: diskHung},
	{Name: "snapshot-error", Doc: "snapshots of a minority cannot be written", group: groupDisk, target: targetMinority, run: snapshotFails},
}

// failing are the points at which the disk can answer with an error.
var failing = []fault.Point{fault.StoreLogsBefore, fault.StoreLogsAfter, fault.StoreDeleteBefore, fault.TermVoteBefore, fault.TermVoteAfter}

// diskFails makes the next operation at a point fail. The member has to stop
// with 75, and comes back with the error gone.
func diskFails(action string) func(context.Context, *env, Action) error {
	return func(ctx context.Context, e *env, a Action) error {
		members, err := e.targets(ctx, a)
		if err != nil {
			return err
		}
		e.foresee("its disk fails", members, lab.Stalled)
		r := a.rand()
		err = eachOf(members, func(m *lab.Member) error {
			return e.lab.Order(m, lab.Order{Point: failing[r.IntN(len(failing))], Action: action, After: r.IntN(30)})
		})
		until(ctx)
		return err
	}
}

func diskSlow(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	e.foresee("its disk is slow", members, lab.Stalled)
	err = eachOf(members, func(m *lab.Member) error {
		return e.lab.Order(m, lab.Order{Point: fault.StoreLogsBefore, Action: "sleep", SleepMS: a.Args["ms"]})
	})
	until(ctx)
	return err
}

// hangTime is longer than any period: the write returns when the member is gone.
const hangTime = 10 * time.Minute

func diskHung(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	e.foresee("its disk hangs", members, lab.Stalled)
	err = eachOf(members, func(m *lab.Member) error {
		return e.lab.Order(m, lab.Order{Point: fault.StoreLogsBefore, Action: "sleep", SleepMS: hangTime.Milliseconds(), Times: 1})
	})
	until(ctx)
	return err
}

func snapshotFails(ctx context.Context, e *env, a Action) error {
	members, err := e.targets(ctx, a)
	if err != nil {
		return err
	}
	e.foresee("its snapshots fail", members, lab.Stalled)
	r := a.rand()
	var errs []error
	for _, p := range []fault.Point{fault.SnapshotBefore, fault.SnapshotMiddle} {
		errs = append(errs, eachOf(members, func(m *lab.Member) error {
			return e.lab.Order(m, lab.Order{Point: p, Action: []string{"error", "full"}[r.IntN(2)]})
		}))
	}
	until(ctx)
	return errors.Join(errs...)
}
