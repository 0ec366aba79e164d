// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"sync"

	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// waitersTotal, waitersEach and waitersGroup bound the connections that wait
// for room: all of them, those of a source, those of an IPv6 /48.
const waitersTotal, waitersEach, waitersGroup = 1024, 64, 256

// room is memory that connections share. What a connection holds of it is
// counted in a field of the connection, which the room guards.
type room struct {
	mu      sync.Mutex
	pool    *share.Pool[share.Source]
	waiters *share.Pool[share.Source]
	given   chan struct{} // closed and replaced when something is given back
}

func newRoom(parts share.Parts) *room {
	return &room{
		pool:    share.NewPool[share.Source](parts),
		waiters: share.NewPool[share.Source](share.Parts{Total: waitersTotal, Each: waitersEach, Group: waitersGroup}),
		given:   make(chan struct{}),
	}
}

// wait waits until the connection may hold n bytes more, or says what keeps it
// from that when ctx ends.
func (r *room) wait(ctx context.Context, c *conn, held *int64, n int64) share.Limit {
	r.mu.Lock()
	defer r.mu.Unlock()
	limit := r.take(c, held, n)
	if limit == share.Within || r.waiters.Take(c.source, c.source.Wide(), 1) != share.Within {
		return limit
	}
	defer r.waiters.Give(c.source, c.source.Wide(), 1)
	for limit != share.Within {
		given := r.given
		r.mu.Unlock()
		select {
		case <-given:
			r.mu.Lock()
		case <-ctx.Done():
			r.mu.Lock()
			return limit
		}
		limit = r.take(c, held, n)
	}
	return share.Within
}

// resize makes what the connection holds n bytes; a need that must be met is
// counted whatever the bounds say.
func (r *room) resize(c *conn, held *int64, n int64, must bool) share.Limit {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch more := n - *held; {
	case more <= 0:
		r.give(c, held, -more)
	case must:
		r.pool.Add(c.source, c.source.Wide(), more)
		*held += more
	default:
		return r.take(c, held, more)
	}
	return share.Within
}

// release gives back what the connection holds.
func (r *room) release(c *conn, held *int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.give(c, held, *held)
}

func (r *room) take(c *conn, held *int64, n int64) share.Limit {
	take := r.pool.Take
	if c.exempt {
		take = r.pool.TakeExempt
	}
	limit := take(c.source, c.source.Wide(), n)
	if limit == share.Within {
		*held += n
	}
	return limit
}

func (r *room) give(c *conn, held *int64, n int64) {
	if n == 0 {
		return
	}
	r.pool.Give(c.source, c.source.Wide(), n)
	*held -= n
	if r.waiters.Total() > 0 {
		close(r.given)
		r.given = make(chan struct{})
	}
}
