// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// termRaft is what raft says of leadership.
type termRaft interface {
	State() raft.RaftState
	CurrentTerm() uint64
	LeaderWithID() (raft.ServerAddress, raft.ServerID)
	LeadershipTransfer() raft.Future
	LeadershipTransferToServer(id raft.ServerID, address raft.ServerAddress) raft.Future
	RegisterObserver(or *raft.Observer)
}

// term knows who leads, begins the terms that this member leads, and runs the
// leader's duties within them.
type term struct {
	*self
	raft   termRaft
	router *router
	roster interface {
		voters() []raft.Server
		named(id string) (raft.Server, *protocol.Error)
	}
	reads interface {
		askVoters(ctx context.Context, term uint64, linger time.Duration) ([]time.Time, error)
	}
	writes termWrites
	health interface {
		serving
		writesStopped() (reason string, yes bool)
		fatal(code int, reason string)
	}
	clock *leaderClock
	ring  *keyring.Keyring
	// seeds are the first commands of a new cluster.
	seeds interface {
		seedCommands() ([]fsm.Envelope, error)
		seeded() error
	}
	duties func() []Duty
	// changes counts how often this member gained or lost leadership.
	changes interface{ Inc() }

	// readyTerm is the term whose first command is applied here, while leading it.
	readyTerm atomic.Uint64
}

// termWrites brings the leader's own commands into the log.
type termWrites interface {
	proposer
	submit(ctx context.Context, env fsm.Envelope, term uint64) (fsm.Result, *protocol.Error)
	applyEntry(ctx context.Context, entry *fsm.Entry) ([]fsm.Result, *protocol.Error)
}

func (t *term) leaderID() string {
	_, id := t.raft.LeaderWithID()
	return string(id)
}

// leading reports whether this member leads the term and may serve it.
func (t *term) leading(term uint64) bool {
	return t.raft.State() == raft.Leader && t.raft.CurrentTerm() == term && t.readyTerm.Load() == term
}

// mayLead says whether this member may write now: it leads, its term has
// begun for the state machine, and nothing forbids it.
func (t *term) mayLead() *protocol.Error {
	if reason, yes := t.health.Quarantined(); yes {
		// Another leader will take it; only our own clients are told to go elsewhere.
		return protocol.NotAppliedf(codeNotLeader, "member %s is quarantined: %s", t.id, reason)
	}
	if reason, yes := t.health.writesStopped(); yes {
		return protocol.NotAppliedf(protocol.CodeQuarantined, "writes have stopped: %s", reason)
	}
	if t.raft.State() != raft.Leader {
		return protocol.NotAppliedf(codeNotLeader, "member %s is not the leader", t.id)
	}
	if term := t.raft.CurrentTerm(); t.readyTerm.Load() != term {
		return protocol.NotAppliedf(codeNotReady, "member %s has just become leader", t.id)
	}
	return nil
}

// mayRead is mayLead without the brake on writes.
func (t *term) mayRead(term uint64) *protocol.Error {
	if reason, yes := t.health.Quarantined(); yes {
		return protocol.NotAppliedf(protocol.CodeQuarantined, "member %s is quarantined: %s", t.id, reason)
	}
	if !t.leading(term) {
		return protocol.NotAppliedf(codeNotLeader, "member %s does not lead term %d", t.id, term)
	}
	return nil
}

// awaitTerm waits, for as long as this member leads a term that has not begun
// for the state machine, so that callers need not ask again and again.
func (t *term) awaitTerm(ctx context.Context) {
	for {
		changed := t.changed.next()
		if t.raft.State() != raft.Leader || t.readyTerm.Load() == t.raft.CurrentTerm() {
			return
		}
		if !rest(ctx, changed, retryMax) {
			return
		}
	}
}

// observeLeaders wakes those who wait for a leader when raft learns of one.
func (t *term) observeLeaders() {
	seen := make(chan raft.Observation, 8)
	t.raft.RegisterObserver(raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	}))
	t.run(func() {
		for {
			select {
			case <-t.dead:
				return
			case <-seen:
				t.changed.signal()
			}
		}
	})
}
