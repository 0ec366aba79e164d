// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/rand"
	"sync"

	"github.com/pilotregistry/pilotregistry/fsm"
)

// minter gives request ids to commands that bring none: one random session per
// boot, and a sequence. Everything below the floor is settled, so that the
// state machine may forget it.
type minter struct {
	session fsm.SessionID
	mu      sync.Mutex
	last    uint64
	low     uint64
	open    map[uint64]struct{}
}

func newMinter() *minter {
	m := &minter{low: 1, open: map[uint64]struct{}{}}
	_, _ = rand.Read(m.session[:]) // never fails since Go 1.24
	return m
}

// begin hands out the next sequence number; end must be called for it.
func (m *minter) begin() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	m.open[m.last] = struct{}{}
	return m.last
}

// end says that the outcome of seq has been reported.
func (m *minter) end(seq uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, seq)
}

// floor is the lowest sequence number whose outcome is still open.
func (m *minter) floor() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.low <= m.last {
		if _, open := m.open[m.low]; open {
			break
		}
		m.low++
	}
	return m.low
}
