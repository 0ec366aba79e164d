// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"sync"
	"time"
)

// Collector gathers logs during a run. Logs are compacted, so whoever
// reads them only at the end finds the end; every time a member is down is an
// opportunity to keep what it still has, and see Tap. What is already known is
// kept once. It is safe for concurrent use.
type Collector struct {
	mu        sync.Mutex
	logs      []*MemberLog
	entries   map[[2]uint64][]Entry // by index and term
	indexes   map[uint64]bool
	snapshots map[uint64][]Snapshot
	files     map[string]Snapshot
	whole     []uint64 // indexes of snapshots that are kept with their data
}

// NewCollector makes an empty collector.
func NewCollector() *Collector {
	return &Collector{entries: map[[2]uint64][]Entry{}, indexes: map[uint64]bool{}, snapshots: map[uint64][]Snapshot{}, files: map[string]Snapshot{}}
}

// Collect reads a member's data directory, see [ReadLog].
func (c *Collector) Collect(member, dataDir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.collect(member, dataDir)
}

func (c *Collector) collect(member, dataDir string) error {
	m, err := readLog(dataDir, c.files)
	if err != nil {
		return err
	}
	m.Member = member
	c.add(m)
	for path, s := range c.files { // the data is kept where it is needed, see keep
		s.Data = nil
		c.files[path] = s
	}
	return nil
}

// Tap collects from running members until ctx ends. A copy of a file that is
// being written may be torn; entries carry checksums, so it is then noticed and
// left out, and the next one may do. dirs are data directories by member. It
// returns how many copies were of use.
func (c *Collector) Tap(ctx context.Context, every time.Duration, dirs func() map[string]string) int {
	t := time.NewTicker(every)
	defer t.Stop()
	used := 0
	for {
		select {
		case <-ctx.Done():
			return used
		case <-t.C:
		}
		for member, dir := range dirs() {
			if c.Collect(member, dir) == nil {
				used++
			}
		}
	}
}

// Add keeps a log.
func (c *Collector) Add(m *MemberLog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(m)
}

func (c *Collector) add(m *MemberLog) {
	for i := range m.Entries {
		m.Entries[i] = c.intern(m.Entries[i])
	}
	for i, s := range m.Snapshots {
		m.Snapshots[i] = c.keep(s)
	}
	for i := len(c.logs) - 1; i >= 0; i-- {
		if c.logs[i].Member == m.Member {
			if c.logs[i].goesOn(m) {
				return
			}
			break
		}
	}
	c.logs = append(c.logs, m)
}

// goesOn joins a later log of the same member when that still holds the end of
// this one: then nothing in between was cut off, and the two are one.
func (m *MemberLog) goesOn(later *MemberLog) bool {
	if len(m.Entries) == 0 || len(later.Entries) == 0 {
		return false
	}
	end := &m.Entries[len(m.Entries)-1]
	if e := later.at(end.Index); e == nil || !e.same(end) {
		return false
	}
	for _, e := range later.Entries {
		if e.Index > end.Index {
			m.Entries = append(m.Entries, e)
		}
	}
	m.Snapshots = append(m.Snapshots, later.Snapshots...)
	return true
}

func (c *Collector) intern(e Entry) Entry {
	c.indexes[e.Index] = true
	key := [2]uint64{e.Index, e.Term}
	for _, k := range c.entries[key] {
		if k.same(&e) {
			return k
		}
	}
	c.entries[key] = append(c.entries[key], e)
	return e
}

// keep keeps a snapshot, its data only when the log up to it is not at hand:
// of a long run with a short log there are thousands of snapshots.
func (c *Collector) keep(s Snapshot) Snapshot {
	for _, k := range c.snapshots[s.Index] {
		if k.Digest == s.Digest {
			return k
		}
	}
	from := uint64(0)
	for _, i := range c.whole {
		if i < s.Index {
			from = max(from, i)
		}
	}
	reached := from + 1
	for reached <= s.Index && c.indexes[reached] {
		reached++
	}
	if reached > s.Index {
		s.Data = nil
	}
	if s.Data != nil {
		c.whole = append(c.whole, s.Index)
	}
	c.snapshots[s.Index] = append(c.snapshots[s.Index], s)
	return s
}

// Merge finds out what was committed, see the function [Merge]. final names
// the members that had caught up when they were stopped; of each, the log
// collected last counts as final.
func (c *Collector) Merge(final []string, committed uint64) (*Log, []Violation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.logs {
		l.Final = false
	}
	for _, name := range final {
		for i := len(c.logs) - 1; i >= 0; i-- {
			if c.logs[i].Member == name {
				c.logs[i].Final = true
				break
			}
		}
	}
	return Merge(c.logs, committed)
}
