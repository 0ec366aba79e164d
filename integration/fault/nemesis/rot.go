// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
)

var rotKinds = []*Kind{
	{Name: "rot-log", Doc: "a bit of a log entry of one member changes while it is down", group: groupData, run: rot(flipLog, true)},
	{Name: "rot-vote", Doc: "a bit of one member's term or vote changes while it is down", group: groupData, run: rot(flipStable, true)},
	{Name: "rot-anywhere", Doc: "bits of one member's database change while it is down", group: groupData, run: rot(flipAnywhere, false)},
	{Name: "rot-snapshot", Doc: "a bit of all snapshots of one member changes while it is down", group: groupData, run: rot(flipSnapshots, false)},
	{Name: "cut-log", Doc: "one member's database is cut off while it is down", group: groupData, run: rot(cutLog, false)},
	{Name: "cut-snapshot", Doc: "one member's newest snapshot is cut off while it is down", group: groupData, run: rot(cutSnapshot, false)},
	{Name: "stale-log", Doc: "one member's disk gives back what it had a moment before", group: groupData, run: staleLog},
}

// verdictTime is how long a member may take to find out that its data is damaged.
const verdictTime = 15 * time.Second

// errAccepted says that a member served with data that it should have refused.
type errAccepted struct{ member, what string }

func (e *errAccepted) Error() string {
	return fmt.Sprintf("%s started on damaged data (%s)", e.member, e.what)
}

// victim is a voter, for surgery.
func (e *env) victim(ctx context.Context, a Action) (*lab.Member, error) {
	a.Target = targetMinority
	members, err := e.targets(ctx, a)
	if err != nil {
		return nil, err
	}
	return members[0], nil
}

// operate takes a member down and does something to its data, again when
// another fault has started it meanwhile. When that cannot be done it is just a
// member that was killed, and is started.
func (e *env) operate(ctx context.Context, m *lab.Member, do func() error) error {
	for {
		if e.lab.Running(m) {
			if err := e.lab.Kill(m); err != nil {
				return err
			}
		}
		err := do()
		if err != nil && !errors.Is(err, lab.ErrRunning) {
			return errors.Join(err, e.lab.Start(m))
		}
		if err == nil || !wait(ctx, 50*time.Millisecond) {
			return err
		}
	}
}

// rot damages a stopped member's data and starts it. It has to refuse with 78,
// or, when the damage may lie where it does not matter, to serve as before.
func rot(damage func(e *env, m *lab.Member, a Action) error, certain bool) func(context.Context, *env, Action) error {
	return func(ctx context.Context, e *env, a Action) error {
		m, err := e.victim(ctx, a)
		if err != nil {
			return err
		}
		if err := e.operate(ctx, m, func() error { return damage(e, m, a) }); err != nil {
			return err
		}
		return e.judge(ctx, m, certain, a.Kind)
	}
}

// judge starts a member on damaged data and looks what it makes of it.
func (e *env) judge(ctx context.Context, m *lab.Member, certain bool, what string) error {
	e.foresee("its data is damaged", []*lab.Member{m}, lab.Damaged)
	if err := e.lab.Start(m); err != nil {
		return err
	}
	run := e.lab.RunOf(m)
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), verdictTime)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.lab.AwaitReady(look, m); err == nil {
			cancel() // it serves: there will be no exit
		}
	}()
	exit, err := e.lab.AwaitExit(look, m, run)
	cancel()
	<-done
	switch {
	case err == nil && exit.Code == 78:
		e.lab.Abandon(m, "its data is damaged")
		return nil
	case err == nil:
		return fmt.Errorf("%s on damaged data: %s\n%s", what, exit, exit.Last)
	case certain:
		return &errAccepted{m.Name, what}
	}
	return nil
}

func flipLog(e *env, m *lab.Member, _ Action) error { return e.lab.FlipEntry(m) }

func flipStable(e *env, m *lab.Member, a Action) error {
	keys := []string{"CurrentTerm", "LastVoteTerm", "LastVoteCand"}
	a.rand().Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	var err error
	for _, key := range keys { // a member that never voted has no vote
		if err = e.lab.FlipStable(m, key); !errors.Is(err, lab.ErrNothingThere) {
			break
		}
	}
	return err
}

func flipAnywhere(e *env, m *lab.Member, a Action) error {
	r := a.rand()
	for range 3 {
		if err := e.lab.FlipBit(m, m.Database(), r.Float64()); err != nil {
			return err
		}
	}
	return nil
}

func flipSnapshots(e *env, m *lab.Member, a Action) error {
	dirs, err := m.Snapshots()
	if err != nil {
		return err
	}
	if len(dirs) == 0 {
		return lab.ErrNothingThere
	}
	r := a.rand()
	file := []string{"state.bin", "meta.json"}[r.IntN(2)]
	for _, dir := range dirs {
		if err := e.lab.FlipBit(m, filepath.Join(dir, file), r.Float64()); err != nil {
			return err
		}
	}
	return nil
}

// cutLog leaves less than half: the database keeps room at its end.
func cutLog(e *env, m *lab.Member, a Action) error {
	return e.lab.TruncateFile(m, m.Database(), a.rand().Float64()/2)
}

func cutSnapshot(e *env, m *lab.Member, a Action) error {
	dirs, err := m.Snapshots()
	if err != nil {
		return err
	}
	if len(dirs) == 0 {
		return lab.ErrNothingThere
	}
	r := a.rand()
	return e.lab.TruncateFile(m, filepath.Join(dirs[len(dirs)-1], []string{"state.bin", "meta.json"}[r.IntN(2)]), r.Float64())
}

// staleLog lets a member run on after its database was copied, and puts the
// copy back: what it acknowledged since is gone. It must not vote.
func staleLog(ctx context.Context, e *env, a Action) error {
	m, err := e.victim(ctx, a)
	if err != nil {
		return err
	}
	var restore func() error
	keep := func() (err error) {
		restore, err = e.lab.KeepDatabase(m)
		return err
	}
	if err := e.operate(ctx, m, keep); err != nil {
		return err
	}
	if err := e.lab.Start(m); err != nil {
		return err
	}
	if err := e.lab.AwaitReady(ctx, m); err != nil {
		return err
	}
	first, err := e.lab.Sample(ctx, m)
	for last := first; last.Applied < first.Applied+3; last, err = e.lab.Sample(ctx, m) {
		if err != nil || !wait(ctx, 50*time.Millisecond) {
			return err // nothing happened that could be forgotten
		}
	}
	if err := e.operate(ctx, m, restore); err != nil {
		return err
	}
	return e.judge(ctx, m, true, a.Kind)
}
