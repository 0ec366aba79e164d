// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
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
		_, e := leader.roster.welcome(context.Background(), gone.hello.ownRecord())
		greeted <- e
	}()
	c.eventually("the announcement waits", func() bool { return blockedIn("welcome") == 1 })
	leader.roster.changes.Unlock()
	if e := <-removed; e != nil {
		t.Fatal(e)
	}
	if e := <-greeted; e == nil || e.Code != protocol.CodeNotFound {
		t.Errorf("a removed member announced itself: %v", e)
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
	if e := leader.Remove(t.Context(), gone.id, false); e != nil {
		t.Fatal(e)
	}
	if _, recorded := leader.roster.record(gone.id); recorded {
		t.Error("the record is still there")
	}
	if e := leader.Remove(t.Context(), gone.id, false); e == nil || e.Code != protocol.CodeNotFound {
		t.Errorf("a member that is not there was removed: %v", e)
	}
}

// TestARemovedMemberEnds: it asked for ever whether it may come back, answered
// its clients that the cluster is not initialised, and filled its log.
func TestARemovedMemberEnds(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(_ int, cfg *Config) { cfg.Timeouts.Removed = 200 * time.Millisecond })
	leader := c.leader()
	gone := c.others(leader)[0]
	if e := leader.Remove(t.Context(), gone.id, false); e != nil {
		t.Fatal(e)
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

func TestMemberMovesToAnotherAddress(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	moved := c.others(c.leader())[0]
	node := c.node(moved)
	moved.cfg.PeerAddr = freeAddr(t)
	moved.cfg.PeerAdvertise = moved.cfg.PeerAddr
	moved = c.restart(moved)
	c.ready(c.members...)
	for _, s := range c.leader().roster.servers() {
		if string(s.ID) == moved.id && string(s.Address) != moved.cfg.PeerAddr {
			t.Errorf("the configuration has address %s, want %s", s.Address, moved.cfg.PeerAddr)
		}
	}
	if !isVoter(c.leader(), moved.id) {
		t.Error("the member lost its vote by moving")
	}
	moved.must(increment(t, node, ""))
	for _, m := range c.members {
		m.mustRead(node)
	}
}

func TestRemovedMemberIsRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	gone := c.others(leader)[0]
	stays := c.others(leader)[1]
	node := c.node(leader)
	if e := stays.Remove(t.Context(), gone.id, false); e != nil {
		t.Fatal(e)
	}
	c.eventually("the removed member says so", func() bool {
		st := gone.Status(context.Background())
		return strings.Contains(strings.Join(st.Problems, "\n"), "do not accept this one")
	})
	if _, err := gone.engine.client.Call(t.Context(), leader.id, rpcStatus, nil); !errors.Is(err, peer.ErrNotMember) {
		t.Errorf("a removed member with a valid certificate: %v", err)
	}
	stays.must(increment(t, node, ""))
	for _, m := range leader.Root().Members() {
		if m.ID == gone.id {
			t.Error("the removed member's record is still there")
		}
	}
}

func TestRemoveAndTransferRules(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	follower, down := c.others(leader)[0], c.others(leader)[1]
	if e := follower.TransferLeadership(t.Context(), "no-such-member"); e == nil || e.Code != protocol.CodeNotFound {
		t.Errorf("transfer to nobody: %v", e)
	}
	c.eventually("the feature level allows the event", func() bool { return leader.Root().Level() >= fsm.LevelMin })
	if e := follower.TransferLeadership(t.Context(), down.id); e != nil {
		t.Fatal(e)
	}
	c.eventually("the chosen member leads", down.IsLeader)
	if got := lastEvent(down, protocol.EventLeadershipTransferred); got != "system  from="+leader.id+" to="+down.id+" asked_at="+follower.id {
		t.Errorf("the audit log has %q", got)
	}
	down.kill()
	c.leader(leader, follower)
	e := follower.Remove(t.Context(), leader.id, false)
	if e == nil || e.Code != protocol.CodeConflict {
		t.Errorf("removal that leaves one of two voters was not refused: %v", e)
	}
	if e := follower.Remove(t.Context(), down.id, false); e != nil {
		t.Errorf("removal of the member that is down: %v", e)
	}
	if got := len(c.leader(leader, follower).roster.voters()); got != 2 {
		t.Errorf("%d voters left", got)
	}
}

func TestManualPromotion(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, func(_ int, cfg *Config) { cfg.ManualPromotion = true })
	m := c.join(1, false)
	c.ready(m)
	if isVoter(m, m.id) {
		t.Error("promoted although promotion is manual")
	}
	c.eventually("the feature level allows the event", func() bool { return m.Root().Level() >= fsm.LevelMin })
	if e := m.Promote(t.Context(), m.id); e != nil {
		t.Fatal(e)
	}
	c.eventually("the vote arrives", func() bool { return isVoter(m, m.id) })
	c.eventually("the audit log has it", func() bool {
		return lastEvent(m, protocol.EventClusterMemberPromoted) == "system  member_id="+m.id+" asked_at="+m.id
	})
}

// The token says who may vote; a member that asks for more does not get it.
func TestAMemberCannotGiveItselfAVote(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	greedy := c.join(1, true)
	c.ready(greedy)
	file, err := greedy.dir.member()
	if err != nil {
		t.Fatal(err)
	}
	file.NonVoter = false
	if err := greedy.dir.writeMember(file); err != nil {
		t.Fatal(err)
	}
	greedy = c.restart(greedy)
	c.ready(greedy)
	later := c.join(2, false)
	c.eventually("a member that came later has a vote", func() bool { return isVoter(c.leader(), later.id) })
	if isVoter(c.leader(), greedy.id) {
		t.Error("the member has a vote because it asked for one")
	}
}

func TestAMemberCannotMakeAnotherLeave(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	victim, attacker := c.members[0], c.members[1]
	for _, op := range []adminRequest{{Op: opLeave}, {Op: opLeave, Lead: true}, {Op: opRemove, ID: victim.id, Force: true}} {
		var reply adminReply
		err := callJSON(t.Context(), attacker.engine.client, victim.id, rpcAdmin, op, &reply)
		if !refusedWith(err, protocol.CodePermissionDenied) {
			t.Errorf("%+v: %v", op, err)
		}
	}
	c.ready(victim, attacker)
}
