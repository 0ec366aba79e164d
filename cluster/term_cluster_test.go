// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestLeaderFlapsLeakNothing moves leadership many times and stops everything.
func TestLeaderFlapsLeakNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	flaps, limit := 100, time.Now().Add(8*time.Second)
	var running atomic.Int64
	duty := dutyFunc{name: "probe", every: time.Millisecond, do: func(context.Context, DutyEnv) {}}
	func() {
		c := newCluster(t, 3, func(_ int, cfg *Config) { cfg.Extra = []Duty{countedDuty{duty, &running}} })
		node := c.node(c.members[0])
		done := 0
		for ; done < flaps && time.Now().Before(limit); done++ {
			old := c.leader()
			if e := old.TransferLeadership(context.Background(), ""); e != nil {
				t.Logf("transfer %d: %s", done, e.Text)
			}
		}
		t.Logf("%d flaps", done)
		c.leader().must(increment(t, node, ""))
		c.eventually("only the leader's duties run", func() bool { return running.Load() == 1 })
		c.stop()
		c.members = nil
	}()
	if n := running.Load(); n != 0 {
		t.Errorf("%d duties still run", n)
	}
	goleak.VerifyNone(t, before)
}

type countedDuty struct {
	dutyFunc
	running *atomic.Int64
}

// Run counts the duties that run at the same time.
func (d countedDuty) Run(ctx context.Context, env DutyEnv) {
	d.running.Add(1)
	defer d.running.Add(-1)
	d.dutyFunc.Run(ctx, env)
}

// shiftClock is the system's clock, shifted.
type shiftClock struct{ by atomic.Int64 }

func (c *shiftClock) Wall() time.Time { return c.Now() }

func (c *shiftClock) Now() time.Time { return time.Now().Add(time.Duration(c.by.Load())) }

func (c *shiftClock) shift(by time.Duration) { c.by.Add(int64(by)) }

func TestWrongClockDoesNotMoveLogTimeAndGivesLeadershipAway(t *testing.T) {
	t.Parallel()
	wrong := &shiftClock{}
	wrong.shift(90 * 24 * time.Hour)
	c := newCluster(t, 3, func(i int, cfg *Config) {
		if i == 2 {
			cfg.Clock = wrong
		}
	})
	node := c.node(c.members[0])
	bad := c.members[2]
	if e := c.leader().TransferLeadership(t.Context(), bad.id); e != nil {
		t.Fatal(e)
	}
	c.eventually("the wrong clock is noticed", func() bool {
		members := c.members[0].Members(t.Context())
		for _, m := range members {
			if m.ID == bad.id && m.Problem != "" {
				return true
			}
		}
		return false
	})
	c.eventually("somebody else leads", func() bool { return !bad.IsLeader() && (c.members[0].IsLeader() || c.members[1].IsLeader()) })
	c.members[0].must(increment(t, node, ""))
	if now := time.UnixMilli(c.members[0].Root().Now()); time.Until(now) > time.Hour {
		t.Errorf("log time is %s", now)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	for _, tc := range []struct {
		clocks  []time.Time
		logTime int64
		want    time.Time
	}{
		{[]time.Time{at(7)}, 0, at(7)},
		{[]time.Time{at(9), at(5)}, 0, at(5)},
		{[]time.Time{at(9), at(-5000)}, 8000, at(9)},
		{[]time.Time{at(9), at(5000)}, 8000, at(9)},
		{[]time.Time{at(1 << 30), at(5), at(6)}, 0, at(6)},
		{[]time.Time{at(8), at(-1 << 30), at(4), at(6)}, 0, at(4)},
	} {
		if got := median(tc.clocks, tc.logTime); !got.Equal(tc.want) {
			t.Errorf("median of %v is %v, want %v", tc.clocks, got, tc.want)
		}
	}
}

func TestIdleClusterTicks(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, func(_ int, cfg *Config) { cfg.Duties.TickAfter = 40 * time.Millisecond })
	m := c.members[0]
	was := m.Root().Now()
	c.eventually("log time moves on an idle cluster", func() bool { return m.Root().Now() > was+100 })
}
