// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// memoryCgroup makes a cgroup with a limit of memory.
func memoryCgroup(t *testing.T, bytes int) (procs string) {
	t.Helper()
	for _, place := range []struct{ root, limit string }{{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"}} {
		dir := filepath.Join(place.root, fmt.Sprintf("pilot-registry-test-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) }) // its processes are gone
		if os.WriteFile(filepath.Join(dir, place.limit), fmt.Appendf(nil, "%d", bytes), 0o600) == nil {
			return filepath.Join(dir, "cgroup.procs")
		}
	}
	t.Skip("skipped: no cgroup with a limit of memory can be made here (it takes root and a writable /sys/fs/cgroup)")
	return ""
}

// A member takes its limit of memory from its cgroup, or from the setting, and
// says so; the Go runtime has it.
func TestTheLimitOfMemoryIsThatOfTheCgroup(t *testing.T) {
	t.Parallel()
	const allowed = 512 << 20
	procs := memoryCgroup(t, allowed)
	program := binary(t, "cmd/pilot-registry")
	wrapper := filepath.Join(t.TempDir(), "pilot-registry")
	script := fmt.Sprintf("#!/bin/sh\necho $$ > %s\nunset GOMEMLIMIT\nexec %s \"$@\"\n", procs, program)
	if err := harness.WriteProgram(wrapper, strings.NewReader(script)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set         []string
		limit       float64
		says        string
		wantsBudget bool
	}{
		{nil, allowed * 9 / 10, "limit of memory: bytes=483183820 from=cgroup", true},
		{[]string{"memory.limit=300"}, 300 << 20, "limit of memory: bytes=314572800 from=memory.limit", true},
		{[]string{"memory.limit=off"}, 1<<63 - 1, "no limit of memory: from=memory.limit", false},
	} {
		cluster := harness.Start(t, harness.Options{Members: 1, Registry: wrapper, Set: c.set})
		ready, err := cluster.Ready()
		if err != nil {
			t.Fatal(err)
		}
		_, series, err := scrape(ready.Nodes[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := series["go_gc_gomemlimit_bytes"]; got < c.limit-1 || got > c.limit+1 {
			t.Errorf("%v: the runtime's limit is %.0f, want %.0f", c.set, got, c.limit)
		}
		if used, shown := series[`pilot_budget_used_ratio{budget="memory"}`]; shown != c.wantsBudget || used > 0.9 {
			t.Errorf("%v: %v of the memory is used, shown %t", c.set, used, shown)
		}
		log, err := os.ReadFile(filepath.Join(cluster.Dir, "n1.log"))
		if err != nil || !strings.Contains(string(log), c.says) {
			t.Errorf("%v: the log does not say %q: %v\n%s", c.set, c.says, err, log)
		}
		cluster.Stop()
	}
}
