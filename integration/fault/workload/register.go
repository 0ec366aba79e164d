// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// registers is W1: nodes as registers of tags and visibility.
type registers struct {
	name string
	pool *pool[node]
}

func newRegisters() Workload { return &registers{name: "w1-register"} }

func (w *registers) Name() string { return w.name }
func (w *registers) Weight() int  { return 6 }

func (w *registers) Models() []check.Model { return models(check.KindRegister, check.KindLife) }

func (w *registers) Setup(ctx context.Context, env *Env) error {
	w.pool = newPool(4, maxOps, func(ctx context.Context, c *Client) (node, bool) { return c.newNode(ctx, w.name) })
	c := NewClient(env, w.name+"-setup")
	defer c.Close()
	return w.pool.fill(ctx, c)
}

func (w *registers) Step(ctx context.Context, c *Client) {
	s, ok := w.pool.take(ctx, c)
	if !ok {
		return
	}
	w.pool.note(s, c.Do(ctx, c.registerStep(w.name, s.value)))
}

// registerStep is one operation on a node as a register.
func (c *Client) registerStep(workload string, n node) Request {
	r := Request{Workload: workload, Key: n.registerKey(), Signer: n.key}
	switch at := c.rng.IntN(100); {
	case at < 30:
		r.Command, r.Body = "set_tags", &protocol.SetTags{NodeID: n.id, Tags: []string{c.unique(), "also"}}
		return c.writing(r)
	case at < 40:
		r.Command, r.Body = "set_visibility", &protocol.SetVisibility{NodeID: n.id, Public: c.chance(50)}
		return c.writing(r)
	}
	return c.reading(lookup(workload, n))
}

func lookup(workload string, n node) Request {
	return Request{Workload: workload, Key: n.registerKey(), Command: "lookup", Body: &protocol.NodeRequest{NodeID: n.id}}
}

func (w *registers) Final(ctx context.Context, env *Env) error {
	return finalLookups(ctx, env, w.name, w.pool)
}

func finalLookups(ctx context.Context, env *Env, workload string, p *pool[node]) error {
	var reads []Request
	for _, n := range p.recent() {
		reads = append(reads, lookup(workload, n))
	}
	return readEverywhere(ctx, env, workload, reads)
}
