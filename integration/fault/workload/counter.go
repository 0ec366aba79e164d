// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// counters is W1 as well: nodes as counters. A part of it goes through the
// SDK, whose resends must not add twice.
type counters struct {
	name string
	pool *pool[node]
}

func newCounters() Workload { return &counters{name: "w1-counter"} }

func (w *counters) Name() string { return w.name }
func (w *counters) Weight() int  { return 5 }

func (w *counters) Models() []check.Model { return models(check.KindCounter, check.KindLife) }

func (w *counters) Setup(ctx context.Context, env *Env) error {
	w.pool = newPool(4, maxOps, func(ctx context.Context, c *Client) (node, bool) { return c.newNode(ctx, w.name) })
	c := NewClient(env, w.name+"-setup")
	defer c.Close()
	return w.pool.fill(ctx, c)
}

func (w *counters) Step(ctx context.Context, c *Client) {
	s, ok := w.pool.take(ctx, c)
	if !ok {
		return
	}
	n := s.value
	r := score(w.name, n)
	if c.chance(50) {
		// No two additions to a counter are alike, and all of them together
		// stay below its limit.
		delta := float64(w.pool.number(s))
		r.Command, r.Body = "update_polo_score", &protocol.UpdatePoloScore{NodeID: n.id, Delta: &delta}
		if c.chance(30) {
			r.SDK = true
		} else {
			r = c.writing(r)
		}
	} else if r = c.reading(r); r.Level == protocol.Linearizable {
		r.SDK = c.chance(20)
	}
	w.pool.note(s, c.Do(ctx, r))
}

func score(workload string, n node) Request {
	return Request{Workload: workload, Key: n.counterKey(), Command: "get_polo_score", Body: &protocol.NodeRequest{NodeID: n.id}}
}

func (w *counters) Final(ctx context.Context, env *Env) error {
	var reads []Request
	for _, n := range w.pool.recent() {
		reads = append(reads, score(w.name, n))
	}
	return readEverywhere(ctx, env, w.name, reads)
}
