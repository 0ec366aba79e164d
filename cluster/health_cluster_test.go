// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func (m *member) awaitFatal(code int) {
	m.t.Helper()
	select {
	case f := <-m.fatal:
		if f.code != code {
			m.t.Fatalf("exit code %d (%s), want %d", f.code, f.reason, code)
		}
	case <-time.After(patience):
		m.t.Fatalf("the member did not stop with code %d", code)
	}
}

// TestStalledDiskEndsTheMember: the leader's disk hangs; it goes, the others serve.
func TestStalledDiskEndsTheMember(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	var stuck [3]atomic.Bool
	c := newCluster(t, 3, func(i int, cfg *Config) {
		cfg.Duties.StallLimit = 700 * time.Millisecond
		cfg.hooks.storeOp = func(name string) {
			if stuck[i].Load() && name == "store_logs" {
				<-gate
			}
		}
	})
	t.Cleanup(sync.OnceFunc(func() { close(gate) }))
	node := c.node(c.members[0])
	leader := c.leader()
	for i, m := range c.members {
		stuck[i].Store(m == leader)
	}
	rest := c.others(leader)
	rest[0].must(increment(t, node, ""))
	leader.awaitFatal(ExitStalled)
	if got := rest[1].mustRead(node); got != 1 {
		t.Errorf("the counter is %d", got)
	}
}

// TestStalledDiskEndsAFollower: a follower whose disk hangs goes too.
func TestStalledDiskEndsAFollower(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	var stuck atomic.Bool
	c := newCluster(t, 2, func(i int, cfg *Config) {
		cfg.Duties.StallLimit = 700 * time.Millisecond
		if i == 0 {
			cfg.Duties.StallLimit = time.Hour
		}
		cfg.hooks.storeOp = func(name string) {
			if i == 1 && stuck.Load() && name == "store_logs" {
				<-gate
			}
		}
	})
	t.Cleanup(sync.OnceFunc(func() { stuck.Store(false); close(gate) }))
	c.leader(c.members[0])
	stuck.Store(true)
	c.members[1].awaitFatal(ExitStalled) // the leader's ticks reach it
}

// hangingDisks starts a cluster in which the disks of all members but the first
// hang once stuck is set. Only the first member is watched.
func hangingDisks(t *testing.T) (c *cluster, stuck *atomic.Bool) {
	gate := make(chan struct{})
	stuck = new(atomic.Bool)
	c = newCluster(t, 3, func(i int, cfg *Config) {
		cfg.Duties.StallLimit = 700 * time.Millisecond
		if i > 0 {
			cfg.Duties.StallLimit = time.Hour
		}
		cfg.hooks.storeOp = func(name string) {
			if i > 0 && stuck.Load() && name == "store_logs" {
				<-gate
			}
		}
	})
	t.Cleanup(sync.OnceFunc(func() { stuck.Store(false); close(gate) }))
	return c, stuck
}

// TestUncommittedEntryEndsTheLeader: the log does not move although the voters
// answer, because their disks or streams hang.
func TestUncommittedEntryEndsTheLeader(t *testing.T) {
	t.Parallel()
	c, stuck := hangingDisks(t)
	first := c.members[0]
	if !first.IsLeader() {
		if e := first.TransferLeadership(t.Context(), first.id); e != nil {
			t.Fatal(e)
		}
		c.leader(first)
	}
	node := c.node(first)
	stuck.Store(true)
	go func() { _, _ = first.Propose(t.Context(), increment(t, node, "")) }()
	first.awaitFatal(ExitStalled)
}

func TestDamagedLogEndsTheMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	m := c.members[0]
	m.health.storeFailed(fmt.Errorf("read: %w", &store.DamageError{Path: "log", Reason: "checksum"}))
	m.awaitFatal(ExitDamaged)
	if _, yes := m.Quarantined(); !yes {
		t.Error("a member with damaged data goes on serving")
	}
}

