// SPDX-License-Identifier: Apache-2.0

package table

import "crypto/sha256"

// Kind says which table a record belongs to. It is the first byte of an
// encoded record.
type Kind uint8

// Key is what a table or an index is ordered by.
type Key interface {
	~uint16 | ~uint32 | ~uint64 | ~string
}

// Record is what a table stores. AppendTo appends the canonical encoding at a
// feature level. A record is immutable once it is in a table.
type Record interface {
	AppendTo(dst []byte, level uint32) []byte
}

// Map is a copy-on-write map, ordered by key: a tree or, for keys that are
// given out one after the other, a dense one, see [Dense].
type Map[K Key, V any] interface {
	Get(K) (V, bool)
	Set(K, V) (V, bool)
	Delete(K) (V, bool)
	Len() int
	Scan(func(K, V) bool)
	Ascend(K, func(K, V) bool)
	// publish returns the map as it is now, for readers. Its cost does not
	// depend on its size.
	publish() Map[K, V]
}

// Schema says how the keys and records of a table are encoded.
type Schema[K Key, V Record] struct {
	Kind      Kind
	AppendKey func([]byte, K) []byte
	ReadKey   func(*Decoder) K
	Read      func(d *Decoder, level uint32) V
	// Map makes the map that holds the records, nil for a tree.
	Map func() Map[K, V]
}

// Table is a copy-on-write table of records that belong to the digest and the
// snapshot. The writer's table is changed through Put and Drop only; a
// published one is only read.
type Table[K Key, V Record] struct {
	records Map[K, V]
	schema  *Schema[K, V]
	mark    mark
}

// Stored is what snapshots and digests see of a table.
type Stored interface {
	Part
	// Len is the number of records.
	Len() int
	// Each emits all records in their encoded form. The buffer is reused.
	Each(level uint32, emit func([]byte) error) error
}

// New returns a table that is ready to be opened, see [Writer.Open].
func New[K Key, V Record](s *Schema[K, V]) Table[K, V] { return Table[K, V]{schema: s} }

func (t *Table[K, V]) open(w *Writer, s Slot) {
	t.mark.slot = s
	if t.schema.Map != nil {
		t.records = t.schema.Map()
	} else {
		t.records = newTree[K, V]()
	}
	t.mark.change(w)
}

// handOver gives the changes since the last publication to dst.
func (t *Table[K, V]) handOver(dst Part) {
	d := dst.(*Table[K, V])
	d.records, d.schema = t.records.publish(), t.schema
	t.mark.dirty = false
}

// Get finds a record.
func (t *Table[K, V]) Get(k K) (V, bool) { return t.records.Get(k) }

// Holds reports whether there is a record.
func (t *Table[K, V]) Holds(k K) bool {
	_, ok := t.records.Get(k)
	return ok
}

// Len is the number of records.
func (t *Table[K, V]) Len() int { return t.records.Len() }

// Scan visits all records in the order of their keys until f returns false.
func (t *Table[K, V]) Scan(f func(K, V) bool) { t.records.Scan(f) }

// Ascend visits records from pivot upwards until f returns false.
func (t *Table[K, V]) Ascend(pivot K, f func(K, V) bool) { t.records.Ascend(pivot, f) }

// Descend visits records from pivot downwards until f returns false. Only the
// records of a tree can be visited in this order.
func (t *Table[K, V]) Descend(pivot K, f func(K, V) bool) { t.records.(tree[K, V]).Descend(pivot, f) }

// At returns the record at a place in the order of keys. Only the records of a
// tree have places.
func (t *Table[K, V]) At(i int) (K, V, bool) { return t.records.(tree[K, V]).GetAt(i) }

// First returns the record with the lowest key.
func (t *Table[K, V]) First() (K, V, bool) { return first(t.records) }

// Window visits the records of a dense table whose keys are among the limit
// keys from start on, in order, until f returns false. It returns the key to
// go on from, 0 at the end.
func (t *Table[K, V]) Window(start K, limit uint64, f func(K, V) bool) K {
	return t.records.(windowed[K, V]).window(start, limit, f)
}

// Put stores a record and keeps the digest. It returns the record that was
// there before.
func (t *Table[K, V]) Put(w *Writer, k K, v V) (old V, had bool) {
	t.mark.change(w)
	if old, had = t.records.Set(k, v); had {
		w.Digest.Sub(t.hash(w, k, old))
	}
	w.Digest.Add(t.hash(w, k, v))
	return old, had
}

// Drop removes a record and keeps the digest. It returns what it removed.
func (t *Table[K, V]) Drop(w *Writer, k K) (old V, had bool) {
	if old, had = t.records.Delete(k); had {
		t.mark.change(w)
		w.Digest.Sub(t.hash(w, k, old))
	}
	return old, had
}

func (t *Table[K, V]) hash(w *Writer, k K, v V) *[sha256.Size]byte {
	w.buf = t.encode(w.buf[:0], k, v, *w.level)
	w.sum = sha256.Sum256(w.buf)
	return &w.sum
}

// encode appends a record as it is hashed and stored: kind, key, record.
func (t *Table[K, V]) encode(dst []byte, k K, v V, level uint32) []byte {
	dst = append(dst, byte(t.schema.Kind))
	dst = t.schema.AppendKey(dst, k)
	return v.AppendTo(dst, level)
}

// Each emits all records in their encoded form. The buffer is reused.
func (t *Table[K, V]) Each(level uint32, emit func([]byte) error) (err error) {
	var buf []byte
	t.records.Scan(func(k K, v V) bool {
		buf = t.encode(buf[:0], k, v, level)
		err = emit(buf)
		return err == nil
	})
	return err
}

// Decode reads one encoded record that follows its kind byte. ok is false for
// what does not decode.
func (t *Table[K, V]) Decode(d *Decoder, level uint32) (k K, v V, ok bool) {
	k = t.schema.ReadKey(d)
	if d.bad {
		return k, v, false
	}
	v = t.schema.Read(d, level)
	return k, v, d.Done()
}
