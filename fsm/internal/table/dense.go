// SPDX-License-Identifier: Apache-2.0

package table

// dense is a copy-on-write store for keys that are given out one after the
// other, such as node ids: pages of 64 values, tiles of 128 pages, one slice
// of tiles. Three loads find a value. The zero value of V stands for none.
//
// Copy on write is by generation: a page or tile of an older generation is
// shared with a published root and copied before its first change, so it is
// copied at most once per entry.
type dense[V comparable] struct {
	tiles []*denseTile[V]
	gen   uint64
	// owned is true when the slice of tiles has been copied in this generation.
	owned bool
	count int
}

const (
	pageBits = 6
	tileBits = 7
	pageMask = 1<<pageBits - 1
	tileMask = 1<<tileBits - 1
	// tileIDs is the number of keys of a tile.
	tileIDs = 1 << (pageBits + tileBits)
)

type denseTile[V comparable] struct {
	gen   uint64
	pages [1 << tileBits]*densePage[V]
}

type densePage[V comparable] struct {
	gen    uint64
	values [1 << pageBits]V
}

// Dense returns a map for the records of a [Schema] whose keys are given out
// one after the other.
func Dense[V comparable]() Map[uint32, V] { return &dense[V]{gen: 1} }

// windowed is a map that can be visited piece by piece.
type windowed[K Key, V any] interface {
	window(start K, limit uint64, f func(K, V) bool) K
}

func (s *dense[V]) Len() int { return s.count }

func (s *dense[V]) Get(id uint32) (v V, ok bool) {
	t := int(id >> (pageBits + tileBits))
	if t >= len(s.tiles) || s.tiles[t] == nil {
		return v, false
	}
	p := s.tiles[t].pages[id>>pageBits&tileMask]
	if p == nil {
		return v, false
	}
	var none V
	v = p.values[id&pageMask]
	return v, v != none
}

func (s *dense[V]) Set(id uint32, v V) (old V, had bool) {
	var none V
	slot := &s.page(id).values[id&pageMask]
	old = *slot
	*slot = v
	if had = old != none; had {
		s.count--
	}
	if v != none {
		s.count++
	}
	return old, had
}

func (s *dense[V]) Delete(id uint32) (old V, had bool) {
	if old, had = s.Get(id); had {
		var none V
		s.Set(id, none)
	}
	return old, had
}

// page returns the page of id for writing.
func (s *dense[V]) page(id uint32) *densePage[V] {
	t := int(id >> (pageBits + tileBits))
	if !s.owned || t >= len(s.tiles) {
		tiles := make([]*denseTile[V], max(len(s.tiles), t+1))
		copy(tiles, s.tiles)
		s.tiles, s.owned = tiles, true
	}
	tile := s.tiles[t]
	switch {
	case tile == nil:
		tile = &denseTile[V]{gen: s.gen}
		s.tiles[t] = tile
	case tile.gen != s.gen:
		c := *tile
		c.gen = s.gen
		tile = &c
		s.tiles[t] = tile
	}
	slot := &tile.pages[id>>pageBits&tileMask]
	switch {
	case *slot == nil:
		*slot = &densePage[V]{gen: s.gen}
	case (*slot).gen != s.gen:
		c := **slot
		c.gen = s.gen
		*slot = &c
	}
	return *slot
}

// publish returns the store as it is, never to change again.
func (s *dense[V]) publish() Map[uint32, V] {
	pub := *s
	s.gen++
	s.owned = false
	return &pub
}

func (s *dense[V]) Scan(f func(uint32, V) bool) { s.Ascend(0, f) }

func (s *dense[V]) Ascend(from uint32, f func(uint32, V) bool) { s.window(from, 1<<33, f) }

// window visits the values among limit keys from start on, in order, until f
// returns false. It returns the key after the last it looked at, 0 at the end.
func (s *dense[V]) window(start uint32, limit uint64, f func(uint32, V) bool) uint32 {
	var none V
	id := uint64(start)
	end := uint64(len(s.tiles)) * tileIDs
	for stop := min(end, id+limit); id < stop; {
		tile := s.tiles[id>>(pageBits+tileBits)]
		if tile == nil {
			id = (id | (tileIDs - 1)) + 1
			continue
		}
		page := tile.pages[id>>pageBits&tileMask]
		if page == nil {
			id = (id | pageMask) + 1
			continue
		}
		v := page.values[id&pageMask]
		id++
		if v != none && !f(uint32(id-1), v) {
			break
		}
	}
	if id >= end {
		return 0
	}
	return uint32(id)
}
