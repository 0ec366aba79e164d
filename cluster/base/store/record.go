// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
)

// record is the small file that says how far the log reached and which term
// was current. Two slots are written in turn, so that a torn write leaves the
// other one. It is written after the log and not synced each time: after a
// power cut it may lag behind the log, which is the harmless direction. It is
// synced where the other direction is possible: when it is made, because a
// log without its record counts as damaged, and before the log gets shorter.
type record struct {
	mu    sync.Mutex
	file  *os.File
	seq   uint64
	index uint64
	term  uint64
	fresh bool
}

const (
	slotBytes = 8 + 8 + 8 + 4 // sequence, last index, term, CRC-32C
	slotSpace = 4096          // one slot per page
)

func openRecord(path string) (*record, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	r := &record{file: f, fresh: true}
	for slot := range int64(2) {
		buf := make([]byte, slotBytes)
		if n, _ := f.ReadAt(buf, slot*slotSpace); n != slotBytes {
			continue
		}
		if crc32.Checksum(buf[:24], castagnoli) != binary.BigEndian.Uint32(buf[24:]) {
			continue
		}
		if seq := binary.BigEndian.Uint64(buf); seq > r.seq {
			r.seq, r.index, r.term, r.fresh = seq, binary.BigEndian.Uint64(buf[8:]), binary.BigEndian.Uint64(buf[16:]), false
		}
	}
	return r, nil
}

func (r *record) last() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.index
}

func (r *record) setLast(index uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.index = index
	return r.write()
}

// lower is setLast for an index that is about to be the last again.
func (r *record) lower(index uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.index = index
	return errors.Join(r.write(), r.sync())
}

func (r *record) sync() error {
	if err := r.file.Sync(); err != nil {
		return fmt.Errorf("record of the durable index: %w", err)
	}
	return nil
}

func (r *record) currentTerm() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.term
}

func (r *record) setTerm(term uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.term = term
	return r.write()
}

func (r *record) write() error {
	r.seq++
	buf := binary.BigEndian.AppendUint64(make([]byte, 0, slotBytes), r.seq)
	buf = binary.BigEndian.AppendUint64(buf, r.index)
	buf = binary.BigEndian.AppendUint64(buf, r.term)
	buf = binary.BigEndian.AppendUint32(buf, crc32.Checksum(buf, castagnoli))
	if _, err := r.file.WriteAt(buf, int64(r.seq%2)*slotSpace); err != nil {
		return fmt.Errorf("record of the durable index: %w", err)
	}
	return nil
}

// check compares what the database holds with what the record remembers.
func (r *record) check(s *Store, last, term uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.fresh && (last != 0 || term != 0):
		return s.damaged("the record of the durable index (%s) is missing or unreadable, but the log reaches index %d", r.file.Name(), last)
	case last < r.index:
		return s.damaged("the log ends at index %d but had reached %d", last, r.index)
	case term < r.term:
		return s.damaged("the current term is %d but had been %d", term, r.term)
	}
	r.index, r.term = last, term
	if err := errors.Join(r.write(), r.sync()); err != nil || !r.fresh {
		return err
	}
	r.fresh = false
	return syncDir(filepath.Dir(r.file.Name()))
}

func (r *record) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.file.Sync(), r.file.Close())
}
