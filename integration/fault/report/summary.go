// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
)

// Recovery is what a fault did to writes.
type Recovery struct {
	Fault Fault
	// Outage is the longest time without an acknowledged write from the start
	// of the fault until writes went on after its end.
	Outage time.Duration
	// AfterHeal is the time from the end of the fault to the first acknowledged
	// write that was called after it.
	AfterHeal time.Duration
	// Never is true when no write was acknowledged after it.
	Never bool
}

// Summary are the figures of a run in one line.
type Summary struct {
	Duration            time.Duration
	OK, Failed, Unknown int
	Acked               int
	OpsPerSecond        float64
	Faults              map[string]int
	OutageP50           time.Duration
	OutageP99           time.Duration
	AfterHealP50        time.Duration
	AfterHealP99        time.Duration
	// WriteGap is the longest time without an acknowledged write, up to the
	// last one.
	WriteGap   time.Duration
	Violations int
	Recoveries []Recovery `json:"-"`
}

// Ops is the number of operations.
func (s Summary) Ops() int { return s.OK + s.Failed + s.Unknown }

// Summarize computes the figures of a run.
func Summarize(r *Run) Summary {
	s := Summary{Faults: map[string]int{}}
	first, last := span(r)
	s.Duration = time.Duration(last - first)
	for i := range r.Ops {
		switch r.Ops[i].Outcome {
		case history.OK:
			s.OK++
		case history.Fail:
			s.Failed++
		default:
			s.Unknown++
		}
	}
	if s.Duration > 0 {
		s.OpsPerSecond = float64(s.Ops()) / s.Duration.Seconds()
	}
	acks := acknowledged(r.Ops)
	s.Acked = len(acks)
	for i := 1; i < len(acks); i++ {
		s.WriteGap = max(s.WriteGap, time.Duration(acks[i].at-acks[i-1].at))
	}
	s.Recoveries = recoveries(r.Faults, acks, last)
	var outages, heals []time.Duration
	for _, rec := range s.Recoveries {
		s.Faults[rec.Fault.Kind]++
		outages, heals = append(outages, rec.Outage), append(heals, rec.AfterHeal)
	}
	s.OutageP50, s.OutageP99 = quantile(outages, 0.5), quantile(outages, 0.99)
	s.AfterHealP50, s.AfterHealP99 = quantile(heals, 0.5), quantile(heals, 0.99)
	if r.Result != nil {
		for _, n := range r.Result.Totals {
			s.Violations += n
		}
	}
	return s
}

// span is the time that the run covers.
func span(r *Run) (first, last int64) {
	if len(r.Ops) > 0 {
		first = r.Ops[0].Call
	}
	for i := range r.Ops {
		first, last = min(first, r.Ops[i].Call), max(last, r.Ops[i].Return)
	}
	for _, f := range r.Faults {
		first, last = min(first, f.Start), max(last, f.End)
	}
	return first, last
}

// ack is an acknowledged write.
type ack struct{ at, called int64 }

func acknowledged(ops []history.Op) []ack {
	var out []ack
	for i := range ops {
		if op := &ops[i]; op.Outcome == history.OK && op.Writes() {
			out = append(out, ack{op.Return, op.Call})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].at < out[j].at })
	return out
}

func recoveries(faults []Fault, acks []ack, last int64) []Recovery {
	out := make([]Recovery, 0, len(faults))
	for _, f := range faults {
		out = append(out, recovery(f, acks, last))
	}
	return out
}

func recovery(f Fault, acks []ack, last int64) Recovery {
	rec := Recovery{Fault: f, Never: true}
	at := f.Start
	for _, a := range acks[sort.Search(len(acks), func(i int) bool { return acks[i].at > f.Start }):] {
		rec.Outage = max(rec.Outage, time.Duration(a.at-at))
		at = a.at
		if a.called >= f.End {
			rec.AfterHeal, rec.Never = time.Duration(a.at-f.End), false
			break
		}
	}
	if rec.Never {
		rec.Outage = max(rec.Outage, time.Duration(last-at))
		rec.AfterHeal = time.Duration(max(last-f.End, 0))
	}
	return rec
}

// quantile is the smallest value that a share of the values do not exceed.
func quantile(values []time.Duration, share float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := int(share*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

type workloadRow struct {
	Name                            string
	OK, Failed, Unknown, Acked, All int
}

// workloads counts operations by workload, with a row for all of them.
func workloads(ops []history.Op) []workloadRow {
	rows := map[string]*workloadRow{}
	all := workloadRow{Name: "all"}
	for i := range ops {
		op := &ops[i]
		row := rows[op.Workload]
		if row == nil {
			row = &workloadRow{Name: op.Workload}
			rows[op.Workload] = row
		}
		for _, r := range []*workloadRow{row, &all} {
			r.All++
			switch op.Outcome {
			case history.OK:
				r.OK++
				if op.Writes() {
					r.Acked++
				}
			case history.Fail:
				r.Failed++
			default:
				r.Unknown++
			}
		}
	}
	var out []workloadRow
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		out = append(out, *rows[name])
	}
	return append(out, all)
}

type kindRow struct {
	Kind                string
	Count               int
	OutageP50, Longest  time.Duration
	HealP50, HealLonges time.Duration
}

// kinds sums up faults by kind.
func kinds(r *Run) []kindRow {
	_, last := span(r)
	outages, heals := map[string][]time.Duration{}, map[string][]time.Duration{}
	for _, rec := range recoveries(r.Faults, acknowledged(r.Ops), last) {
		k := rec.Fault.Kind
		outages[k], heals[k] = append(outages[k], rec.Outage), append(heals[k], rec.AfterHeal)
	}
	var out []kindRow
	for _, k := range slices.Sorted(maps.Keys(outages)) {
		out = append(out, kindRow{Kind: k, Count: len(outages[k]), OutageP50: quantile(outages[k], 0.5), Longest: quantile(outages[k], 1),
			HealP50: quantile(heals[k], 0.5), HealLonges: quantile(heals[k], 1)})
	}
	return out
}

type ruleRow struct {
	Rule  check.Rule
	Count int
}

func rules(r *check.Result) []ruleRow {
	var out []ruleRow
	for _, rule := range slices.Sorted(maps.Keys(r.Totals)) {
		if r.Totals[rule] > 0 {
			out = append(out, ruleRow{rule, r.Totals[rule]})
		}
	}
	return out
}

// coverage says how much was looked at.
func coverage(r *check.Result) string {
	p, l := r.Replay, r.Linear
	replay := "Replay: not run, the log was not at hand."
	if p.Digest != "" {
		replay = fmt.Sprintf("Replay: %d entries with %d commands, %d gaps; %d writes, %d reads, %d refusals, %d digests and %d snapshots compared, "+
			"%d writes remembered, %d unknown outcomes resolved, %d replies not covered (%.1f %% covered).",
			p.Entries, p.Commands, p.Gaps, p.Writes, p.Reads, p.Refusals, p.Digests, p.Snapshots, p.Remembered, p.Resolved, p.Uncovered, 100*p.Coverage())
	}
	return fmt.Sprintf("%s Porcupine: %d keys with %d operations, %d of them open, %d keys exempt, longest search %s.",
		replay, l.Keys, l.Ops, l.Unknown, l.Exempt, l.Slowest.Round(time.Millisecond))
}
