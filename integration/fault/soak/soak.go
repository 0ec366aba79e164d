//go:build linux

package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
	"github.com/pilotregistry/pilotregistry/integration/fault/nemesis"
	"github.com/pilotregistry/pilotregistry/integration/fault/report"
)

// run is a run under way.
type run struct {
	cfg    *Config
	lab    *lab.Lab
	load   *load
	result *Result
	index  uint64 // highest index that all members have shown
	page   *report.Run
}

// Limits of the end of a run.
const (
	setupLimit = time.Minute
	finalLimit = 90 * time.Second
	leakLimit  = 20 * time.Second
	stopLimit  = 30 * time.Second
)

// removalGrace is how long a removed member may go on: the others keep its
// connections for 2 s, over which its requests reach the leader as before.
const removalGrace = 3 * time.Second

// Run carries out one run. The error says why it could not be carried out;
// what was found is in the result.
func Run(ctx context.Context, c Config) (*Result, error) {
	if err := c.setDefaults(); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "plan.json"), c.Plan.JSON(), 0o600); err != nil {
		return nil, err
	}
	r := &run{cfg: &c, result: &Result{Seed: c.Seed, Length: c.Length, Voters: c.Voters, NonVoters: c.NonVoters, Began: time.Now(), Dir: c.Dir}}
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	defer r.lab.Close()
	if err := r.play(ctx); err != nil {
		return nil, err
	}
	if err := r.judge(); err != nil {
		return nil, err
	}
	r.result.Ended = time.Now()
	r.work()
	if err := r.report(); err != nil {
		return nil, err
	}
	if r.result.OK() && !c.Keep {
		return r.result, r.tidy()
	}
	return r.result, nil
}

// start brings up cluster and workloads.
func (r *run) start(ctx context.Context) error {
	c := r.cfg
	var err error
	r.lab, err = lab.New(ctx, lab.Options{Dir: filepath.Join(c.Dir, "lab"), Voters: c.Voters, NonVoters: c.NonVoters, Binary: c.Binary, Set: settings, Seed: c.Seed})
	if err != nil {
		return err
	}
	if r.load, err = newLoad(c, r.lab, filepath.Join(c.Dir, "history")); err != nil {
		r.lab.Close()
		return err
	}
	setup, cancel := context.WithTimeout(ctx, setupLimit)
	defer cancel()
	if err := r.load.suite.Setup(setup); err != nil {
		r.lab.Close()
		return fmt.Errorf("set up the workloads: %w", err)
	}
	c.say("%d members up, %d periods planned, artefacts in %s", c.Voters+c.NonVoters, len(c.Plan.Periods), c.Dir)
	return nil
}

// play runs load and faults, and then reads everything back.
func (r *run) play(ctx context.Context) error {
	loading, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		r.load.suite.Run(loading)
	}()
	runner := nemesis.Runner{Lab: r.lab, Plan: r.cfg.Plan, Binaries: []string{r.cfg.Binary, r.cfg.Next},
		Calm: r.load.calm, Quiet: r.load.gate.shut, Log: r.cfg.say}
	rounds, err := runner.Run(loading)
	stop()
	wg.Wait()
	r.result.Rounds = rounds
	if err != nil {
		return err
	}
	if n := len(rounds); n > 0 && rounds[n-1].Converged == 0 {
		r.result.note("the run was ended: the cluster did not converge after period %d", rounds[n-1].Number)
		return r.end(ctx)
	}
	r.cfg.say("final reads")
	final, cancel := context.WithTimeout(ctx, finalLimit)
	defer cancel()
	if err := r.load.suite.Final(final); err != nil {
		r.result.note("final reads: %v", err)
	}
	_, index, err := r.lab.AwaitEqualDigests(final)
	if err != nil {
		r.result.note("final digests: %v", err)
	}
	r.index = index
	leaks, cancelLeaks := context.WithTimeout(ctx, leakLimit)
	defer cancelLeaks()
	for _, found := range r.lab.Leaks(leaks, lab.DefaultBounds) {
		r.result.note("leak: %s", found)
	}
	return r.end(ctx)
}

// end stops all members in good order.
func (r *run) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, m := range r.lab.Members() {
		if !r.lab.Running(m) {
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := r.lab.Terminate(ctx, m); err != nil {
				mu.Lock()
				defer mu.Unlock()
				r.result.note("%v", err)
			}
		}()
	}
	wg.Wait()
	return r.load.recorder.Close()
}

// judge applies the checkers and the checks that need none.
func (r *run) judge() error {
	ops := r.load.recorder.Ops()
	r.cfg.say("checking %d operations", len(ops))
	in := check.Input{Ops: ops, MinCoverage: minCoverage,
		Linear: check.LinearOptions{Models: r.load.suite.Models(), Dir: filepath.Join(r.cfg.Dir, "porcupine")}}
	for _, gone := range r.lab.Removals() {
		in.Removed = append(in.Removed, check.Removal{Member: gone.Member, From: int64(gone.At.Add(removalGrace).Sub(r.load.recorder.Base()))})
	}
	if err := r.logs(&in); err != nil {
		return err
	}
	r.result.Check = check.Run(in)
	r.page = r.newPage(ops)
	r.result.measure(r.page)
	for _, v := range r.result.Check.Violations {
		r.result.note("violation: %s", v)
	}
	for _, round := range r.result.Rounds {
		for _, p := range round.Problems {
			r.result.note("period %d: %s", round.Number, p)
		}
	}
	for _, e := range r.lab.UnexpectedExits() {
		r.result.note("unexpected end: %s\n%s", e, e.Last)
	}
	alarms, err := r.lab.Alarms()
	for _, a := range alarms {
		r.result.note("alarm in a log: %s", a)
	}
	r.result.count(r.lab)
	return err
}

// logs hands the members' logs to the replay checker: what they journalled,
// which has everything, and the snapshots on their disks.
func (r *run) logs(in *check.Input) error {
	collector := check.NewCollector()
	for _, m := range r.lab.Everyone() {
		journal, err := r.lab.Journal(m)
		if err != nil {
			return err
		}
		collector.Add(journal)
	}
	var final []string
	for _, m := range r.lab.Members() {
		final = append(final, m.Name)
		if err := collector.Collect(m.Name, m.Dir); err != nil {
			r.result.note("the data of %s cannot be read: %v", m.Name, err)
		}
	}
	in.Log, in.LogViolations = collector.Merge(final, r.index)
	return nil
}

// tidy removes what nobody will look at.
func (r *run) tidy() error {
	return errors.Join(os.RemoveAll(filepath.Join(r.cfg.Dir, "lab")), os.RemoveAll(filepath.Join(r.cfg.Dir, "history")))
}
