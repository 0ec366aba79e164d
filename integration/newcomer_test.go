// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	c.Stop()
	if info, err := os.Stat(filepath.Join(c.Dir, "n1", "snapshots")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others can read snapshots: %v, %v", info, err)
	}
	if said := c.Output(); !regexp.MustCompile(`(?m)^n[1-3] ended with signal: killed and is started again`).MatchString(said) {
		t.Errorf("dev does not say which member it started again:\n%s", said)
	}
}

// The README's three machines, each with loopback addresses and a directory of
// its own. What init and join are told is not told again.
func TestReadmeThreeMachines(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	o := &operator{t: t, ctx: ctx, path: binary(t, "cmd/pilot-registry")}
	var lines []string
	for _, e := range pagesOfExamples(t)["README.md"] {
		for _, line := range e.lines {
			if e.mark == "run by "+t.Name() && strings.HasPrefix(line, "pilot-registry ") {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) != 5 {
		t.Fatalf("the block has %d commands: %q", len(lines), lines)
	}
	root := t.TempDir()
	first := filepath.Join(root, "m1")
	machine := func(i int, lines []string) {
		dir, peer := filepath.Join(root, fmt.Sprint("m", i)), freeAddr(t)
		settings := []string{"PILOT_REGISTRY_WIRE_LISTEN=127.0.0.1:0", "PILOT_REGISTRY_PEER_LISTEN=" + peer, "PILOT_REGISTRY_OPS_LISTEN="}
		for _, line := range lines {
			line = strings.NewReplacer("/var/lib/pilot-registry", dir, "m1.example.net:9100", peer, "m2.example.net:9100", peer,
				"cluster add", "cluster add --data-dir "+first).Replace(line)
			words := append([]string{"-c", "exec " + o.path + strings.TrimPrefix(line, "pilot-registry")}, "sh")
			cmd := exec.CommandContext(ctx, "sh", words...)
			cmd.Dir, cmd.Env = root, append(os.Environ(), append(settings, "HOME="+root)...)
			if strings.HasPrefix(line, "pilot-registry run") {
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // it may have ended
				o.await(regexp.MustCompile("ready: true"), "status", "--data-dir", dir)
			} else if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
		}
	}
	machine(1, lines[:3])
	machine(2, lines[3:])
	machine(3, append([]string{lines[2]}, lines[3:]...))
	o.await(regexp.MustCompile(`(?s)voter.*voter.*voter`), "cluster", "members", "--data-dir", first)
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
