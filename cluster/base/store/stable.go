// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
)

// Set stores a value with its checksum.
func (s *Store) Set(key, val []byte) error {
	return s.do("set", func() error { return s.set(key, val) })
}

// set is where term and vote become durable.
func (s *Store) set(key, val []byte) error {
	if err := fault.Err(fault.TermVoteBefore); err != nil {
		return err
	}
	if err := s.inner.Set(key, appendValueSum(key, val)); err != nil {
		return err
	}
	return fault.Err(fault.TermVoteAfter)
}

// Get reads a value; it returns nil for a key that was never set.
func (s *Store) Get(key []byte) (val []byte, err error) {
	err = s.do("get", func() error { val, err = s.get(key); return err })
	return val, err
}

func (s *Store) get(key []byte) ([]byte, error) {
	raw, err := s.inner.Get(key)
	if isNotFound(err) || (err == nil && len(raw) == 0) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	val, ok := cutValueSum(key, raw)
	if !ok {
		return nil, s.damaged("the value of %s does not match its checksum", key)
	}
	return val, nil
}

var keyCurrentTerm = "CurrentTerm" // raft's own name of it

// SetUint64 stores a number with its checksum. The current term never goes
// down: raft reads it before it sets it, in two goroutines, so that an older
// term can come second. A member may start in a term that it has only heard
// of, but not in one that it has left.
func (s *Store) SetUint64(key []byte, val uint64) error {
	return s.do("set_uint64", func() error {
		raw := binary.BigEndian.AppendUint64(nil, val)
		if string(key) != keyCurrentTerm {
			return s.set(key, raw)
		}
		s.terms.Lock()
		defer s.terms.Unlock()
		if val < s.record.currentTerm() {
			return nil
		}
		if err := s.set(key, raw); err != nil {
			return err
		}
		return s.record.setTerm(val)
	})
}

// GetUint64 reads a number; it returns 0 for a key that was never set.
func (s *Store) GetUint64(key []byte) (n uint64, err error) {
	err = s.do("get_uint64", func() error { n, err = s.getUint64(key); return err })
	return n, err
}

func (s *Store) getUint64(key []byte) (uint64, error) {
	val, err := s.get(key)
	if err != nil || val == nil {
		return 0, err
	}
	if len(val) != 8 {
		return 0, s.damaged("the value of %s has %d bytes, want 8", key, len(val))
	}
	return binary.BigEndian.Uint64(val), nil
}
