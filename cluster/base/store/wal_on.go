// SPDX-License-Identifier: Apache-2.0

//go:build raftwal

package store

import (
	"errors"
	"os"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
)

// Kinds are the log stores in this build.
var Kinds = []string{KindBolt, KindWAL}

func openWAL(path string) (backend, string, error) {
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

type walStore struct {
	*wal.WAL
	meta *metadb.BoltMetaDB
}

func (w *walStore) Close() error { return errors.Join(w.WAL.Close(), w.meta.Close()) }

// DeleteRange removes entries. raft-wal 0.4.0 cannot read a segment whose end
// was truncated once it has been reopened ("sealed segment has no index
// block"), so the end is removed by writing what stays again. A crash in
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
