// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	// maxOps is when a key is left, short of what the checker can search: the
	// last requests under way and the final reads come on top.
	maxOps = check.MaxOpsPerKey - 150
	// maxUnknown is how many writes of unknown outcome a key bears. A search
	// tries every subset of them.
	maxUnknown = 4
	// maxAge is below the silence after which a node goes offline, final reads
	// included: nodes of a key are left to themselves after registration.
	maxAge = 60 * time.Second
	// finalAge is how old a key may be to be read at the end.
	finalAge = 150 * time.Second
	// finalKeys is how many keys of a workload are read at the end.
	finalKeys = 100
)

// slot is a key in use.
type slot[T any] struct {
	value     T
	ops       int
	unknown   int
	born      time.Time
	replacing bool
}

// pool hands out keys and replaces those that are worn.
type pool[T any] struct {
	// make makes a fresh key, by operations of the given client; false when
	// that did not work out this time.
	make func(ctx context.Context, c *Client) (T, bool)
	// budget is how many operations a key bears.
	budget int

	mu      sync.Mutex
	slots   []*slot[T]
	retired []*slot[T]
}

func newPool[T any](size, budget int, make func(context.Context, *Client) (T, bool)) *pool[T] {
	p := &pool[T]{make: make, budget: min(budget, maxOps)}
	for range size {
		p.slots = append(p.slots, nil)
	}
	return p
}

func (p *pool[T]) worn(s *slot[T]) bool {
	return s == nil || s.ops >= p.budget || s.unknown >= maxUnknown || time.Since(s.born) > maxAge
}

// take returns a key to work on and counts one operation on it. Whoever meets
// a worn key replaces it first; ok is false when that failed or somebody else
// is just doing so.
func (p *pool[T]) take(ctx context.Context, c *Client) (*slot[T], bool) {
	p.mu.Lock()
	at := c.rng.IntN(len(p.slots))
	s := p.slots[at]
	if !p.worn(s) {
		s.ops++
		p.mu.Unlock()
		return s, true
	}
	if s != nil && s.replacing {
		p.mu.Unlock()
		return nil, false
	}
	if s == nil { // only while setting up, by one client
		s = &slot[T]{}
		p.slots[at] = s
	}
	s.replacing = true
	p.mu.Unlock()
	return p.replace(ctx, c, at, s)
}

func (p *pool[T]) replace(ctx context.Context, c *Client, at int, old *slot[T]) (*slot[T], bool) {
	born := time.Now()
	value, ok := p.make(ctx, c)
	p.mu.Lock()
	defer p.mu.Unlock()
	old.replacing = false
	if !ok {
		return nil, false
	}
	if !old.born.IsZero() {
		p.retired = append(p.retired, old)
	}
	fresh := &slot[T]{value: value, born: born, ops: 1}
	p.slots[at] = fresh
	return fresh, true
}

// note counts what came of an operation on a key.
func (p *pool[T]) note(s *slot[T], op history.Op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case op.Outcome == history.Unknown && op.Writes():
		s.unknown++
	case gone(op):
		s.unknown = maxUnknown
	}
}

// gone reports whether a node of a key is not there any more, as happens when
// the cluster's clock was made to jump, or a network is deleted: then there is
// nothing to work on.
func gone(op history.Op) bool {
	switch op.Kind() {
	case check.KindLife:
		return false
	case check.KindNetwork:
		return op.Command == "list_nodes" && op.Code == protocol.CodeNotFound
	}
	return op.Code == protocol.CodeNotFound && op.Command != "resolve_hostname"
}

// number is the number of an operation on a key, 1 for the first.
func (p *pool[T]) number(s *slot[T]) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return s.ops
}

// fill makes all keys, trying until ctx ends.
func (p *pool[T]) fill(ctx context.Context, c *Client) error {
	for {
		p.mu.Lock()
		missing := 0
		for _, s := range p.slots {
			if s == nil || s.born.IsZero() {
				missing++
			}
		}
		p.mu.Unlock()
		if missing == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %d keys could not be made: %w", c.name, missing, err)
		}
		p.take(ctx, c)
	}
}

// recent are the newest keys that are young enough to be read at the end.
func (p *pool[T]) recent() []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []T
	for _, list := range [][]*slot[T]{p.retired, p.slots} {
		for _, s := range list {
			if s != nil && !s.born.IsZero() && time.Since(s.born) < finalAge {
				out = append(out, s.value)
			}
		}
	}
	return out[max(0, len(out)-finalKeys):]
}
