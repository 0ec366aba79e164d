// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// prepared are machines that all run the same prepare, and then their member.
type prepared struct {
	t           *testing.T
	ctx         context.Context
	root        string
	program     string
	wires, peer []string
}

// command is pilot-registry on a machine, with the machine's own settings.
func (p *prepared) command(i int, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(p.ctx, p.program, args...)
	cmd.Dir = p.root
	cmd.Env = append(os.Environ(), "HOME="+p.root, "PILOT_REGISTRY_DATA_DIR="+p.dir(i), "PILOT_REGISTRY_OPS_LISTEN=",
		"PILOT_REGISTRY_WIRE_LISTEN="+p.wires[i], "PILOT_REGISTRY_PEER_LISTEN="+p.peer[i], "PILOT_REGISTRY_PEER_ADVERTISE="+p.peer[i])
	return cmd
}

func (p *prepared) dir(i int) string { return filepath.Join(p.root, "m"+string(rune('1'+i))) }

// prepare runs prepare on a machine and returns its exit code and its words.
func (p *prepared) prepare(i int, more ...string) (int, string) {
	p.t.Helper()
	args := append([]string{"prepare", "--context", "registry", "--from", strings.Join(p.wires, ",")}, more...)
	out, err := p.command(i, args...).CombinedOutput()
	exit, failed := errors.AsType[*exec.ExitError](err)
	if err != nil && !failed {
		p.t.Fatal(err)
	}
	if failed {
		return exit.ExitCode(), string(out)
	}
	return 0, string(out)
}

func (p *prepared) run(i int) {
	p.t.Helper()
	cmd := p.command(i, "run")
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // it may have ended
	o := &operator{t: p.t, ctx: p.ctx, path: p.program}
	o.await(regexp.MustCompile("ready: true"), "status", "--data-dir", p.dir(i))
}

// The same command makes a cluster on three machines: one creates it, the
// others wait and join. Said again, or without a cluster, it changes nothing.
func TestPrepareMakesACluster(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p := &prepared{t: t, ctx: ctx, root: t.TempDir(), program: binary(t, "cmd/pilot-registry")}
	for range 3 {
		p.wires, p.peer = append(p.wires, freeAddr(t)), append(p.peer, freeAddr(t))
	}
	first := []string{"--first", p.peer[0], "--admin-token-file", filepath.Join(p.root, "admin-token")}

	if code, out := p.prepare(1, "--first", p.peer[0], "--wait", "100ms"); code != 5 || !strings.Contains(out, "no member let this one in within 100ms") {
		t.Errorf("a machine that is not the first: exit code %d: %s", code, out)
	}
	if _, err := os.Stat(p.dir(1)); err == nil {
		t.Error("it made a data directory")
	}
	if code, out := p.prepare(0, first...); code != 0 || !strings.Contains(out, "wire pin") {
		t.Fatalf("the first: exit code %d: %s", code, out)
	}
	if code, out := p.prepare(0, first...); code != 0 || !strings.Contains(out, "holds a member already") {
		t.Errorf("said again: exit code %d: %s", code, out)
	}
	if code := exitCode(t, p.command(0, "health")); code != 5 {
		t.Errorf("health of a member that does not run: %d, want 5", code)
	}
	p.run(0)
	for i := range 2 {
		if code, out := p.prepare(i+1, "--first", p.peer[0]); code != 0 || !strings.Contains(out, "joined") {
			t.Fatalf("machine %d: exit code %d: %s", i+2, code, out)
		}
		p.run(i + 1)
	}
	o := &operator{t: t, ctx: ctx, path: p.program}
	o.await(regexp.MustCompile(`(?s)voter.*voter.*voter`), "cluster", "members", "--data-dir", p.dir(0))
	for i := range 3 {
		for _, args := range [][]string{{"health"}, {"health", "--live"}} {
			if code := exitCode(t, p.command(i, args...)); code != 0 {
				t.Errorf("machine %d: %q: %d, want 0", i+1, args, code)
			}
		}
	}
	p.lost(first)
}

// lost is the first machine after it lost its directory: it joins the cluster
// that it once created, and a wrong token lets nobody in.
func (p *prepared) lost(first []string) {
	p.t.Helper()
	p.wires, p.peer = append(p.wires, freeAddr(p.t)), append(p.peer, freeAddr(p.t))
	wrong := filepath.Join(p.root, "wrong")
	if err := os.WriteFile(wrong, []byte("wrong"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if code, out := p.prepare(3, "--first", p.peer[3], "--admin-token-file", wrong); code != 4 || !strings.Contains(out, "invalid admin token") {
		p.t.Errorf("with a wrong token: exit code %d: %s", code, out)
	}
	unknown := []string{"--first", p.peer[3], "--admin-token-file", filepath.Join(p.root, "new"), "--wait", "100ms"}
	if code, out := p.prepare(3, unknown...); code != 5 || !strings.Contains(out, "so no cluster is created") {
		p.t.Errorf("without the token, beside a cluster: exit code %d: %s", code, out)
	}
	if code, out := p.prepare(3, "--first", p.peer[3]); code != 2 || !strings.Contains(out, "--admin-token-file") {
		p.t.Errorf("the first machine without a token: exit code %d: %s", code, out)
	}
	if code, out := p.prepare(3, "--first", p.peer[3], first[2], first[3]); code != 0 || !strings.Contains(out, "joined") {
		p.t.Errorf("a lost first machine: exit code %d: %s", code, out)
	}
}

// exitCode runs a command that may fail.
func exitCode(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	err := cmd.Run()
	exit, failed := errors.AsType[*exec.ExitError](err)
	if err != nil && !failed {
		t.Fatal(err)
	}
	if failed {
		return exit.ExitCode()
	}
	return 0
}
