// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
)

// oneEntry is a log with at most one entry.
type oneEntry struct {
	index uint64
	at    time.Time
	gone  bool
}

func (l *oneEntry) Size() (store.Size, error)    { return store.Size{}, nil }
func (l *oneEntry) FirstIndex() (uint64, error)  { return l.index, nil }
func (*oneEntry) Newest() (store.Written, error) { return store.Written{}, nil }
func (l *oneEntry) GetLog(index uint64, e *raft.Log) error {
	if l.gone {
		return raft.ErrLogNotFound
	}
	e.Index, e.AppendedAt = index, l.at
	return nil
}

func TestTheAgeOfTheOldestEntry(t *testing.T) {
	t.Parallel()
	log := &oneEntry{}
	d := &disk{path: t.TempDir(), store: log, snaps: log}
	made := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		what string
		log  oneEntry
		want time.Time
	}{
		{"an empty log", oneEntry{}, time.Time{}},
		{"an entry", oneEntry{index: 7, at: made}, made},
		{"an entry that is cut off meanwhile", oneEntry{index: 8, gone: true}, made},
	} {
		*log = c.log
		d.look()
		if got := d.use().oldest; !got.Equal(c.want) {
			t.Errorf("%s: made at %v, want %v", c.what, got, c.want)
		}
	}
}
