// SPDX-License-Identifier: Apache-2.0

//go:build linux

package soak

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
	"github.com/pilotregistry/pilotregistry/integration/fault/nemesis"
	"github.com/pilotregistry/pilotregistry/integration/fault/report"
	"github.com/pilotregistry/pilotregistry/integration/fault/workload"
)

// newPage gathers what the page of a run shows.
func (s *Session) newPage(ops []history.Op) *report.Run {
	base := s.load.recorder.Base()
	return &report.Run{Ops: ops, Faults: faultBars(base, s.result.Rounds), Leaders: leaderChanges(base, s.lab.Reigns()), Result: s.result.Check,
		Meta: report.Meta{Title: fmt.Sprintf("Soak of %d voters and %d others, seed %d", s.cfg.Voters, s.cfg.NonVoters, s.cfg.Seed),
			Seed: s.cfg.Seed, Commit: commit(), GoVersion: runtime.Version(), Started: s.result.Began}}
}

// report leaves the result, and the page that shows what happened when.
func (s *Session) report() error {
	raw, err := json.MarshalIndent(s.result, "", " ")
	if err != nil {
		return err
	}
	s.page.Meta.Notes = s.notes()
	for _, f := range s.result.Found {
		if !strings.HasPrefix(f, violationPrefix) { // the page shows these with their operations
			s.page.Meta.Found = append(s.page.Meta.Found, f)
		}
	}
	return errors.Join(os.WriteFile(filepath.Join(s.cfg.Dir, "result.json"), append(raw, '\n'), 0o600),
		report.Write(filepath.Join(s.cfg.Dir, "report.html"), s.page))
}

// notes are what the page says in words of what was not tested.
func (s *Session) notes() []string {
	var out []string
	for _, k := range nemesis.Kinds() {
		if why := k.Missing(); why != "" {
			out = append(out, fmt.Sprintf("not used: %s (%s): %s", k.Name, k.Doc, why))
		}
	}
	for _, p := range s.result.unreached() {
		out = append(out, "not reached: "+p)
	}
	return append(out, workload.Missing()...)
}

// faultBars are the actions on the history's clock.
func faultBars(base time.Time, rounds []nemesis.Round) []report.Fault {
	var out []report.Fault
	for _, round := range rounds {
		for _, d := range round.Done {
			detail, err := json.Marshal(d.Action.Args)
			if err != nil { // strings and numbers always encode
				panic(err)
			}
			out = append(out, report.Fault{Kind: d.Action.Kind, Target: d.Action.Target, Start: int64(d.Began.Sub(base)), End: int64(d.Ended.Sub(base)),
				Detail: fmt.Sprintf("period %d %s %s", round.Number, detail, d.Error)})
		}
	}
	return out
}

// leaderChanges turns reigns, which may overlap for a moment, into changes. A
// reign's end counts when nobody else leads by then.
func leaderChanges(base time.Time, reigns []lab.Reign) []report.LeaderChange {
	reigns = slices.Clone(reigns)
	slices.SortFunc(reigns, func(a, b lab.Reign) int { return a.From.Compare(b.From) })
	var out []report.LeaderChange
	for i, g := range reigns {
		out = append(out, report.LeaderChange{At: int64(g.From.Sub(base)), Member: g.Member, Term: g.Term})
		if i+1 < len(reigns) && reigns[i+1].From.After(g.Until) {
			out = append(out, report.LeaderChange{At: int64(g.Until.Sub(base)), Term: g.Term})
		}
	}
	return out
}
