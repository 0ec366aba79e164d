// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/pilotregistry/pilotregistry/cluster/base/store"
)

var kinds = store.Kinds

func open(t *testing.T, dir, kind string) *store.Store {
	t.Helper()
	s, err := store.Open(dir, kind, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func entries(from, to uint64) []*raft.Log {
	var logs []*raft.Log
	for i := from; i <= to; i++ {
		logs = append(logs, &raft.Log{Index: i, Term: 3, Type: raft.LogCommand, Data: []byte(fmt.Sprintf("payload of entry %d", i))})
	}
	return logs
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// filled makes a closed store with entries 1..20 in term 3.
func filled(t *testing.T, kind string) string {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, kind)
	must(t, s.SetUint64([]byte("CurrentTerm"), 3))
	must(t, s.Set([]byte("LastVoteCand"), []byte("somebody")))
	must(t, s.StoreLogs(entries(1, 20)))
	must(t, s.Close())
	return dir
}

func TestWhatWasStoredComesBack(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			s := open(t, filled(t, kind), kind)
			defer s.Close()
			term, err := s.GetUint64([]byte("CurrentTerm"))
			if err != nil || term != 3 {
				t.Fatalf("term %d, %v", term, err)
			}
			if v, err := s.Get([]byte("LastVoteCand")); err != nil || string(v) != "somebody" {
				t.Fatalf("vote %q, %v", v, err)
			}
			if v, err := s.Get([]byte("never set")); err != nil || v != nil {
				t.Fatalf("missing key: %q, %v", v, err)
			}
			if n, err := s.GetUint64([]byte("never set")); err != nil || n != 0 {
				t.Fatalf("missing number: %d, %v", n, err)
			}
			var l raft.Log
			must(t, s.GetLog(7, &l))
			if string(l.Data) != "payload of entry 7" || l.Term != 3 {
				t.Fatalf("entry 7 is %+v", l)
			}
			if err := s.GetLog(21, &l); !errors.Is(err, raft.ErrLogNotFound) {
				t.Fatalf("entry 21: %v", err)
			}
		})
	}
}

func TestReceivedEntriesAreVerified(t *testing.T) {
	s := open(t, t.TempDir(), store.KindBolt)
	defer s.Close()
	sent := entries(1, 1)
	must(t, s.StoreLogs(sent)) // the leader's side sets the checksum
	received := *sent[0]
	received.Index = 2
	if err := s.StoreLogs([]*raft.Log{&received}); !errors.Is(err, store.ErrReceived) {
		t.Fatalf("an entry under a wrong index was stored: %v", err)
	}
	received = *sent[0]
	received.Data = []byte("payload of entry 2")
	if err := s.StoreLogs([]*raft.Log{&received}); !errors.Is(err, store.ErrReceived) {
		t.Fatalf("changed data was stored: %v", err)
	}
	if last, _ := s.LastIndex(); last != 1 {
		t.Fatalf("last index %d, want 1", last)
	}
}

func wantDamage(t *testing.T, dir, kind string) {
	t.Helper()
	s, err := store.Open(dir, kind, store.Options{})
	var damage *store.DamageError
	if !errors.As(err, &damage) {
		if s != nil {
			s.Close()
		}
		t.Fatalf("want a DamageError, got %v", err)
	}
}

// flip changes one bit of every place on disk that holds text.
func flip(t *testing.T, dir, text string) {
	t.Helper()
	flipped := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for at := 0; ; {
			i := bytes.Index(raw[at:], []byte(text))
			if i < 0 {
				break
			}
			at += i
			raw[at] ^= 1
			flipped++
		}
		return os.WriteFile(path, raw, 0o600)
	})
	must(t, err)
	if flipped == 0 {
		t.Fatalf("%q was not found on disk", text)
	}
}

func TestFlippedPayloadIsDamage(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			dir := filled(t, kind)
			flip(t, dir, "payload of entry 9")
			wantDamage(t, dir, kind)
		})
	}
}

func TestFlippedVoteIsDamage(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			dir := filled(t, kind)
			flip(t, dir, "somebody")
			wantDamage(t, dir, kind)
		})
	}
}