func TestTruncatedLogIsNotStarted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	m := c.members[0]
	node := c.node(m)
	m.must(increment(t, node, ""))
	m.kill()
	files, err := filepath.Glob(filepath.Join(m.cfg.DataDir, dirRaft, "*.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v %v", files, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	m.cfg.Fatal = func(code int, reason string) { m.fatal <- fatalCall{code, reason} }
	_, err = Start(t.Context(), m.cfg)
	var damage *store.DamageError
	if !errors.As(err, &damage) {
		t.Errorf("started on a log that lost everything: %v", err)
	}
	m.awaitFatal(ExitDamaged)
}

func TestUnknownEntryHaltsTheMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	m := c.members[0]
	applied := m.Root().Index()
	entry := fsm.AppendEntry(nil, &fsm.Entry{Envelopes: []fsm.Envelope{{Code: fsm.InternalBase + 4000}}})
	future := m.engine.raft.Apply(entry, time.Second)
	if err := future.Error(); err != nil {
		t.Fatal(err)
	}
	if _, ok := future.Response().(error); !ok {
		t.Errorf("the entry was applied: %v", future.Response())
	}
	m.awaitFatal(ExitDamaged)
	if got := m.self.applied.index.Load(); got >= m.engine.raft.CommitIndex() || got < applied {
		t.Errorf("applied index %d claims the entry that was not applied", got)
	}
}

func TestLeaderKeepsUnknownCommandsOutOfTheLog(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	follower := c.others(c.leader())[0]
	for _, code := range []protocol.Code{fsm.InternalBase + 4000, 60000 - 40000, protocol.Must("list_nodes").Code} {
		_, e := follower.Propose(t.Context(), fsm.Envelope{Code: code, Body: []byte("{}")})
		if e == nil || e.Code != protocol.CodeFeatureNotActive || e.Outcome != protocol.OutcomeNotApplied {
			t.Errorf("command %d: %v", code, e)
		}
	}
	c.node(follower) // the cluster still works
}

// flip makes a member's digests differ from everybody else's.
func flip(by byte) func(fsm.Checkpoint) fsm.Checkpoint {
	return func(cp fsm.Checkpoint) fsm.Checkpoint {
		cp.Digest[0] ^= by
		return cp
	}
}

func TestMinorityWithAnotherDigestIsQuarantined(t *testing.T) {
	t.Parallel()
	var bad atomic.Pointer[string]
	c := newCluster(t, 3, func(i int, cfg *Config) {
		cfg.Duties.CheckpointEvery = 100 * time.Millisecond
		if i == 0 { // the first leader
			cfg.hooks.digest = func(cp fsm.Checkpoint) fsm.Checkpoint {
				if bad.Load() != nil {
					return flip(1)(cp)
				}
				return cp
			}
		}
	})
	node := c.node(c.members[0])
	sick, rest := c.members[0], c.members[1:]
	yes := ""
	bad.Store(&yes)
	written := int64(0)
	c.eventually("the minority is quarantined", func() bool {
		rest[0].must(increment(t, node, "")) // nothing fails meanwhile
		written++
		_, yes := sick.Quarantined()
		return yes
	})
	rest[0].must(increment(t, node, ""))
	if got := rest[1].mustRead(node); got != written+1 {
		t.Errorf("the majority reads %d after %d increments", got, written+1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, e := sick.Propose(ctx, increment(t, node, "")); e == nil || e.Code != protocol.CodeQuarantined {
		t.Errorf("the quarantined member proposed: %v", e)
	}
	if _, e := sick.ReadIndex(ctx); e == nil || e.Code != protocol.CodeQuarantined {
		t.Errorf("the quarantined member read: %v", e)
	}
	if reason, _ := sick.Quarantined(); !strings.Contains(reason, "its state at index ") || !strings.Contains(reason, "the logs are the same from index ") {
		t.Errorf("the reason does not say where: %s", reason)
	}
	for _, m := range rest {
		if _, yes := m.Quarantined(); yes {
			t.Errorf("member %s of the majority is quarantined", m.id)
		}
	}
	if st := sick.Status(t.Context()); st.Ready || len(st.Problems) == 0 {
		t.Errorf("status does not say so: %+v", st)
	}
	if sick.engine.raft.State() == raft.Leader {
		t.Error("the quarantined member leads")
	}
}

func TestWritesStopWhenNoDigestHasAMajority(t *testing.T) {
	t.Parallel()
	var bad atomic.Bool
	c := newCluster(t, 3, func(i int, cfg *Config) {
		cfg.Duties.CheckpointEvery = 100 * time.Millisecond
		cfg.hooks.digest = func(cp fsm.Checkpoint) fsm.Checkpoint {
			if bad.Load() {
				return flip(byte(i))(cp)
			}
			return cp
		}
	})
	node := c.node(c.members[0])
	bad.Store(true)
	c.eventually("writes stop", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, e := c.members[1].Propose(ctx, increment(t, node, ""))
		return e != nil && e.Code == protocol.CodeQuarantined && e.Outcome == protocol.OutcomeNotApplied
	})
}
