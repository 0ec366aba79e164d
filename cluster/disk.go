// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
)

// diskEvery is how often a member looks what its data take.
const diskEvery = 5 * time.Second

// diskUse is what a member's data take and what its file system has left.
type diskUse struct {
	log         store.Size
	snapshot    store.Written
	bytes, free uint64
	// oldest is when the oldest entry of the log was made, zero for an empty log.
	oldest time.Time
}

// disk looks at a member's data from time to time. Whoever asks gets what was
// found last: a disk that hangs does not keep the metrics from telling so.
type disk struct {
	path  string
	store interface {
		Size() (store.Size, error)
		FirstIndex() (uint64, error)
		GetLog(index uint64, l *raft.Log) error
	}
	snaps interface{ Newest() (store.Written, error) }
	found atomic.Pointer[diskUse]
}

// watch looks until ctx ends.
func (d *disk) watch(ctx context.Context) {
	t := time.NewTicker(diskEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			d.look()
		}
	}
}

// look keeps what it knew of what cannot be found out now.
func (d *disk) look() {
	use := d.use()
	if size, err := d.store.Size(); err == nil {
		use.log = size
	}
	if w, err := d.snaps.Newest(); err == nil {
		use.snapshot = w
	}
	use.oldest = d.oldest(use.oldest)
	var fs syscall.Statfs_t
	if err := syscall.Statfs(d.path, &fs); err == nil {
		use.bytes, use.free = uint64(fs.Blocks)*uint64(fs.Bsize), uint64(fs.Bavail)*uint64(fs.Bsize)
	}
	d.found.Store(&use)
}

// oldest is when the oldest entry was made. The log may be cut at the same time.
func (d *disk) oldest(known time.Time) time.Time {
	first, err := d.store.FirstIndex()
	if err != nil {
		return known
	}
	if first == 0 {
		return time.Time{}
	}
	var l raft.Log
	if err := d.store.GetLog(first, &l); err != nil {
		return known
	}
	return l.AppendedAt
}

func (d *disk) use() diskUse {
	if use := d.found.Load(); use != nil {
		return *use
	}
	return diskUse{}
}
