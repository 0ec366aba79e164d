// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// blockedIn counts the goroutines that wait for a mutex in a function.
func blockedIn(function string) int {
	buf := make([]byte, 1<<20)
	n := 0
	for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "sync.(*Mutex).Lock") && strings.Contains(stack, "."+function+"(") {
			n++
		}
	}
	return n
}

// TestARemovedMemberDoesNotComeBack: it announces itself while its removal is
// under way, as a member does that has just lost its leader. It must not be
// taken for one that joined and is to be added.
func TestARemovedMemberDoesNotComeBack(t *testing.T) {
	c := newCluster(t, 3, nil) // not parallel: the stacks of all goroutines are read
	leader := c.leader()
	gone := c.others(leader)[0]
	removed, greeted := make(chan *protocol.Error, 1), make(chan *protocol.Error, 1)
	leader.roster.changes.Lock()
	go func() { removed <- leader.Remove(context.Background(), gone.id, false) }()
	c.eventually("the removal waits", func() bool { return blockedIn("remove") == 1 })
	go func() {
		_, perr := leader.roster.welcome(context.Background(), gone.hello.ownRecord())
		greeted <- perr
	}()
	c.eventually("the announcement waits", func() bool { return blockedIn("welcome") == 1 })
	leader.roster.changes.Unlock()
	if perr := <-removed; perr != nil {
		t.Fatal(perr)
	}
	if perr := <-greeted; perr == nil || perr.Code != protocol.CodeNotFound {
		t.Errorf("a removed member announced itself: %v", perr)
	}
	if leader.roster.has(gone.id) {
		t.Error("the removed member is in the configuration again")
	}
	if _, recorded := leader.roster.record(gone.id); recorded {
		t.Error("the removed member's record is there again")
	}
}

// TestARemovalCanBeFinished: a leader failed in the middle of a removal. A
// record that is left over is removed by asking again.
func TestARemovalCanBeFinished(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	gone := c.others(leader)[0]
	gone.kill()
	if err := leader.engine.raft.RemoveServer(raft.ServerID(gone.id), 0, changeTimeout).Error(); err != nil {
		t.Fatal(err)
	}
	if perr := leader.Remove(t.Context(), gone.id, false); perr != nil {
		t.Fatal(perr)
	}
	if _, recorded := leader.roster.record(gone.id); recorded {
		t.Error("the record is still there")
	}
	if perr := leader.Remove(t.Context(), gone.id, false); perr == nil || perr.Code != protocol.CodeNotFound {
		t.Errorf("a member that is not there was removed: %v", perr)
	}
}

// TestARemovedMemberEnds: it asked for ever whether it may come back, answered
// its clients that the cluster is not initialised, and filled its log.
func TestARemovedMemberEnds(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(_ int, cfg *Config) { cfg.Timeouts.Removed = 200 * time.Millisecond })
	leader := c.leader()
	gone := c.others(leader)[0]
	if perr := leader.Remove(t.Context(), gone.id, false); perr != nil {
		t.Fatal(perr)
	}
	gone.awaitFatal(ExitDamaged)
	reason, _ := gone.Quarantined()
	if !strings.Contains(reason, "was removed") || !strings.Contains(reason, "join again") {
		t.Errorf("the reason is %q", reason)
	}
}

// TestInitRefusesWhatRunRefuses: the join token that init prints would name an
// address that no member can be reached at.
func TestInitRefusesWhatRunRefuses(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"fd00::1:9100", "m1", "http://m1:9100", ":9100", "0.0.0.0:9100", "m1:0"} {
		dir := t.TempDir()
		if res, err := Init(t.Context(), InitConfig{DataDir: dir, PeerAdvertise: addr}); err == nil {
			t.Errorf("%s was taken, with the token %t", addr, res.JoinToken != "")
		}
		if _, err := Init(t.Context(), InitConfig{DataDir: dir, PeerAdvertise: "[fd00::1]:9100"}); err != nil {
			t.Errorf("after the refusal of %s: %v", addr, err)
		}
	}
}
