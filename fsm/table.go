// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"crypto/sha256"

	"github.com/tidwall/btree"
)

// kind says which table a record belongs to. The numbers are part of digests
// and snapshots: append-only, never reused.
type kind uint8

const (
	kindMeta          kind = 1
	kindNode          kind = 2
	kindSeen          kind = 3
	kindNetwork       kind = 4
	kindMembership    kind = 5
	kindTrust         kind = 6
	kindRequest       kind = 7
	kindResponse      kind = 8
	kindBeacon        kind = 9
	kindToken         kind = 10
	kindSealed        kind = 11
	kindClusterMember kind = 12
	kindSession       kind = 13
	kindMinted        kind = 14
	kindResult        kind = 15
	kindSecurity      kind = 16
	kindActivity      kind = 17
	kindBlocked       kind = 18
	kindInvite        kind = 20
	kindPreAssign     kind = 21
	kindCursor        kind = 19
	kindSettings      kind = 22
	kindStaged        kind = 23
	kindSink          kind = 24
	kindLetter        kind = 25
	kindJWKS          kind = 26
	kindMemberTag     kind = 27
	kindNetDocs       kind = 28
	kindRejected      kind = 29
	kindProvenKey     kind = 30
	kindSinkTotals    kind = 31
)

type tableKey interface {
	~uint16 | ~uint32 | ~uint64 | ~string
}

// record is what a table stores. appendTo appends the canonical encoding at a
// feature level. A record is immutable once it is in a table.
type record interface {
	appendTo(dst []byte, level uint32) []byte
}

// store is a copy-on-write map, ordered by key: a tree or, for keys that are
// given out one after the other, a [dense] one.
type store[K tableKey, V any] interface {
	Get(K) (V, bool)
	Set(K, V) (V, bool)
	Delete(K) (V, bool)
	Len() int
	Scan(func(K, V) bool)
	Ascend(K, func(K, V) bool)
	// publish returns the map as it is now, for readers. Its cost does not
	// depend on its size.
	publish() store[K, V]
}

// treeDegree is the fan-out of the trees. A change copies one path of nodes
// of at most 2*treeDegree-1 items.
const treeDegree = 16

type tree[K tableKey, V any] struct{ *btree.Map[K, V] }

func newTree[K tableKey, V any]() store[K, V] { return tree[K, V]{btree.NewMap[K, V](treeDegree)} }

// publish copies the writer's tree. Only a tree that is written to may be
// copied: copying changes the generation of both.
func (t tree[K, V]) publish() store[K, V] { return tree[K, V]{t.Copy()} }

// schema says how a table's keys and records are encoded.
type schema[K tableKey, V record] struct {
	kind      kind
	appendKey func([]byte, K) []byte
	readKey   func(*decoder) K
	read      func(*decoder, uint32) V
}

// table is a copy-on-write table of records that belong to the digest and the
// snapshot. The writer's table is changed through put and drop only; a
// published one is only read.
type table[K tableKey, V record] struct {
	store[K, V]
	schema *schema[K, V]
	dirty  bool
}

func newTable[K tableKey, V record](s *schema[K, V]) table[K, V] {
	return table[K, V]{store: newTree[K, V](), schema: s, dirty: true}
}

type comparableRecord interface {
	comparable
	record
}

func newDenseTable[V comparableRecord](s *schema[uint32, V]) table[uint32, V] {
	return table[uint32, V]{store: &dense[V]{gen: 1}, schema: s, dirty: true}
}

func (t *table[K, V]) get(k K) (V, bool) { return t.store.Get(k) }

func (t *table[K, V]) holds(k K) bool {
	_, ok := t.store.Get(k)
	return ok
}

func (t *table[K, V]) len() int { return t.store.Len() }

// ascend visits records from pivot upwards until f returns false.
func (t *table[K, V]) ascend(pivot K, f func(K, V) bool) { t.store.Ascend(pivot, f) }

// descend visits the records of a tree from pivot downwards until f returns false.
func (t *table[K, V]) descend(pivot K, f func(K, V) bool) {
	if s, ok := t.store.(tree[K, V]); ok {
		s.Descend(pivot, f)
	}
}

func (t *table[K, V]) scan(f func(K, V) bool) { t.store.Scan(f) }

// put stores a record and keeps the digest.
func (t *table[K, V]) put(x *txn, k K, v V) {
	t.dirty = true
	if old, had := t.store.Set(k, v); had {
		x.digest.sub(t.hash(x, k, old))
	}
	x.digest.add(t.hash(x, k, v))
}

// drop removes a record and keeps the digest.
func (t *table[K, V]) drop(x *txn, k K) {
	if old, had := t.store.Delete(k); had {
		t.dirty = true
		x.digest.sub(t.hash(x, k, old))
	}
}

func (t *table[K, V]) hash(x *txn, k K, v V) *[32]byte {
	x.buf = t.encode(x.buf[:0], k, v, x.meta.level)
	x.sum = sha256.Sum256(x.buf)
	return &x.sum
}

// encode appends a record as it is hashed and stored: kind, key, record.
func (t *table[K, V]) encode(dst []byte, k K, v V, level uint32) []byte {
	dst = append(dst, byte(t.schema.kind))
	dst = t.schema.appendKey(dst, k)
	return v.appendTo(dst, level)
}

// each emits all records in their encoded form. The buffer is reused.
func (t *table[K, V]) each(level uint32, emit func([]byte) error) (err error) {
	var buf []byte
	t.store.Scan(func(k K, v V) bool {
		buf = t.encode(buf[:0], k, v, level)
		err = emit(buf)
		return err == nil
	})
	return err
}

// decode reads one encoded record behind its kind byte.
func (t *table[K, V]) decode(d *decoder, level uint32) (k K, v V, ok bool) {
	k = t.schema.readKey(d)
	if d.bad {
		return k, v, false
	}
	v = t.schema.read(d, level)
	return k, v, d.done()
}

// handOver gives the changes since the last publication to dst.
func (t *table[K, V]) handOver(dst *table[K, V]) {
	if t.dirty {
		dst.store, dst.schema = t.store.publish(), t.schema
		t.dirty = false
	}
}

// index is a copy-on-write map that is derived from tables: it is neither in
// the digest nor in the snapshot.
type index[K tableKey, V any] struct {
	store[K, V]
	dirty bool
}

func newIndex[K tableKey, V any]() index[K, V] {
	return index[K, V]{store: newTree[K, V](), dirty: true}
}

func (t *index[K, V]) get(k K) (V, bool) { return t.store.Get(k) }

func (t *index[K, V]) len() int { return t.store.Len() }

func (t *index[K, V]) ascend(pivot K, f func(K, V) bool) { t.store.Ascend(pivot, f) }

func (t *index[K, V]) put(k K, v V) {
	t.dirty = true
	t.store.Set(k, v)
}

func (t *index[K, V]) drop(k K) {
	if _, had := t.store.Delete(k); had {
		t.dirty = true
	}
}

func (t *index[K, V]) handOver(dst *index[K, V]) {
	if t.dirty {
		dst.store = t.store.publish()
		t.dirty = false
	}
}

// first returns the record with the lowest key.
func first[K tableKey, V any](s store[K, V]) (k K, v V, ok bool) {
	s.Scan(func(key K, value V) bool {
		k, v, ok = key, value, true
		return false
	})
	return k, v, ok
}
