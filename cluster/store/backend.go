package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	boltFile = "raft.db"
	walDir   = "wal"
)

func openBackend(dir, kind string) (b backend, path string, err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			b, err = nil, &DamageError{Path: path, Reason: fmt.Sprintf("the database cannot be opened: %v", p)}
		}
	}()
	if kind == KindWAL {
		path = filepath.Join(dir, walDir)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, path, err
		}
		// raft-wal does not close the database it opens by itself, so it gets ours.
		meta := &metadb.BoltMetaDB{}
		w, err := wal.Open(path, wal.WithMetaStore(meta))
		if err != nil {
			meta.Close()
			return nil, path, &DamageError{Path: path, Reason: err.Error()}
		}
		return &walStore{WAL: w, meta: meta}, path, nil
	}
	path = filepath.Join(dir, boltFile)
	db, err := raftboltdb.New(raftboltdb.Options{
		Path: path,
		// The freelist is written with every commit. Rebuilding it at open
		// (NoFreelistSync) would walk all pages in a goroutine of bbolt's own,
		// where a fault in a damaged page ends the process without a word.
		BoltOptions:             &bbolt.Options{Timeout: 2 * time.Second, FreelistType: bbolt.FreelistMapType},
		MsgpackUseNewTimeFormat: true,
	})
	var system syscall.Errno
	switch {
	case err == nil:
		return db, path, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, path, fmt.Errorf("%s is in use by another process: stop it first", path)
	case errors.As(err, &system): // permissions, a full or failing disk
		return nil, path, err
	}
	// bbolt does not like what is in the file. Not all of these errors have names.
	return nil, path, &DamageError{Path: path, Reason: err.Error()}
}

func isNotFound(err error) bool { return errors.Is(err, raftboltdb.ErrKeyNotFound) }

type walStore struct {
	*wal.WAL
	meta *metadb.BoltMetaDB
}

func (w *walStore) Close() error { return errors.Join(w.WAL.Close(), w.meta.Close()) }

// DeleteRange removes entries. raft-wal 0.4.0 cannot read a segment whose end
// was truncated once it has been reopened ("sealed segment has no index
// block"), so the end is removed by writing what stays anew. A crash in
// between leaves a log shorter than the record beside it says, which Open
// reports as damage: the member is replaced, nothing is served from it.
func (w *walStore) DeleteRange(low, high uint64) error {
	first, err := w.WAL.FirstIndex()
	if err != nil {
		return err
	}
	last, err := w.WAL.LastIndex()
	if err != nil {
		return err
	}
	if high < last || low <= first {
		return w.WAL.DeleteRange(low, high)
	}
	var keep []*raft.Log
	for i := first; i < low; i++ {
		l := new(raft.Log)
		if err := w.WAL.GetLog(i, l); err != nil {
			return err
		}
		keep = append(keep, l)
	}
	if err := w.WAL.DeleteRange(first, last); err != nil {
		return err
	}
	for len(keep) > 0 {
		n := min(len(keep), 256)
		if err := w.WAL.StoreLogs(keep[:n]); err != nil {
			return err
		}
		keep = keep[n:]
	}
	return nil
}
