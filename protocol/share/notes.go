// SPDX-License-Identifier: Apache-2.0

package share

// noteParts are the different notes that are kept, and what a source and a /48
// may have of them.
var noteParts = Parts{Total: MaxNotes - maxOthers - 1, Each: 25, Group: 50}

// maxOthers bounds the notes that stand for several, beside those.
const maxOthers = 50

// MaxNotes is how many different notes there are at most.
const MaxNotes = 200 + maxOthers + 1

// Note is something that happened from a source.
type Note struct {
	What string
	From Source
}

// Notes count what happened, in bounded memory. A source that has its part of
// the different notes is counted without saying what happened, then without
// saying from where: so nobody hides what others do. Notes are not safe for
// concurrent use.
type Notes struct {
	counts map[Note]uint64
	others int
	pool   *Pool[Source]
}

// NewNotes returns Notes that count nothing yet.
func NewNotes() *Notes { return &Notes{counts: map[Note]uint64{}, pool: NewPool[Source](noteParts)} }

// Add counts what happened a number of times.
func (n *Notes) Add(note Note, times uint64) {
	if _, known := n.counts[note]; !known && n.pool.Take(note.From, note.From.Wide(), 1) != Within {
		note = n.other(note.From.Wide())
	}
	n.counts[note] += times
}

// other is the note for what has no place.
func (n *Notes) other(wide Source) Note {
	note := Note{other, wide}
	if _, known := n.counts[note]; !known {
		if n.others == maxOthers {
			return Note{What: other}
		}
		n.others++
	}
	return note
}

const other = "other"

// Take returns the counts and starts again from zero.
func (n *Notes) Take() map[Note]uint64 {
	counts := n.counts
	*n = *NewNotes()
	return counts
}

// String is a note as it is shown.
func (n Note) String() string {
	if n == (Note{What: other}) {
		return other
	}
	return n.What + " " + n.From.String()
}
