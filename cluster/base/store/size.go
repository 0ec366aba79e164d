// SPDX-License-Identifier: Apache-2.0

package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// Size is what the log takes on disk, and how much of that the database will
// write again before the file grows: it does not shrink.
type Size struct{ Bytes, Free int64 }

// Size looks at the files of the log.
func (s *Store) Size() (size Size, err error) {
	err = filepath.WalkDir(s.path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size.Bytes += info.Size()
		}
		return err
	})
	if bolt, ok := s.inner.(interface{ Stats() bbolt.Stats }); ok {
		size.Free = int64(bolt.Stats().FreeAlloc)
	}
	return size, err
}

// Written is a snapshot that was written, the zero value for none.
type Written struct {
	Index uint64
	Bytes int64
	At    time.Time
}

// Newest is the newest snapshot.
func (s *Snapshots) Newest() (w Written, err error) {
	list, err := s.List()
	if err != nil || len(list) == 0 {
		return w, err
	}
	info, err := os.Stat(filepath.Join(s.dir, list[0].ID, metaFile))
	if err != nil {
		return w, err
	}
	return Written{Index: list[0].Index, Bytes: list[0].Size, At: info.ModTime()}, nil
}