// Random damage must end as a DamageError or leave the content intact (a
// flip in free space); it must never be served, and never crash the process.
func TestRandomDamageIsNeverServed(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pristine, err := os.ReadFile(filepath.Join(filled(t, store.KindBolt), "raft.db"))
	must(t, err)
	noticed := 0
	for round := range 150 {
		dir := filled(t, store.KindBolt)
		raw := bytes.Clone(pristine)
		for range 40 {
			raw[rng.IntN(len(raw))] ^= byte(1 << rng.IntN(8))
		}
		if round%3 == 0 {
			raw = raw[:rng.IntN(len(raw))]
		}
		must(t, os.WriteFile(filepath.Join(dir, "raft.db"), raw, 0o600))
		s, err := store.Open(dir, store.KindBolt, store.Options{})
		if err != nil {
			noticed++
			continue
		}
		for i := uint64(1); i <= 20; i++ {
			var l raft.Log
			if err := s.GetLog(i, &l); err == nil && string(l.Data) != fmt.Sprintf("payload of entry %d", i) {
				t.Fatalf("round %d: entry %d was served as %q", round, i, l.Data)
			}
		}
		if term, err := s.GetUint64([]byte("CurrentTerm")); err == nil && term != 3 {
			t.Fatalf("round %d: term %d was served", round, term)
		}
		s.Close()
	}
	if noticed == 0 {
		t.Fatal("no damage was noticed in 150 rounds")
	}
}

func TestAnOlderCopyIsDamage(t *testing.T) {
	for _, change := range []struct {
		name string
		do   func(*store.Store) error
	}{
		{"log went on", func(s *store.Store) error { return s.StoreLogs(entries(21, 25)) }},
		{"term went on", func(s *store.Store) error { return s.SetUint64([]byte("CurrentTerm"), 9) }},
	} {
		t.Run(change.name, func(t *testing.T) {
			dir := filled(t, store.KindBolt)
			old, err := os.ReadFile(filepath.Join(dir, "raft.db"))
			must(t, err)
			s := open(t, dir, store.KindBolt)
			must(t, change.do(s))
			must(t, s.Close())
			must(t, os.WriteFile(filepath.Join(dir, "raft.db"), old, 0o600))
			wantDamage(t, dir, store.KindBolt)
		})
	}
}

// A database that is cut off is damage wherever the cut is, and one that
// cannot be opened for another reason, or by two at once, is not.
func TestACutDatabaseIsDamage(t *testing.T) {
	dir := filled(t, store.KindBolt)
	db := filepath.Join(dir, "raft.db")
	whole, err := os.ReadFile(db)
	must(t, err)
	for _, size := range []int{0, 1, 100, 2353, 4096, 4434, 8191, 8192, 12288, len(whole) / 2} {
		cut := t.TempDir() // bbolt does not let go of a file that it stumbled over
		must(t, os.CopyFS(cut, os.DirFS(dir)))
		must(t, os.Truncate(filepath.Join(cut, "raft.db"), int64(size)))
		wantDamage(t, cut, store.KindBolt)
	}
	s := open(t, dir, store.KindBolt)
	var damage *store.DamageError
	if _, err := store.Open(dir, store.KindBolt, store.Options{}); err == nil || errors.As(err, &damage) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("opened twice: %v", err)
	}
	must(t, s.Close())
	must(t, os.Remove(db))
	must(t, os.Mkdir(db, 0o700))
	if _, err := store.Open(dir, store.KindBolt, store.Options{}); err == nil || errors.As(err, &damage) {
		t.Errorf("a directory in the database's place: %v", err)
	}
}

func TestAMissingRecordIsDamage(t *testing.T) {
	dir := filled(t, store.KindBolt)
	must(t, os.Remove(filepath.Join(dir, "durable")))
	wantDamage(t, dir, store.KindBolt)
}

func TestATornRecordFallsBackToTheOtherSlot(t *testing.T) {
	dir := filled(t, store.KindBolt)
	path := filepath.Join(dir, "durable")
	raw, err := os.ReadFile(path)
	must(t, err)
	for _, slot := range []int{0, 4096} {
		torn := bytes.Clone(raw)
		torn[slot+9] ^= 0xff
		must(t, os.WriteFile(path, torn, 0o600))
		open(t, dir, store.KindBolt).Close()
		must(t, os.WriteFile(path, raw, 0o600))
	}
}

