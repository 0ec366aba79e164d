// SPDX-License-Identifier: Apache-2.0

//go:build linux

package integration

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
	"github.com/pilotregistry/pilotregistry/integration/fault/nemesis"
	"github.com/pilotregistry/pilotregistry/integration/fault/soak"
)

// resumeLimit is how long writes may be interrupted, whatever hits the leader.
const resumeLimit = 15 * time.Second

// ordeal is a cluster of three under load, hurt in one way after another.
type ordeal struct {
	*soak.Session
	*lab.Lab
	t   *testing.T
	ctx context.Context
}

// TestFaults hurts a cluster under load in ways that are always the same, each
// of which it must survive: afterwards every member serves, and both checkers
// look at everything that was asked meanwhile.
func TestFaults(t *testing.T) {
	t.Parallel()
	if _, err := lab.Binary(lab.Build{}); err != nil { // building takes no time of the run's
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "pilot-faults-")
	if err != nil {
		t.Fatal(err)
	}
	defer lab.RemoveBinaries()
	s, err := soak.Start(ctx, soak.Config{Seed: 1, Dir: dir, Plan: &nemesis.Plan{Seed: 1, Voters: 3}, Rate: 300})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, step := range []struct {
		name string
		hurt func(*ordeal)
	}{
		{"leader killed", (*ordeal).leaderKilled},
		{"leader paused", (*ordeal).leaderPaused},
		{"leader mute", (*ordeal).leaderMute},
		{"leader deaf", (*ordeal).leaderDeaf},
		{"member away and sent a snapshot", (*ordeal).snapshotSent},
		{"disk of the leader hangs", (*ordeal).diskHangs},
		{"what the leader sends in big pieces is lost", (*ordeal).bigPiecesLost},
		{"disk of a member fails", (*ordeal).diskFails},
		{"log of a member rots", (*ordeal).logRots},
	} {
		ok := t.Run(step.name, func(t *testing.T) {
			o := &ordeal{Session: s, Lab: s.Lab(), t: t, ctx: ctx}
			o.flows()
			step.hurt(o)
			o.heal()
		})
		if !ok {
			break
		}
	}
	result, err := s.Finish(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range result.Found {
		t.Error(found)
	}
	if t.Failed() {
		t.Logf("artefacts are in %s", dir)
		return
	}
	os.RemoveAll(dir)
}

func (o *ordeal) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// enough writes say that they go on: more than can have been under way.
const enough = 40

// flows waits for writes to be acknowledged, with a limit that is part of what is tested.
func (o *ordeal) flows() {
	o.t.Helper()
	start := time.Now()
	for want := o.Acked() + enough; o.Acked() < want; {
		if time.Since(start) > resumeLimit {
			o.t.Fatalf("writes did not go on within %s", resumeLimit)
		}
		time.Sleep(5 * time.Millisecond)
	}
	o.t.Logf("%d writes after %s", enough, time.Since(start).Round(time.Millisecond))
}

func (o *ordeal) leader() *lab.Member {
	o.t.Helper()
	m, err := o.AwaitLeader(o.ctx)
	o.must(err)
	return m
}

func (o *ordeal) follower() *lab.Member {
	o.t.Helper()
	leader := o.leader()
	for _, m := range o.Members() {
		if m != leader {
			return m
		}
	}
	o.t.Fatal("there is no follower")
	return nil
}

// heal takes everything back; the cluster must be whole again.
func (o *ordeal) heal() {
	o.t.Helper()
	o.HealNetwork()
	for _, m := range o.Members() {
		o.must(o.Resume(m))
		o.must(o.Start(m))
	}
	o.must(o.AwaitReady(o.ctx, o.Members()...))
	for _, m := range o.Members() {
		o.must(o.Calm(m))
	}
	o.must(o.RestoreShape(o.ctx))
	o.must(o.AwaitShape(o.ctx))
	o.flows()
	defer o.Quiet()()
	_, _, err := o.AwaitEqualDigests(o.ctx)
	o.must(err)
	o.ExpectNothing()
}

// awaitExit waits until a run of a member has ended in the way that was foreseen.
func (o *ordeal) awaitExit(m *lab.Member, run int, end string) lab.Exit {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.ctx, 30*time.Second)
	defer cancel()
	exit, err := o.AwaitExit(ctx, m, run)
	o.must(err)
	if exit.End() != end {
		o.t.Fatalf("%s, want %s\n%s", exit, end, exit.Last)
	}
	return exit
}

func (o *ordeal) leaderKilled() {
	leader := o.leader()
	o.must(o.Kill(leader))
	o.flows()
	_, err := o.AwaitLeader(o.ctx, leader)
	o.must(err)
}

// leaderPaused pauses the leader for longer than the watchdog bears a stall:
// the member must not take its own pause for one.
func (o *ordeal) leaderPaused() {
	leader := o.leader()
	o.must(o.Pause(leader))
	paused := time.Now()
	o.flows()
	_, err := o.AwaitLeader(o.ctx, leader)
	o.must(err)
	time.Sleep(time.Until(paused.Add(4 * time.Second))) // the pause is the test
	o.must(o.Resume(leader))
}

