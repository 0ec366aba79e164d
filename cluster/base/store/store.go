// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
)

// Kinds of log stores.
const (
	// KindBolt is raft-boltdb, the default.
	KindBolt = "boltdb"
	// KindWAL is raft-wal: faster, but called experimental by its authors, and
	// it links an archived module. Only builds with the tag raftwal have it.
	KindWAL = "wal"
)

// backend is what both log stores offer.
type backend interface {
	raft.LogStore
	raft.StableStore
	Close() error
}

// Options say whose store it is and who observes it. All are optional.
type Options struct {
	// Member is the id of the member, a UUID: entries that it makes say so.
	Member string
	// OnOp is called before a disk operation; the function it returns, after it.
	OnOp func(name string) (done func(err error))
	// OnFailure is called once per error of the disk or the database, and with
	// a *DamageError when stored data is not what was written. Raft itself
	// hides some of these errors.
	OnFailure func(err error)
}

// DamageError says that stored data is not what was written, or is missing.
type DamageError struct {
	Path   string
	Reason string
}

// Error names the file and what to do.
func (e *DamageError) Error() string {
	return fmt.Sprintf("damaged data in %s: %s; this member must not vote with it: move the data directory away and join the cluster again", e.Path, e.Reason)
}

// Store is a raft.LogStore and raft.StableStore.
type Store struct {
	path   string
	inner  backend
	record *record
	// applied remembers how far the log is known to be committed.
	applied *record
	maker   []byte
	opts    Options

	// terms orders the writers of the current term: raft sets it from its main
	// loop and, for heartbeats, from the goroutine of a connection.
	terms sync.Mutex
}

var (
	_ raft.MonotonicLogStore = (*Store)(nil)
	_ raft.LogStore          = (*Store)(nil)
	_ raft.StableStore       = (*Store)(nil)
)

// Open opens or creates the store of the given kind in dir and verifies all
// of it. The error is a *DamageError when the data must not be used.
func Open(dir, kind string, opts Options) (*Store, error) {
	if opts.OnOp == nil {
		opts.OnOp = func(string) func(error) { return func(error) {} }
	}
	if opts.OnFailure == nil {
		opts.OnFailure = func(error) {}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkKind(dir, kind); err != nil {
		return nil, err
	}
	maker, err := makerID(opts.Member)
	if err != nil {
		return nil, err
	}
	inner, path, err := openBackend(dir, kind)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, inner: inner, maker: maker, opts: opts}
	if s.record, err = openRecord(filepath.Join(dir, "durable")); err == nil {
		err = s.verify()
	}
	if err == nil {
		s.applied, err = openRecord(filepath.Join(dir, "applied"))
	}
	if err != nil {
		inner.Close()
		if s.record != nil {
			s.record.close()
		}
		return nil, err
	}
	return s, nil
}

func makerID(member string) ([]byte, error) {
	if member == "" {
		return nil, nil
	}
	id, err := uuid.Parse(member)
	if err != nil {
		return nil, fmt.Errorf("member id %q is not a UUID: %w", member, err)
	}
	return id[:], nil
}

// checkKind refuses to open a directory with another kind of store than the
// one that wrote it, which would look like an empty log.
func checkKind(dir, kind string) error {
	other := map[string]string{KindBolt: walDir, KindWAL: boltFile}[kind]
	if other == "" {
		return fmt.Errorf("unknown log store %q: want %s or %s", kind, KindBolt, KindWAL)
	}
	if _, err := os.Stat(filepath.Join(dir, other)); err == nil {
		return fmt.Errorf("%s holds a log of another kind (%s) than the configured log_store %s: set log_store back, or join again with an empty data directory", dir, other, kind)
	}
	return nil
}

// IsMonotonic makes raft remove the old log when a snapshot from the leader
// takes its place (raft.MonotonicLogStore), whatever the backend would allow.
// Entries left behind could be ones that were never committed, and nothing
// tells them from the history that the snapshot stands for.
func (s *Store) IsMonotonic() bool { return true }

// Close flushes the records and closes the database.
func (s *Store) Close() error {
	return errors.Join(s.record.close(), s.applied.close(), s.inner.Close())
}

// SetApplied notes that every entry up to an index has been applied here, and
// so is committed. It is not synced: after a crash it may lag behind.
func (s *Store) SetApplied(index uint64) error { return s.applied.setLast(index) }

// Applied is the last index that SetApplied has noted, 0 for none: entries up
// to it are committed whatever the other members say.
func (s *Store) Applied() uint64 { return s.applied.last() }

// Ops are the names of operations that OnOp is told.
var Ops = []string{"set", "get", "set_uint64", "get_uint64", "first_index", "last_index", "get_log", "store_logs", "delete_range", "verify"}

// do runs one operation under the observers and turns a panic or a memory
// fault of the database, which damaged pages can cause, into a DamageError.
func (s *Store) do(name string, op func() error) (err error) {
	done := s.opts.OnOp(name)
	defer func() { done(err) }()
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = s.damaged("the database cannot be read: %v", p)
		}
		if err != nil && !errors.Is(err, raft.ErrLogNotFound) {
			s.opts.OnFailure(err)
		}
	}()
	return op()
}

