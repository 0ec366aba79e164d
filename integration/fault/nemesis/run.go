// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Runner plays a plan on a lab.
type Runner struct {
	Lab  *lab.Lab
	Plan *Plan
	// Binaries are those that members are rolled between; the lab's own when empty.
	Binaries []string
	// Calm is called for the calm time of every period and returns at its end.
	// Its error says that the load did not flow. May be nil.
	Calm func(ctx context.Context, p Period) error
	// Quiet stops the load for a moment, so that digests can be compared, and
	// returns how to let it go on. May be nil.
	Quiet func() (resume func())
	// Log receives a line about each step. May be nil.
	Log func(format string, args ...any)

	env   *env
	probe *probe
}

// Done is what came of an action.
type Done struct {
	Action Action    `json:"action"`
	Began  time.Time `json:"began"`
	Ended  time.Time `json:"ended"`
	// Error says why it could not be done, or not in full.
	Error string `json:"error,omitempty"`
	// Accepted is set when a member served with data it should have refused.
	Accepted bool `json:"accepted,omitempty"`
}

// TookPlace reports whether the action hit anything: it had no trouble, or
// only after a while.
func (d *Done) TookPlace() bool {
	return d.Error == "" || d.Ended.Sub(d.Began) > 500*time.Millisecond
}

// Round is what came of a period.
type Round struct {
	Number int       `json:"number"`
	Began  time.Time `json:"began"`
	Healed time.Time `json:"healed"`
	Done   []Done    `json:"done,omitempty"`
	// Recovery is the time from healing until every member was ready and a
	// write through each was acknowledged, Converged until the cluster had its
	// shape and one digest again.
	Recovery  time.Duration `json:"recovery"`
	Converged time.Duration `json:"converged"`
	// Replaced counts the members that joined in place of lost ones.
	Replaced int `json:"replaced,omitempty"`
	// Problems are what the cluster did wrong.
	Problems []string `json:"problems,omitempty"`
}

// Limits of the liveness phase.
const (
	// recoveryLimit is for what a healthy majority needs to serve again.
	recoveryLimit = 15 * time.Second
	// shapeLimit is for lost members to be replaced.
	shapeLimit = 45 * time.Second
	// digestLimit is for all members to show one digest.
	digestLimit = 15 * time.Second
)

func (r *Runner) log(format string, args ...any) {
	if r.Log != nil {
		r.Log(format, args...)
	}
}

// Run plays the plan. It stops at the first period after which the cluster did
// not converge: what comes then would say nothing. The error is only about the
// run itself; what the cluster did wrong is in the rounds.
func (r *Runner) Run(ctx context.Context) ([]Round, error) {
	r.env = &env{lab: r.Lab, weather: newWeather(r.Lab), binaries: r.Binaries}
	if len(r.env.binaries) == 0 {
		r.env.binaries = []string{r.Lab.Binary}
	}
	var err error
	if r.probe, err = newProbe(ctx, r.Lab); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	var rounds []Round
	for _, p := range r.Plan.Periods {
		if ctx.Err() != nil {
			return rounds, ctx.Err()
		}
		round := r.round(ctx, p)
		rounds = append(rounds, round)
		r.log("period %d of %d: %s; served again after %s, converged after %s%s", p.Number, len(r.Plan.Periods), names(p),
			round.Recovery.Round(time.Millisecond), round.Converged.Round(time.Millisecond), problems(round))
		if round.Converged == 0 {
			return rounds, nil
		}
	}
	return rounds, nil
}

func names(p Period) string {
	if len(p.Actions) == 0 {
		return "no fault"
	}
	text := ""
	for i, a := range p.Actions {
		if i > 0 {
			text += " + "
		}
		text += a.Kind
	}
	return text
}

func problems(round Round) string {
	text := ""
	for _, d := range round.Done {
		if d.Error != "" {
			text += fmt.Sprintf("\n    %s: %s", d.Action.Kind, d.Error)
		}
	}
	for _, p := range round.Problems {
		text += "\n    PROBLEM " + p
	}
	return text
}

// round plays one period: calm, faults, healing.
func (r *Runner) round(ctx context.Context, p Period) Round {
	round := Round{Number: p.Number, Began: time.Now()}
	before := len(r.Lab.Everyone())
	if r.Calm != nil {
		if err := r.Calm(ctx, p); err != nil {
			round.Problems = append(round.Problems, err.Error())
		}
	}
	r.Lab.Note("period", "", "%d: %s", p.Number, names(p))
	round.Done = r.faults(ctx, p)
	for _, d := range round.Done {
		if d.Accepted {
			round.Problems = append(round.Problems, d.Error)
		}
	}
	round.Healed = time.Now()
	r.Lab.Note("heal", "", "%d", p.Number)
	if err := r.heal(ctx, &round); err != nil {
		round.Problems = append(round.Problems, err.Error())
	}
	round.Replaced = len(r.Lab.Everyone()) - before
	r.Lab.ExpectNothing()
	r.Lab.Note("healed", "", "%d", p.Number)
	return round
}

