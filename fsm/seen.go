package fsm

import (
	"crypto/sha256"
	"math"
)

// seenTable holds every live node's last sign of life, in whole seconds of
// log time; 0 stands for none. It is the hottest write of the registry, so it
// is a dense radix over the node id instead of a tree: pages of 64 nodes,
// tiles of 128 pages, one slice of tiles.
//
// Copy on write is by generation: a page or tile of an older generation is
// shared with a published root and copied before its first change, so it is
// copied at most once per entry.
type seenTable struct {
	tiles []*seenTile
	gen   uint64
	// owned is true when the slice of tiles has been copied in this generation.
	owned bool
	count int
}

const (
	pageBits  = 6
	tileBits  = 7
	pageMask  = 1<<pageBits - 1
	tileMask  = 1<<tileBits - 1
	seenRange = 1 << (pageBits + tileBits) // ids per tile
)

type seenTile struct {
	gen   uint64
	pages [1 << tileBits]*seenPage
}

type seenPage struct {
	gen uint64
	at  [1 << pageBits]uint32
}

// seconds converts log time to what the table stores, never 0.
func seconds(ms int64) uint32 {
	return uint32(min(max(ms/1000, 1), math.MaxUint32))
}

// get returns the second of id's last sign of life, 0 when there is none.
func (s *seenTable) get(id uint32) uint32 {
	t := int(id >> (pageBits + tileBits))
	if t >= len(s.tiles) || s.tiles[t] == nil {
		return 0
	}
	p := s.tiles[t].pages[id>>pageBits&tileMask]
	if p == nil {
		return 0
	}
	return p.at[id&pageMask]
}

// set stores a sign of life, 0 to remove it, and keeps the digest.
func (s *seenTable) set(x *txn, id, sec uint32) {
	old := s.get(id)
	if old == sec {
		return
	}
	slot := &s.page(id).at[id&pageMask]
	if old != 0 {
		x.digest.sub(seenHash(x, id, old))
		s.count--
	}
	if *slot = sec; sec != 0 {
		x.digest.add(seenHash(x, id, sec))
		s.count++
	}
}

// page returns the page of id for writing.
func (s *seenTable) page(id uint32) *seenPage {
	t := int(id >> (pageBits + tileBits))
	if !s.owned {
		tiles := make([]*seenTile, max(len(s.tiles), t+1))
		copy(tiles, s.tiles)
		s.tiles, s.owned = tiles, true
	}
	if t >= len(s.tiles) {
		s.tiles = append(s.tiles, make([]*seenTile, t+1-len(s.tiles))...)
	}
	tile := s.tiles[t]
	switch {
	case tile == nil:
		tile = &seenTile{gen: s.gen}
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
		*slot = &seenPage{gen: s.gen}
	case (*slot).gen != s.gen:
		c := **slot
		c.gen = s.gen
		*slot = &c
	}
	return *slot
}

// publish hands the table to dst and starts a new generation.
func (s *seenTable) publish(dst *seenTable) {
	*dst = *s
	s.gen++
	s.owned = false
}

// scan visits the nodes with a sign of life among limit ids from start on, in
// order, until f returns false. It returns the id behind the last it looked
// at, 0 at the end of the table.
func (s *seenTable) scan(start uint32, limit int, f func(id, sec uint32) bool) uint32 {
	id := uint64(start)
	end := uint64(len(s.tiles)) * seenRange
	for stop := id + uint64(limit); id < min(end, stop); {
		tile := s.tiles[id>>(pageBits+tileBits)]
		if tile == nil {
			id = (id | (seenRange - 1)) + 1
			continue
		}
		page := tile.pages[id>>pageBits&tileMask]
		if page == nil {
			id = (id | pageMask) + 1
			continue
		}
		sec := page.at[id&pageMask]
		id++
		if sec != 0 && !f(uint32(id-1), sec) {
			break
		}
	}
	if id >= end {
		return 0
	}
	return uint32(id)
}

func seenHash(x *txn, id, sec uint32) *[32]byte {
	x.buf = encodeSeen(x.buf[:0], id, sec)
	x.sum = sha256.Sum256(x.buf)
	return &x.sum
}

func encodeSeen(dst []byte, id, sec uint32) []byte {
	dst = append(dst, byte(kindSeen))
	dst = appendKey32(dst, id)
	return appendUvarint(dst, uint64(sec))
}

func (s *seenTable) kind() kind { return kindSeen }

func (s *seenTable) len() int { return s.count }

func (s *seenTable) each(_ uint32, emit func([]byte) error) (err error) {
	var buf []byte
	s.scan(0, math.MaxInt, func(id, sec uint32) bool {
		buf = encodeSeen(buf[:0], id, sec)
		err = emit(buf)
		return err == nil
	})
	return err
}
