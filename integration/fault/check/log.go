// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/fsm"
)

// EntryKind is what an entry of the replicated log holds.
type EntryKind uint8

// Kinds of entries.
const (
	// EntryOther never reaches the state machine: no-ops and barriers.
	EntryOther EntryKind = iota
	// EntryCommand holds an fsm entry.
	EntryCommand
	// EntryConfiguration holds a membership: it moves only the index.
	EntryConfiguration
)

// Entry is an entry of the replicated log.
type Entry struct {
	Index, Term uint64
	Kind        EntryKind
	Data        []byte
}

func (e *Entry) same(o *Entry) bool {
	return e.Term == o.Term && e.Kind == o.Kind && bytes.Equal(e.Data, o.Data)
}

// Snapshot is a snapshot of the state that a member wrote or received.
type Snapshot struct {
	// Index and Term are of the last entry in it.
	Index, Term uint64
	Digest      [32]byte
	// Data is nil when the log before it makes it unnecessary.
	Data []byte
}

// MemberLog is what one member had on its disk.
type MemberLog struct {
	Member    string
	Entries   []Entry
	Snapshots []Snapshot
	// Final is true for the log of a member that had caught up when it was
	// stopped for good: it must hold every committed entry it has not compacted.
	Final bool
}

// at finds an entry by index, nil when the log does not hold it.
func (m *MemberLog) at(index uint64) *Entry {
	i := sort.Search(len(m.Entries), func(i int) bool { return m.Entries[i].Index >= index })
	if i < len(m.Entries) && m.Entries[i].Index == index {
		return &m.Entries[i]
	}
	return nil
}

// end is the index of the newest entry, 0 for an empty log.
func (m *MemberLog) end() uint64 {
	if n := len(m.Entries); n > 0 {
		return m.Entries[n-1].Index
	}
	return 0
}

// Folders of a data directory.
const (
	raftDir     = "raft"
	boltFile    = "raft.db"
	snapshotDir = "snapshots"
)

// ReadLog reads log and snapshots of a member that is not running, or is
// stopped by a signal. It works on a copy: opening a store writes to it, and
// the directory is evidence. The error is a *store.DamageError when the data
// is not what the member wrote.
func ReadLog(dataDir string) (*MemberLog, error) { return readLog(dataDir, map[string]Snapshot{}) }

func readLog(dataDir string, known map[string]Snapshot) (*MemberLog, error) {
	tmp, err := os.MkdirTemp("", "pilot-log-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	// In the order of names, so that the small record of how far the log
	// reaches comes before the log and is never ahead of it in the copy.
	if err := os.CopyFS(filepath.Join(tmp, raftDir), os.DirFS(filepath.Join(dataDir, raftDir))); err != nil {
		return nil, fmt.Errorf("copy the log of %s: %w", dataDir, err)
	}
	m := &MemberLog{Member: filepath.Base(dataDir)}
	if m.Entries, err = readEntries(filepath.Join(tmp, raftDir)); err != nil {
		return nil, fmt.Errorf("log of %s: %w", dataDir, err)
	}
	if m.Snapshots, err = readSnapshots(filepath.Join(dataDir, snapshotDir), known); err != nil {
		return nil, fmt.Errorf("snapshots of %s: %w", dataDir, err)
	}
	return m, nil
}

func readEntries(dir string) (out []Entry, err error) {
	kind := store.KindWAL
	if _, err := os.Stat(filepath.Join(dir, boltFile)); err == nil {
		kind = store.KindBolt
	}
	s, err := store.Open(dir, kind, store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	first, err := s.FirstIndex()
	if err != nil {
		return nil, err
	}
	last, err := s.LastIndex()
	if err != nil {
		return nil, err
	}
	for i := first; i != 0 && i <= last; i++ {
		l, err := get(s.GetLog, i)
		if err != nil {
			return nil, err
		}
		e := Entry{Index: l.Index, Term: l.Term}
		switch l.Type.String() {
		case "LogCommand":
			e.Kind, e.Data = EntryCommand, l.Data
		case "LogConfiguration":
			e.Kind, e.Data = EntryConfiguration, l.Data
		}
		out = append(out, e)
	}
	return out, nil
}

// get reads one entry of whatever type the store keeps. Naming that type would
// mean importing raft, which belongs to the engine room alone.
func get[L any](read func(uint64, *L) error, index uint64) (*L, error) {
	l := new(L)
	return l, read(index, l)
}

// readSnapshots reads the finished snapshots of a member, oldest first.
// A finished snapshot does not change, so those in known are not read again.
func readSnapshots(dir string, known map[string]Snapshot) ([]Snapshot, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "state.bin"))
	if err != nil {
		return nil, err
	}
	var out []Snapshot
	for _, path := range files {
		if strings.HasSuffix(filepath.Dir(path), ".tmp") { // was being written
			continue
		}
		s, ok := known[path]
		if !ok {
			if s, err = readSnapshot(path); errors.Is(err, os.ErrNotExist) { // was just replaced by a newer one
				continue
			} else if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			known[path] = s
		}
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Index < out[j].Index })
	return out, nil
}

func readSnapshot(path string) (Snapshot, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Snapshot{}, err
	}
	m := fsm.New()
	if err := m.Restore(bytes.NewReader(data)); err != nil {
		return Snapshot{}, err
	}
	root := m.Root()
	return Snapshot{Index: root.Index(), Term: root.Term(), Digest: root.Digest(), Data: data}, nil
}
