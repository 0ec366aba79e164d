// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// roller is a cluster whose members run the program at one path, so that a
// member gets another version by replacing that file and ending the member.
type roller struct {
	*harness.Cluster
	t    *testing.T
	path string
}

func newRoller(t *testing.T, set ...string) *roller {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pilot-registry")
	r := &roller{t: t, path: path}
	r.install(binary(t, "cmd/pilot-registry"))
	r.Cluster = harness.Start(t, harness.Options{Registry: path, Set: set})
	return r
}

// nextVersion is the synthetic next version: one command, one field, one
// snapshot section more, the next feature level.
func nextVersion(t *testing.T) string {
	t.Helper()
	path, err := harness.Tagged("cmd/pilot-registry", "nextver")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// install replaces the program that members are started from.
func (r *roller) install(from string) {
	r.t.Helper()
	in, err := os.Open(from)
	if err != nil {
		r.t.Fatal(err)
	}
	defer in.Close()
	if err := harness.WriteProgram(r.path, in); err != nil {
		r.t.Fatal(err)
	}
}

// restart ends a member with a signal and waits until its successor serves.
func (r *roller) restart(ctx context.Context, id string, signal syscall.Signal) {
	r.t.Helper()
	ready, err := r.Ready()
	if err != nil {
		r.t.Fatal(err)
	}
	pid := pidOf(ready, id)
	if err := syscall.Kill(pid, signal); err != nil {
		r.t.Fatalf("member %s (pid %d): %v", id, pid, err)
	}
	if _, err := r.Await(ctx, func(now harness.Ready) bool {
		for _, n := range now.Nodes {
			if n.ID == id && n.PID != 0 && n.PID != pid {
				s, err := n.Status()
				return err == nil && s.Ready
			}
		}
		return false
	}); err != nil {
		r.t.Fatalf("member %s did not come back: %v", id, err)
	}
}

// followersFirst lists the members with the leader last.
func (r *roller) followersFirst() []string {
	r.t.Helper()
	ready, err := r.Ready()
	if err != nil {
		r.t.Fatal(err)
	}
	var ids []string
	for _, n := range ready.Nodes {
		if n.ID != ready.Leader {
			ids = append(ids, n.ID)
		}
	}
	return append(ids, ready.Leader)
}

// level is the feature level that all members show, 0 while they differ.
func (r *roller) level() uint32 {
	ready, err := r.Ready()
	if err != nil {
		return 0
	}
	level := uint32(0)
	for i, n := range ready.Nodes {
		s, err := n.Status()
		if err != nil || i > 0 && s.FeatureLevel != level {
			return 0
		}
		level = s.FeatureLevel
	}
	return level
}

func (r *roller) awaitLevel(ctx context.Context, want uint32) {
	r.t.Helper()
	if _, err := r.Await(ctx, func(harness.Ready) bool { return r.level() == want }); err != nil {
		r.t.Fatalf("the feature level is %d, want %d: %v", r.level(), want, err)
	}
}

// underLoad runs workers while f runs, and verifies what was acknowledged.
func (r *roller) underLoad(ctx context.Context, f func(acked *atomic.Int64)) {
	r.t.Helper()
	stop := make(chan struct{})
	var acked atomic.Int64
	var workers []*worker
	var wg sync.WaitGroup
	failures := make(chan error, 6)
	addrs := r.Addrs()
	for i := range 6 {
		w := newWorker(r.t, addrs, i%len(addrs), &acked)
		workers = append(workers, w)
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := w.run(ctx, stop, fmt.Sprintf("worker %d", i)); err != nil {
				failures <- err
			}
		}()
	}
	f(&acked)
	close(stop)
	wg.Wait()
	close(failures)
	for err := range failures {
		r.t.Error(err)
	}
	verifyAll(ctx, r.t, r.Cluster, workers)
}

