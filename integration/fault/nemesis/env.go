// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
)

// env is what actions work with. One serves all actions of a run.
type env struct {
	lab     *lab.Lab
	weather *weather
	// binaries are those that members are rolled between.
	binaries []string
	rolled   int
}

// newRand makes the choices that an action leaves to the moment.
func (a Action) rand() *rand.Rand { return rand.New(rand.NewPCG(a.Pick, 7)) }

func (a Action) duration(name string) time.Duration {
	return time.Duration(a.Args[name]) * time.Millisecond
}

// leaderWait is how long an action waits for a leader to hit.
const leaderWait = 2 * time.Second

// leader is who leads now, or whom the action would take instead.
func (e *env) leader(ctx context.Context, a Action) *lab.Member {
	ctx, cancel := context.WithTimeout(ctx, leaderWait)
	defer cancel()
	if m, err := e.lab.AwaitLeader(ctx); err == nil && m != nil {
		return m
	}
	if up := e.lab.Up(); len(up) > 0 {
		return up[int(a.Pick%uint64(len(up)))]
	}
	return nil
}

// errNobody says that there was nobody to hit.
var errNobody = errors.New("no member is there to be hit")

// targets are the members that an action hits.
func (e *env) targets(ctx context.Context, a Action) ([]*lab.Member, error) {
	members := e.lab.Members()
	if len(members) == 0 {
		return nil, errNobody
	}
	voters := e.lab.VotersNow()
	r := a.rand()
	r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	r.Shuffle(len(voters), func(i, j int) { voters[i], voters[j] = voters[j], voters[i] })
	e.upFirst(members)
	e.upFirst(voters)
	switch a.Target {
	case targetLeader:
		m := e.leader(ctx, a)
		if m == nil {
			return nil, errNobody
		}
		return []*lab.Member{m}, nil
	case targetOne:
		return members[:1], nil
	case targetMinority:
		return voters[:max(1, (len(voters)-1)/2)], nil
	case targetMajority:
		return voters[:min(len(voters), len(voters)/2+1)], nil
	case targetAll:
		return members, nil
	}
	return nil, fmt.Errorf("nobody is %q", a.Target)
}

// upFirst puts members first that another action has not taken down already.
func (e *env) upFirst(members []*lab.Member) {
	up := map[*lab.Member]bool{}
	for _, m := range e.lab.Up() {
		up[m] = true
	}
	slices.SortStableFunc(members, func(a, b *lab.Member) int {
		switch {
		case up[a] == up[b]:
			return 0
		case up[a]:
			return -1
		}
		return 1
	})
}

// foresee says that members may end in these ways until the period is over.
func (e *env) foresee(why string, members []*lab.Member, ends ...string) {
	for _, m := range members {
		e.lab.Expect(m, why, ends...)
	}
}

// wait returns when ctx ends or d has passed; true in the second case.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// until waits for the end of an action.
func until(ctx context.Context) { <-ctx.Done() }

// repeat does something at an interval until ctx ends.
func repeat(ctx context.Context, every func() time.Duration, do func() error) error {
	var errs []error
	for {
		if err := do(); err != nil && len(errs) < 3 {
			errs = append(errs, err)
		}
		if !wait(ctx, every()) {
			return errors.Join(errs...)
		}
	}
}

// eachOf does something to every target and joins the errors.
func eachOf(members []*lab.Member, do func(*lab.Member) error) error {
	var errs []error
	for _, m := range members {
		errs = append(errs, do(m))
	}
	return errors.Join(errs...)
}
