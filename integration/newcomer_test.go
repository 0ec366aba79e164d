// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// readmeBlock returns the commands of the indented block that follows a line
// of the README, comments and prompts removed.
func readmeBlock(t *testing.T, after string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(harness.Root(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(raw), after)
	if !ok {
		t.Fatalf("the README no longer says %q", after)
	}
	var block []string
	for _, line := range strings.Split(rest, "\n") {
		code, isCode := strings.CutPrefix(line, "    ")
		if !isCode {
			if len(block) > 0 {
				return block
			}
			continue
		}
		code, _, _ = strings.Cut(code, " # ")
		block = append(block, strings.TrimSpace(code))
	}
	return block
}

// The README's lines, as a newcomer types them, over TLS: two nodes through
// two members, trust, resolve, the leader killed, resolve again.
func TestReadmeAsANewcomer(t *testing.T) {
	c := harness.Start(t, harness.Options{TLS: true})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	for name, target := range map[string]string{"data": c.Dir, "bin": filepath.Dir(binary(t, "cmd/pilotctl"))} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	shell := func(lines []string, pid int) string {
		script := strings.Join(lines, "\n")
		script = strings.ReplaceAll(script, "127.0.0.1:9002", c.Addrs()[2])
		script = strings.ReplaceAll(script, "PID", strconv.Itoa(pid))
		cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s\n%v\n%s", script, err, out)
		}
		return string(out)
	}
	first := readmeBlock(t, "In another terminal")
	if out := shell(first, 0); !strings.Contains(out, "REAL ADDR") {
		t.Errorf("resolve shows no endpoint:\n%s", out)
	}
	r, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	leader, ok := r.LeaderNode()
	if !ok {
		t.Fatal("no leader in the ready file")
	}
	second := append([]string{first[0]}, readmeBlock(t, "and ask again")...)
	if out := shell(second, leader.PID); !strings.Contains(out, "REAL ADDR") {
		t.Errorf("after the leader was killed resolve shows no endpoint:\n%s", out)
	}
	if _, err := c.Await(ctx, func(r harness.Ready) bool { p := pidOf(r, leader.ID); return p != 0 && p != leader.PID }); err != nil {
		t.Errorf("the killed member did not come back: %v", err)
	}
}

// dev cleans up: no member outlives it, however it ends.
func TestMembersEndWithDev(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"Ctrl-C": syscall.SIGINT, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			c := harness.Start(t, harness.Options{})
			r, err := c.Ready()
			if err != nil {
				t.Fatal(err)
			}
			c.Signal(t, signal)
			deadline := time.Now().Add(30 * time.Second)
			for _, n := range r.Nodes {
				for alive(n.PID) {
					if time.Now().After(deadline) {
						t.Fatalf("member %d outlived dev", n.PID)
					}
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
}

// alive reports whether a process runs; a zombie does not.
func alive(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(after, "Z")
}
