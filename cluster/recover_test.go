// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// lose stops all members and returns them, the last leader first.
func (c *cluster) lose() []*member {
	c.t.Helper()
	leader := c.leader()
	all := append([]*member{leader}, c.others(leader)...)
	c.stop()
	c.members = nil
	return all
}

// The survivor of a lost quorum goes on with every entry that it holds, and
// members that come back after all are stopped instead of being a second
// cluster.
func TestRecoverFencesTheMembersLeftBehind(t *testing.T) {
	c := newCluster(t, 3, nil)
	node := c.node(c.leader())
	for range 10 {
		c.leader().must(increment(t, node, ""))
	}
	lost := c.lose()
	cfg := RecoverConfig{DataDir: lost[0].cfg.DataDir}
	plan, err := Recover(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Epoch != 1 || len(plan.LeftBehind) != 2 {
		t.Errorf("plan: epoch %d, left behind %v", plan.Epoch, plan.LeftBehind)
	}
	m := c.start(lost[0].cfg)
	c.ready(m)
	if n := m.mustRead(node); n != 10 {
		t.Errorf("the score is %d after the recovery", n)
	}
	if got := lastEvent(m, protocol.EventClusterRecovered); !strings.Contains(got, "from_cluster="+m.self.clusterID) {
		t.Errorf("the trail says %q", got)
	}
	m.must(increment(t, node, ""))

	for _, behind := range lost[1:] {
		back := c.start(behind.cfg)
		back.awaitFatal(ExitDamaged)
	}
	// Who joins now knows of the recovery.
	joined := c.join(7, false)
	c.eventually("the new member votes", func() bool { return len(m.roster.voters()) == 2 })
	if joined.fence.epoch != 1 {
		t.Errorf("the new member is at epoch %d", joined.fence.epoch)
	}
}

// A second recovery still fences the members that the first one left behind:
// together they have a quorum of the configuration that they know.
func TestTheSecondRecoveryKeepsTheFence(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.node(c.leader())
	lost := c.lose()
	for i := range 2 {
		now := time.Now().Add(time.Duration(i) * 2 * time.Second) // names the copy, to the second
		if _, err := Recover(t.Context(), RecoverConfig{DataDir: lost[0].cfg.DataDir, Now: now}); err != nil {
			t.Fatal(err)
		}
		m := c.start(lost[0].cfg)
		c.ready(m)
		m.kill()
	}
	c.ready(c.start(lost[0].cfg))
	for _, behind := range lost[1:] {
		c.start(behind.cfg).awaitFatal(ExitDamaged)
	}
}

// A directory that is no member's is left as it is: the path may be a mistake.
func TestRecoverLeavesOtherDirectoriesAlone(t *testing.T) {
	missing, other := filepath.Join(t.TempDir(), "missing"), t.TempDir()
	if err := os.Chmod(other, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{missing, other} {
		if _, err := PlanRecover(t.Context(), RecoverConfig{DataDir: path}); err == nil || !strings.Contains(err.Error(), "holds no member") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Errorf("the missing directory: %v", err)
	}
	if info, err := os.Stat(other); err != nil || info.Mode().Perm() != 0o755 {
		t.Error("the mode of the other directory has changed")
	}
	if left, err := os.ReadDir(other); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// A recovery is refused while others run, from a copy that is not the best
// one, and from what belongs to another cluster.
func TestRecoverRefusesTheWrongChoice(t *testing.T) {
	c := newCluster(t, 3, nil)
	node := c.node(c.leader())
	leader := c.leader()
	others := c.others(leader)
	late := others[0]
	late.kill()
	for range 5 {
		leader.must(increment(t, node, ""))
	}
	if _, err := PlanRecover(t.Context(), RecoverConfig{DataDir: late.cfg.DataDir}); err == nil || !strings.Contains(err.Error(), "run") {
		t.Errorf("with a quorum that lives: %v", err)
	}
	if _, err := PlanRecover(t.Context(), RecoverConfig{DataDir: leader.cfg.DataDir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a running member: %v", err)
	}
	c.stop()
	c.members = nil
	_, err := PlanRecover(t.Context(), RecoverConfig{DataDir: late.cfg.DataDir, Others: []string{leader.cfg.DataDir}})
	if err == nil || !strings.Contains(err.Error(), "lacks") || !strings.Contains(err.Error(), leader.cfg.DataDir) {
		t.Errorf("the older of two: %v", err)
	}
	plan, err := PlanRecover(t.Context(), RecoverConfig{DataDir: leader.cfg.DataDir, Others: []string{late.cfg.DataDir}})
	if err != nil || !plan.Survivors[0].newer(plan.Survivors[1]) {
		t.Errorf("the newer of two: %v", err)
	}
	foreign := newCluster(t, 1, nil)
	foreign.leader().kill()
	_, err = PlanRecover(t.Context(), RecoverConfig{DataDir: leader.cfg.DataDir, Others: []string{foreign.members[0].cfg.DataDir}})
	if err == nil || !strings.Contains(err.Error(), "belongs to cluster") {
		t.Errorf("another cluster's: %v", err)
	}
}

// A recovery that is cut off anywhere leaves a directory that does not start
// and that a second recovery brings to the same end.
func TestRecoverAfterACrash(t *testing.T) {
	for _, moved := range []string{"nothing", "the old log", "log and snapshots", "everything"} {
		t.Run(moved, func(t *testing.T) {
			c := newCluster(t, 1, nil)
			node := c.node(c.leader())
			c.leader().must(increment(t, node, ""))
			lost := c.lose()[0]
			dir := &dataDir{path: lost.cfg.DataDir}
			old := &dataDir{path: dir.file("before-recover-x")}
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(os.Mkdir(old.path, 0o700))
			must(dir.write([]byte("before-recover-x"), fileRecover))
			switch moved {
			case "the old log":
				must(os.Rename(dir.file(dirRaft), old.file(dirRaft)))
			case "log and snapshots", "everything":
				must(os.Rename(dir.file(dirRaft), old.file(dirRaft)))
				must(os.Rename(dir.file(dirSnapshots), old.file(dirSnapshots)))
				must(os.MkdirAll(dir.file(dirRaft), 0o700)) // the new one, as far as it got
				was, err := dir.member()
				must(err)
				must(old.writeMember(was))
				if moved == "everything" {
					was.Epoch, was.Fenced = 1, map[string]string{"x": "127.0.0.1:1"}
					must(dir.writeMember(was))
				}
			}
			if _, err := Start(t.Context(), lost.cfg); err == nil || !strings.Contains(err.Error(), "recover") {
				t.Errorf("started: %v", err)
			}
			if _, err := Recover(t.Context(), RecoverConfig{DataDir: lost.cfg.DataDir}); err != nil {
				t.Fatal(err)
			}
			if file, err := dir.member(); err != nil || file.Epoch != 1 || len(file.Fenced) != 0 {
				t.Errorf("epoch %d, fenced %v, %v", file.Epoch, file.Fenced, err)
			}
			m := c.start(lost.cfg)
			c.ready(m)
			if n := m.mustRead(node); n != 1 {
				t.Errorf("the score is %d", n)
			}
			if left, _ := filepath.Glob(dir.file(fileRecover + "*")); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}
