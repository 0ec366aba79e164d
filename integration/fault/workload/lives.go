// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"crypto/ed25519"
	"sync/atomic"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// person is a public key that registers, and perhaps deregisters, many times.
type person struct {
	key ed25519.PrivateKey
	id  *atomic.Uint32 // 0 until a reply has shown it
}

// lives is W3 and W4: registrations by public key. In W3 many clients register
// one key at the same time, through all members and again after unknown
// outcomes, and must all get one id. In W4 nodes come and go: ids rise and are
// never given to another key.
type lives struct {
	name   string
	weight int
	leave  bool
	pool   *pool[person]
}

func newRegistrations() Workload { return &lives{name: "w3-keys", weight: 2} }

func newIDs() Workload { return &lives{name: "w4-ids", weight: 3, leave: true} }

func (w *lives) Name() string { return w.name }
func (w *lives) Weight() int  { return w.weight }

func (w *lives) Models() []check.Model { return models(check.KindLife) }

func (w *lives) Setup(ctx context.Context, env *Env) error {
	w.pool = newPool(3, 40, func(ctx context.Context, c *Client) (person, bool) {
		return person{key: c.env.newKey(), id: &atomic.Uint32{}}, true
	})
	c := NewClient(env, w.name+"-setup")
	defer c.Close()
	return w.pool.fill(ctx, c)
}

func (w *lives) Step(ctx context.Context, c *Client) {
	s, ok := w.pool.take(ctx, c)
	if !ok {
		return
	}
	p := s.value
	id := p.id.Load()
	at := c.rng.IntN(100)
	switch {
	case id == 0 || at < 40:
		r := c.registration(w.name, p.key)
		if c.chance(50) {
			r.Signer = p.key
		}
		if c.chance(25) {
			r.SDK = true
		} else {
			r = c.writing(r)
		}
		op := c.Do(ctx, r)
		if id := nodeID(op); id != 0 {
			p.id.CompareAndSwap(0, id)
		}
		w.pool.note(s, op)
	case w.leave && at < 65:
		w.pool.note(s, c.Do(ctx, c.writing(Request{Workload: w.name, Key: lifeKey(p.key), Command: "deregister", Signer: p.key, Body: &protocol.NodeRequest{NodeID: id}})))
	default:
		w.pool.note(s, c.Do(ctx, c.reading(p.lookup(w.name))))
	}
}

func (p person) lookup(workload string) Request {
	return Request{Workload: workload, Key: lifeKey(p.key), Command: "lookup", Body: &protocol.NodeRequest{NodeID: p.id.Load()}}
}

func (w *lives) Final(ctx context.Context, env *Env) error {
	var reads []Request
	for _, p := range w.pool.recent() {
		if p.id.Load() != 0 {
			reads = append(reads, p.lookup(w.name))
		}
	}
	return readEverywhere(ctx, env, w.name, reads)
}
