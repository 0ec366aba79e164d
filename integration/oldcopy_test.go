// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// A data directory that was put back from an old copy takes its member out of
// service, says why and what to do, and the command that it names repairs it.
func TestAnOldCopyOfADataDirectory(t *testing.T) {
	t.Parallel()
	path := binary(t, "cmd/pilot-registry")
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	o := &operator{t: t, ctx: ctx, path: path}
	root := t.TempDir()
	dirs := []string{filepath.Join(root, "m1"), filepath.Join(root, "m2"), filepath.Join(root, "m3")}
	peers := []string{freeAddr(t), freeAddr(t), freeAddr(t)}
	copied, threeVoters := filepath.Join(root, "copy"), regexp.MustCompile(`(?s)voter +\S+ .*\n.* voter .*\n.* voter `)
	token := joinTokenRE.FindStringSubmatch(o.run("init", "--data-dir", dirs[0], "--peer-advertise", peers[0]))[1]
	o.member(dirs[0], peers[0])
	ready := regexp.MustCompile(`ready: true`)
	o.await(ready, "status", "--data-dir", dirs[0])
	o.run("join", "--data-dir", dirs[1], "--token", token, "--peer-advertise", peers[1])
	o.member(dirs[1], peers[1])
	token = regexp.MustCompile(`\S+`).FindString(o.run("cluster", "add", "--data-dir", dirs[0]))
	o.run("join", "--data-dir", dirs[2], "--token", token, "--peer-advertise", peers[2])
	third, _ := o.member(dirs[2], peers[2])
	o.await(threeVoters, "cluster", "members", "--data-dir", dirs[0])

	ends := func(with syscall.Signal) {
		t.Helper()
		if err := third.Process.Signal(with); err != nil {
			t.Fatal(err)
		}
		_ = third.Wait() // killed, or ended
	}
	duplicate := func(from, to string) {
		t.Helper()
		if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	ends(syscall.SIGTERM)
	duplicate(dirs[2], copied)
	third, _ = o.member(dirs[2], peers[2])
	o.await(ready, "status", "--data-dir", dirs[2])
	for range 3 { // each of them is an acknowledged write
		o.run("cluster", "add", "--data-dir", dirs[0])
	}
	written := o.statusOf(dirs[0]).AppliedIndex
	for o.statusOf(dirs[2]).AppliedIndex < written {
		if ctx.Err() != nil {
			t.Fatal("the third member does not follow")
		}
	}
	ends(syscall.SIGKILL)
	if err := os.RemoveAll(dirs[2]); err != nil {
		t.Fatal(err)
	}
	duplicate(copied, dirs[2])
	third, _ = o.member(dirs[2], peers[2])

	says := o.awaitExit(5, regexp.MustCompile(`(?s)quarantined.*old\s+copy`), "status", "--data-dir", dirs[2])
	id := regexp.MustCompile(`pilot-registry cluster\s+repair\s+([0-9a-f-]{36})`).FindStringSubmatch(says)
	if id == nil {
		t.Fatalf("status names no command:\n%s", says)
	}
	o.run("cluster", "repair", id[1], "--data-dir", dirs[0])
	_ = third.Wait() // with an error, as it does not end with 0
	if code := third.ProcessState.ExitCode(); code != 75 {
		t.Errorf("the repaired member ended with %d", code)
	}
	o.member(dirs[2], peers[2])
	o.await(ready, "status", "--data-dir", dirs[2])
	o.await(threeVoters, "cluster", "members", "--data-dir", dirs[0])
	o.run("cluster", "repair", id[1], "--data-dir", dirs[0]) // nothing is left to do
}

// statusOf is what the member of a data directory says of itself.
func (o *operator) statusOf(dir string) (s protocol.ClusterStatusReply) {
	o.t.Helper()
	raw, err := exec.CommandContext(o.ctx, o.path, "status", "--data-dir", dir, "-o", "json").Output()
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil && o.ctx.Err() == nil {
		o.t.Fatalf("status of %s: %v", dir, err)
	}
	return s
}
