// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/integration/fault/workload"
	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.RemoveBinaries()
	os.Exit(code)
}

// trial is a cluster under load.
type trial struct {
	t     *testing.T
	c     *harness.Cluster
	env   *workload.Env
	suite *workload.Suite
	rec   *history.Recorder
	names map[string]string // id of a member → its data directory
	logs  *check.Collector
	net   *lossy // nil for one that loses nothing
}

func newTrial(t *testing.T, seed uint64, set ...string) *trial {
	t.Helper()
	tr := &trial{t: t, c: harness.Start(t, harness.Options{Set: set}), names: map[string]string{}, logs: check.NewCollector()}
	r, err := tr.c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range r.Nodes {
		tr.names[n.ID] = fmt.Sprintf("n%d", i+1)
	}
	if tr.rec, err = history.NewRecorder(filepath.Join(t.TempDir(), "history")); err != nil {
		t.Fatal(err)
	}
	tr.env = &workload.Env{Members: tr.members, Recorder: tr.rec, Seed: seed, Clients: 16, Rate: 700, Status: tr.status, AdminToken: tr.c.AdminToken}
	status, err := r.Nodes[0].Status()
	if err != nil {
		t.Fatal(err)
	}
	tr.env.ClusterID = status.ClusterID
	all, err := workload.New()
	if err != nil {
		t.Fatal(err)
	}
	if tr.suite, err = workload.NewSuite(tr.env, all...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.suite.Close() })
	return tr
}

func (tr *trial) members() []workload.Member {
	r, err := tr.c.Ready()
	if err != nil {
		return nil
	}
	var out []workload.Member
	for _, n := range r.Nodes {
		out = append(out, workload.Member{Name: tr.names[n.ID], Addr: n.Wire})
	}
	return out
}

// dirs are the members' data directories by name.
func (tr *trial) dirs() map[string]string {
	out := map[string]string{}
	for _, name := range tr.names {
		out[name] = filepath.Join(tr.c.Dir, name)
	}
	return out
}

func (tr *trial) status(_ context.Context, member string) (s protocol.ClusterStatusReply, err error) {
	r, err := tr.c.Ready()
	if err != nil {
		return s, err
	}
	for _, n := range r.Nodes {
		if tr.names[n.ID] == member {
			return n.Status()
		}
	}
	return s, fmt.Errorf("there is no member %s", member)
}

// acked waits until n more writes are acknowledged.
func (tr *trial) acked(ctx context.Context, n int64) {
	tr.t.Helper()
	for want := tr.rec.Counts().Acked + n; tr.rec.Counts().Acked < want; {
		select {
		case <-ctx.Done():
			tr.t.Fatalf("writes do not go on: %+v", tr.rec.Counts())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// load runs the workloads, hurts the leader in the middle, and reads everything
// when all members are back.
func (tr *trial) load(ctx context.Context, writes int64, hurt func(ctx context.Context, leader harness.Member)) {
	tr.t.Helper()
	if err := tr.suite.Setup(ctx); err != nil {
		tr.t.Fatal(err)
	}
	loading, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Add(2)
	go func() {
		defer wg.Done()
		tr.suite.Run(loading)
	}()
	go func() {
		defer wg.Done()
		used := tr.logs.Tap(loading, 100*time.Millisecond, tr.dirs)
		tr.t.Logf("%d copies of running logs", used)
	}()
	tr.acked(ctx, writes/2)
	r, err := tr.c.Await(ctx, func(r harness.Ready) bool { _, ok := r.LeaderNode(); return ok })
	if err != nil {
		tr.t.Fatal(err)
	}
	leader, _ := r.LeaderNode()
	hurt(ctx, leader)
	tr.acked(ctx, writes/2)
	stop()
	wg.Wait()
	if tr.net != nil {
		tr.net.heal()
	}
	if err := tr.suite.Final(ctx); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *trial) signal(n harness.Member, s syscall.Signal) {
	tr.t.Helper()
	if err := syscall.Kill(n.PID, s); err != nil {
		tr.t.Error(err)
	}
}

// kill ends the leader; the harness starts it again.
func (tr *trial) kill(_ context.Context, leader harness.Member) { tr.signal(leader, syscall.SIGKILL) }

// pause stops the leader until writes go on under another one and some
// requests have been left without an answer.
func (tr *trial) pause(ctx context.Context, leader harness.Member) {
	tr.signal(leader, syscall.SIGSTOP)
	defer tr.signal(leader, syscall.SIGCONT)
	if _, err := tr.c.Await(ctx, func(r harness.Ready) bool {
		return r.Leader != leader.ID && r.Leader != "" && tr.rec.Counts().Unknown >= 5
	}); err != nil {
		tr.t.Errorf("after the pause of %s: %v, %+v", tr.names[leader.ID], err, tr.rec.Counts())
	}
}

// judge stops the cluster and runs all checkers over what is left of it.
func (tr *trial) judge(coverage float64) *check.Result {
	tr.t.Helper()
	tr.c.Stop()
	if err := tr.rec.Close(); err != nil {
		tr.t.Fatal(err)
	}
	var final []string
	for name, dir := range tr.dirs() {
		if err := tr.logs.Collect(name, dir); err != nil {
			tr.t.Fatal(err)
		}
		final = append(final, name)
	}
	ops := tr.rec.Ops()
	lines, saw := tr.suite.Judge(ops)
	tr.t.Log(lines)
	log, found := tr.logs.Merge(final, check.Committed(ops))
	r := check.Run(check.Input{Ops: ops, Log: log, LogViolations: found, Found: saw, MinCoverage: coverage, Linear: check.LinearOptions{Models: tr.suite.Models()}})
	for _, v := range r.Violations {
		tr.t.Error(v)
	}
	signed := 0
	for i := range ops {
		if ops[i].Outcome == history.OK && protocol.ValidNonce(ops[i].RequestID) {
			signed++
		}
	}
	if signed < 20 {
		tr.t.Errorf("%d signed requests succeeded, want 20 at least", signed)
	}
	tr.t.Logf("%+v\n%+v\n%+v\n%d signed requests", tr.rec.Counts(), r.Replay, r.Linear, signed)
	return r
}

// All workloads over a network that loses requests and replies, against a real
// cluster whose leader is killed, and all checkers over everything: what is
// right has to pass.
func TestARightClusterPasses(t *testing.T) {
	tr := newTrial(t, 1)
	tr.net = newLossy(1)
	tr.env.Dial = tr.net.dial
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	tr.load(ctx, 500, tr.kill)
	r := tr.judge(1)
	if r.Replay.Writes < 500 || r.Replay.Reads < 300 || r.Replay.Digests != 3 || r.Replay.Resolved < 8 || r.Linear.Keys < 20 || r.Linear.Unknown < 8 {
		t.Errorf("too little was looked at to mean anything: %+v, %+v", r.Replay, r.Linear)
	}
}

// A leader that is paused, with logs that are cut short all the time: outcomes
// stay unknown, and most of the log is known only because it was read while
// the members were running.
func TestARightClusterPassesWithSnapshots(t *testing.T) {
	tr := newTrial(t, 2, "raft.snapshot_threshold=64", "raft.trailing_logs=16", "raft.snapshot_interval=100ms")
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	tr.load(ctx, 300, tr.pause)
	r := tr.judge(0.5)
	if r.Replay.Snapshots == 0 || r.Replay.Writes+r.Replay.Remembered < 150 || r.Linear.Keys < 20 || tr.rec.Counts().Unknown < 5 {
		t.Errorf("too little was looked at to mean anything: %+v, %+v", r.Replay, r.Linear)
	}
}
