// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
)

// Log is the committed log as far as it is known.
type Log struct {
	// Entries are by index; indexes may be missing where everybody has compacted.
	Entries []Entry
	// Snapshots are by index, one per index.
	Snapshots []Snapshot
	// Last is the highest index that is known to be committed.
	Last uint64
}

// merger finds out which entries were committed.
//
// What a majority of the final logs agrees on is committed, and so is what a
// snapshot ends with. By Raft's log matching property two logs with an entry of
// the same index and term agree on everything before it, so every log that
// shares an entry with what is known to be committed adds its older entries.
// The tail of a log that shares nothing was never committed, or is wrong.
type merger struct {
	logs  []*MemberLog
	truth map[uint64]*Entry
	terms map[uint64]uint64 // terms of committed entries that are not at hand
	out   *findings
}

// Merge finds out what was committed. committed is an index known to be
// committed: the highest one that a reply or a status has shown.
func Merge(logs []*MemberLog, committed uint64) (*Log, []Violation) {
	logs = slices.Clone(logs) // the longest first: what is known grows downwards
	slices.SortStableFunc(logs, func(a, b *MemberLog) int { return cmp.Compare(b.end(), a.end()) })
	m := &merger{logs: logs, truth: map[uint64]*Entry{}, terms: map[uint64]uint64{}, out: newFindings()}
	m.matching()
	last := max(committed, m.agreed())
	l := &Log{Snapshots: m.snapshots()}
	for _, s := range l.Snapshots {
		m.terms[s.Index] = s.Term
		last = max(last, s.Index)
	}
	for m.extend() {
	}
	m.compare(last)
	l.Last = last
	for _, i := range slices.Sorted(maps.Keys(m.truth)) {
		l.Entries = append(l.Entries, *m.truth[i])
	}
	return l, m.out.sorted()
}

func (m *merger) disagree(format string, args ...any) {
	m.out.add(Violation{Checker: CheckerReplay, Rule: RuleLog, Text: fmt.Sprintf(format, args...)})
}

// matching checks the log matching property: one index and term, one entry.
func (m *merger) matching() {
	type first struct {
		entry  *Entry
		member string
	}
	seen := map[[2]uint64]first{}
	for _, l := range m.logs {
		for i := range l.Entries {
			e := &l.Entries[i]
			key := [2]uint64{e.Index, e.Term}
			if f, ok := seen[key]; !ok {
				seen[key] = first{e, l.Member}
			} else if !f.entry.same(e) {
				m.disagree("entry %d of term %d is not the same on %s and %s", e.Index, e.Term, f.member, l.Member)
			}
		}
	}
}

// final are the logs of members that had caught up; all when none is marked.
func (m *merger) final() []*MemberLog {
	var out []*MemberLog
	for _, l := range m.logs {
		if l.Final {
			out = append(out, l)
		}
	}
	if out == nil {
		return m.logs
	}
	return out
}

// agreed finds the highest index at which a majority of the final logs has
// one and the same entry, and notes it as committed.
func (m *merger) agreed() uint64 {
	final := m.final()
	top := uint64(0)
	for _, l := range final {
		top = max(top, l.end())
	}
	for i := top; i > 0; i-- {
		votes := map[uint64]int{}
		held := 0
		for _, l := range final {
			if e := l.at(i); e != nil {
				held++
				if votes[e.Term]++; votes[e.Term] > len(final)/2 {
					m.truth[i] = e
					return i
				}
			}
		}
		if held == 0 {
			return 0
		}
	}
	return 0
}

// snapshots are all snapshots by index. Two of one index have one digest.
func (m *merger) snapshots() []Snapshot {
	byIndex := map[uint64]Snapshot{}
	owner := map[uint64]string{}
	for _, l := range m.logs {
		for _, s := range l.Snapshots {
			if k, ok := byIndex[s.Index]; !ok || k.Data == nil && k.Digest == s.Digest {
				byIndex[s.Index], owner[s.Index] = s, l.Member
			} else if k.Digest != s.Digest || k.Term != s.Term {
				m.disagree("the snapshots at index %d of %s and %s differ", s.Index, owner[s.Index], l.Member)
			}
		}
	}
	out := slices.Collect(maps.Values(byIndex))
	sort.Slice(out, func(i, j int) bool { return out[i].Index < out[j].Index })
	return out
}

// committed reports whether an entry is known to be committed.
func (m *merger) committed(e *Entry) bool {
	if t := m.truth[e.Index]; t != nil {
		return t.Term == e.Term
	}
	term, ok := m.terms[e.Index]
	return ok && term == e.Term
}

// extend adds what the logs hold before the entries they share with what is
// known, and reports whether that was anything new.
func (m *merger) extend() bool {
	grew := false
	for _, l := range m.logs {
		shared := -1
		for i := len(l.Entries) - 1; i >= 0 && shared < 0; i-- {
			if m.committed(&l.Entries[i]) {
				shared = i
			}
		}
		for i := shared; i >= 0; i-- {
			e := &l.Entries[i]
			if i < shared && l.Entries[i+1].Index != e.Index+1 {
				break // what lies before a hole is another log
			}
			if m.truth[e.Index] == nil {
				m.truth[e.Index] = e
				grew = true
			}
		}
	}
	return grew
}

// compare holds the final logs against what was committed.
func (m *merger) compare(last uint64) {
	for _, l := range m.final() {
		for i := range l.Entries {
			e := &l.Entries[i]
			t := m.truth[e.Index]
			switch {
			case e.Index > last:
			case t == nil:
				m.disagree("%s: no majority holds entry %d of term %d although index %d was acknowledged", l.Member, e.Index, e.Term, last)
				return
			case !t.same(e):
				m.disagree("%s has an entry of term %d at index %d, the committed one is of term %d", l.Member, e.Term, e.Index, t.Term)
				return
			}
		}
	}
	if m.truth[last] == nil && m.terms[last] == 0 {
		m.disagree("index %d was acknowledged, and no majority of the logs reaches it", last)
	}
}
