// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// A roll can meet the leader first, second or last. Half way, in the first of
// them, a leader of either version has to send a snapshot to a member of the
// other one. Every roll is taken back.
func TestRollInEveryLeaderPosition(t *testing.T) {
	t.Parallel()
	onlyE2E(t, "three rolls in a row")
	next := nextVersion(t)
	r := newRoller(t, "upgrades.preserve_downgrade=true", "raft.snapshot_threshold=64", "raft.trailing_logs=16", "raft.snapshot_interval=1s")
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	r.underLoad(ctx, func(acked *atomic.Int64) {
		for position := range 3 {
			r.install(next)
			rolled := map[string]bool{}
			for step := range 3 {
				id := r.pick(ctx, rolled, step == position)
				r.restart(ctx, id, []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}[step%2])
				rolled[id] = true
				awaitWrites(ctx, t, acked, 50)
				if position == 0 && step == 1 {
					r.snapshotsAcross(ctx, rolled, acked)
				}
			}
			r.install(binary(t, "cmd/pilot-registry"))
			for _, id := range r.followersFirst() {
				r.restart(ctx, id, syscall.SIGTERM)
			}
			awaitWrites(ctx, t, acked, 50)
		}
	})
	if level := r.level(); level != fsm.LevelMax {
		t.Errorf("the feature level is %d although preserve_downgrade is set", level)
	}
}

// pick is the member to restart next: the leader or another one, of those that
// still have the old version.
func (r *roller) pick(ctx context.Context, rolled map[string]bool, leader bool) string {
	r.t.Helper()
	var id string
	if _, err := r.Await(ctx, func(now harness.Ready) bool {
		if _, ok := now.LeaderNode(); !ok || !allUp(now) {
			return false
		}
		if leader && !rolled[now.Leader] {
			id = now.Leader
			return true
		}
		for _, n := range now.Nodes {
			if !rolled[n.ID] && n.ID != now.Leader {
				id = n.ID
			}
		}
		if id != "" && !leader {
			return true
		}
		// Leadership is not where this order wants it.
		for _, n := range now.Nodes {
			if rolled[n.ID] != leader {
				r.lead(ctx, n)
				break
			}
		}
		id = ""
		return false
	}); err != nil {
		r.t.Fatalf("nobody to restart (leader %t, rolled %v): %v", leader, rolled, err)
	}
	return id
}

// lead asks for a member to become the leader. It may be refused or overtaken:
// the caller looks who leads.
func (r *roller) lead(ctx context.Context, n harness.Member) {
	r.t.Helper()
	s, err := n.Status()
	if err != nil {
		return
	}
	w, err := harness.Dial(n.Wire)
	if err != nil {
		return
	}
	defer w.Close()
	_, _ = w.Call(map[string]any{"type": "cluster_transfer_leadership", "admin_token": r.AdminToken, "member_id": s.MemberID})
}

// snapshotsAcross makes a leader of either version send a snapshot to a member
// of the other version.
func (r *roller) snapshotsAcross(ctx context.Context, rolled map[string]bool, acked *atomic.Int64) {
	r.t.Helper()
	for _, ofNext := range []bool{false, true} {
		var leader, behind harness.Member
		if _, err := r.Await(ctx, func(now harness.Ready) bool {
			l, ok := now.LeaderNode()
			if !ok || !allUp(now) {
				return false
			}
			if rolled[l.ID] != ofNext {
				for _, n := range now.Nodes {
					if rolled[n.ID] == ofNext {
						r.lead(ctx, n)
						break
					}
				}
				return false
			}
			for _, n := range now.Nodes {
				if rolled[n.ID] != ofNext {
					leader, behind = l, n
					return true
				}
			}
			return false
		}); err != nil {
			r.t.Fatalf("no leader of the version wanted (next: %t): %v", ofNext, err)
		}
		r.sendSnapshot(ctx, leader, behind, acked)
	}
}

// sendSnapshot pauses a member until the others have cut their logs, and waits
// until it has restored what it was sent.
func (r *roller) sendSnapshot(ctx context.Context, leader, behind harness.Member, acked *atomic.Int64) {
	r.t.Helper()
	restored := snapshots(r.t, behind, "restore")
	if err := syscall.Kill(behind.PID, syscall.SIGSTOP); err != nil {
		r.t.Fatal(err)
	}
	persisted := snapshots(r.t, leader, "persist")
	_, err := r.Await(ctx, func(harness.Ready) bool { return snapshots(r.t, leader, "persist") >= persisted+2 })
	if cont := syscall.Kill(behind.PID, syscall.SIGCONT); err != nil || cont != nil {
		r.t.Fatalf("the leader's log was not cut: %v, %v", err, cont)
	}
	if _, err := r.Await(ctx, func(harness.Ready) bool { return snapshots(r.t, behind, "restore") > restored }); err != nil {
		r.t.Fatalf("member %s was sent no snapshot by %s: %v", behind.ID, leader.ID, err)
	}
	awaitWrites(ctx, r.t, acked, 50)
}

// snapshots counts a member's snapshots by its metrics; op is persist or restore.
func snapshots(t *testing.T, n harness.Member, op string) int {
	t.Helper()
	prefix := fmt.Sprintf(`pilot_snapshot_seconds_count{op="%s"} `, op)
	for line := range strings.Lines(metrics(t, n)) {
		if count, ok := strings.CutPrefix(strings.TrimSpace(line), prefix); ok {
			v, err := strconv.Atoi(count)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	return 0
}
