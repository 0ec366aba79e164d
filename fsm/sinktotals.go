// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// sinkTotals is what became of the events of the sinks of one name since the
// cluster began. Totals stay when the sink is configured otherwise, switched
// off or deleted, and go on when there is one of its name again: a counter
// that falls makes a graph show the same events twice.
type sinkTotals struct {
	sinkCounts
	// gone is when the sink was deleted, in log time; 0 while there is one.
	gone int64
}

// sinkCounts is how many events were sent, became dead letters, or were cut off
// by retention before they could be sent.
type sinkCounts struct{ delivered, failed, dropped uint64 }

func (s sinkCounts) appendTo(dst []byte) []byte {
	return table.AppendUvarint(table.AppendUvarint(table.AppendUvarint(dst, s.delivered), s.failed), s.dropped)
}

func readSinkCounts(d *table.Decoder) sinkCounts {
	return sinkCounts{d.Uvarint(), d.Uvarint(), d.Uvarint()}
}

func (s sinkTotals) AppendTo(dst []byte, _ uint32) []byte {
	return table.AppendVarint(s.sinkCounts.appendTo(dst), s.gone)
}

func readSinkTotals(d *table.Decoder, _ uint32) sinkTotals {
	return sinkTotals{readSinkCounts(d), d.Varint()}
}

// counts are what became of a sink's events since it has its address, and
// since the cluster began.
func (st *auditStore) count(name string) (now sinkCounts, total protocol.SinkTotals) {
	t, _ := st.totals.Get(name)
	if cur, ok := st.cursors.Get(name); ok {
		now = sinkCounts{t.delivered - cur.before.delivered, t.failed - cur.before.failed, t.dropped - cur.before.dropped}
	}
	return now, protocol.SinkTotals{DeliveredTotal: t.delivered, FailedTotal: t.failed, DroppedTotal: t.dropped}
}

// maxGoneTotals bounds how many names of deleted sinks are remembered; those
// that have been gone longest make way.
const maxGoneTotals = 4 * protocol.MaxSinks

// countSink adds what became of events.
func countSink(x *txn, name string, c sinkCounts) {
	if c == (sinkCounts{}) {
		return
	}
	t, _ := x.audit.totals.Get(name)
	t.delivered, t.failed, t.dropped = t.delivered+c.delivered, t.failed+c.failed, t.dropped+c.dropped
	putTotals(x, name, t)
}

// keepTotals notes that a sink is there, or is gone since now.
func keepTotals(x *txn, name string, there bool) {
	t, counted := x.audit.totals.Get(name)
	if !counted {
		return
	}
	t.gone = 0
	if !there {
		t.gone = max(x.meta.now, 1)
	}
	putTotals(x, name, t)
	if !there {
		forgetTotals(x)
	}
}

func forgetTotals(x *txn) {
	count, oldest, since := 0, "", int64(0)
	x.audit.totals.Scan(func(name string, t sinkTotals) bool {
		if t.gone != 0 {
			if count++; count == 1 || t.gone < since {
				oldest, since = name, t.gone
			}
		}
		return true
	})
	if count > maxGoneTotals {
		dropTotals(x, oldest)
	}
}

// SinkTotals is what became of the events of the sinks of one name.
type SinkTotals struct {
	Name                       string
	Delivered, Failed, Dropped uint64
}

// SinkTotals lists what became of events, by the names of sinks, also of those
// that are gone.
func (r *Root) SinkTotals() (out []SinkTotals) {
	add := func(name string, t sinkTotals) {
		out = append(out, SinkTotals{Name: name, Delivered: t.delivered, Failed: t.failed, Dropped: t.dropped})
	}
	r.audit.sinks.Scan(func(name string, _ *sink) bool {
		t, _ := r.audit.totals.Get(name)
		add(name, t)
		return true
	})
	r.audit.totals.Scan(func(name string, t sinkTotals) bool {
		if t.gone != 0 {
			add(name, t)
		}
		return true
	})
	return out
}
