package cluster

import (
	"slices"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/fault"
)

// maxSkew is how far a member's clock may be from the median before it is
// reported and must not lead.
const maxSkew = 10 * time.Second

// leaderClock stamps the entries of one term: the median wall clock of the
// voters that answered the term's first confirm round, plus elapsed monotonic
// time. One wrong clock, the leader's own included, cannot move log time.
type leaderClock struct {
	source Clock
	mu     sync.Mutex
	base   time.Time // median wall clock
	since  time.Time // source's reading at that moment, with its monotonic part
	skew   time.Duration
}

// set starts a new term's clock.
func (c *leaderClock) set(median time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.since = median, c.source.Now()
}

// now is the time of the next entry.
func (c *leaderClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since.IsZero() {
		return c.wall()
	}
	return c.base.Add(c.source.Now().Sub(c.since))
}

// wall is what this member's wall clock shows. Elapsed time is never taken from it.
func (c *leaderClock) wall() time.Time { return c.source.Now().Add(fault.Offset()) }

// compare notes how far this member's clock is from the reference.
func (c *leaderClock) compare(reference time.Time) {
	// Round strips the monotonic part: this is about wall clocks.
	skew := c.wall().Round(0).Sub(reference.Round(0))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skew = skew
}

func (c *leaderClock) offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.skew
}

func (c *leaderClock) skewed() bool {
	off := c.offset()
	return off > maxSkew || off < -maxSkew
}

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