func TestRemovingTheEndIsNotDamage(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			dir := filled(t, kind)
			s := open(t, dir, kind)
			must(t, s.DeleteRange(15, 20))
			must(t, s.DeleteRange(1, 5))
			must(t, s.Close())
			s = open(t, dir, kind)
			defer s.Close()
			first, _ := s.FirstIndex()
			last, _ := s.LastIndex()
			if first != 6 || last != 14 {
				t.Fatalf("log is %d..%d, want 6..14", first, last)
			}
		})
	}
}

// TestALogReplacedByASnapshotIsNotDamage: what was removed because a snapshot
// stands for it is not missed, not even when the member stopped in between.
func TestALogReplacedByASnapshotIsNotDamage(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			dir := filled(t, kind)
			s := open(t, dir, kind)
			must(t, s.DeleteRange(1, 5))
			must(t, s.DeleteRange(6, 20))
			must(t, s.Close())
			s = open(t, dir, kind)
			must(t, s.StoreLogs(entries(31, 40)))
			must(t, s.StoreLogs(entries(51, 60))) // stopped before the removal
			must(t, s.Close())
			s = open(t, dir, kind)
			defer s.Close()
			first, _ := s.FirstIndex()
			last, _ := s.LastIndex()
			if first != 51 || last != 60 {
				t.Fatalf("log is %d..%d, want 51..60", first, last)
			}
		})
	}
}

func TestAnotherKindIsRefused(t *testing.T) {
	dir := filled(t, store.KindBolt)
	if _, err := store.Open(dir, store.KindWAL, store.Options{}); err == nil {
		t.Fatal("a boltdb directory was opened as wal")
	}
	if _, err := store.Open(t.TempDir(), "etcd", store.Options{}); err == nil {
		t.Fatal("an unknown kind was opened")
	}
}

func TestObserversSeeOperationsAndFailures(t *testing.T) {
	var ops []string
	var failures []error
	s, err := store.Open(t.TempDir(), store.KindBolt, store.Options{
		OnOp:      func(name string) func(error) { return func(error) { ops = append(ops, name) } },
		OnFailure: func(err error) { failures = append(failures, err) },
	})
	must(t, err)
	must(t, s.StoreLogs(entries(1, 3)))
	if len(ops) == 0 || ops[len(ops)-1] != "store_logs" {
		t.Fatalf("operations %v", ops)
	}
	must(t, s.Close())
	if err := s.StoreLogs(entries(4, 4)); err == nil || len(failures) != 1 {
		t.Fatalf("storing into a closed database: %v, failures %v", err, failures)
	}
}

// TestTheStoredTermNeverGoesDown: raft sets its term in two goroutines, and an
// older one can come second.
func TestTheStoredTermNeverGoesDown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(dir, store.KindBolt, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, term := range []uint64{3, 7, 5} {
		if err := s.SetUint64([]byte("CurrentTerm"), term); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(dir, store.KindBolt, store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if term, err := s.GetUint64([]byte("CurrentTerm")); err != nil || term != 7 {
		t.Errorf("the stored term is %d (%v), want 7", term, err)
	}
}

// TestEntriesNameTheirMaker: an entry says which member made it, wherever it
// goes, and the checksum covers that.
func TestEntriesNameTheirMaker(t *testing.T) {
	t.Parallel()
	const maker = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
	if _, err := store.Open(t.TempDir(), store.KindBolt, store.Options{Member: "m1"}); err == nil {
		t.Error("opened for a member without a UUID")
	}
	a, err := store.Open(t.TempDir(), store.KindBolt, store.Options{Member: maker})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := store.Open(t.TempDir(), store.KindBolt, store.Options{Member: "00000000-0000-4000-8000-000000000000"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	made := &raft.Log{Index: 1, Term: 1, Type: raft.LogCommand, Data: []byte("x")}
	if err := a.StoreLog(made); err != nil {
		t.Fatal(err)
	}
	if err := b.StoreLog(made); err != nil {
		t.Fatal(err)
	}
	var got raft.Log
	if err := b.GetLog(1, &got); err != nil || store.Maker(&got) != maker {
		t.Errorf("made by %q (%v), want %q", store.Maker(&got), err, maker)
	}
	got.Extensions[len(got.Extensions)-1]++
	got.Index = 2
	if err := b.StoreLog(&got); !errors.Is(err, store.ErrReceived) {
		t.Errorf("another maker under the same checksum: %v", err)
	}
}
