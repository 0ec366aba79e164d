// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// sumFile lies beside a snapshot's metadata and holds their checksum: raft
// verifies the state in a snapshot, but not which members, index and term the
// metadata claim for it.
const (
	sumFile  = "meta.sum"
	metaFile = "meta.json"
)

// Snapshots is raft's file snapshot store with verified metadata.
type Snapshots struct {
	*raft.FileSnapshotStore
	dir string
	// failed is told of every error of the disk.
	failed func(error)

	mu     sync.Mutex
	damage error
}

// OpenSnapshots opens the snapshots below base, of which retain are kept. Raft
// only logs that a snapshot could not be written, and a member that is sent one
// would then stay behind for ever, so failed is told.
func OpenSnapshots(base string, retain int, log hclog.Logger, failed func(error)) (*Snapshots, error) {
	inner, err := raft.NewFileSnapshotStoreWithLogger(base, retain, log)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(base, "snapshots")
	if err := os.Chmod(dir, 0o700); err != nil { // raft makes it for everybody to read
		return nil, err
	}
	return &Snapshots{FileSnapshotStore: inner, dir: dir, failed: failed}, nil
}

// Damage is a *DamageError for the first snapshot that could not be used since
// the store was opened, nil when there was none.
func (s *Snapshots) Damage() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damage
}

func (s *Snapshots) damaged(id string, err error) error {
	err = &DamageError{Path: filepath.Join(s.dir, id), Reason: err.Error()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.damage == nil {
		s.damage = err
	}
	return err
}

// List returns the snapshots whose metadata are what was written, newest first.
func (s *Snapshots) List() ([]*raft.SnapshotMeta, error) {
	all, err := s.FileSnapshotStore.List()
	if err != nil {
		return nil, err
	}
	kept := all[:0]
	for _, meta := range all {
		if err := s.verify(meta); err != nil {
			_ = s.damaged(meta.ID, err) // Damage tells
			continue
		}
		kept = append(kept, meta)
	}
	return kept, nil
}

// verify compares metadata with their checksum, which a crash may have left
// out, and with the snapshot's name.
func (s *Snapshots) verify(meta *raft.SnapshotMeta) error {
	if !strings.HasPrefix(meta.ID, fmt.Sprintf("%d-%d-", meta.Term, meta.Index)) {
		return fmt.Errorf("the metadata are of index %d in term %d, the name is of another", meta.Index, meta.Term)
	}
	want, err := os.ReadFile(filepath.Join(s.dir, meta.ID, sumFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	got, err := s.sum(meta.ID)
	if err != nil {
		return err
	}
	if got != string(want) {
		return errors.New("the metadata do not match their checksum")
	}
	return nil
}

func (s *Snapshots) sum(id string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(s.dir, id, metaFile))
	if err != nil {
		return "", err
	}
	return strconv.FormatUint(uint64(crc32.Checksum(raw, castagnoli)), 16), nil
}

// Open opens a snapshot whose state matches its checksum.
func (s *Snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, rc, err := s.FileSnapshotStore.Open(id)
	if err != nil {
		return nil, nil, s.damaged(id, err)
	}
	return meta, rc, nil
}

// Create begins a snapshot.
func (s *Snapshots) Create(version raft.SnapshotVersion, index, term uint64, conf raft.Configuration, confIndex uint64, trans raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.FileSnapshotStore.Create(version, index, term, conf, confIndex, trans)
	if err != nil {
		s.failed(err)
		return nil, err
	}
	return &snapshotSink{SnapshotSink: sink, store: s}, nil
}

type snapshotSink struct {
	raft.SnapshotSink
	store *Snapshots
}

// Write adds to the snapshot.
func (k *snapshotSink) Write(b []byte) (int, error) {
	n, err := k.SnapshotSink.Write(b)
	if err != nil {
		k.store.failed(err)
	}
	return n, err
}

// Close finishes the snapshot and then writes the checksum of its metadata,
// durably: only after that is the log before the snapshot cut.
func (k *snapshotSink) Close() error {
	err := k.SnapshotSink.Close()
	if err == nil {
		err = k.writeSum()
	}
	if err != nil {
		k.store.failed(err)
	}
	return err
}

func (k *snapshotSink) writeSum() error {
	sum, err := k.store.sum(k.ID())
	if errors.Is(err, os.ErrNotExist) {
		return nil // cancelled, or already replaced by a newer one
	}
	if err != nil {
		return err
	}
	return writeDurably(filepath.Join(k.store.dir, k.ID(), sumFile), sum)
}

// writeDurably makes a small file that is whole or absent after a crash.
func writeDurably(path, text string) error {
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
