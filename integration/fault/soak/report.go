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
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
	"github.com/pilotregistry/pilotregistry/integration/fault/nemesis"
	"github.com/pilotregistry/pilotregistry/integration/fault/report"
	"github.com/pilotregistry/pilotregistry/integration/fault/workload"
)

// newPage gathers what the page of a run shows.
func (r *run) newPage(ops []history.Op) *report.Run {
	base := r.load.recorder.Base()
	return &report.Run{Ops: ops, Faults: faultBars(base, r.result.Rounds), Leaders: leaderChanges(base, r.lab.Reigns()), Result: r.result.Check,
		Meta: report.Meta{Title: fmt.Sprintf("Soak of %d voters and %d others, seed %d", r.cfg.Voters, r.cfg.NonVoters, r.cfg.Seed),
			Seed: r.cfg.Seed, Commit: commit(), GoVersion: runtime.Version(), Started: r.result.Began}}
}

// report leaves the result, and the page that shows what happened when.
func (r *run) report() error {
	raw, err := json.MarshalIndent(r.result, "", " ")
	if err != nil {
		return err
	}
	r.page.Meta.Notes = r.notes()
	return errors.Join(os.WriteFile(filepath.Join(r.cfg.Dir, "result.json"), append(raw, '\n'), 0o600),
		report.Write(filepath.Join(r.cfg.Dir, "report.html"), r.page))
}

// notes are what the page says in words: what was found beside the checkers,
// and what was not tested.
func (r *run) notes() []string {
	out := slices.Clone(r.result.Found)
	for _, k := range nemesis.Kinds() {
		if why := k.Missing(); why != "" {
			out = append(out, fmt.Sprintf("not used: %s (%s): %s", k.Name, k.Doc, why))
		}
	}
	for _, p := range r.result.unreached() {
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