// motto tries the next version's command at a member and returns its code.
func motto(t *testing.T, addr string) string {
	t.Helper()
	w, err := harness.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	a, err := w.Register()
	if err != nil {
		t.Fatal(err)
	}
	reply, err := w.Call(map[string]any{"type": "set_motto", "node_id": a.ID, "motto": "onwards", "signature": a.Sign(fmt.Sprintf("set_motto:%d", a.ID))})
	if err != nil {
		t.Fatal(err)
	}
	if reply["type"] != "set_motto_ok" {
		code, _ := reply["code"].(string)
		return code
	}
	if found, err := w.Call(map[string]any{"type": "lookup", "node_id": a.ID}); err != nil || found["motto"] != "onwards" {
		t.Errorf("lookup after set_motto: %v, %v", found, err)
	}
	return ""
}

// One member after another gets the next version, under load, with a kill -9
// on the way and snapshots going both ways. Its command works when all have
// it, and the old version then refuses the data.
func TestRollToTheNextVersion(t *testing.T) {
	t.Parallel()
	next := nextVersion(t)
	r := newRoller(t, "raft.snapshot_threshold=64", "raft.trailing_logs=16", "raft.snapshot_interval=1s")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	r.underLoad(ctx, func(acked *atomic.Int64) {
		awaitWrites(ctx, t, acked, 200)
		r.install(next)
		for i, id := range r.followersFirst() {
			signal := syscall.SIGTERM
			if i == 1 {
				signal = syscall.SIGKILL
			}
			r.restart(ctx, id, signal)
			awaitWrites(ctx, t, acked, 200)
			if i == 0 {
				ready, err := r.Ready()
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range ready.Nodes {
					want := protocol.CodeUnknownCommand
					if n.ID == id {
						want = protocol.CodeFeatureNotActive
					}
					if code := motto(t, n.Wire); code != want {
						t.Errorf("set_motto half way, at member %s: %q, want %s", n.ID, code, want)
					}
				}
			}
		}
		r.awaitLevel(ctx, fsm.LevelMax+1)
		awaitWrites(ctx, t, acked, 200)
	})
	for _, addr := range r.Addrs() {
		if code := motto(t, addr); code != "" {
			t.Errorf("set_motto at %s after the upgrade: %s", addr, code)
		}
	}
	awaitEqualDigests(ctx, t, r.Cluster)
	r.Stop()
	refusesNewerData(t, binary(t, "cmd/pilot-registry"), r.Dir)
}

// refusesNewerData starts the old version on upgraded data: it must say what
// to do and end with 78.
func refusesNewerData(t *testing.T, old, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, old, "run", "--data-dir", filepath.Join(dir, "n1"), "--wire-listen", "127.0.0.1:0",
		"--peer-listen", "127.0.0.1:0", "--peer-advertise", "127.0.0.1:1", "--ops-listen", "")
	out, err := cmd.CombinedOutput()
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) || exit.ExitCode() != 78 {
		t.Fatalf("the old version on upgraded data: %v, want exit code 78\n%s", err, out)
	}
	if text := string(out); !strings.Contains(text, "install a version that knows it") {
		t.Errorf("the refusal does not say what to do:\n%s", text)
	}
}

// With preserve_downgrade the way back stays open: all members go forward and
// back again under load.
func TestRollBackBeforeTheLevelIsRaised(t *testing.T) {
	t.Parallel()
	next := nextVersion(t)
	r := newRoller(t, "upgrades.preserve_downgrade=true", "raft.snapshot_threshold=64", "raft.trailing_logs=16", "raft.snapshot_interval=1s")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	r.underLoad(ctx, func(acked *atomic.Int64) {
		for _, version := range []string{next, binary(t, "cmd/pilot-registry")} {
			r.install(version)
			for _, id := range r.followersFirst() {
				r.restart(ctx, id, syscall.SIGTERM)
				awaitWrites(ctx, t, acked, 100)
			}
			if level := r.level(); level != fsm.LevelMax {
				t.Errorf("the feature level is %d although preserve_downgrade is set", level)
			}
		}
	})
}
