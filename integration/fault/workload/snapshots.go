// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// snapshots is W12: records as large as they get, so that the log fills fast,
// is compacted, and members that lag are sent snapshots. At the end every
// member's digest is recorded at one index, to be compared with the replay.
type snapshots struct {
	pool *pool[node]
}

func newSnapshots() Workload { return &snapshots{} }

func (w *snapshots) Name() string { return "w12-snap" }
func (w *snapshots) Weight() int  { return 2 }

func (w *snapshots) Models() []check.Model { return models(check.KindRegister, check.KindLife) }

func (w *snapshots) Setup(ctx context.Context, env *Env) error {
	if env.Status == nil {
		return errors.New("Env.Status is needed to read digests")
	}
	w.pool = newPool(2, maxOps, func(ctx context.Context, c *Client) (node, bool) { return c.newNode(ctx, w.Name()) })
	c := NewClient(env, w.Name()+"-setup")
	defer c.Close()
	return w.pool.fill(ctx, c)
}

func (w *snapshots) Step(ctx context.Context, c *Client) {
	s, ok := w.pool.take(ctx, c)
	if !ok {
		return
	}
	n := s.value
	if c.chance(25) {
		w.pool.note(s, c.Do(ctx, c.reading(lookup(w.Name(), n))))
		return
	}
	tags := []string{c.unique()}
	for i := len(tags); i < protocol.MaxTags; i++ {
		tags = append(tags, strings.Repeat("x", protocol.MaxTagBytes-2)+fmt.Sprintf("%02d", i))
	}
	w.pool.note(s, c.Do(ctx, c.writing(Request{Workload: w.Name(), Key: n.registerKey(), Command: "set_tags", Signer: n.key, Body: &protocol.SetTags{NodeID: n.id, Tags: tags}})))
}

func (w *snapshots) Final(ctx context.Context, env *Env) error {
	if err := finalLookups(ctx, env, w.Name(), w.pool); err != nil {
		return err
	}
	return Digests(ctx, env, w.Name())
}
