// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
)

// journalPath is where a run of a member journals its log.
func (m *Member) journalPath(run int) string {
	return filepath.Join(m.lab.Dir, fmt.Sprintf("%s.%d.journal", m.Name, run))
}

// Kinds of entries in a journal, as raft numbers them.
const (
	kindCommand       = 0
	kindConfiguration = 5
)

// Journal is the whole log of a member, compacted entries included, as it was
// written in all its runs. Entries before a snapshot that the member was sent
// are not in it.
func (l *Lab) Journal(m *Member) (*check.MemberLog, error) {
	l.mu.Lock()
	runs := m.runs
	l.mu.Unlock()
	out := &check.MemberLog{Member: m.Name}
	for run := 1; run <= runs; run++ {
		raw, err := os.ReadFile(m.journalPath(run))
		if os.IsNotExist(err) {
			continue // it ended before it opened one
		}
		if err != nil {
			return nil, err
		}
		if err := replayJournal(raw, out); err != nil {
			return nil, fmt.Errorf("%s: %w", m.journalPath(run), err)
		}
	}
	return out, nil
}

// replayJournal adds the records of one run. A record takes the place of
// everything from its index on, as in the log itself. A record that was cut
// off by the end of the process was never stored either.
func replayJournal(raw []byte, out *check.MemberLog) error {
	for len(raw) >= 4 {
		n := int(binary.BigEndian.Uint32(raw))
		if n < 17 {
			return fmt.Errorf("a record of %d bytes", n)
		}
		if len(raw) < 4+n {
			return nil
		}
		rec := raw[4 : 4+n]
		raw = raw[4+n:]
		e := check.Entry{Index: binary.BigEndian.Uint64(rec), Term: binary.BigEndian.Uint64(rec[8:])}
		switch rec[16] {
		case kindCommand:
			e.Kind, e.Data = check.EntryCommand, slices.Clone(rec[17:])
		case kindConfiguration:
			e.Kind, e.Data = check.EntryConfiguration, slices.Clone(rec[17:])
		}
		at, _ := slices.BinarySearchFunc(out.Entries, e.Index, func(e check.Entry, index uint64) int {
			switch {
			case e.Index < index:
				return -1
			case e.Index > index:
				return 1
			}
			return 0
		})
		out.Entries = append(out.Entries[:at], e)
	}
	return nil
}

// Stretches splits a log where a snapshot from the leader took the place of
// entries. What lies before such a hole may end with entries that were never
// committed, so for a checker it is a separate log.
func Stretches(log *check.MemberLog) []*check.MemberLog {
	var out []*check.MemberLog
	from := 0
	for i := 1; i <= len(log.Entries); i++ {
		if i < len(log.Entries) && log.Entries[i].Index == log.Entries[i-1].Index+1 {
			continue
		}
		name := log.Member
		if i < len(log.Entries) {
			name = fmt.Sprintf("%s up to %d", log.Member, log.Entries[i-1].Index)
		}
		out = append(out, &check.MemberLog{Member: name, Entries: log.Entries[from:i]})
		from = i
	}
	return out
}
