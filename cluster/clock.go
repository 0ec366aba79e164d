package cluster

import (
	"slices"
	"sync"
	"time"
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
		return c.source.Now()
	}
	return c.base.Add(c.source.Now().Sub(c.since))
}

// compare notes how far this member's clock is from the reference.
func (c *leaderClock) compare(reference time.Time) {
	// Round strips the monotonic part: this is about wall clocks.
	skew := c.source.Now().Round(0).Sub(reference.Round(0))
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

// median of wall clocks; the mean of the middle two for an even number.
func median(clocks []time.Time) time.Time {
	slices.SortFunc(clocks, time.Time.Compare)
	mid := clocks[len(clocks)/2]
	if len(clocks)%2 == 0 {
		lower := clocks[len(clocks)/2-1]
		mid = lower.Add(mid.Sub(lower) / 2)
	}
	return mid
}
