// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/pilotregistry/pilotregistry/cluster/base/store"
)

// lateMember makes a cluster of three in which one member was away for so long
// that it was sent a snapshot, and returns it, ready again.
func lateMember(t *testing.T) (c *cluster, late *member, node uint32) {
	t.Helper()
	c = newCluster(t, 3, func(_ int, cfg *Config) {
		cfg.Snapshots = Snapshots{Threshold: 20, TrailingLogs: 2, Interval: 50 * time.Millisecond}
	})
	leader := c.leader()
	late = c.others(leader)[0]
	node = c.node(leader)
	late.kill()
	behind := late.engine.raft.LastIndex()
	rest := c.others(late)
	for range 60 {
		leader.must(increment(t, node, ""))
	}
	c.eventually("the logs are cut", func() bool {
		for _, m := range rest {
			first, err := m.engine.store.FirstIndex()
			if err != nil || first <= behind+1 {
				return false
			}
		}
		return true
	})
	late = c.restart(late)
	c.ready(late)
	c.eventually("the log of before the snapshot is gone", func() bool { // raft removes it after the restore
		first, err := late.engine.store.FirstIndex()
		return err == nil && (first == 0 || first > behind)
	})
	return c, late, node
}

// TestAnInstalledSnapshotLeavesNoGap: the entries of before a snapshot from the
// leader and those of after it are not neighbours; that is not damage, and the
// member starts again.
func TestAnInstalledSnapshotLeavesNoGap(t *testing.T) {
	t.Parallel()
	c, late, node := lateMember(t)
	c.leader().must(increment(t, node, "")) // one entry after the snapshot
	c.agree(c.members...)
	late = c.restart(late)
	c.ready(late)
	if got := late.mustRead(node); got != 61 {
		t.Errorf("the late member reads %d", got)
	}
	c.agree(c.members...)
}

// TestADamagedSnapshotIsNotStarted: the log does not reach back behind the
// snapshots, so without them the member knows nothing of what it acknowledged.
func TestADamagedSnapshotIsNotStarted(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, file string){
		"state":     func(t *testing.T, file string) { flipBit(t, filepath.Join(file, "state.bin")) },
		"metadata":  func(t *testing.T, file string) { flipBit(t, filepath.Join(file, "meta.json")) },
		"truncated": func(t *testing.T, file string) { must(t, os.Truncate(filepath.Join(file, "state.bin"), 20)) },
		"gone":      func(t *testing.T, file string) { must(t, os.RemoveAll(file)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 1, func(_ int, cfg *Config) {
				cfg.Snapshots = Snapshots{Threshold: 20, TrailingLogs: 2, Interval: 20 * time.Millisecond}
			})
			m := c.members[0]
			node := c.node(m)
			for range 60 {
				m.must(increment(t, node, ""))
			}
			c.eventually("the log is cut", func() bool {
				first, err := m.engine.store.FirstIndex()
				return err == nil && first > 40
			})
			m.kill()
			found, err := filepath.Glob(filepath.Join(m.cfg.DataDir, "snapshots", "*-*"))
			if err != nil || len(found) == 0 {
				t.Fatal("no snapshot", err)
			}
			for _, file := range found {
				damage(t, file)
			}
			m.cfg.Fatal = func(code int, reason string) { m.fatal <- fatalCall{code, reason} }
			_, err = Start(t.Context(), m.cfg)
			if damage := (*store.DamageError)(nil); !errors.As(err, &damage) {
				t.Errorf("started, or did not say that the data is damaged: %v", err)
			}
			m.awaitFatal(ExitDamaged)
		})
	}
}

// TestASnapshotThatCannotBeWrittenEndsTheMember: raft would only log it, and a
// member that is sent a snapshot would never catch up.
func TestASnapshotThatCannotBeWrittenEndsTheMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, func(_ int, cfg *Config) {
		cfg.Snapshots = Snapshots{Threshold: 20, TrailingLogs: 2, Interval: 20 * time.Millisecond}
	})
	m := c.members[0]
	dir := filepath.Join(m.cfg.DataDir, "snapshots")
	must(t, os.RemoveAll(dir))
	must(t, os.WriteFile(dir, nil, 0o600)) // no directory can be made in a file
	node := c.node(m)
	for range 40 {
		if _, e := m.Propose(t.Context(), increment(t, node, "")); e != nil {
			break // it has stopped already
		}
	}
	m.awaitFatal(ExitStalled)
}

// flipBit changes one bit in the middle of a file.
func flipBit(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	must(t, err)
	raw[len(raw)/2] ^= 1
	must(t, os.WriteFile(file, raw, 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLaggingMemberGetsASnapshot: what it missed is no longer in anybody's log.
func TestLaggingMemberGetsASnapshot(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(_ int, cfg *Config) {
		cfg.Snapshots = Snapshots{Threshold: 20, TrailingLogs: 2, Interval: 50 * time.Millisecond}
	})
	leader := c.leader()
	late := c.others(leader)[0]
	node := c.node(leader)
	late.kill()
	behind := late.engine.raft.LastIndex()
	rest := c.others(late)
	for range 60 {
		leader.must(increment(t, node, ""))
	}
	c.eventually("the logs are cut", func() bool {
		for _, m := range rest {
			first, err := m.engine.store.FirstIndex()
			if err != nil || first <= behind+1 {
				return false
			}
		}
		return true
	})
	late = c.restart(late)
	c.ready(late)
	if got := late.mustRead(node); got != 60 {
		t.Errorf("the late member reads %d", got)
	}
	c.agree(c.members...)
}

// TestALogThatASnapshotReplacedIsDropped: a crash left the log that a snapshot
// from the leader has replaced, wherever that log ends.
func TestALogThatASnapshotReplacedIsDropped(t *testing.T) {
	for name, c := range map[string]struct {
		snapshot, term, want uint64 // want is where the log ends
	}{
		"it ends before the snapshot":                {7, 2, 0},
		"it ends with another entry":                 {5, 2, 0},
		"it goes on after another entry":             {3, 2, 0},
		"it goes on after the snapshot's last entry": {3, 1, 5},
		"it ends with the snapshot's last entry":     {5, 1, 5},
	} {
		t.Run(name, func(t *testing.T) {
			logs := raft.NewInmemStore()
			for index := range uint64(5) {
				if err := logs.StoreLog(&raft.Log{Index: index + 1, Term: 1}); err != nil {
					t.Fatal(err)
				}
			}
			snaps, err := store.OpenSnapshots(t.TempDir(), 2, hclog.NewNullLogger(), func(err error) { t.Error(err) })
			if err != nil {
				t.Fatal(err)
			}
			_, unused := raft.NewInmemTransport("")
			sink, err := snaps.Create(raft.SnapshotVersionMax, c.snapshot, c.term, raft.Configuration{}, 1, unused)
			if err == nil {
				err = sink.Close()
			}
			if err == nil {
				err = dropReplaced(logs, snaps)
			}
			if last, _ := logs.LastIndex(); err != nil || last != c.want {
				t.Errorf("the log ends at %d, want %d: %v", last, c.want, err)
			}
		})
	}
}
