// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// auditStore holds the event log and its consumers.
type auditStore struct {
	events  [2]table.Table[uint64, eventRecord] // by class, see classIndex
	sinks   table.Table[string, *sink]
	cursors table.Table[string, *cursor]
	totals  table.Table[string, sinkTotals] // by name of the sink, see [sinkTotals]
	letters table.Table[string, *letter]

	// shares counts the security events that are kept by who caused them.
	shares shares
	// backlog counts what required sinks have not been given, see [bearer.at].
	backlog shares
	// required counts the sinks that writes wait for.
	required table.Value[int]
}

var (
	securityTable = declaration[uint64, eventRecord]{
		schema: table.Schema[uint64, eventRecord]{Kind: kindSecurity, AppendKey: table.AppendKey64, ReadKey: table.ReadKey64, Read: readEventRecord},
		in:     func(v *view) *table.Table[uint64, eventRecord] { return &v.audit.events[0] },
		indexes: []place{
			func(v *view) table.Part { return &v.audit.shares.held },
			func(v *view) table.Part { return &v.audit.shares.total },
		},
		enter: func(x *txn, seq uint64, r eventRecord) { countEvent(x, seq, r, 1) },
		leave: func(x *txn, seq uint64, r eventRecord) { countEvent(x, seq, r, -1) },
	}
	activityTable = declaration[uint64, eventRecord]{
		schema: table.Schema[uint64, eventRecord]{Kind: kindActivity, AppendKey: table.AppendKey64, ReadKey: table.ReadKey64, Read: readEventRecord},
		in:     func(v *view) *table.Table[uint64, eventRecord] { return &v.audit.events[1] },
	}
)

// eventTables are the tables of events by class, see classIndex.
var eventTables = [...]*declaration[uint64, eventRecord]{&securityTable, &activityTable}

var sinkTable = declaration[string, *sink]{
	schema: table.Schema[string, *sink]{Kind: kindSink, AppendKey: table.AppendKeyString, ReadKey: table.ReadKeyString, Read: readSink},
	in:     func(v *view) *table.Table[string, *sink] { return &v.audit.sinks },
	indexes: []place{
		func(v *view) table.Part { return &v.audit.required },
	},
	fits: func(_ *txn, name string, s *sink) bool {
		s.Name = name
		return true
	},
	enter: func(x *txn, _ string, s *sink) { countRequired(x, s, 1) },
	leave: func(x *txn, _ string, s *sink) { countRequired(x, s, -1) },
}

var cursorTable = declaration[string, *cursor]{
	schema: table.Schema[string, *cursor]{Kind: kindCursor, AppendKey: table.AppendKeyString, ReadKey: table.ReadKeyString, Read: readCursorRecord},
	in:     func(v *view) *table.Table[string, *cursor] { return &v.audit.cursors },
	fits:   func(x *txn, name string, _ *cursor) bool { return x.audit.sinks.Holds(name) },
}

var sinkTotalsTable = declaration[string, sinkTotals]{
	schema: table.Schema[string, sinkTotals]{Kind: kindSinkTotals, AppendKey: table.AppendKeyString, ReadKey: table.ReadKeyString, Read: readSinkTotals},
	in:     func(v *view) *table.Table[string, sinkTotals] { return &v.audit.totals },
	fits:   fitsSinkTotals,
}

// Dead letters are keyed by sink and sequence number.
var letterTable = declaration[string, *letter]{
	schema: table.Schema[string, *letter]{Kind: kindLetter, AppendKey: table.AppendKeyString, ReadKey: readLetterKey, Read: readLetter},
	in:     func(v *view) *table.Table[string, *letter] { return &v.audit.letters },
	fits: func(x *txn, k string, _ *letter) bool {
		name, _ := splitLetterKey(k)
		return x.audit.sinks.Holds(name)
	},
}

// fitsSinkTotals comes after what it has to fit to.
func fitsSinkTotals(x *txn, name string, t sinkTotals) bool {
	if x.audit.sinks.Holds(name) != (t.gone == 0) {
		return false
	}
	cur, ok := x.audit.cursors.Get(name)
	return !ok || cur.before.delivered <= t.delivered && cur.before.failed <= t.failed && cur.before.dropped <= t.dropped
}

// countEvent counts a security event for who caused it, n times.
func countEvent(x *txn, seq uint64, r eventRecord, n int64) {
	e, ok := decodeEvent(seq, protocol.ClassSecurity, r)
	if !ok {
		return
	}
	if b, counts := eventBearer(e.Actor, e.Source, e.Action); counts {
		x.audit.shares.add(&x.w, &b, n*eventCost(r))
	}
}

// countRequired counts the sinks that writes wait for.
func countRequired(x *txn, s *sink, n int) {
	if s.Required {
		x.audit.required.Set(&x.w, x.audit.required.Get()+n)
	}
}

// inBacklogs counts one event in the backlogs that it is in, n times.
func inBacklogs(x *txn, seq uint64, r eventRecord, n int64) {
	if x.audit.required.Get() == 0 {
		return
	}
	by, counts := causedBy(r.origin())
	if !counts {
		return
	}
	x.audit.sinks.Scan(func(name string, s *sink) bool {
		if cur, ok := x.audit.cursors.Get(name); ok && s.Required && seq > cur.seq && seq <= s.ahead(cur.seq) {
			b := by.at(name)
			x.audit.backlog.add(&x.w, &b, n)
		}
		return true
	})
}

// countBetween counts the events after one sequence number, up to another.
func countBetween(x *txn, name string, after, upTo uint64, n int64) {
	for i := range x.audit.events {
		x.audit.events[i].Ascend(after+1, func(seq uint64, r eventRecord) bool {
			if seq > upTo {
				return false
			}
			if by, counts := causedBy(r.origin()); counts {
				b := by.at(name)
				x.audit.backlog.add(&x.w, &b, n)
			}
			return true
		})
	}
}

func putEvent(x *txn, class int, seq uint64, r eventRecord) { eventTables[class].put(x, seq, r) }

func dropEvent(x *txn, class int, seq uint64) { eventTables[class].drop(x, seq) }

func putSink(x *txn, name string, s *sink) { sinkTable.put(x, name, s) }

func putCursor(x *txn, name string, c *cursor) { cursorTable.put(x, name, c) }

// dropSink removes a sink and its position.
func dropSink(x *txn, name string) {
	cursorTable.drop(x, name)
	sinkTable.drop(x, name)
}

func putLetter(x *txn, key string, l *letter) { letterTable.put(x, key, l) }

func dropLetter(x *txn, key string) { letterTable.drop(x, key) }

func putTotals(x *txn, name string, t sinkTotals) { sinkTotalsTable.put(x, name, t) }

func dropTotals(x *txn, name string) { sinkTotalsTable.drop(x, name) }
