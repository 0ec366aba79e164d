// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// TestASurvivorServesStaleReadsAfterARestart: a member that starts without a
// quorum has the state that it had before, not an empty one, and nothing that
// was never committed.
func TestASurvivorServesStaleReadsAfterARestart(t *testing.T) {
	t.Parallel()
	for name, threshold := range map[string]uint64{"from its log": 1 << 20, "from a snapshot and its log": 8} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 2, func(_ int, cfg *Config) {
				cfg.Snapshots.Threshold, cfg.Snapshots.TrailingLogs, cfg.Snapshots.Interval = threshold, 4, patience/1000
			})
			a, b := c.members[0], c.members[1]
			node := c.node(c.leader())
			for range 20 {
				c.leader().must(increment(t, node, ""))
			}
			c.agree(a, b)
			b.kill()
			stopped := a
			a = c.restart(a)
			root, before := a.Root(), stopped.Root()
			if root.Level() == 0 || root.Digest() != before.Digest() || a.score(node) != 20 {
				t.Errorf("after the restart: level %d, score %d, index %d; before it: index %d", root.Level(), a.score(node), root.Index(), before.Index())
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, e := a.read(ctx, node); e == nil || e.Outcome != protocol.OutcomeNotApplied {
				t.Errorf("a linearizable read without a quorum: %v", e)
			}
			// With the other member back, everything continues.
			b = c.restart(b)
			c.ready(a, b)
			c.leader().must(increment(t, node, ""))
			c.agree(a, b)
			if got := a.mustRead(node); got != 21 {
				t.Errorf("score %d after one more, want 21", got)
			}
		})
	}
}
