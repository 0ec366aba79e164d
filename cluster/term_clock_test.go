// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// jumpClock is the system's clock whose wall time jumps and whose monotonic time does not.
type jumpClock struct{ by atomic.Int64 }

func (c *jumpClock) Now() time.Time        { return time.Now() }
func (c *jumpClock) Wall() time.Time       { return time.Now().Add(time.Duration(c.by.Load())) }
func (c *jumpClock) jump(by time.Duration) { c.by.Add(int64(by)) }

// handClock stands still until it is told.
type handClock struct{ t time.Time }

func (c *handClock) Now() time.Time  { return c.t }
func (c *handClock) Wall() time.Time { return c.t }

// drive lets log time follow a median for a while, second by second, and checks
// that it moves on all the time and keeps to its rates.
func drive(t *testing.T, c *leaderClock, hand *handClock, median func() time.Time, seconds int) (renewals int) {
	t.Helper()
	for range seconds {
		before := c.now()
		hand.t = hand.t.Add(time.Second)
		moved := c.now().Sub(before)
		if moved < 99*time.Millisecond || moved > 2001*time.Millisecond {
			t.Fatalf("log time moved %s in a second", moved)
		}
		if c.steer(median()) {
			renewals++
		}
		if again := c.now(); again.Before(before.Add(moved)) {
			t.Fatalf("a comparison took log time back from %s to %s", before.Add(moved), again)
		}
	}
	return renewals
}

func TestLogTimeFollowsTheMedian(t *testing.T) {
	t.Parallel()
	hand := &handClock{time.Unix(1_000_000, 0)}
	c, off := &leaderClock{source: hand}, time.Duration(0)
	median := func() time.Time { return hand.t.Add(off) }
	c.set(median(), 0)
	for _, step := range []struct {
		name     string
		off      time.Duration
		seconds  int
		renewals bool
	}{
		{"right", 0, 10, false},
		{"forward by a minute", time.Minute, 120, false},
		{"and back", 0, 130, false},
		{"an hour back", -time.Hour, 4100, false},
		{"a little forward", -time.Hour + 50*time.Millisecond, 120, false},
		{"four minutes forward", -time.Hour + 4*time.Minute, 300, false},
		{"an hour forward", 0, behindLimit, true},
	} {
		off = step.off
		if got := drive(t, c, hand, median, step.seconds); (got > 0) != step.renewals {
			t.Errorf("%s: log time would restart %d times", step.name, got)
		}
		if ahead := c.ahead(); !step.renewals && ahead.Abs() > 10*time.Millisecond {
			t.Errorf("%s: log time is still %s ahead after %d s", step.name, ahead, step.seconds)
		}
	}
}

// A median that cannot be had any more does not let log time run past what it was.
func TestSlewEndsByItself(t *testing.T) {
	t.Parallel()
	hand := &handClock{time.Unix(1_000_000, 0)}
	c := &leaderClock{source: hand}
	c.set(hand.t, 0)
	c.steer(hand.t.Add(30 * time.Second))
	hand.t = hand.t.Add(time.Hour)
	if got, want := c.now(), hand.t.Add(30*time.Second); !got.Equal(want) {
		t.Errorf("log time is %s, want %s", got, want)
	}
}

// A new leader continues from the log time it finds, however far ahead that is.
func TestNewLeaderSlewsTimeThatIsAhead(t *testing.T) {
	t.Parallel()
	hand := &handClock{time.Unix(1_000_000, 0)}
	c := &leaderClock{source: hand}
	c.set(hand.t, hand.t.Add(10*time.Minute).UnixMilli())
	drive(t, c, hand, func() time.Time { return hand.t }, 800)
	if ahead := c.ahead(); ahead.Abs() > 10*time.Millisecond {
		t.Errorf("log time is still %s ahead", ahead)
	}
}

// All clocks of a cluster jump forward, as after a sleep, and back: log time
// follows, requests signed at the right time are taken again, and nobody is
// blamed.
func TestClocksOfAllMembersJump(t *testing.T) {
	t.Parallel()
	// One clock for all: a round must not see some of them before the jump and
	// some after it, for which a leader rightly hands over.
	clock := &jumpClock{}
	c := newCluster(t, 3, func(_ int, cfg *Config) {
		cfg.Clock, cfg.Duties.ClockEvery, cfg.Duties.TickAfter = clock, 10*time.Millisecond, 20*time.Millisecond
	})
	node := c.node(c.members[0])
	jump := clock.jump
	last := int64(0)
	logTime := func() time.Time {
		now := c.members[0].Root().Now()
		if now < last {
			t.Fatalf("log time went back by %d ms", last-now)
		}
		last = now
		return time.UnixMilli(now)
	}
	term := c.leader().engine.raft.CurrentTerm()
	jump(10 * time.Minute)
	c.eventually("log time follows the clocks", func() bool { return time.Until(logTime()) > 9*time.Minute+50*time.Second })
	c.eventually("nobody is blamed", func() bool {
		for _, m := range c.members {
			if st := m.Status(t.Context()); len(st.Problems) > 0 || st.LogTimeOffsetMS == nil {
				t.Log(st.Problems)
				return false
			}
		}
		return true
	})
	jump(-10 * time.Minute)
	c.eventually("status says what is wrong", func() bool {
		for _, m := range c.members {
			st := m.Status(t.Context())
			if len(st.Problems) != 1 || !strings.Contains(st.Problems[0], "ahead of the members' clocks") {
				t.Log(st.Problems)
				return false
			}
		}
		return true
	})
	before := logTime()
	c.members[0].must(increment(t, node, ""))
	c.eventually("log time moves on", func() bool { return logTime().After(before) })
	if now := c.leader().engine.raft.CurrentTerm(); now != term {
		t.Errorf("leadership changed: term %d, then %d", term, now)
	}
}

// One member's clock jumps: log time does not follow, and that member is named.
func TestClockOfOneMemberJumps(t *testing.T) {
	t.Parallel()
	clocks := make([]*jumpClock, 3)
	c := newCluster(t, 3, func(i int, cfg *Config) {
		clocks[i] = &jumpClock{}
		cfg.Clock, cfg.Duties.ClockEvery = clocks[i], 10*time.Millisecond
	})
	bad := 0
	for i, m := range c.members {
		if !m.IsLeader() {
			bad = i
		}
	}
	named := func() (ids []string) {
		for _, m := range c.leader().Members(t.Context()) {
			if m.Problem != "" {
				ids = append(ids, m.ID)
			}
		}
		return ids
	}
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		clocks[bad].jump(by)
		c.eventually("the member is named and no other, or none when it is right again", func() bool {
			ids := named()
			if by < 0 {
				return len(ids) == 0
			}
			return len(ids) == 1 && ids[0] == c.members[bad].id
		})
		if off := c.leader().term.logTimeOffset(); off.Abs() > maxSkew {
			t.Errorf("log time is %s off", off)
		}
	}
}
