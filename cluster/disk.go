// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/store"
)

// diskEvery is how often a member looks what its data take.
const diskEvery = 5 * time.Second

// diskUse is what a member's data take and what its file system has left.
type diskUse struct {
	log         store.Size
	snapshot    store.Written
	bytes, free uint64
}

// disk looks at a member's data from time to time. Whoever asks gets what was
// found last: a disk that hangs does not keep the metrics from telling so.
type disk struct {
	path  string
	store interface{ Size() (store.Size, error) }
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
	var fs syscall.Statfs_t
	if err := syscall.Statfs(d.path, &fs); err == nil {
		use.bytes, use.free = uint64(fs.Blocks)*uint64(fs.Bsize), uint64(fs.Bavail)*uint64(fs.Bsize)
	}
	d.found.Store(&use)
}

func (d *disk) use() diskUse {
	if use := d.found.Load(); use != nil {
		return *use
	}
	return diskUse{}
}
