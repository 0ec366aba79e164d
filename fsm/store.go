// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/fsm/internal/table"

// declaration says everything about a table: how its records are encoded,
// where it stands in the state, what a restored record has to fit, and which
// indexes follow from a record. What the state does with all of its tables
// (making, publishing, hashing, writing and restoring them) is derived from
// the list of declarations below.
type declaration[K table.Key, V table.Record] struct {
	schema table.Schema[K, V]
	in     func(*view) *table.Table[K, V]
	// indexes are the places of what is derived from this table.
	indexes []place
	// fits reports whether a restored record does not contradict those before
	// it. It also sets what a record repeats of its key.
	fits func(x *txn, k K, v V) bool
	// enter keeps the indexes when a record comes and leave when it goes.
	enter, leave func(x *txn, k K, v V)
	// replace keeps them when one record takes the place of another. Without it
	// the old one leaves and the new one enters.
	replace func(x *txn, k K, old, v V)
}

// place finds a table, an index or a value in a state.
type place func(*view) table.Part

// declared is a declaration of any types.
type declared interface {
	kind() table.Kind
	places() []place
	// make gives a state an empty table.
	make(v *view)
	// stored finds the table as snapshots and digests see it.
	stored(v *view) table.Stored
	// load adds a decoded record to a state that is being restored. It reports
	// false for what does not decode or contradicts a record loaded before.
	load(x *txn, d *table.Decoder, level uint32) bool
	// keyOf is the encoded key of an encoded record.
	keyOf(record []byte) string
}

func (d *declaration[K, V]) kind() table.Kind { return d.schema.Kind }

func (d *declaration[K, V]) make(v *view) { *d.in(v) = table.New(&d.schema) }

func (d *declaration[K, V]) stored(v *view) table.Stored { return d.in(v) }

func (d *declaration[K, V]) places() []place {
	return append([]place{func(v *view) table.Part { return d.in(v) }}, d.indexes...)
}

// put stores a record and keeps digest and indexes.
func (d *declaration[K, V]) put(x *txn, k K, v V) {
	old, had := d.in(&x.view).Put(&x.w, k, v)
	if had && d.replace != nil {
		d.replace(x, k, old, v)
		return
	}
	if had && d.leave != nil {
		d.leave(x, k, old)
	}
	if d.enter != nil {
		d.enter(x, k, v)
	}
}

// drop removes a record and keeps digest and indexes.
func (d *declaration[K, V]) drop(x *txn, k K) {
	if old, had := d.in(&x.view).Drop(&x.w, k); had && d.leave != nil {
		d.leave(x, k, old)
	}
}

func (d *declaration[K, V]) load(x *txn, in *table.Decoder, level uint32) bool {
	k, v, ok := d.in(&x.view).Decode(in, level)
	return ok && d.add(x, k, v)
}

// add stores a record of a state that is being made. It reports false for one
// that is there already or contradicts those before it.
func (d *declaration[K, V]) add(x *txn, k K, v V) bool {
	if d.in(&x.view).Holds(k) || d.fits != nil && !d.fits(x, k, v) {
		return false
	}
	d.put(x, k, v)
	return true
}

func (d *declaration[K, V]) keyOf(record []byte) string {
	in := table.NewDecoder(record[1:])
	d.schema.ReadKey(in)
	return string(record[1 : len(record)-in.Left()])
}

// rekey moves an entry of an index to another key. The zero key stands for none.
func rekey[K table.Key, V any](x *txn, ix *table.Index[K, V], was, is K, v V) {
	if was == is {
		return
	}
	var none K
	if was != none {
		ix.Drop(&x.w, was)
	}
	if is != none {
		ix.Put(&x.w, is, v)
	}
}

// tables are all tables in the order of snapshots. Nodes come before what
// refers to them, sinks and memberships likewise.
var tables = append([]declared{
	&nodeTable, &seenTable, &networkTable, &membershipTable, &trustTable, &requestTable, &responseTable, &beaconTable,
	&tokenTable, &sealedTable, &clusterMemberTable, &sessionTable, &mintedTable, &resultTable, &securityTable, &activityTable, &blockedTable,
	&inviteTable, &preAssignTable, &settingsTable, &sinkTable, &cursorTable, &sinkTotalsTable, &letterTable, &jwksTable, &stagedTable,
	&memberTagsTable, &networkDocsTable, &rejectedTable, &provenKeyTable,
}, nextTables...)

// shared are the places of what is derived from several tables.
var shared = append([]place{
	func(v *view) table.Part { return &v.due },
}, sharesAt(func(v *view) *shares { return &v.audit.backlog })...)

// places are those of everything that the state is made of besides its meta
// record, by slot.
var places = func() (list []place) {
	for _, d := range tables {
		list = append(list, d.places()...)
	}
	return append(list, shared...)
}()

// byKind finds the declaration of a kind of records.
var byKind = func() map[table.Kind]declared {
	m := map[table.Kind]declared{}
	for _, d := range tables {
		m[d.kind()] = d
	}
	return m
}()

// stored lists the tables of a state as snapshots and digests see them.
func (v *view) stored() []table.Stored {
	list := make([]table.Stored, len(tables))
	for i, d := range tables {
		list[i] = d.stored(v)
	}
	return list
}

// newTxn returns the writer of an empty state.
func newTxn() *txn {
	x := &txn{view: view{meta: meta{nextNode: 1, nextNet: 1}}}
	x.w = table.NewWriter(&x.meta.level)
	for _, d := range tables {
		d.make(&x.view)
	}
	for i, part := range places {
		x.w.Open(part(&x.view), table.Slot(i))
	}
	x.beacons.cache.Set(&x.w, new(beaconCache))
	x.metaHash = x.meta.hash()
	x.w.Digest.Add(&x.metaHash)
	return x
}

// handOver gives the changes since the last publication to dst, which holds
// the state that was published then.
func (x *txn) handOver(dst *view) {
	dst.meta = x.meta
	for _, slot := range x.w.TakeChanged() {
		table.HandOver(places[slot](&x.view), places[slot](dst))
	}
}
