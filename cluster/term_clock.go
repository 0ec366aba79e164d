// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxSkew is how far a member's clock may be from the median before it is
// reported and must not lead. The same distance between log time and the
// median is reported.
const maxSkew = 10 * time.Second

// How log time follows the median of the voters' clocks within a term. It
// makes up for a difference within slewOver, but never runs more than twice as
// fast as time, nor slower than a tenth of it: it never stands still, and an
// hour too much is gone after 67 minutes.
const (
	slewOver   = 10 * time.Second
	slewFaster = 1.0
	slewSlower = 0.9
)

// Log time that is behind by more than maxBehind would refuse every signed
// request for longer than a change of leadership takes. After
// behindLimit comparisons in a row it starts over, as it does with a new leader.
const (
	maxBehind   = protocol.SignedWindowMS * time.Millisecond
	behindLimit = 30
)

// Clock tells the time. Tests inject one.
type Clock interface {
	// Now is read for elapsed time; it carries a monotonic reading.
	Now() time.Time
	// Wall is what the machine's clock shows. It may be wrong, and jump.
	Wall() time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time  { return time.Now() }
func (systemClock) Wall() time.Time { return time.Now().Add(fault.Offset()) }

// leaderClock stamps the entries of one term: the median wall clock of the
// voters that answered the term's first confirm round, or the log time so far
// if that is later, plus elapsed monotonic time. From then on it slews to the
// median. One wrong clock, the leader's own included, cannot move log time.
type leaderClock struct {
	source Clock

	mu    sync.Mutex
	base  time.Time     // log time at the last comparison
	since time.Time     // source's reading at that moment; zero: not set
	slew  time.Duration // what log time has to make up for, negative when it is ahead
	ref   time.Time     // the median at that moment; zero: not known
	late  int           // comparisons in a row with log time behind by more than maxBehind
	skew  time.Duration // this member's wall clock minus the median
}

// set starts a new term's clock.
func (c *leaderClock) set(median time.Time, logTime int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.since, c.late = median.Round(0), c.source.Now(), 0
	if last := time.UnixMilli(logTime); last.After(c.base) {
		c.base = last
	}
	c.ref, c.slew = median, median.Sub(c.base)
}

// forget the term that was: nothing is known of the median until the first
// round of the next.
func (c *leaderClock) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ref = time.Time{}
}

// steer makes the clock follow a newer median. It reports that log time has
// been too far behind for too long to catch up by running faster.
func (c *leaderClock) steer(median time.Time) (lost bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	reading := c.source.Now()
	c.base, c.since = c.at(reading), reading
	c.ref, c.slew = median, median.Sub(c.base)
	if c.slew <= maxBehind {
		c.late = 0
		return false
	}
	c.late++
	return c.late >= behindLimit
}

// made is how much of the slew is made up for after so much time.
func (c *leaderClock) made(elapsed time.Duration) time.Duration {
	rate := min(max(float64(c.slew)/float64(slewOver), -slewSlower), slewFaster)
	made := time.Duration(float64(elapsed) * rate)
	if made.Abs() > c.slew.Abs() {
		return c.slew
	}
	return made
}

// at is the log time at a reading of the source.
func (c *leaderClock) at(reading time.Time) time.Time {
	elapsed := reading.Sub(c.since)
	return c.base.Add(elapsed + c.made(elapsed))
}

// now is the time of the next entry.
func (c *leaderClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since.IsZero() {
		return c.wall()
	}
	return c.at(c.source.Now())
}

// ahead is how far log time is ahead of the median, negative when it is behind.
func (c *leaderClock) ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ref.IsZero() {
		return 0
	}
	return -c.slew + c.made(c.source.Now().Sub(c.since))
}

// referenceMS is the median as of now in Unix milliseconds, 0 while it is not known.
func (c *leaderClock) referenceMS() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ref.IsZero() {
		return 0
	}
	return uint64(c.ref.Add(c.source.Now().Sub(c.since)).UnixMilli())
}

// wall is what this member's wall clock shows. Elapsed time is never taken from it.
func (c *leaderClock) wall() time.Time { return c.source.Wall() }

// compare notes how far this member's clock is from the median.
func (c *leaderClock) compare(median time.Time) {
	// Round strips the monotonic part: this is about wall clocks.
	skew := c.wall().Round(0).Sub(median.Round(0))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skew = skew
}

func (c *leaderClock) offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.skew
}

func (c *leaderClock) skewed() bool { return c.offset().Abs() > maxSkew }

// clockLinger is how long a round that asks for clocks waits for voters beyond
// the majority: the more clocks, the less a wrong one matters.
const clockLinger = 50 * time.Millisecond

// median of wall clocks. Of an even number it takes the one of the middle two
// that is nearer to the last log time (Unix milliseconds): their mean would let
// one wrong clock of two move log time, and log time never goes back.
func median(clocks []time.Time, logTime int64) time.Time {
	slices.SortFunc(clocks, time.Time.Compare)
	upper := clocks[len(clocks)/2]
	if len(clocks)%2 == 1 {
		return upper
	}
	lower := clocks[len(clocks)/2-1]
	last := time.UnixMilli(logTime)
	if upper.Sub(last).Abs() < lower.Sub(last).Abs() {
		return upper
	}
	return lower
}
