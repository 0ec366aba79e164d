// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/protocol"

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
	return appendUvarint(appendUvarint(appendUvarint(dst, s.delivered), s.failed), s.dropped)
}

func readSinkCounts(d *decoder) sinkCounts {
	return sinkCounts{d.uvarint(), d.uvarint(), d.uvarint()}
}

func (s sinkTotals) appendTo(dst []byte, _ uint32) []byte {
	return appendVarint(s.sinkCounts.appendTo(dst), s.gone)
}

func readSinkTotals(d *decoder, _ uint32) sinkTotals {
	return sinkTotals{readSinkCounts(d), d.varint()}
}

// counts are what became of a sink's events since it has its address, and
// since the cluster began.
func (v *view) sinkCount(name string) (now sinkCounts, total protocol.SinkTotals) {
	t, _ := v.totals.get(name)
	if cur, ok := v.cursors.get(name); ok {
		now = sinkCounts{t.delivered - cur.before.delivered, t.failed - cur.before.failed, t.dropped - cur.before.dropped}
	}
	return now, protocol.SinkTotals{DeliveredTotal: t.delivered, FailedTotal: t.failed, DroppedTotal: t.dropped}
}

var sinkTotalsSchema = schema[string, sinkTotals]{kindSinkTotals, appendKeyStr, readKeyStr, readSinkTotals}

// maxGoneTotals bounds how many names of deleted sinks are remembered; those
// that have been gone longest make way.
const maxGoneTotals = 4 * protocol.MaxSinks

// countSink adds what became of events.
func (x *txn) countSink(name string, c sinkCounts) {
	if c == (sinkCounts{}) {
		return
	}
	t, _ := x.totals.get(name)
	t.delivered, t.failed, t.dropped = t.delivered+c.delivered, t.failed+c.failed, t.dropped+c.dropped
	x.totals.put(x, name, t)
}

// keepTotals notes that a sink is there, or is gone since now.
func (x *txn) keepTotals(name string, there bool) {
	t, counted := x.totals.get(name)
	if !counted {
		return
	}
	t.gone = 0
	if !there {
		t.gone = max(x.meta.now, 1)
	}
	x.totals.put(x, name, t)
	if !there {
		x.forgetTotals()
	}
}

func (x *txn) forgetTotals() {
	count, oldest, since := 0, "", int64(0)
	x.totals.scan(func(name string, t sinkTotals) bool {
		if t.gone != 0 {
			if count++; count == 1 || t.gone < since {
				oldest, since = name, t.gone
			}
		}
		return true
	})
	if count > maxGoneTotals {
		x.totals.drop(x, oldest)
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
	r.sinks.scan(func(name string, _ *sink) bool {
		t, _ := r.totals.get(name)
		add(name, t)
		return true
	})
	r.totals.scan(func(name string, t sinkTotals) bool {
		if t.gone != 0 {
			add(name, t)
		}
		return true
	})
	return out
}
