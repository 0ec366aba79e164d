// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// nudged counts the nudges of the member it belongs to.
type nudged struct {
	dutyFunc
	nudges chan int
	member int
}

func (n nudged) Run(ctx context.Context, _ DutyEnv) { <-ctx.Done() }

func (n nudged) Nudge(context.Context, bool) *protocol.Error {
	n.nudges <- n.member
	return protocol.NotAppliedf(protocol.CodeJWKS, "looked in vain")
}

// A nudge reaches the leader's duty from every member, and its answer comes back.
func TestNudgeReachesTheLeader(t *testing.T) {
	t.Parallel()
	nudges := make(chan int, 3)
	c := newCluster(t, 2, func(i int, cfg *Config) {
		cfg.Extra = []Duty{nudged{dutyFunc{name: "probe"}, nudges, i}}
	})
	leader := c.leader()
	for _, m := range c.members {
		if e := m.Nudge(t.Context(), "probe", false); e == nil || e.Code != protocol.CodeJWKS || e.Text != "looked in vain" {
			t.Errorf("the answer is %v", e)
		}
		if got := <-nudges; c.members[got] != leader {
			t.Errorf("member %d was nudged, and it does not lead", got)
		}
		if e := m.Nudge(t.Context(), "nobody", false); e == nil || e.Code != protocol.CodeNotImplemented {
			t.Errorf("nobody was nudged: %v", e)
		}
	}
}
