// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
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
		return openWAL(filepath.Join(dir, walDir))
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
