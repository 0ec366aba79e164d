// SPDX-License-Identifier: Apache-2.0

package table

import "crypto/sha256"

// Slot is the place of a [Part] in the list of all parts of a state.
type Slot uint16

// Part is a [Table], an [Index] or a [Value]: a piece of the state that is
// published by itself.
type Part interface {
	open(w *Writer, s Slot)
	handOver(dst Part)
}

// Writer is what a change needs: the digest that it keeps, the level at which
// records are encoded, and the list of the parts that have changed.
type Writer struct {
	// Digest is the sum over all records of the tables.
	Digest Digest

	level   *uint32
	changed []Slot
	buf     []byte
	sum     [sha256.Size]byte
}

// NewWriter returns the writer of a state whose feature level stands in level.
func NewWriter(level *uint32) Writer { return Writer{level: level} }

// Open makes an empty part ready for writing, as number s of its state.
func (w *Writer) Open(p Part, s Slot) { p.open(w, s) }

// TakeChanged returns the parts that have changed since the last call. The
// slice is good until the next change. The caller hands all of them over.
func (w *Writer) TakeChanged() []Slot {
	list := w.changed
	w.changed = w.changed[:0]
	return list
}

// HandOver publishes a changed part of the writer's state in the same part of
// a state that readers will see.
func HandOver(from, to Part) { from.handOver(to) }

// Redigest computes the digest from scratch over the tables and over the hash
// of a record that is in none of them. It is needed when the level changes.
func (w *Writer) Redigest(tables []Stored, other *[sha256.Size]byte) {
	w.Digest = Digest{}
	w.Digest.Add(other)
	for _, t := range tables {
		_ = t.Each(*w.level, func(record []byte) error { // the function never fails
			w.sum = sha256.Sum256(record)
			w.Digest.Add(&w.sum)
			return nil
		})
	}
}

// mark is embedded in every part: its slot, and whether it has changed.
type mark struct {
	slot  Slot
	dirty bool
}

func (m *mark) change(w *Writer) {
	if !m.dirty {
		m.dirty = true
		w.changed = append(w.changed, m.slot)
	}
}
