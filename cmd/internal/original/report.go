// SPDX-License-Identifier: Apache-2.0

package original

import (
	"cmp"
	"slices"
)

// What became of something that could not be taken as it is.
const (
	LeftOut = "left out"
	Changed = "changed"
	Added   = "added"
)

// Note says what became of an object, or of a field of it, and why.
type Note struct {
	Object string `json:"object"`
	Field  string `json:"field,omitempty"`
	Was    string `json:"was"`
	Reason string `json:"reason"`
}

// Tally counts the objects of a kind.
type Tally struct {
	Objects string `json:"objects"`
	InFile  int    `json:"in_file"`
	Taken   int    `json:"taken"`
	LeftOut int    `json:"left_out"`
}

// What the checksum of a file says.
const (
	ChecksumRight  = "right"
	ChecksumWrong  = "wrong"
	ChecksumAbsent = "absent"
)

// Report is what was read and what became of it.
type Report struct {
	SHA256   string  `json:"sha256"`
	Version  int     `json:"version"`
	Checksum string  `json:"checksum"`
	NextNode uint32  `json:"next_node"`
	NextNet  uint16  `json:"next_net"`
	Objects  []Tally `json:"objects"`
	Notes    []Note  `json:"notes"`
}

// Whole reports whether everything was taken as it is.
func (r *Report) Whole() bool { return len(r.Notes) == 0 }

// notes collects what there is to tell while a file is read.
type notes struct {
	list    []Note
	tallies []Tally
}

func (n *notes) leftOut(object, field, reason string) {
	n.list = append(n.list, Note{object, field, LeftOut, reason})
}

func (n *notes) changed(object, field, reason string) {
	n.list = append(n.list, Note{object, field, Changed, reason})
}

func (n *notes) added(object, field, reason string) {
	n.list = append(n.list, Note{object, field, Added, reason})
}

func (n *notes) count(objects string, inFile, taken int) {
	n.tallies = append(n.tallies, Tally{objects, inFile, taken, inFile - taken})
}

// Group is what has been said of several objects in the same words.
type Group struct {
	Was    string   `json:"was"`
	Reason string   `json:"reason"`
	Of     []string `json:"of"`
}

// Groups brings together the notes that have field and reason in common, in the
// order of the first of each.
func (r *Report) Groups() (groups []Group) {
	at := map[Note]int{}
	for _, n := range r.Notes {
		k := Note{Field: n.Field, Was: n.Was, Reason: n.Reason}
		i, known := at[k]
		if !known {
			i, at[k] = len(groups), len(groups)
			reason := n.Reason
			if n.Field != "" {
				reason = n.Field + ": " + reason
			}
			groups = append(groups, Group{Was: n.Was, Reason: reason})
		}
		groups[i].Of = append(groups[i].Of, n.Object)
	}
	slices.SortStableFunc(groups, func(a, b Group) int { return cmp.Compare(rank(a.Was), rank(b.Was)) })
	return groups
}

// rank has first what is lost.
func rank(was string) int { return slices.Index([]string{LeftOut, Changed, Added}, was) }
