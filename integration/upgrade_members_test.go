// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
)

var (
	joinTokenRE = regexp.MustCompile(`--token (\S+)`)
	newLevelRE  = regexp.MustCompile(fmt.Sprintf(`feature level  %d`, fsm.LevelMax+1))
	oldLevelRE  = regexp.MustCompile(fmt.Sprintf(`(?s)ready: true.*feature level  %d`, fsm.LevelMax))
	twoVotersRE = regexp.MustCompile(`(?s)voter +\S+ .*\n.* voter `)
)

// versions are operators of this version and of the synthetic next one.
func versions(t *testing.T) (o, next *operator) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	return &operator{t: t, ctx: ctx, path: binary(t, "cmd/pilot-registry")}, &operator{t: t, ctx: ctx, path: nextVersion(t)}
}

// A fresh member of the next version joins a cluster of this one and serves
// at its level. The level rises when the first member is upgraded too, also
// when it is killed around that moment.
func TestNewMemberOfTheNextVersionInAnOldCluster(t *testing.T) {
	t.Parallel()
	onlyE2E(t, "members of two versions")
	o, next := versions(t)
	root := t.TempDir()
	one, two := filepath.Join(root, "m1"), filepath.Join(root, "m2")
	peers := []string{freeAddr(t), freeAddr(t)}
	token := joinTokenRE.FindStringSubmatch(o.run("init", "--data-dir", one, "--peer-advertise", peers[0]))[1]
	first, _ := o.member(one, peers[0])
	o.await(oldLevelRE, "status", "--data-dir", one)
	next.run("join", "--data-dir", two, "--token", token, "--peer-advertise", peers[1])
	next.member(two, peers[1])
	next.await(oldLevelRE, "status", "--data-dir", two)
	o.await(twoVotersRE, "cluster", "members", "--data-dir", one)

	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err != nil {
		t.Fatalf("the old version did not stop in good order: %v", err)
	}
	for range 3 { // kills around the moment the level rises
		upgraded, _ := next.member(one, peers[0])
		next.await(regexp.MustCompile(`leader +[0-9a-f]`), "status", "--data-dir", one)
		if err := upgraded.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = upgraded.Wait() // killed
	}
	next.member(one, peers[0])
	for _, dir := range []string{one, two} {
		next.await(newLevelRE, "status", "--data-dir", dir)
	}
}

// A member of this version is not let into a cluster of the next level, and
// says why; on data that it does not know to be of that level it stops at the
// first entry it cannot apply, with a clear message and exit code.
func TestOldVersionInANewCluster(t *testing.T) {
	t.Parallel()
	onlyE2E(t, "members of two versions")
	o, next := versions(t)
	root := t.TempDir()
	one, two := filepath.Join(root, "m1"), filepath.Join(root, "m2")
	peers := []string{freeAddr(t), freeAddr(t)}
	token := joinTokenRE.FindStringSubmatch(next.run("init", "--data-dir", one, "--peer-advertise", peers[0]))[1]
	next.member(one, peers[0])
	next.await(newLevelRE, "status", "--data-dir", one)
	out, err := exec.CommandContext(o.ctx, o.path, "join", "--data-dir", two, "--token", token, "--peer-advertise", peers[1]).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "level") {
		t.Errorf("the old version was let in, or was not told why: %v\n%s", err, out)
	}

	added := strings.TrimSpace(next.run("cluster", "add", "--data-dir", one))
	next.run("join", "--data-dir", two, "--token", added, "--peer-advertise", peers[1])
	second, _ := next.member(two, peers[1])
	next.await(twoVotersRE, "cluster", "members", "--data-dir", one)
	next.await(newLevelRE, "status", "--data-dir", two)
	if err := second.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := second.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(two, "feature-level")); err != nil {
		t.Fatal(err)
	}
	old, text := o.member(two, peers[1])
	exit := (*exec.ExitError)(nil)
	if err := old.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 78 || !strings.Contains(text.String(), "upgrade this member") {
		t.Errorf("an entry it does not know: %v, want exit code 78 and what to do\n%s", err, text)
	}
}
