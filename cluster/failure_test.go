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
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

// TestLeaderFlapsLeakNothing moves leadership many times and stops everything.
func TestLeaderFlapsLeakNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	flaps, limit := 100, time.Now().Add(8*time.Second)
	var running atomic.Int64
	duty := dutyFunc{name: "probe", every: time.Millisecond, do: func(context.Context, DutyEnv) {}}
	func() {
		c := newCluster(t, 3, func(_ int, cfg *Config) { cfg.Extra = []Duty{countedDuty{duty, &running}} })
		node := c.node(c.members[0])
		done := 0
		for ; done < flaps && time.Now().Before(limit); done++ {
			old := c.leader()
			if perr := old.TransferLeadership(context.Background(), ""); perr != nil {
				t.Logf("transfer %d: %s", done, perr.Text)
			}
		}
		t.Logf("%d flaps", done)
		c.leader().must(increment(t, node, ""))
		c.eventually("only the leader's duties run", func() bool { return running.Load() == 1 })
		c.stop()
		c.members = nil
	}()
	if n := running.Load(); n != 0 {
		t.Errorf("%d duties still run", n)
	}
	goleak.VerifyNone(t, before)
}

type countedDuty struct {
	dutyFunc
	running *atomic.Int64
}

// Run counts the duties that run at the same time.
func (d countedDuty) Run(ctx context.Context, env DutyEnv) {
	d.running.Add(1)
	defer d.running.Add(-1)
	d.dutyFunc.Run(ctx, env)
}

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

// TestUncommittedEntryEndsTheLeader: the log does not move although the voters
// answer, because their disks or streams hang.
func TestUncommittedEntryEndsTheLeader(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	var stuck atomic.Bool
	c := newCluster(t, 3, func(i int, cfg *Config) {
		cfg.Duties.StallLimit = 700 * time.Millisecond
		if i > 0 {
			cfg.Duties.StallLimit = time.Hour // only the first member is watched
		}
		cfg.hooks.storeOp = func(name string) {
			if i > 0 && stuck.Load() && name == "store_logs" {
				<-gate
			}
		}
	})
	t.Cleanup(sync.OnceFunc(func() { stuck.Store(false); close(gate) }))
	first := c.members[0]
	if !first.IsLeader() {
		if perr := first.TransferLeadership(t.Context(), first.id); perr != nil {
			t.Fatal(perr)
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
	entry := fsm.AppendEntry(nil, &fsm.Entry{Commands: []fsm.Envelope{{Code: fsm.InternalBase + 4000}}})
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
		_, perr := follower.Propose(t.Context(), fsm.Envelope{Code: code, Body: []byte("{}")})
		if perr == nil || perr.Code != protocol.CodeFeatureNotActive || perr.Outcome != protocol.OutcomeNotApplied {
			t.Errorf("command %d: %v", code, perr)
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
	if _, perr := sick.Propose(ctx, increment(t, node, "")); perr == nil || perr.Code != protocol.CodeQuarantined {
		t.Errorf("the quarantined member proposed: %v", perr)
	}
	if _, perr := sick.ReadIndex(ctx); perr == nil || perr.Code != protocol.CodeQuarantined {
		t.Errorf("the quarantined member read: %v", perr)
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
		_, perr := c.members[1].Propose(ctx, increment(t, node, ""))
		return perr != nil && perr.Code == protocol.CodeQuarantined && perr.Outcome == protocol.OutcomeNotApplied
	})
}

// shiftClock is the system's clock, shifted.
type shiftClock struct{ by atomic.Int64 }

func (c *shiftClock) Wall() time.Time        { return c.Now() }
func (c *shiftClock) Now() time.Time         { return time.Now().Add(time.Duration(c.by.Load())) }
func (c *shiftClock) shift(by time.Duration) { c.by.Add(int64(by)) }

func TestWrongClockDoesNotMoveLogTimeAndGivesLeadershipAway(t *testing.T) {
	t.Parallel()
	wrong := &shiftClock{}
	wrong.shift(90 * 24 * time.Hour)
	c := newCluster(t, 3, func(i int, cfg *Config) {
		if i == 2 {
			cfg.Clock = wrong
		}
	})
	node := c.node(c.members[0])
	bad := c.members[2]
	if perr := c.leader().TransferLeadership(t.Context(), bad.id); perr != nil {
		t.Fatal(perr)
	}
	c.eventually("the wrong clock is noticed", func() bool {
		members := c.members[0].Members(t.Context())
		for _, m := range members {
			if m.ID == bad.id && m.Problem != "" {
				return true
			}
		}
		return false
	})
	c.eventually("somebody else leads", func() bool { return !bad.IsLeader() && (c.members[0].IsLeader() || c.members[1].IsLeader()) })
	c.members[0].must(increment(t, node, ""))
	if now := time.UnixMilli(c.members[0].Root().Now()); time.Until(now) > time.Hour {
		t.Errorf("log time is %s", now)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	for _, tc := range []struct {
		clocks  []time.Time
		logTime int64
		want    time.Time
	}{
		{[]time.Time{at(7)}, 0, at(7)},
		{[]time.Time{at(9), at(5)}, 0, at(5)},
		{[]time.Time{at(9), at(-5000)}, 8000, at(9)},
		{[]time.Time{at(9), at(5000)}, 8000, at(9)},
		{[]time.Time{at(1 << 30), at(5), at(6)}, 0, at(6)},
		{[]time.Time{at(8), at(-1 << 30), at(4), at(6)}, 0, at(4)},
	} {
		if got := median(tc.clocks, tc.logTime); !got.Equal(tc.want) {
			t.Errorf("median of %v is %v, want %v", tc.clocks, got, tc.want)
		}
	}
}

func TestIdleClusterTicks(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, func(_ int, cfg *Config) { cfg.Duties.TickAfter = 40 * time.Millisecond })
	m := c.members[0]
	was := m.Root().Now()
	c.eventually("log time moves on an idle cluster", func() bool { return m.Root().Now() > was+100 })
}

func TestMetricsMatchTheirTable(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	c := newCluster(t, 1, func(_ int, cfg *Config) { cfg.Registry = registry })
	m := c.members[0]
	m.must(increment(t, c.node(m), ""))
	m.mustRead(c.node(m))
	m.metrics.snapshotOp("persist", time.Millisecond)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range families {
		got[f.GetName()] = f.GetHelp()
	}
	for _, info := range Metrics {
		if got[info.Name] != info.Help || info.Help == "" {
			t.Errorf("metric %s: help %q, want %q", info.Name, got[info.Name], info.Help)
		}
		delete(got, info.Name)
	}
	for name := range got {
		t.Errorf("metric %s is not in the table", name)
	}
	m.kill()
	if families, _ := registry.Gather(); len(families) != 0 {
		t.Errorf("%d metrics are left after the member stopped", len(families))
	}
}

// A leader whose peers do not answer any more stops in good order: it does not
// wait for answers to what it has sent them.
func TestStoppingDoesNotWaitForSilentPeers(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	node := c.node(leader)
	c.faults.isolate(leader, c.others(leader)...)
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan struct{})
	go func() {
		close(sent)
		_, _ = leader.Propose(ctx, increment(t, node, "")) // replication is under way
	}()
	<-sent
	c.eventually("an entry waits for the silent peers", func() bool { return leader.engine.raft.LastIndex() > leader.engine.raft.CommitIndex() })
	cancel()
	impatient, done := context.WithCancel(t.Context())
	done()
	if err := leader.Shutdown(impatient); err != nil {
		t.Error(err)
	}
}
