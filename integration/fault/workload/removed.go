// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
)

// outsiders is W13: operations are also sent to members that were removed from
// the cluster and still run. They may answer stale reads and nothing else.
type outsiders struct {
	pool *pool[node]
}

func newOutsiders() Workload { return &outsiders{} }

func (w *outsiders) Name() string { return "w13-out" }
func (w *outsiders) Weight() int  { return 2 }

func (w *outsiders) Models() []check.Model { return models(check.KindRegister, check.KindLife) }

func (w *outsiders) Setup(ctx context.Context, env *Env) error {
	w.pool = newPool(2, maxOps, func(ctx context.Context, c *Client) (node, bool) { return c.newNode(ctx, w.Name()) })
	c := NewClient(env, w.Name()+"-setup")
	defer c.Close()
	return w.pool.fill(ctx, c)
}

func (w *outsiders) Step(ctx context.Context, c *Client) {
	s, ok := w.pool.take(ctx, c)
	if !ok {
		return
	}
	r := c.registerStep(w.Name(), s.value)
	if out := c.env.removed(); len(out) > 0 && c.chance(60) {
		r.Member = out[c.rng.IntN(len(out))]
	}
	w.pool.note(s, c.Do(ctx, r))
}

func (w *outsiders) Final(ctx context.Context, env *Env) error {
	return finalLookups(ctx, env, w.Name(), w.pool)
}
