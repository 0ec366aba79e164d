// SPDX-License-Identifier: Apache-2.0

package share

// Pool hands out parts of a total to holders. It remembers only holders that
// have something. It is not safe for concurrent use.
type Pool[K comparable] struct {
	parts Parts
	total int64
	own   map[K]int64
	group map[K]int64
}

// NewPool returns a pool in which everything is free.
func NewPool[K comparable](parts Parts) *Pool[K] {
	return &Pool[K]{parts: parts, own: map[K]int64{}, group: map[K]int64{}}
}

// Take gives a holder n more, or says which bound refuses it; then nothing
// has changed. A holder without a wider group is its own group.
func (p *Pool[K]) Take(holder, group K, n int64) Limit {
	held := Use{Own: p.own[holder], Total: p.total}
	if group != holder {
		held.Group = p.group[group]
	}
	if limit := p.parts.Allows(held, n); limit != Within {
		return limit
	}
	p.add(holder, group, n)
	return Within
}

// TakeExempt gives a holder n more unless everything is taken.
func (p *Pool[K]) TakeExempt(holder, group K, n int64) Limit {
	if n > p.parts.Total-p.total {
		return WholeTotal
	}
	p.add(holder, group, n)
	return Within
}

// Add counts n more for a holder whatever the bounds say: for what exists
// already and cannot be refused any more.
func (p *Pool[K]) Add(holder, group K, n int64) { p.add(holder, group, n) }

// Give takes back n that the holder was given.
func (p *Pool[K]) Give(holder, group K, n int64) { p.add(holder, group, -n) }

// Total is what is held by all.
func (p *Pool[K]) Total() int64 { return p.total }

// Own is what one holder has.
func (p *Pool[K]) Own(holder K) int64 { return p.own[holder] }

func (p *Pool[K]) add(holder, group K, n int64) {
	p.total += n
	change(p.own, holder, n)
	if group != holder {
		change(p.group, group, n)
	}
}

func change[K comparable](m map[K]int64, key K, n int64) {
	if v := m[key] + n; v > 0 {
		m[key] = v
	} else {
		delete(m, key)
	}
}
