// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// load runs workers until the returned function is called, which waits for
// them and fails the test when one of them failed.
func load(ctx context.Context, t *testing.T, addrs []string, n int, acked *atomic.Int64) (workers []*worker, stop func()) {
	t.Helper()
	end := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		w := newWorker(t, addrs, i%len(addrs), acked)
		workers = append(workers, w)
		wg.Go(func() {
			if err := w.run(ctx, end, fmt.Sprintf("worker %d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	return workers, func() { close(end); wg.Wait() }
}

// A backup that was saved under write load holds everything that was
// acknowledged before; restored it is a cluster to which the same clients
// write on, with the same tokens, and whose audit trail verifies.
func TestABackupIsRestored(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	c := harness.Start(t, harness.Options{NeverRestart: true})
	addrs := c.Addrs()
	var acked atomic.Int64
	before, stop := load(ctx, t, addrs, 4, &acked)
	awaitWrites(ctx, t, &acked, 300)
	stop()
	during, stop := load(ctx, t, addrs, 4, &acked)
	awaitWrites(ctx, t, &acked, 50)
	file := filepath.Join(t.TempDir(), "registry.backup")
	passphrase := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(passphrase, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	saved, err := ctl(t, c, "--addr", addrs[1], "cluster", "snapshot", "save", file, "--passphrase-file", passphrase, "-o", "json")
	if err != nil {
		t.Fatalf("%v\n%s", err, saved)
	}
	awaitWrites(ctx, t, &acked, 50)
	stop()
	o := &operator{t: t, ctx: ctx, path: binary(t, "cmd/pilot-registry")}
	ring := filepath.Join(t.TempDir(), "registry.keyring.age")
	o.run("keyring", "export", ring, "--data-dir", filepath.Join(c.Dir, "n1"), "--passphrase-file", passphrase)
	drill, err := ctl(t, c, "cluster", "snapshot", "verify", file, "--passphrase-file", passphrase, "--boot", "--keyring", ring, "--keyring-passphrase-file", passphrase)
	if err != nil {
		t.Error(err)
	}
	c.Stop()

	dir, peer := filepath.Join(t.TempDir(), "restored"), freeAddr(t)
	if !regexp.MustCompile(`DIGEST MATCHES +yes`).MatchString(drill) || !strings.Contains(drill, "RECOVERY POINT") {
		t.Errorf("the drill says:\n%s", drill)
	}
	said := o.run("restore", "--from", file, "--passphrase-file", passphrase, "--keyring", ring, "--keyring-passphrase-file", passphrase,
		"--data-dir", dir, "--peer-advertise", peer, "--context", "")
	o.member(dir, peer, "--wire-listen", addrs[0])
	o.await(regexp.MustCompile(`ready: true`), "status", "--data-dir", dir)

	reader, err := client.Open(client.Options{Addrs: addrs[:1], AdminToken: c.AdminToken})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	owners := map[uint32]string{}
	for _, w := range before {
		w.verify(ctx, t, reader, owners)
		w.scored++
		if _, err := w.c.UpdatePoloScore(ctx, w.id.NodeID(), 1); err != nil {
			t.Errorf("a client of the old cluster cannot write on: %v", err)
		}
	}
	for _, w := range during {
		score, err := reader.GetPoloScore(ctx, w.id.NodeID())
		if err != nil || score.PoloScore > w.scored {
			t.Errorf("node %d: score %+v, %v; %d additions were acknowledged", w.id.NodeID(), score, err, w.scored)
		}
	}
	for _, w := range before {
		if score, err := reader.GetPoloScore(ctx, w.id.NodeID()); err != nil || score.PoloScore != w.scored {
			t.Errorf("node %d: score %+v, %v; want %d", w.id.NodeID(), score, err, w.scored)
		}
	}
	status, err := reader.ClusterStatus(ctx) // with the token of the old cluster
	if err != nil || !strings.Contains(said, status.ClusterID) {
		t.Errorf("status %+v, %v; restore said\n%s", status, err, said)
	}
	var report struct {
		ClusterID string `json:"cluster_id"`
	}
	if err := json.Unmarshal([]byte(saved), &report); err != nil || report.ClusterID == status.ClusterID || !strings.Contains(said, report.ClusterID) {
		t.Errorf("the old cluster was %q, the new one is %s (%v)", report.ClusterID, status.ClusterID, err)
	}
	trail := filepath.Join(t.TempDir(), "trail.jsonl")
	if out, err := ctl(t, c, "--addr", addrs[0], "audit", "export", "--out", trail); err != nil {
		t.Errorf("the audit trail does not verify: %v\n%s", err, out)
	}
}

// All members die under load at the same moment. The survivor with the newest
// log goes on alone with every acknowledged write; a member that was left
// behind ends when it comes back, and a new one joins.
func TestAQuorumLostUnderLoadIsRecovered(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	c := harness.Start(t, harness.Options{NeverRestart: true})
	addrs := c.Addrs()
	var writers []*survivorLoad
	var total atomic.Int64
	for i := range 6 {
		writers = append(writers, startSurvivorLoad(ctx, t, addrs, i, &total))
	}
	awaitWrites(ctx, t, &total, 400)
	r, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range r.Nodes {
		if err := syscall.Kill(m.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range writers {
		w.wait()
	}
	c.Stop()

	o := &operator{t: t, ctx: ctx, path: binary(t, "cmd/pilot-registry")}
	dirs := []string{filepath.Join(c.Dir, "n1"), filepath.Join(c.Dir, "n2"), filepath.Join(c.Dir, "n3")}
	best, said := o.recover(dirs)
	if !strings.Contains(said, "before-recover-") {
		t.Errorf("recover says\n%s", said)
	}
	peer := r.Nodes[best].Peer
	_, logs := o.member(dirs[best], peer, "--wire-listen", addrs[best])
	o.await(regexp.MustCompile(`ready: true`), "status", "--data-dir", dirs[best])
	reader, err := client.Open(client.Options{Addrs: addrs[best : best+1], AdminToken: c.AdminToken})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, w := range writers {
		score, err := reader.GetPoloScore(ctx, w.node)
		if err != nil || score.PoloScore < w.acked || score.PoloScore > w.acked+w.unknown {
			t.Errorf("node %d: score %+v, %v; %d additions were acknowledged, of %d the outcome is unknown", w.node, score, err, w.acked, w.unknown)
		}
	}
	t.Logf("%d writes acknowledged, all of them there", total.Load())

	behind := (best + 1) % 3
	back, out := o.member(dirs[behind], r.Nodes[behind].Peer)
	err = back.Wait()
	if back.ProcessState.ExitCode() != 78 || !strings.Contains(out.String(), "was recovered without member") {
		t.Errorf("a member that was left behind ended with %v:\n%s\nthe recovered one:\n%s", err, out, logs)
	}
	token := strings.TrimSpace(o.run("cluster", "add", "--data-dir", dirs[best]))
	fresh, freshPeer := filepath.Join(t.TempDir(), "fresh"), freeAddr(t)
	o.run("join", "--token", token, "--data-dir", fresh, "--peer-advertise", freshPeer)
	o.member(fresh, freshPeer)
	o.await(regexp.MustCompile(`ready: true`), "status", "--data-dir", fresh)
}

// recover tries the data directories until one is taken: a wrong choice is
// refused and names the right one.
func (o *operator) recover(dirs []string) (best int, said string) {
	o.t.Helper()
	for i, dir := range dirs {
		args := []string{"recover", "--yes", "--data-dir", dir}
		for _, other := range dirs {
			if other != dir {
				args = append(args, "--other", other)
			}
		}
		out, code := exits(o.ctx, o.t, o.path, args...)
		if code == 0 {
			return i, out
		}
		if !strings.Contains(out, "lacks") {
			o.t.Fatalf("recover of %s: code %d\n%s", dir, code, out)
		}
	}
	o.t.Fatal("no directory can be recovered")
	return 0, ""
}

// survivorLoad writes to one node until a write fails.
type survivorLoad struct {
	node           uint32
	acked, unknown int64
	done           chan struct{}
}

func (l *survivorLoad) wait() { <-l.done }

func startSurvivorLoad(ctx context.Context, t *testing.T, addrs []string, first int, total *atomic.Int64) *survivorLoad {
	t.Helper()
	w := newWorker(t, addrs, first%len(addrs), total)
	registered, err := w.c.Register(ctx, protocol.Register{ListenAddr: ":4000"})
	if err != nil {
		t.Fatal(err)
	}
	l := &survivorLoad{node: registered.NodeID, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for ctx.Err() == nil {
			bounded, cancel := context.WithTimeout(ctx, 3*time.Second)
			_, err := w.c.UpdatePoloScore(bounded, l.node, 1)
			cancel()
			if err != nil {
				l.unknown++
				return
			}
			l.acked++
			total.Add(1)
		}
	}()
	return l
}

// The leader saves backups on the schedule, and so does the next one.
func TestTheLeaderSavesBackups(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	c := harness.Start(t, harness.Options{Set: []string{"backup.dir=" + dir, "backup.every=1s", "backup.keep=0"}})
	saved := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "registry-*.backup"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	newer := func(than string) string {
		for {
			if found := saved(); len(found) > 0 && found[len(found)-1] > than {
				return found[len(found)-1]
			}
			select {
			case <-ctx.Done():
				t.Fatalf("no backup newer than %q in %v", than, saved())
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	first := newer("")
	hurtLeader(ctx, t, c, "kill")
	after := newer(newer(newer(first)))
	if out, err := ctl(t, c, "cluster", "snapshot", "inspect", after); err != nil || !strings.Contains(out, "FEATURE LEVEL") {
		t.Errorf("the newest backup: %v\n%s", err, out)
	}
}
