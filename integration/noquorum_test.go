// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// exits runs a command and returns what it printed and its exit code.
func exits(ctx context.Context, t *testing.T, path string, args ...string) (string, int) {
	t.Helper()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	exit := (*exec.ExitError)(nil)
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %s: %v", path, strings.Join(args, " "), err)
	}
	code := 0
	if exit != nil {
		code = exit.ExitCode()
	}
	return string(out), code
}

// twoOfThreeKilled returns the member that is left.
func twoOfThreeKilled(ctx context.Context, t *testing.T, c *harness.Cluster) (harness.Member, int) {
	t.Helper()
	r, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	leader, ok := r.LeaderNode()
	if !ok {
		t.Fatal("no leader")
	}
	left := -1
	for i, n := range r.Nodes {
		if n.ID != leader.ID && left < 0 {
			left = i
			continue
		}
		if err := syscall.Kill(n.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for {
		s, err := r.Nodes[left].Status()
		if err == nil && s.LeaderID == "" && len(s.Problems) > 0 && strings.Contains(strings.Join(s.Problems, " "), "1 of 3 voters") {
			return r.Nodes[left], left
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the member that is left never said that there is no quorum: %+v, %v", s, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// An operator who has lost two of three machines reads what is wrong, and
// that nothing was done, instead of that no member runs.
func TestOperatorWithoutAQuorumIsToldSo(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{NeverRestart: true})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	w, err := harness.Dial(c.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	agent, err := w.Register()
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range c.Addrs() { // every member has the node
		v, err := harness.Dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := v.Call(map[string]any{"type": "lookup", "node_id": agent.ID}); err != nil || m["type"] != "lookup_ok" {
			t.Fatal(m, err)
		}
		v.Close()
	}
	w.Close()
	left, i := twoOfThreeKilled(ctx, t, c)
	dir := fmt.Sprintf("%s/n%d", c.Dir, i+1)
	said := regexp.MustCompile(`no quorum: 1 of 3 voters answer`)
	registry, pilotctl := binary(t, "cmd/pilot-registry"), binary(t, "cmd/pilotctl")
	type result struct {
		args []string
		out  string
		code int
	}
	var all []chan result
	ask := func(path string, args ...string) {
		done := make(chan result, 1)
		all = append(all, done)
		go func() {
			out, code := exits(ctx, t, path, args...)
			done <- result{args, out, code}
		}()
	}
	for _, args := range [][]string{{"cluster", "add"}, {"cluster", "remove", left.ID, "--yes"}, {"cluster", "promote", left.ID}, {"cluster", "transfer-leadership"}, {"keyring", "rotate"}, {"leave", "--yes"}} {
		ask(registry, append(args, "--data-dir", dir)...)
	}
	common := []string{"--addr", left.Wire, "--no-tls", "--admin-token-file", c.Dir + "/admin", "--identity", t.TempDir() + "/key.json"}
	for _, args := range [][]string{{"register"}, {"lookup", fmt.Sprint(agent.ID)}, {"cluster", "join-token"}, {"cluster", "transfer-leadership"}} {
		ask(pilotctl, append(args, common...)...)
	}
	for _, done := range all {
		r := <-done
		if !said.MatchString(r.out) || r.code != 5 {
			t.Errorf("%s: exit %d, want 5 and the number of voters that answer:\n%s", strings.Join(r.args, " "), r.code, r.out)
		}
	}
	stale(ctx, t, pilotctl, fmt.Sprint(agent.ID), common)
	if out, code := exits(ctx, t, registry, "status", "--data-dir", dir); code != 5 || !said.MatchString(out) {
		t.Errorf("status: exit %d\n%s", code, out)
	}
}

// stale reads of the member that is left say how old they are.
func stale(ctx context.Context, t *testing.T, pilotctl, id string, common []string) {
	t.Helper()
	out, code := exits(ctx, t, pilotctl, append([]string{"lookup", id, "--consistency", "stale", "--json"}, common...)...)
	if code != 0 {
		t.Fatalf("a stale read: exit %d\n%s", code, out)
	}
	var reply struct {
		Data struct {
			DataAgeMS *int64 `json:"data_age_ms"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(out), &reply); err != nil || reply.Data.DataAgeMS == nil || *reply.Data.DataAgeMS <= 0 {
		t.Errorf("a stale read does not say how old it is: %v\n%s", err, out)
	}
}
