// SPDX-License-Identifier: Apache-2.0

//go:build linux

package soak

import (
	"path/filepath"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
)

// removalGrace is how long a removed member may go on: the others keep its
// connections for 2 s, over which its requests reach the leader as before.
const removalGrace = 3 * time.Second

// violationPrefix begins what the checkers found.
const violationPrefix = "violation: "

// judge applies the checkers and the checks that need none.
func (s *Session) judge() error {
	ops := s.load.recorder.Ops()
	s.cfg.say("checking %d operations", len(ops))
	in := check.Input{Ops: ops, MinCoverage: minCoverage,
		Linear: check.LinearOptions{Models: s.load.suite.Models(), Dir: filepath.Join(s.cfg.Dir, "porcupine")}}
	s.result.Saw, in.Found = s.load.suite.Judge(ops)
	for _, gone := range s.lab.Removals() {
		in.Removed = append(in.Removed, check.Removal{Member: gone.Member, From: int64(gone.At.Add(removalGrace).Sub(s.load.recorder.Base()))})
	}
	if err := s.logs(&in); err != nil {
		return err
	}
	s.result.Check = check.Run(in)
	s.page = s.newPage(ops)
	s.result.measure(s.page)
	for _, v := range s.result.Check.Violations {
		s.result.note(violationPrefix+"%s", v)
	}
	for _, round := range s.result.Rounds {
		for _, p := range round.Problems {
			s.result.note("period %d: %s", round.Number, p)
		}
	}
	for _, e := range s.lab.UnexpectedExits() {
		s.result.note("unexpected end: %s\n%s", e, e.Last)
	}
	alarms, err := s.lab.Alarms()
	for _, a := range alarms {
		s.result.note("alarm in a log: %s", a)
	}
	s.result.count(s.lab)
	return err
}

// logs hands the members' logs to the replay checker: what they journalled,
// which has everything, and then the snapshots on their disks.
func (s *Session) logs(in *check.Input) error {
	collector := check.NewCollector()
	for _, m := range s.lab.Everyone() {
		journal, err := s.lab.Journal(m)
		if err != nil {
			return err
		}
		for _, stretch := range lab.Stretches(journal) {
			collector.Add(stretch)
		}
	}
	var final []string
	for _, m := range s.lab.Members() {
		final = append(final, m.Name)
		if err := collector.Collect(m.Name, m.Dir); err != nil {
			s.result.note("the data of %s cannot be read: %v", m.Name, err)
		}
	}
	in.Log, in.LogViolations = collector.Merge(final, s.index)
	if s.index == 0 {
		in.LogViolations = nil // nobody knows who had caught up; the run has failed anyway
	}
	return nil
}

// work fails a run that did too little to mean anything.
func (s *Session) work() {
	if len(s.result.Rounds) < len(s.cfg.Plan.Periods) {
		s.result.note("only %d of %d periods were played", len(s.result.Rounds), len(s.cfg.Plan.Periods))
		return
	}
	if s.cfg.Length < everyKindFrom {
		return
	}
	for _, kind := range s.cfg.Plan.Kinds {
		if s.result.Faults[kind] == 0 {
			s.result.note("no fault of kind %s took place", kind)
		}
	}
}
