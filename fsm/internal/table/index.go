// SPDX-License-Identifier: Apache-2.0

package table

// Index is a copy-on-write map that is derived from tables: it is neither in
// the digest nor in the snapshot.
type Index[K Key, V any] struct {
	entries Map[K, V]
	mark    mark
}

func (t *Index[K, V]) open(w *Writer, s Slot) {
	t.entries, t.mark.slot = newTree[K, V](), s
	t.mark.change(w)
}

func (t *Index[K, V]) handOver(dst Part) {
	dst.(*Index[K, V]).entries = t.entries.publish()
	t.mark.dirty = false
}

// Get finds an entry.
func (t *Index[K, V]) Get(k K) (V, bool) { return t.entries.Get(k) }

// Holds reports whether there is an entry.
func (t *Index[K, V]) Holds(k K) bool {
	_, ok := t.entries.Get(k)
	return ok
}

// Len is the number of entries.
func (t *Index[K, V]) Len() int { return t.entries.Len() }

// Scan visits all entries in the order of their keys until f returns false.
func (t *Index[K, V]) Scan(f func(K, V) bool) { t.entries.Scan(f) }

// Ascend visits entries from pivot upwards until f returns false.
func (t *Index[K, V]) Ascend(pivot K, f func(K, V) bool) { t.entries.Ascend(pivot, f) }

// First returns the entry with the lowest key.
func (t *Index[K, V]) First() (K, V, bool) { return first(t.entries) }

// Put stores an entry.
func (t *Index[K, V]) Put(w *Writer, k K, v V) {
	t.mark.change(w)
	t.entries.Set(k, v)
}

// Drop removes an entry.
func (t *Index[K, V]) Drop(w *Writer, k K) {
	if _, had := t.entries.Delete(k); had {
		t.mark.change(w)
	}
}

// Value is a single value that is derived from tables, published like an
// [Index].
type Value[T any] struct {
	value T
	mark  mark
}

func (t *Value[T]) open(w *Writer, s Slot) {
	t.mark.slot = s
	t.mark.change(w)
}

func (t *Value[T]) handOver(dst Part) {
	dst.(*Value[T]).value = t.value
	t.mark.dirty = false
}

// Get returns the value.
func (t *Value[T]) Get() T { return t.value }

// Set replaces the value.
func (t *Value[T]) Set(w *Writer, v T) {
	t.mark.change(w)
	t.value = v
}

// first returns what has the lowest key.
func first[K Key, V any](m Map[K, V]) (k K, v V, ok bool) {
	m.Scan(func(key K, value V) bool {
		k, v, ok = key, value, true
		return false
	})
	return k, v, ok
}
