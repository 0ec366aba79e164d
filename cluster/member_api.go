// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Root is the newest applied state: immutable, and never torn.
func (n *Member) Root() *fsm.Root { return n.self.Root() }

// Keyring holds the cluster's secret keys.
func (n *Member) Keyring() *keyring.Keyring { return n.ring }

// ID of this member.
func (n *Member) ID() string { return n.self.id }

// IsLeader reports whether this member leads and serves its term.
func (n *Member) IsLeader() bool { return n.term.leading(n.engine.raft.CurrentTerm()) }

// LeaderID is the leader as far as this member knows, or empty.
func (n *Member) LeaderID() string { return n.term.leaderID() }

// PeerAddr is the address of the peer listener.
func (n *Member) PeerAddr() string { return n.engine.server.Addr().String() }

// Queued is how much waits at this member as leader for the next entry, and
// how much may: commands, and their bytes.
func (n *Member) Queued() (commands, mostCommands, bytes, mostBytes int) {
	commands, bytes = n.writes.batch.queued()
	return commands, n.self.cfg.Limits.Queue, bytes, n.self.cfg.Limits.QueueBytes
}

// Changed returns a channel that is closed when leadership or readiness changes next.
func (n *Member) Changed() <-chan struct{} { return n.self.changed.next() }

// Left is closed when this member left its cluster at the request of an AdminClient.
func (n *Member) Left() <-chan struct{} { return n.left }

// CaughtUp reports whether this member has applied everything that was
// acknowledged before it was started.
func (n *Member) CaughtUp() bool { return n.report.caughtUp.Load() }

// Quarantined says whether and why this member has stopped serving.
func (n *Member) Quarantined() (reason string, yes bool) { return n.health.Quarantined() }

// Propose brings a command through consensus, from any member, and returns
// what the state machine decided; a decided refusal is in Result.Err.
//
// The error is non-nil only when nothing was decided, and says what is known:
// not_applied (shutting_down, overloaded, quarantined, too_large, no_leader)
// or unknown (outcome_unknown). Until ctx ends, after 10 s when it has no
// deadline and after 30 s in any case, Propose tries again through changes of
// leadership. It does so after an unknown outcome only when a repetition has
// no second effect: the command has a request id, gets one minted here, or is
// soft.
func (n *Member) Propose(ctx context.Context, env fsm.Envelope) (fsm.Result, *protocol.Error) {
	return n.writes.propose(ctx, env)
}

// ReadIndex returns an index that covers every write acknowledged by any
// member before the call; a read of a state that has applied it is
// linearizable. It tries again through changes of leadership until ctx ends
// (10 s without a deadline). Errors: no_leader, quarantined, shutting_down.
func (n *Member) ReadIndex(ctx context.Context) (uint64, *protocol.Error) {
	return n.reads.readIndex(ctx)
}

// WaitApplied waits until this member has applied the index. Error: timeout_read.
func (n *Member) WaitApplied(ctx context.Context, index uint64) *protocol.Error {
	return n.reads.waitApplied(ctx, index)
}

// DataAge is how long ago the newest entry was made that is applied here. With
// a leader there is one every second. It needs neither leader nor quorum.
func (n *Member) DataAge() time.Duration {
	return max(0, n.clock.wall().Sub(time.UnixMilli(n.Root().Now())))
}

// FreshWithin reports whether this member's state covers every write that was
// acknowledged up to d ago: a round that began since then was answered and its
// index is applied here.
func (n *Member) FreshWithin(d time.Duration) bool { return n.reads.freshWithin(d) }

// Nudge asks the leader's duty of a name to work at once and waits for it.
func (n *Member) Nudge(ctx context.Context, duty string, urgent bool) *protocol.Error {
	_, e := n.term.nudge(ctx, &nudgeRequest{Duty: duty, Urgent: urgent})
	return e
}

// Members lists the configured members, asking each for at most half a second.
// It works without a quorum.
func (n *Member) Members(ctx context.Context) []protocol.ClusterMember {
	return n.report.members(ctx)
}

// Status tells what this member knows of the cluster and what to do about it.
// It works without a quorum.
func (n *Member) Status(ctx context.Context) protocol.ClusterStatusReply {
	return n.report.status(ctx)
}

// Checks are the conditions under which this member should get traffic.
func (n *Member) Checks() []Check { return n.report.checks() }

// Ready waits until every check passes. The error names those that do not.
func (n *Member) Ready(ctx context.Context) error { return n.report.ready(ctx) }
