// SPDX-License-Identifier: Apache-2.0

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

	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
	"github.com/pilotregistry/pilotregistry/integration/fault/nemesis"
	"github.com/pilotregistry/pilotregistry/integration/fault/report"
)

// Session is a cluster under load, until Finish.
type Session struct {
	cfg    *Config
	lab    *lab.Lab
	load   *load
	result *Result
	index  uint64 // highest index that all members have shown
	page   *report.Run

	unload func() // stops the load and waits for its last operation
}

// Limits of the steps of a run.
const (
	setupLimit = time.Minute
	finalLimit = 3 * time.Minute
	leakLimit  = 20 * time.Second
	stopLimit  = 30 * time.Second
)

// Run carries out one run. The error says why it could not be carried out;
// what was found is in the result.
func Run(ctx context.Context, c Config) (*Result, error) {
	s, err := Start(ctx, c)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := s.Play(ctx); err != nil {
		return nil, err
	}
	return s.Finish(ctx)
}

// Start brings up cluster and load.
func Start(ctx context.Context, c Config) (*Session, error) {
	if err := c.setDefaults(); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "plan.json"), c.Plan.JSON(), 0o600); err != nil {
		return nil, err
	}
	s := &Session{cfg: &c, unload: func() {},
		result: &Result{Seed: c.Seed, Length: c.Length, Voters: c.Voters, NonVoters: c.NonVoters, Began: time.Now(), Dir: c.Dir}}
	var err error
	s.lab, err = lab.New(ctx, lab.Options{Dir: filepath.Join(c.Dir, "lab"), Voters: c.Voters, NonVoters: c.NonVoters, Binary: c.Binary,
		Set: settings, Seed: c.Seed, Disks: c.Plan.NeedsDisks(), WallClocks: c.Plan.MovesWallClocks()})
	if err != nil {
		return nil, err
	}
	if s.load, err = newLoad(&c, s.lab, filepath.Join(c.Dir, "history")); err != nil {
		s.Close()
		return nil, err
	}
	setup, cancel := context.WithTimeout(ctx, setupLimit)
	defer cancel()
	status, err := s.lab.Status(setup, s.lab.Members()[0])
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("ask for the cluster's id: %w", err)
	}
	s.load.env.ClusterID = status.ClusterID
	if err := s.load.suite.Setup(setup); err != nil {
		s.Close()
		return nil, fmt.Errorf("set up the workloads: %w", err)
	}
	c.say("%d members up, %d periods planned, artefacts in %s", c.Voters+c.NonVoters, len(c.Plan.Periods), c.Dir)
	s.begin(ctx)
	return s, nil
}

// begin lets the load flow.
func (s *Session) begin(ctx context.Context) {
	loading, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		s.load.suite.Run(loading)
	}()
	s.unload = func() {
		stop()
		wg.Wait()
	}
}

// Close ends what still runs.
func (s *Session) Close() {
	s.unload()
	s.lab.Close()
	if s.load != nil && s.load.suite != nil {
		_ = s.load.suite.Close() // of receivers that nobody sends to any more
	}
}

// Lab is the cluster.
func (s *Session) Lab() *lab.Lab { return s.lab }

// Acked is the number of writes acknowledged so far.
func (s *Session) Acked() int64 { return s.load.recorder.Counts().Acked }

// Quiet keeps operations from beginning until resume is called.
func (s *Session) Quiet() (resume func()) { return s.load.gate.shut() }

// Play plays the plan.
func (s *Session) Play(ctx context.Context) error {
	runner := nemesis.Runner{Lab: s.lab, Plan: s.cfg.Plan, Binaries: []string{s.cfg.Binary, s.cfg.Next},
		Calm: s.load.calm, Quiet: s.load.gate.shut, Log: s.cfg.say}
	rounds, err := runner.Run(ctx)
	s.result.Rounds = rounds
	return err
}

// Finish stops the load, reads everything back, stops the members and judges
// the run. The cluster must be healed.
func (s *Session) Finish(ctx context.Context) (*Result, error) {
	s.unload()
	if n := len(s.result.Rounds); n > 0 && s.result.Rounds[n-1].Converged == 0 {
		s.result.note("the run was ended: the cluster did not converge after period %d", s.result.Rounds[n-1].Number)
	} else {
		s.finalReads(ctx)
	}
	if err := s.end(ctx); err != nil {
		return nil, err
	}
	if err := s.judge(); err != nil {
		return nil, err
	}
	s.result.Ended = time.Now()
	s.work()
	if err := s.report(); err != nil {
		return nil, err
	}
	if s.result.OK() && !s.cfg.Keep {
		return s.result, s.tidy()
	}
	return s.result, nil
}

func (s *Session) finalReads(ctx context.Context) {
	s.cfg.say("final reads")
	final, cancel := context.WithTimeout(ctx, finalLimit)
	defer cancel()
	if err := s.load.suite.Final(final); err != nil {
		s.result.note("final reads: %v", err)
	}
	_, index, err := s.lab.AwaitEqualDigests(final)
	if err != nil {
		s.result.note("final digests: %v", err)
	}
	s.index = index
	leaks, cancelLeaks := context.WithTimeout(ctx, leakLimit)
	defer cancelLeaks()
	for _, found := range s.lab.Leaks(leaks, lab.DefaultBounds) {
		s.result.note("leak: %s", found)
	}
}

// end stops all members in good order.
func (s *Session) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, m := range s.lab.Members() {
		if !s.lab.Running(m) {
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := s.lab.Terminate(ctx, m); err != nil {
				mu.Lock()
				defer mu.Unlock()
				s.result.note("%v", err)
			}
		}()
	}
	wg.Wait()
	return s.load.recorder.Close()
}

// tidy removes what nobody will look at. The members' disks must be gone first.
func (s *Session) tidy() error {
	s.lab.Close()
	return errors.Join(os.RemoveAll(filepath.Join(s.cfg.Dir, "lab")), os.RemoveAll(filepath.Join(s.cfg.Dir, "history")))
}
