package fsm

import (
	"crypto/sha256"

	"github.com/tidwall/btree"
)

// kind says which table a record belongs to. The numbers are part of digests
// and snapshots: append-only, never reused.
type kind uint8

const (
	kindMeta     kind = 1
	kindNode     kind = 2
	kindSeen     kind = 3
	kindNetwork  kind = 4
	kindMember   kind = 5
	kindTrust    kind = 6
	kindRequest  kind = 7
	kindResponse kind = 8
	kindBeacon   kind = 9
	kindToken    kind = 10
	kindSealed   kind = 11
	kindServer   kind = 12
	kindSession  kind = 13
	kindMinted   kind = 14
	kindResult   kind = 15
	kindSecurity kind = 16
	kindActivity kind = 17
	kindBlocked  kind = 18
	// 19 is reserved for the cursors of event consumers.
)

// treeDegree is the fan-out of the copy-on-write trees. A change copies one
// path of nodes of at most 2*degree-1 items.
const treeDegree = 16

type tableKey interface {
	~uint16 | ~uint32 | ~uint64 | ~string
}

// record is what a table stores. appendTo appends the canonical encoding at a
// feature level. A record is immutable once it is in a table.
type record interface {
	appendTo(dst []byte, level uint32) []byte
}

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
	tree   *btree.Map[K, V]
	schema *schema[K, V]
	dirty  bool
}

func newTable[K tableKey, V record](s *schema[K, V]) table[K, V] {
	return table[K, V]{tree: btree.NewMap[K, V](treeDegree), schema: s, dirty: true}
}

func (t *table[K, V]) get(k K) (V, bool) { return t.tree.Get(k) }

func (t *table[K, V]) len() int { return t.tree.Len() }

// ascend visits records from pivot upwards until f returns false.
func (t *table[K, V]) ascend(pivot K, f func(K, V) bool) { t.tree.Ascend(pivot, f) }

func (t *table[K, V]) scan(f func(K, V) bool) { t.tree.Scan(f) }

// put stores a record and keeps the digest.
func (t *table[K, V]) put(x *txn, k K, v V) {
	t.dirty = true
	if old, had := t.tree.Set(k, v); had {
		x.digest.sub(t.hash(x, k, old))
	}
	x.digest.add(t.hash(x, k, v))
}

// drop removes a record and keeps the digest.
func (t *table[K, V]) drop(x *txn, k K) {
	if old, had := t.tree.Delete(k); had {
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

func (t *table[K, V]) kind() kind { return t.schema.kind }

// each emits all records in their encoded form. The buffer is reused.
func (t *table[K, V]) each(level uint32, emit func([]byte) error) (err error) {
	var buf []byte
	t.tree.Scan(func(k K, v V) bool {
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

// publish hands the changes since the last publication to dst.
func (t *table[K, V]) publish(dst *table[K, V]) {
	if t.dirty {
		dst.tree, dst.schema = t.tree.Copy(), t.schema
		t.dirty = false
	}
}

// index is a copy-on-write map that is derived from tables: it is neither in
// the digest nor in the snapshot.
type index[K tableKey, V any] struct {
	tree  *btree.Map[K, V]
	dirty bool
}

func newIndex[K tableKey, V any]() index[K, V] {
	return index[K, V]{tree: btree.NewMap[K, V](treeDegree), dirty: true}
}

func (t *index[K, V]) get(k K) (V, bool) { return t.tree.Get(k) }

func (t *index[K, V]) len() int { return t.tree.Len() }

func (t *index[K, V]) ascend(pivot K, f func(K, V) bool) { t.tree.Ascend(pivot, f) }

func (t *index[K, V]) put(k K, v V) {
	t.dirty = true
	t.tree.Set(k, v)
}

func (t *index[K, V]) drop(k K) {
	if _, had := t.tree.Delete(k); had {
		t.dirty = true
	}
}

func (t *index[K, V]) publish(dst *index[K, V]) {
	if t.dirty {
		dst.tree = t.tree.Copy()
		t.dirty = false
	}
}
