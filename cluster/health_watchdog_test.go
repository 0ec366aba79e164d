// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
)

// TestAPauseOfTheMemberIsNotAStall: the guard's own ticker comes late when the
// process was stopped; what was under way then is measured from the end of the
// pause, and a real stall is still found.
func TestAPauseOfTheMemberIsNotAStall(t *testing.T) {
	t.Parallel()
	const limit = 3 * time.Second
	now := time.Now()
	begun := now.Add(-10 * time.Second)
	w := stopwatch{interval: limit / 10, limit: limit}
	w.waited(now.Add(-limit/10), now)
	if got := w.since(begun); got < 10*time.Second {
		t.Errorf("an operation of 10s without a pause counts as %s", got)
	}
	w.waited(now.Add(-limit/10-limit/2), now)
	if got := w.since(begun); got < 10*time.Second {
		t.Errorf("a tick that is late by half the limit is no pause yet, but the operation counts as %s", got)
	}
	w.waited(now.Add(-8*time.Second), now)
	if got := w.since(begun); got > limit {
		t.Errorf("after a pause of 8s an operation that began before it counts as %s", got)
	}
	w.resumed = now.Add(-2 * limit)
	if got := w.since(begun); got <= limit {
		t.Errorf("an operation that does not return for %s after the pause counts as %s", 2*limit, got)
	}
}

// TestHeartbeatsAloneDoNotKeepALeader: of what the leader sends and is
// answered, nothing but heartbeats comes through, not even confirm rounds. It
// goes, instead of being leader for ever without committing anything.
func TestHeartbeatsAloneDoNotKeepALeader(t *testing.T) {
	t.Parallel()
	c, stuck := hangingDisks(t)
	first := c.members[0]
	if e := c.leader().TransferLeadership(t.Context(), first.id); e != nil {
		t.Fatal(e)
	}
	c.leader(first)
	node := c.node(first)
	for _, m := range c.others(first) {
		c.faults.hold(peer.ProtoRPC, first, m)
	}
	stuck.Store(true)
	go func() { _, _ = first.Propose(t.Context(), increment(t, node, "")) }()
	first.awaitFatal(ExitStalled)
}