// leaderMute: nothing that the leader sends arrives; it learns of it because
// nobody answers.
func (o *ordeal) leaderMute() {
	leader := o.leader()
	for _, m := range o.Members() {
		if m != leader {
			o.Between(leader.Slot, m.Slot, func(p *lab.Policy) { p.Block = true })
		}
	}
	_, err := o.AwaitLeader(o.ctx, leader)
	o.must(err)
	o.flows()
}

// leaderDeaf: the leader's heartbeats arrive and no answer comes back.
func (o *ordeal) leaderDeaf() {
	leader := o.leader()
	for _, m := range o.Members() {
		if m != leader {
			o.Between(m.Slot, leader.Slot, func(p *lab.Policy) { p.Block = true })
		}
	}
	_, err := o.AwaitLeader(o.ctx, leader)
	o.must(err)
	o.flows()
}

// snapshotSent keeps a member away until the others have cut their logs after
// it. What it missed comes in a snapshot, and with it the member starts again.
func (o *ordeal) snapshotSent() {
	away := o.follower()
	before := o.Reached()[fault.RestoreAfter]
	o.must(o.Kill(away))
	log, err := o.Journal(away)
	o.must(err)
	behind := log.Entries[len(log.Entries)-1].Index
	for _, m := range o.Members() {
		o.eventually("the log is cut", func() error {
			if m == away {
				return nil
			}
			snaps, err := m.Snapshots()
			if err != nil || len(snaps) < 2 || lab.SnapshotIndex(snaps[0]) < behind+100 {
				return fmt.Errorf("%s has %d snapshots, error %v", m.Name, len(snaps), err)
			}
			return nil
		})
	}
	o.must(o.Start(away))
	o.must(o.AwaitReady(o.ctx, away))
	o.eventually("a snapshot is restored", func() error {
		if n := o.Reached()[fault.RestoreAfter]; n == before {
			return fmt.Errorf("%d were", n)
		}
		return nil
	})
	o.eventually("an entry is stored after an installed snapshot", func() error {
		log, err := o.Journal(away)
		o.must(err)
		for i := 1; i < len(log.Entries); i++ {
			if log.Entries[i].Index > log.Entries[i-1].Index+1 {
				return nil
			}
		}
		return fmt.Errorf("%d entries without a gap, the others cut theirs above %d", len(log.Entries), behind)
	})
	o.must(o.Kill(away)) // it starts with a snapshot that is not its own
}

func (o *ordeal) eventually(what string, look func() error) {
	o.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for err := look(); err != nil; err = look() {
		if time.Now().After(deadline) {
			o.t.Fatalf("did not happen: %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// diskHangs: a write of the leader's disk does not return. Its heartbeats need
// no disk, so raft would keep it as leader for ever.
func (o *ordeal) diskHangs() {
	leader := o.leader()
	o.Expect(leader, "its disk hangs", lab.Stalled)
	run := o.RunOf(leader)
	o.must(o.Order(leader, lab.Order{Point: fault.StoreLogsBefore, Action: "sleep", SleepMS: time.Hour.Milliseconds(), Times: 1}))
	o.flows()
	o.awaitExit(leader, run, lab.Stalled)
}

// bigPiecesLost: heartbeats pass, entries do not. Raft would keep this leader
// for ever too.
func (o *ordeal) bigPiecesLost() {
	leader := o.leader()
	o.Expect(leader, "its entries are lost", lab.Stalled)
	run := o.RunOf(leader)
	for _, m := range o.Members() {
		if m != leader {
			o.Between(leader.Slot, m.Slot, func(p *lab.Policy) { p.MaxPiece = 600 })
		}
	}
	o.flows()
	exit := o.awaitExit(leader, run, lab.Stalled)
	if !strings.Contains(exit.Last, "nothing was committed") {
		o.t.Errorf("the leader ended for another reason: %s", exit.Last)
	}
}

func (o *ordeal) diskFails() {
	m := o.follower()
	o.Expect(m, "its disk fails", lab.Stalled)
	run := o.RunOf(m)
	o.must(o.Order(m, lab.Order{Point: fault.StoreLogsBefore, Action: "error", Times: 1}))
	o.awaitExit(m, run, lab.Stalled)
}

// logRots: a bit changes while the member is down. It must not serve or vote
// any more, and is replaced.
func (o *ordeal) logRots() {
	m := o.follower()
	o.must(o.Kill(m))
	o.must(o.FlipEntry(m))
	o.Expect(m, "its log is damaged", lab.Damaged)
	o.must(o.Start(m))
	run := o.RunOf(m)
	o.awaitExit(m, run, lab.Damaged)
	o.Abandon(m, "its log is damaged")
	o.flows()
}
