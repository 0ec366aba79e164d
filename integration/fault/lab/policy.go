// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Policy is what happens to the bytes that travel one way over a link.
type Policy struct {
	// Block lets nothing pass; what was on its way stays on its way, as in a
	// partition, and arrives when it ends.
	Block bool `json:"block,omitempty"`
	// Refuse resets new connections.
	Refuse bool `json:"refuse,omitempty"`
	// Delay and Jitter are added to the way of every piece; order is kept.
	Delay  time.Duration `json:"delay,omitempty"`
	Jitter time.Duration `json:"jitter,omitempty"`
	// Loss is the share of pieces that are lost and sent again, which costs
	// them retransmission: TCP hides loss, but not the time it takes.
	Loss float64 `json:"loss,omitempty"`
	// Rate bounds the bytes per second, 0 for no bound.
	Rate int `json:"rate,omitempty"`
	// MaxPiece stalls a connection on which more bytes than this are sent at
	// once, as a path does that loses big packets; 0 for no bound.
	MaxPiece int `json:"max_piece,omitempty"`
}

// retransmission is how much later a lost piece arrives.
const retransmission = 200 * time.Millisecond

// way is one direction of a link: its policy, and those who wait for another.
type way struct {
	mu      sync.Mutex
	policy  Policy
	changed chan struct{}
	rng     *rand.Rand
}

func newWay(seed uint64) *way {
	return &way{changed: make(chan struct{}), rng: rand.New(rand.NewPCG(seed, 1))}
}

// get returns the policy and a channel that is closed when it changes.
func (w *way) get() (Policy, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.policy, w.changed
}

func (w *way) set(p Policy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p == w.policy {
		return
	}
	w.policy = p
	close(w.changed)
	w.changed = make(chan struct{})
}

// toll is how long a piece of n bytes takes under a policy: its latency, which
// pieces share, and its transmission, which they do not.
func (w *way) toll(p Policy, n int) (latency, transmission time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	latency = p.Delay
	if p.Jitter > 0 {
		latency += time.Duration(w.rng.Int64N(int64(p.Jitter)))
	}
	if p.Loss > 0 && w.rng.Float64() < p.Loss {
		latency += retransmission
	}
	if p.Rate > 0 {
		transmission = time.Duration(float64(n) / float64(p.Rate) * float64(time.Second))
	}
	return latency, transmission
}

// awaitOpen waits until pieces of n bytes may pass; false when done is closed first.
func (w *way) awaitOpen(n int, done <-chan struct{}) bool {
	for {
		p, changed := w.get()
		if !p.Block && (p.MaxPiece == 0 || n <= p.MaxPiece) {
			return true
		}
		select {
		case <-changed:
		case <-done:
			return false
		}
	}
}
