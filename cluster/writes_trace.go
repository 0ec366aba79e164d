// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/spans"
)

// entryTimes are the ends of the stages of an entry with a traced write. The
// goroutine that made the entry notes them before it says that the writes are
// decided. Times of stages that were not reached are zero.
type entryTimes struct {
	commands                          int
	taken, handed, committed, applied time.Time
}

// timesOf gives the traced ones of an entry's writes the times of that entry;
// nil when none is traced.
func timesOf(items []*queued, taken time.Time) *entryTimes {
	var times *entryTimes
	for _, it := range items {
		if it.since.IsZero() {
			continue
		}
		if times == nil {
			times = &entryTimes{commands: len(items), taken: taken}
		}
		it.times = times
	}
	return times
}

func (t *entryTimes) handedOver() {
	if t != nil {
		t.handed = time.Now()
	}
}

// decided notes when the entry of an index was committed and applied, unless a
// newer entry has been applied since.
func (t *entryTimes) decided(index uint64, lastApplied func() *appliedEntry) {
	if t == nil || lastApplied == nil {
		return
	}
	if last := lastApplied(); last != nil && last.index == index {
		t.committed, t.applied = last.begun, last.end
	}
}

// trace records the stages that a write went through at the leader. The
// caller does it, so that the goroutine that makes entries does not.
func (it *queued) trace(ctx context.Context) {
	t := it.times
	if t == nil {
		return
	}
	spans.Record(ctx, "queue", it.since, t.taken)
	spans.Record(ctx, "propose_entry", t.taken, t.handed, spans.Commands.Int(t.commands))
	spans.Record(ctx, "commit", t.handed, t.committed)
	spans.Record(ctx, "apply", t.committed, t.applied)
}
