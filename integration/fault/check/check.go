// SPDX-License-Identifier: Apache-2.0

package check

import (
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
)

// Input is everything that is known of a run.
type Input struct {
	Ops []history.Op
	// Log is the committed log, nil while the cluster still runs: then the
	// replay is left out, and only the rules that need no log are applied.
	Log *Log
	// LogViolations are what Merge found.
	LogViolations []Violation
	// Found are what workloads saw that is not in the history.
	Found []Violation
	// Removed are the times during which members were not part of the cluster.
	Removed []Removal
	// MinCoverage is the share of replies that the replay must have been able
	// to look at, from 0 to 1.
	MinCoverage float64
	Linear      LinearOptions
}

// Result is the verdict on a run.
type Result struct {
	// Violations holds the first of each rule, Totals how many there were.
	Violations []Violation  `json:"violations"`
	Totals     map[Rule]int `json:"totals,omitempty"`
	Replay     ReplayStats  `json:"replay"`
	Linear     LinearStats  `json:"linear"`
}

// OK reports whether nothing was found.
func (r *Result) OK() bool { return len(r.Violations) == 0 }

// Run applies all checkers to a run.
func Run(in Input) *Result {
	ops := append([]history.Op(nil), in.Ops...)
	history.Sort(ops)
	out := newFindings()
	for _, v := range append(append([]Violation(nil), in.LogViolations...), in.Found...) {
		out.add(v)
	}
	r := &Result{}
	if in.Log != nil {
		var found *findings
		r.Replay, found = replayed(ops, in.Log)
		out.merge(found)
		if c := r.Replay.Coverage(); c < in.MinCoverage {
			out.blame(CheckerReplay, RuleCoverage, nil, "%.1f %% of the replies could be held against the log, at least %.1f %% are wanted; keep more of the log", 100*c, 100*in.MinCoverage)
		}
	} else {
		out.merge(bounds(ops))
	}
	out.merge(identities(ops))
	out.merge(inverse(ops))
	out.merge(removed(ops, in.Removed))
	if in.Linear.Reaped == nil {
		in.Linear.Reaped = r.Replay.Reaped
	}
	var found *findings
	r.Linear, found = linear(ops, in.Linear)
	out.merge(found)
	r.Violations, r.Totals = out.sorted(), out.totals
	return r
}

// Bounds applies the rules of the replay checker that need no log: real time,
// sessions, min_index and bounded staleness.
func Bounds(ops []history.Op) []Violation { return bounds(ops).sorted() }

func bounds(ops []history.Op) *findings {
	out := newFindings()
	bound(newReplay(ops, &Log{}, out).states, out)
	return out
}

// Coverage is the share of replies that could be compared.
func (s *ReplayStats) Coverage() float64 {
	seen := s.Writes + s.Reads + s.Refusals + s.Digests + s.Remembered
	if seen+s.Uncovered == 0 {
		return 1
	}
	return float64(seen) / float64(seen+s.Uncovered)
}

// Committed is the highest index that the history shows to be committed.
func Committed(ops []history.Op) uint64 {
	top := uint64(0)
	for i := range ops {
		if ops[i].Outcome == history.OK {
			top = max(top, ops[i].Index)
		}
	}
	return top
}
