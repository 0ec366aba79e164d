// SPDX-License-Identifier: Apache-2.0

//go:build linux

package soak

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
	"github.com/pilotregistry/pilotregistry/integration/fault/nemesis"
	"github.com/pilotregistry/pilotregistry/integration/fault/report"
)

// Result is what a run did and found.
type Result struct {
	Seed      uint64        `json:"seed"`
	Length    time.Duration `json:"length"`
	Voters    int           `json:"voters"`
	NonVoters int           `json:"nonvoters"`
	Began     time.Time     `json:"began"`
	Ended     time.Time     `json:"ended"`
	Dir       string        `json:"dir"`

	OKs, Rejected, Unknown, Acked int
	// Gap is the longest time without an acknowledged write, in the middle of
	// whichever faults; Outage50 and Outage99 are quantiles of that time by fault.
	Gap      time.Duration `json:"gap"`
	Outage50 time.Duration `json:"outage_p50"`
	Outage99 time.Duration `json:"outage_p99"`
	// Faults counts the actions that took place, by kind.
	Faults map[string]int `json:"faults"`
	// Reached counts hits by fault point.
	Reached map[fault.Point]uint64 `json:"reached"`
	// Replaced counts members that joined in place of lost ones; Exits the
	// ends of processes by kind.
	Replaced int            `json:"replaced"`
	Exits    map[string]int `json:"exits"`
	Leaders  int            `json:"leaders"`

	Rounds []nemesis.Round `json:"rounds,omitempty"`
	Check  *check.Result   `json:"check,omitempty"`
	// Saw says what workloads looked at themselves, a line each.
	Saw []string `json:"saw,omitempty"`
	// Found is everything that was wrong.
	Found []string `json:"found,omitempty"`
}

// OK reports whether nothing was wrong.
func (r *Result) OK() bool { return len(r.Found) == 0 }

func (r *Result) note(format string, args ...any) {
	r.Found = append(r.Found, fmt.Sprintf(format, args...))
}

// measure takes over the figures of the report.
func (r *Result) measure(run *report.Run) {
	s := report.Summarize(run)
	r.OKs, r.Rejected, r.Unknown, r.Acked = s.OK, s.Failed, s.Unknown, s.Acked
	r.Gap, r.Outage50, r.Outage99 = s.WriteGap, s.OutageP50, s.OutageP99
}

// count takes over what the lab has seen.
func (r *Result) count(l *lab.Lab) {
	r.Reached, r.Faults, r.Exits = l.Reached(), map[string]int{}, map[string]int{}
	for _, round := range r.Rounds {
		r.Replaced += round.Replaced
		for _, d := range round.Done {
			if d.TookPlace() {
				r.Faults[d.Action.Kind]++
			}
		}
	}
	for _, e := range l.Exits() {
		r.Exits[e.End()]++
	}
	r.Leaders = len(l.Reigns())
}

// unreached are the points that no member came to.
func (r *Result) unreached() []string {
	var out []string
	for _, p := range fault.Points {
		if r.Reached[p] == 0 {
			out = append(out, string(p))
		}
	}
	return out
}

// quantile of the recovery times; 0 when there are none.
func (r *Result) quantile(q float64) time.Duration {
	var all []time.Duration
	for _, round := range r.Rounds {
		if round.Recovery > 0 && len(round.Done) > 0 {
			all = append(all, round.Recovery)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(q*float64(len(all))))].Round(time.Millisecond)
}

// Print writes the table of a run.
func (r *Result) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	took := r.Ended.Sub(r.Began)
	total := r.OKs + r.Rejected + r.Unknown
	row("seed", "%d, %d voters, %d without a vote, %s", r.Seed, r.Voters, r.NonVoters, took.Round(time.Second))
	row("operations", "%d (%.0f/s): %d ok, %d rejected, %d unknown; %d writes acknowledged", total, float64(total)/took.Seconds(), r.OKs, r.Rejected, r.Unknown, r.Acked)
	count := 0
	for _, n := range r.Faults {
		count += n
	}
	row("faults", "%d of %d kinds in %d periods", count, len(r.Faults), len(r.Rounds))
	for _, line := range wrap(byCount(r.Faults), 100) {
		row("", "%s", line)
	}
	row("members", "%d replaced, %d reigns, ends: %s", r.Replaced, r.Leaders, strings.Join(byCount(r.Exits), ", "))
	missing := r.unreached()
	row("points reached", "%d of %d", len(fault.Points)-len(missing), len(fault.Points))
	if len(missing) > 0 {
		row("not reached", "%s", strings.Join(missing, ", "))
	}
	row("recovery", "p50 %s, p99 %s from healing until every member takes writes", r.quantile(0.5), r.quantile(0.99))
	row("write outage", "p50 %s, p99 %s per fault; longest %s", r.Outage50.Round(time.Millisecond), r.Outage99.Round(time.Millisecond), r.Gap.Round(time.Millisecond))
	if r.Check != nil {
		s, l := r.Check.Replay, r.Check.Linear
		row("replay", "%d entries, %d writes, %d reads, %d refusals, %d digests compared, %d unknown resolved, coverage %.1f %%", s.Entries, s.Writes, s.Reads, s.Refusals, s.Digests, s.Resolved, 100*s.Coverage())
		row("porcupine", "%d keys, %d operations, %d of them open, slowest key %s", l.Keys, l.Ops, l.Unknown, l.Slowest.Round(time.Millisecond))
	}
	for _, line := range r.Saw {
		name, text, _ := strings.Cut(line, ": ")
		row(name, "%s", text)
	}
	row("violations", "%d", len(r.Found))
	if err := w.Flush(); err != nil {
		return err
	}
	for _, f := range r.Found {
		fmt.Fprintln(out, "  -", f)
	}
	if !r.OK() {
		fmt.Fprintln(out, "artefacts:", r.Dir)
	}
	return nil
}

// byCount renders counts, the largest first.
func byCount(counts map[string]int) []string {
	names := slices.Collect(maps.Keys(counts))
	sort.Slice(names, func(i, j int) bool {
		return cmp.Or(cmp.Compare(counts[names[j]], counts[names[i]]), cmp.Compare(names[i], names[j])) < 0
	})
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %d", n, counts[n])
	}
	return names
}

// wrap joins words into lines.
func wrap(words []string, width int) []string {
	var lines []string
	line := ""
	for _, word := range words {
		if line != "" && len(line)+len(word)+2 > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += ", "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
