// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// A member that is removed ends by itself and says why. A member whose others
// are down says a few times what raft tries, then only counts.
func TestLogsStayQuiet(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := harness.Start(t, harness.Options{NeverRestart: true})
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	ended := func(id string) func(harness.Ready) bool {
		return func(now harness.Ready) bool { return pidOf(now, id) == 0 }
	}
	logOf := func(id string) string {
		t.Helper()
		i := slices.IndexFunc(ready.Nodes, func(n harness.Member) bool { return n.ID == id })
		raw, err := os.ReadFile(filepath.Join(c.Dir, "n"+string(rune('1'+i))+".log"))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	var followers []string
	for _, n := range ready.Nodes {
		if n.ID != ready.Leader {
			followers = append(followers, n.ID)
		}
	}
	if _, err := ctl(t, c, "cluster", "remove", followers[0], "--yes"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Await(ctx, ended(followers[0])); err != nil {
		t.Fatalf("the removed member runs on: %v\n%s", err, logOf(followers[0]))
	}
	if log := logOf(followers[0]); !regexp.MustCompile(`this member stops: exit_code=78\s+reason=\W+member \S+ was removed from cluster`).MatchString(log) {
		t.Errorf("the removed member did not say why it ended:\n%s", log)
	}

	if err := syscall.Kill(pidOf(ready, followers[1]), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	elections := regexp.MustCompile(`\[(WARN|INFO|ERROR)\] +pilot-registry\.raft: [^\n]*(candidate|lection)[^\n]*`)
	await(t, "a member that tries to be elected in vain", func() (any, bool) {
		log := logOf(ready.Leader)
		return log, len(elections.FindAllString(log, -1)) >= 10
	})
	time.Sleep(3 * time.Second) // what would go on is counted when the member stops
	if err := syscall.Kill(pidOf(ready, ready.Leader), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Await(ctx, ended(ready.Leader)); err != nil {
		t.Fatal(err)
	}
	log := logOf(ready.Leader)
	kinds := map[string]int{}
	for line := range strings.Lines(log) {
		if strings.Contains(line, "repeated=") {
			continue
		}
		_, text, _ := strings.Cut(line, " ") // without the time
		kinds[regexp.MustCompile(`[0-9]+`).ReplaceAllString(text, "#")]++
	}
	for kind, n := range kinds {
		if n > 6 {
			t.Errorf("%d times: %s", n, kind)
		}
	}
	if !strings.Contains(log, " repeated=") {
		t.Errorf("nothing was counted:\n%s", log)
	}
}