func (s *Store) damaged(format string, args ...any) error {
	return &DamageError{Path: s.path, Reason: fmt.Sprintf(format, args...)}
}

// FirstIndex returns the index of the oldest entry, 0 for an empty log.
func (s *Store) FirstIndex() (i uint64, err error) {
	err = s.do("first_index", func() error { i, err = s.inner.FirstIndex(); return err })
	return i, err
}

// LastIndex returns the index of the newest entry, 0 for an empty log.
func (s *Store) LastIndex() (i uint64, err error) {
	err = s.do("last_index", func() error { i, err = s.inner.LastIndex(); return err })
	return i, err
}

// GetLog reads and verifies an entry.
func (s *Store) GetLog(index uint64, l *raft.Log) error {
	return s.do("get_log", func() error {
		if err := s.inner.GetLog(index, l); err != nil {
			return err
		}
		if l.Index != index {
			return s.damaged("entry %d was found under index %d", l.Index, index)
		}
		if !sumMatches(l) {
			return s.damaged("entry %d does not match its checksum", index)
		}
		return nil
	})
}

// StoreLog stores one entry.
func (s *Store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// ErrReceived says that an entry that another member sent does not match its
// checksum. Nothing was stored; the sender will try again.
var ErrReceived = errors.New("a received log entry does not match its checksum")

// StoreLogs gives new entries their checksum, verifies received ones and
// stores all of them durably.
func (s *Store) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	for _, l := range logs {
		if Made(l) {
			l.Extensions = sum(l, s.maker)
		} else if err := Verify(l); err != nil {
			return err
		}
		fault.Journal(l.Index, l.Term, uint8(l.Type), l.Data)
	}
	return s.do("store_logs", func() error {
		if err := fault.Err(fault.StoreLogsBefore); err != nil {
			return err
		}
		if err := s.closeGap(logs[0].Index); err != nil {
			return err
		}
		if err := s.inner.StoreLogs(logs); err != nil {
			return err
		}
		fault.Hit(fault.StoreRecordBefore)
		if err := s.record.setLast(logs[len(logs)-1].Index); err != nil {
			return err
		}
		return fault.Err(fault.StoreLogsAfter)
	})
}

// closeGap removes what is in the log when the next entry does not follow it:
// a snapshot from the leader took the place of entries, and the member stopped
// before the old log was removed. A log with a hole would count as damaged at
// the next start.
func (s *Store) closeGap(next uint64) error {
	if next <= s.record.last()+1 {
		return nil
	}
	first, err := s.inner.FirstIndex()
	if err != nil || first == 0 {
		return err
	}
	last, err := s.inner.LastIndex()
	if err != nil || next <= last+1 {
		return err
	}
	if err := s.record.lower(0); err != nil {
		return err
	}
	return s.inner.DeleteRange(first, last)
}

// DeleteRange removes entries, both ends included. When the end of the log
// goes, the record is lowered first: a crash in between must not look like damage.
func (s *Store) DeleteRange(low, high uint64) error {
	return s.do("delete_range", func() error {
		if err := fault.Err(fault.StoreDeleteBefore); err != nil {
			return err
		}
		if high >= s.record.last() {
			if err := s.lower(low); err != nil {
				return err
			}
		}
		err := s.inner.DeleteRange(low, high)
		fault.Hit(fault.StoreDeleteAfter)
		return err
	})
}

// lower makes the record say what is left when everything from low on goes:
// nothing at all if the log begins there, because a snapshot has the rest.
func (s *Store) lower(low uint64) error {
	first, err := s.inner.FirstIndex()
	if err != nil {
		return err
	}
	if low <= first {
		return s.record.lower(0)
	}
	return s.record.lower(low - 1)
}

// verify reads everything once: no gap, no mismatch, nothing shorter than the record says.
func (s *Store) verify() error {
	return s.do("verify", func() error {
		first, err := s.inner.FirstIndex()
		if err != nil {
			return err
		}
		last, err := s.inner.LastIndex()
		if err != nil {
			return err
		}
		var l raft.Log
		for i := first; i != 0 && i <= last; i++ {
			l = raft.Log{}
			if err := s.inner.GetLog(i, &l); errors.Is(err, raft.ErrLogNotFound) {
				return s.damaged("entry %d is missing between %d and %d", i, first, last)
			} else if err != nil {
				return s.damaged("entry %d cannot be read: %v", i, err)
			}
			if l.Index != i || !sumMatches(&l) {
				return s.damaged("entry %d does not match its checksum", i)
			}
		}
		term, err := s.getUint64([]byte(keyCurrentTerm))
		if err != nil {
			return err
		}
		for _, key := range []string{"LastVoteTerm", "LastVoteCand"} {
			if _, err := s.get([]byte(key)); err != nil {
				return err
			}
		}
		return s.record.check(s, last, term)
	})
}
