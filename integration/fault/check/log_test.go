// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/integration/fault/check"
)

// blank makes an entry of the type that the store keeps, see get in log.go.
func blank[L any](func(*L) error) *L { return new(L) }

// member writes a data directory with a log and, when there is one, a snapshot.
func member(t *testing.T, entries []check.Entry, snaps []check.Snapshot) (dir string, s *store.Store) {
	t.Helper()
	dir = t.TempDir()
	s, err := store.Open(filepath.Join(dir, "raft"), store.KindBolt, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		l := blank(s.StoreLog)
		l.Index, l.Term, l.Data = e.Index, e.Term, e.Data
		switch e.Kind {
		case check.EntryConfiguration:
			l.Type = 5
		case check.EntryOther:
			l.Type = 1
		}
		if err := s.StoreLog(l); err != nil {
			t.Fatal(err)
		}
	}
	for i, snap := range snaps {
		at := filepath.Join(dir, "snapshots", string(rune('a'+i)))
		if err := errors.Join(os.MkdirAll(at, 0o700), os.WriteFile(filepath.Join(at, "state.bin"), snap.Data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir, s
}

func TestReadLog(t *testing.T) {
	w := newWorld(t)
	good(w)
	w.snapshot()
	w.entries = append(w.entries, check.Entry{Index: uint64(len(w.entries)) + 1, Term: 2})
	dir, s := member(t, w.entries, w.snaps)
	defer s.Close() // held open: a member that was stopped by a signal holds its files, too
	if err := os.MkdirAll(filepath.Join(dir, "snapshots", "z.tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "snapshots", "z.tmp", "state.bin"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	record, err := os.ReadFile(filepath.Join(dir, "raft", "durable"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := check.ReadLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Entries) != len(w.entries) || len(m.Snapshots) != 1 || m.Snapshots[0].Index != w.snaps[0].Index || m.Snapshots[0].Digest != w.snaps[0].Digest {
		t.Fatalf("%d entries, snapshots %+v", len(m.Entries), m.Snapshots)
	}
	for i, e := range m.Entries {
		o := w.entries[i]
		if e.Index != o.Index || e.Term != o.Term || e.Kind != o.Kind || !bytes.Equal(e.Data, o.Data) && o.Kind == check.EntryCommand {
			t.Fatalf("entry %d is %+v, want %+v", i, e, o)
		}
	}
	if after, err := os.ReadFile(filepath.Join(dir, "raft", "durable")); err != nil || !bytes.Equal(after, record) {
		t.Error("reading changed the data directory")
	}
}

func TestReadLogRefusesDamage(t *testing.T) {
	w := newWorld(t)
	w.tags(w.register(1), "needle-in-the-log")
	dir, s := member(t, w.entries, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "raft", "raft.db")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw = bytes.ReplaceAll(raw, []byte("needle-in-the-log"), []byte("noodle-in-the-log"))
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	var damage *store.DamageError
	if _, err := check.ReadLog(dir); !errors.As(err, &damage) {
		t.Errorf("damage was read as a log: %v", err)
	}
}

// run makes entries of given terms at consecutive indexes; the data says which
// entry it is.
func run(first uint64, terms ...uint64) []check.Entry {
	var out []check.Entry
	for i, term := range terms {
		index := first + uint64(i)
		out = append(out, check.Entry{Index: index, Term: term, Kind: check.EntryCommand, Data: []byte{byte(index), byte(term)}})
	}
	return out
}

func onDisk(name string, final bool, entries []check.Entry, snaps ...check.Snapshot) *check.MemberLog {
	return &check.MemberLog{Member: name, Final: final, Entries: entries, Snapshots: snaps}
}

func TestMerge(t *testing.T) {
	altered := run(1, 1, 1, 1)
	altered[1].Data = []byte("other")
	tests := []struct {
		name      string
		logs      []*check.MemberLog
		committed uint64
		want      []uint64 // terms of the merged log from its first index on
		first     uint64
		last      uint64
		broken    bool
	}{
		{"all agree", []*check.MemberLog{onDisk("a", true, run(1, 1, 1, 2)), onDisk("b", true, run(1, 1, 1, 2)), onDisk("c", true, run(1, 1, 1, 2))},
			3, []uint64{1, 1, 2}, 1, 3, false},
		{"a tail that no majority has", []*check.MemberLog{onDisk("a", true, run(1, 1, 1, 2, 2)), onDisk("b", true, run(1, 1, 1, 2)), onDisk("c", true, run(1, 1, 1, 2))},
			3, []uint64{1, 1, 2}, 1, 3, false},
		{"the tail of one that was removed", []*check.MemberLog{onDisk("x", false, run(1, 1, 1, 1, 1)), onDisk("a", true, run(1, 1, 1, 2, 2)), onDisk("b", true, run(1, 1, 1, 2, 2))},
			4, []uint64{1, 1, 2, 2}, 1, 4, false},
		{"an older log knows the beginning", []*check.MemberLog{onDisk("x", false, run(1, 1, 1, 1, 9)), onDisk("a", true, run(3, 1, 2, 2)), onDisk("b", true, run(4, 2, 2))},
			5, []uint64{1, 1, 1, 2, 2}, 1, 5, false},
		{"a snapshot is the bridge", []*check.MemberLog{onDisk("x", false, run(1, 1, 1, 1, 9)), onDisk("a", true, run(5, 2, 2), check.Snapshot{Index: 3, Term: 1}), onDisk("b", true, run(5, 2, 2))},
			6, []uint64{1, 1, 1, 0, 2, 2}, 1, 6, false},
		{"a log that shares nothing is left out", []*check.MemberLog{onDisk("x", false, run(1, 1, 1)), onDisk("a", true, run(5, 2, 2)), onDisk("b", true, run(5, 2, 2))},
			6, []uint64{2, 2}, 5, 6, false},
		{"one entry differs", []*check.MemberLog{onDisk("a", true, run(1, 1, 1, 1)), onDisk("b", true, altered), onDisk("c", true, run(1, 1, 1, 1))},
			3, nil, 0, 0, true},
		{"a member went its own way", []*check.MemberLog{onDisk("a", true, run(1, 1, 2, 2)), onDisk("b", true, run(1, 1, 3, 3)), onDisk("c", true, run(1, 1, 3, 3))},
			3, nil, 0, 0, true},
		{"no majority for what was acknowledged", []*check.MemberLog{onDisk("a", true, run(1, 1, 1)), onDisk("b", true, run(1, 1, 1)), onDisk("c", true, run(1, 1, 1, 1))},
			3, nil, 0, 0, true},
		{"everybody lost the end", []*check.MemberLog{onDisk("a", true, run(1, 1, 1)), onDisk("b", true, run(1, 1, 1))},
			7, nil, 0, 0, true},
		{"two snapshots of one index", []*check.MemberLog{onDisk("a", true, run(1, 1, 1), check.Snapshot{Index: 2, Term: 1}), onDisk("b", true, run(1, 1, 1), check.Snapshot{Index: 2, Term: 1, Digest: [32]byte{1}})},
			2, nil, 0, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log, found := check.Merge(tt.logs, tt.committed)
			if tt.broken {
				want(t, found, check.RuleLog)
				return
			}
			want(t, found)
			if log.Last != tt.last || log.Entries[0].Index != tt.first {
				t.Errorf("log from %d to %d, want from %d to %d", log.Entries[0].Index, log.Last, tt.first, tt.last)
			}
			terms := make([]uint64, len(tt.want))
			for _, e := range log.Entries {
				terms[e.Index-tt.first] = e.Term
			}
			for i := range terms {
				if terms[i] != tt.want[i] {
					t.Fatalf("terms %v, want %v", terms, tt.want)
				}
			}
		})
	}
}

// A collector keeps what a member had before it compacted.
func TestCollector(t *testing.T) {
	c := check.NewCollector()
	c.Add(onDisk("a", false, run(1, 1, 1, 1)))
	c.Add(onDisk("a", false, run(3, 1, 1, 2)))
	c.Add(onDisk("b", false, run(4, 1, 2)))
	log, found := c.Merge([]string{"a", "b"}, 5)
	want(t, found)
	if len(log.Entries) != 5 || log.Entries[0].Index != 1 {
		t.Errorf("entries %+v", log.Entries)
	}
	dir, s := member(t, run(1, 1, 1), nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Collect("a", dir); err != nil {
		t.Fatal(err)
	}
	if _, found := c.Merge([]string{"a", "b"}, 5); len(found) == 0 {
		t.Error("a log that ends before what was acknowledged passes for final")
	}
}

// A collector keeps the data of a snapshot only when it bridges a gap.
func TestCollectorKeepsTheSnapshotsItNeeds(t *testing.T) {
	c := check.NewCollector()
	snapshot := func(index uint64) check.Snapshot { return check.Snapshot{Index: index, Term: 1, Data: []byte{1}} }
	c.Add(onDisk("a", false, run(1, 1, 1, 1, 1), snapshot(2), snapshot(4)))
	c.Add(onDisk("a", false, run(9, 1, 1, 1), snapshot(8), snapshot(10)))
	c.Add(onDisk("b", false, run(7, 1, 1, 1, 1, 1)))
	log, found := c.Merge([]string{"a", "b"}, 11)
	want(t, found)
	kept := map[uint64]bool{}
	for _, s := range log.Snapshots {
		kept[s.Index] = s.Data != nil
	}
	if len(kept) != 4 || kept[2] || kept[4] || !kept[8] || kept[10] {
		t.Errorf("kept %v, want only the data of 8", kept)
	}
}
