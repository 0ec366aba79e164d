// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// operator runs pilot-registry commands as an operator would.
type operator struct {
	t    *testing.T
	ctx  context.Context
	path string
}

func (o *operator) run(args ...string) string {
	o.t.Helper()
	cmd := exec.CommandContext(o.ctx, o.path, args...)
	cmd.Env = append(os.Environ(), "HOME="+o.t.TempDir()) // what init keeps for pilotctl is of this test
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("pilot-registry %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// await repeats a command until its output matches.
func (o *operator) await(want *regexp.Regexp, args ...string) string {
	o.t.Helper()
	return o.awaitExit(0, want, args...)
}

// awaitExit runs a command until it ends with a code and shows what is wanted.
func (o *operator) awaitExit(code int, want *regexp.Regexp, args ...string) string {
	o.t.Helper()
	for {
		cmd := exec.CommandContext(o.ctx, o.path, args...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == code && want.Match(out) {
			return string(out)
		}
		select {
		case <-o.ctx.Done():
			o.t.Fatalf("pilot-registry %s never showed %s; last: %v\n%s", strings.Join(args, " "), want, err, out)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// member starts a member by hand and ends it with the test. Flags that come
// later win.
func (o *operator) member(dir, peer string, flags ...string) (*exec.Cmd, *bytes.Buffer) {
	o.t.Helper()
	var out bytes.Buffer
	args := []string{"run", "--data-dir", dir, "--wire-listen", "127.0.0.1:0", "--peer-listen", peer, "--peer-advertise", peer,
		"--ops-listen", "", "--wire-tls", "off", "--raft-stable-for", "200ms"}
	cmd := exec.Command(o.path, append(args, flags...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()
		}
	})
	return cmd, &out
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// init, run, cluster add --nonvoter, join, promote, status without a quorum,
// remove and leave, by the commands that the documentation names.
func TestMembershipByHand(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	o := &operator{t: t, ctx: ctx, path: binary(t, "cmd/pilot-registry")}
	root := t.TempDir()
	dirs := []string{filepath.Join(root, "m1"), filepath.Join(root, "m2"), filepath.Join(root, "m3")}
	peers := []string{freeAddr(t), freeAddr(t), freeAddr(t)}
	made := o.run("init", "--data-dir", dirs[0], "--peer-advertise", peers[0])
	token := regexp.MustCompile(`--token (\S+)`).FindStringSubmatch(made)
	if token == nil || !regexp.MustCompile(`wire pin +[0-9a-f]{64}`).MatchString(made) {
		t.Fatalf("init prints neither pin nor join token:\n%s", made)
	}
	o.member(dirs[0], peers[0])
	o.await(regexp.MustCompile(`ready: true`), "status", "--data-dir", dirs[0])

	o.run("join", "--data-dir", dirs[1], "--token", token[1], "--peer-advertise", peers[1])
	second, _ := o.member(dirs[1], peers[1])
	o.await(regexp.MustCompile(`(?s)voter +\S+ .*\n.* voter `), "cluster", "members", "--data-dir", dirs[0])

	added := o.run("cluster", "add", "--nonvoter", "--data-dir", dirs[0]) // alone, as a script takes it
	tokenFile := filepath.Join(root, "token")
	if err := os.WriteFile(tokenFile, []byte("\ufeff"+added+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.run("join", "--data-dir", dirs[2], "--token-file", tokenFile, "--peer-advertise", peers[2])
	third, thirdOut := o.member(dirs[2], peers[2])
	row := regexp.MustCompile(`(?m)^(\S+) +` + regexp.QuoteMeta(peers[2]) + ` +nonvoter +follower +yes`)
	id := row.FindStringSubmatch(o.await(row, "cluster", "members", "--data-dir", dirs[0]))[1]
	o.run("cluster", "promote", id, "--data-dir", dirs[0])
	o.await(regexp.MustCompile(`(?m)^`+id+` +\S+ +voter`), "cluster", "members", "--data-dir", dirs[0])

	if again, err := exec.CommandContext(ctx, o.path, "join", "--data-dir", filepath.Join(root, "m4"), "--token-file", tokenFile, "--peer-advertise", freeAddr(t)).CombinedOutput(); err == nil {
		t.Errorf("a join token worked twice:\n%s", again)
	}

	o.run("leave", "--yes", "--data-dir", dirs[2])
	if err := third.Wait(); err != nil {
		t.Errorf("the member that left ended with %v\n%s", err, thirdOut)
	}
	again, _ := o.member(dirs[2], peers[2])
	if err := again.Wait(); again.ProcessState.ExitCode() != 78 {
		t.Errorf("a member that has left ends with %v when it is started again, and a supervisor keeps starting it", err)
	}
	o.await(regexp.MustCompile(`(?s)^ID[^\n]*\n[^\n]+\n[^\n]+\n$`), "cluster", "members", "--data-dir", dirs[0])

	if err := second.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = second.Wait() // killed
	out := o.awaitExit(5, regexp.MustCompile(`(?s)leader +none.*problem:`), "status", "--data-dir", dirs[0])
	if !strings.Contains(out, "next:") {
		t.Errorf("status without a quorum does not say what to do next:\n%s", out)
	}
}

// The opt-in log store carries a cluster through kills of its leader too.
func TestWALClusterSurvivesKills(t *testing.T) {
	t.Parallel()
	registry, err := harness.Tagged("cmd/pilot-registry", "raftwal")
	if err != nil {
		t.Fatal(err)
	}
	c := harness.Start(t, harness.Options{Registry: registry, Set: []string{"raft.log_store=wal", "raft.snapshot_threshold=64", "raft.trailing_logs=16", "raft.snapshot_interval=1s"}})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w, err := harness.Dial(c.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	keys := map[uint32]string{}
	for range 3 {
		hurtLeader(ctx, t, c, "kill")
		if _, err := c.Await(ctx, serving); err != nil {
			t.Fatal(err)
		}
		addrs := c.Addrs()
		w, err := harness.Dial(addrs[len(keys)%len(addrs)])
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			a, err := w.Register()
			if err != nil {
				t.Fatal(err)
			}
			if _, twice := keys[a.ID]; twice {
				t.Fatalf("node id %d was given twice", a.ID)
			}
			keys[a.ID] = a.PublicKey()
		}
		for id, key := range keys {
			if r, err := w.Call(map[string]any{"type": "lookup", "node_id": id}); err != nil || r["public_key"] != key {
				t.Fatalf("node %d: %v, %v", id, r, err)
			}
		}
		w.Close()
	}
	awaitEqualDigests(ctx, t, c)
}

// serving reports whether every member says that it is ready.
func serving(r harness.Ready) bool {
	for _, n := range r.Nodes {
		if s, err := n.Status(); err != nil || !s.Ready {
			return false
		}
	}
	return true
}