// faults plays the actions of a period and returns when all have ended.
func (r *Runner) faults(ctx context.Context, p Period) []Done {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.FaultMS)*time.Millisecond)
	defer cancel()
	done := make([]Done, len(p.Actions))
	var wg sync.WaitGroup
	for i, a := range p.Actions {
		wg.Add(1)
		go func() {
			defer wg.Done()
			done[i] = r.act(ctx, a)
		}()
	}
	wg.Wait()
	until(ctx)
	return done
}

func (r *Runner) act(ctx context.Context, a Action) Done {
	d := Done{Action: a}
	if !wait(ctx, time.Duration(a.AfterMS)*time.Millisecond) {
		d.Began, d.Ended, d.Error = time.Now(), time.Now(), "its time did not come"
		return d
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.ForMS)*time.Millisecond)
	defer cancel()
	d.Began = time.Now()
	r.Lab.Note("begin", "", "%s", a.Kind)
	err := kindByName(a.Kind).run(ctx, r.env, a)
	d.Ended = time.Now()
	r.Lab.Note("end", "", "%s: %v", a.Kind, err)
	if err != nil {
		d.Error = err.Error()
		var accepted *errAccepted
		d.Accepted = errors.As(err, &accepted)
	}
	return d
}

// heal takes everything back and waits until the cluster has converged.
func (r *Runner) heal(ctx context.Context, round *Round) error {
	r.env.weather.clear()
	for _, m := range r.Lab.Members() {
		if err := r.Lab.Resume(m); err != nil {
			return err
		}
	}
	for _, m := range r.Lab.Up() {
		_ = r.Lab.Calm(m) // one that has just ended has no orders left
	}
	for _, m := range r.Lab.Members() {
		if err := r.Lab.Start(m); err != nil {
			return err
		}
	}
	start := time.Now()
	if err := r.serves(ctx); err != nil {
		return fmt.Errorf("not served again within %s of healing: %w", recoveryLimit, err)
	}
	round.Recovery = time.Since(start)
	if err := r.reshape(ctx); err != nil {
		return fmt.Errorf("the cluster did not get its shape back within %s: %w", shapeLimit, err)
	}
	if err := r.agrees(ctx); err != nil {
		return err
	}
	round.Converged = time.Since(start)
	return nil
}

// serves waits until every member that is sound is ready and takes a write.
func (r *Runner) serves(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recoveryLimit)
	defer cancel()
	return r.eachMember(ctx, func(ctx context.Context, m *lab.Member) error {
		if err := r.Lab.AwaitReady(ctx, m); err != nil {
			return err
		}
		return r.probe.write(ctx, m)
	})
}

// outsideEvery is how often it is asked whether a member that does not serve
// yet belongs to the cluster at all.
const outsideEvery = time.Second

// eachMember does something with all members of today that belong to the
// cluster. A member that was removed without anybody having been told cannot
// get ready: it is given up.
func (r *Runner) eachMember(ctx context.Context, do func(context.Context, *lab.Member) error) error {
	var wg sync.WaitGroup
	members := r.Lab.Members()
	errs := make([]error, len(members))
	for i, m := range members {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := r.unlessOutside(ctx, m, do); err != nil {
				errs[i] = fmt.Errorf("%s: %w", m.Name, err)
			}
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (r *Runner) unlessOutside(ctx context.Context, m *lab.Member, do func(context.Context, *lab.Member) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(ctx, m) }()
	t := time.NewTicker(outsideEvery)
	defer t.Stop()
	for {
		select {
		case err := <-done:
			if err != nil && r.outside(ctx, m) {
				return nil
			}
			return err
		case <-t.C:
			if r.outside(ctx, m) {
				cancel()
				<-done
				return nil
			}
		}
	}
}

// outside reports whether the cluster does not have a member, which a removal
// without an answer, or a join that was cut off, can lead to.
func (r *Runner) outside(ctx context.Context, m *lab.Member) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for {
		configured, err := r.Lab.Configured(ctx)
		if err == nil {
			return !slices.ContainsFunc(configured, func(c protocol.ClusterMember) bool { return c.ID == m.ID })
		}
		if !wait(ctx, 100*time.Millisecond) {
			return false
		}
	}
}

func (r *Runner) reshape(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shapeLimit)
	defer cancel()
	if err := r.Lab.RestoreShape(ctx); err != nil {
		return err
	}
	return r.Lab.AwaitShape(ctx)
}

// agrees compares the members' digests while nothing is written.
func (r *Runner) agrees(ctx context.Context) error {
	if r.Quiet != nil {
		defer r.Quiet()()
	}
	ctx, cancel := context.WithTimeout(ctx, digestLimit)
	defer cancel()
	_, _, err := r.Lab.AwaitEqualDigests(ctx)
	if err != nil {
		return fmt.Errorf("digests: %w", err)
	}
	return nil
}
