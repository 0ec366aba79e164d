// SPDX-License-Identifier: Apache-2.0

package share

import (
	"container/list"
	"hash/maphash"
)

const (
	// WideWorth is how many sources' worth a whole /48 may do.
	WideWorth = 16
	// tableGroupPart: a /48 has at most one in tableGroupPart places of a table.
	tableGroupPart = 16
	// crowds is the number of values that sources share for which a full table
	// has no place.
	crowds = 1024
)

// Key is what a Table tells callers apart by. Wide is the wider group the
// caller is in, itself when it is in none.
type Key[K any] interface {
	comparable
	Wide() K
}

// Table remembers one value per key, such as a Source. A value is forgotten only to make
// room, and only when it is resting: when a fresh one would do the same. So
// nobody can have his own forgotten by coming from many other addresses.
// Sources that find no place share a value with others of them; which, differs
// from table to table. A Table is not safe for concurrent use.
type Table[K Key[K], V any] struct {
	places int
	byAge  *list.List // of *place[K, V]; the one used last in front
	known  map[K]*list.Element
	groups map[K]int
	crowd  []V
	seed   maphash.Seed
}

type place[K Key[K], V any] struct {
	key   K
	value V
}

// Slot is a value that counts for a source. Worth is how many sources' worth
// it stands for: 1, WideWorth for the /48, more for a crowd.
type Slot[V any] struct {
	Value *V
	Worth int64
}

// NewTable returns an empty table for at most places sources (at least one).
func NewTable[K Key[K], V any](places int) *Table[K, V] {
	return &Table[K, V]{places: max(places, 1), byAge: list.New(), known: map[K]*list.Element{},
		groups: map[K]int{}, seed: maphash.MakeSeed()}
}

// Slots returns what counts for a source: its own value, and for IPv6 its
// /48's. New values are zero. Slots without a value come last.
func (t *Table[K, V]) Slots(s K, resting func(*V) bool) (slots [2]Slot[V]) {
	wide := s.Wide()
	if t.known[s] == nil || t.known[wide] == nil {
		for range 3 { // more than are added: a table that was full becomes small again
			t.forgetOldest(resting)
		}
	}
	if own := t.own(s, wide); own != nil {
		slots[0] = Slot[V]{own, 1}
	}
	if wide != s {
		if v := t.own(wide, wide); v != nil {
			slots[1] = Slot[V]{v, WideWorth}
		}
	}
	if slots[0].Value == nil {
		slots[0], slots[1] = slots[1], Slot[V]{}
	}
	if slots[0].Value == nil {
		slots[0] = Slot[V]{t.crowdOf(s), max(int64(t.places)/crowds, 1)}
	}
	return slots
}

// Peek returns a source's own value, nil when it has none.
func (t *Table[K, V]) Peek(s K) *V {
	if e, ok := t.known[s]; ok {
		return &e.Value.(*place[K, V]).value
	}
	return nil
}

// Len is the number of sources that have a value of their own.
func (t *Table[K, V]) Len() int { return t.byAge.Len() }

// own finds or makes a source's own value, nil when there is no place for one.
func (t *Table[K, V]) own(s, group K) *V {
	if e, ok := t.known[s]; ok {
		t.byAge.MoveToFront(e)
		return &e.Value.(*place[K, V]).value
	}
	inGroup := s != group
	if t.byAge.Len() >= t.places || inGroup && t.groups[group] >= max(t.places/tableGroupPart, 1) {
		return nil
	}
	if inGroup {
		t.groups[group]++
	}
	p := &place[K, V]{key: s}
	t.known[s] = t.byAge.PushFront(p)
	return &p.value
}

func (t *Table[K, V]) forgetOldest(resting func(*V) bool) {
	e := t.byAge.Back()
	if e == nil || !resting(&e.Value.(*place[K, V]).value) {
		return
	}
	s := t.byAge.Remove(e).(*place[K, V]).key
	delete(t.known, s)
	if wide := s.Wide(); wide != s {
		if t.groups[wide]--; t.groups[wide] <= 0 {
			delete(t.groups, wide)
		}
	}
}

func (t *Table[K, V]) crowdOf(s K) *V {
	if t.crowd == nil {
		t.crowd = make([]V, crowds)
	}
	return &t.crowd[maphash.Comparable(t.seed, s)%crowds]
}
