package server

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// rateTexts are the refusals of the protocol; %s is the source IP.
var rateTexts = map[protocol.RateClass]string{
	protocol.RateRegistration: "rate limited: too many registrations from %s",
	protocol.RateResolve:      "rate limited: too many resolves from %s",
	protocol.RateQuery:        "rate limited: too many queries from %s",
	protocol.RateHeartbeat:    "rate limited: too many heartbeats from %s",
	protocol.RateBeacon:       "rate limited: too many announcements of beacons from %s",
}

// limiter keeps one set of buckets per rate class.
type limiter struct {
	classes map[protocol.RateClass]*buckets
	exempt  share.Ranges
	now     func() time.Time
}

func newLimiter(r Rates, exempt share.Ranges, now func() time.Time) *limiter {
	l := &limiter{classes: map[protocol.RateClass]*buckets{}, exempt: exempt, now: now}
	for class := range rateTexts {
		if n := r.capacity(class); n > 0 {
			l.classes[class] = &buckets{capacity: n, sources: share.NewTable[*rate.Limiter](r.MaxSources)}
		}
	}
	return l
}

// allow takes a token of the class from what counts for the source.
func (l *limiter) allow(class protocol.RateClass, source share.Source) bool {
	b := l.classes[class]
	return b == nil || b.take(source, l.now())
}

// pause is how long a bucket of a class takes to have room for one request more.
func (l *limiter) pause(class protocol.RateClass) int64 {
	b := l.classes[class]
	if b == nil {
		return 0
	}
	return (time.Minute / time.Duration(b.capacity)).Milliseconds() + 1
}

// buckets are the token buckets of one class: full at first, refilled
// continuously at capacity per minute. A burst of exactly capacity passes.
type buckets struct {
	capacity int

	mu      sync.Mutex
	sources *share.Table[*rate.Limiter]
}

// take takes one token from each bucket of the source, or none.
func (b *buckets) take(source share.Source, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	full := func(l **rate.Limiter) bool { return *l == nil || (*l).TokensAt(now) >= float64((*l).Burst()) }
	slots := b.sources.Slots(source, full)
	for _, s := range slots {
		if s.Value == nil {
			continue
		}
		if *s.Value == nil {
			capacity := b.capacity * int(s.Worth)
			*s.Value = rate.NewLimiter(rate.Limit(float64(capacity)/60), capacity)
		}
		if (*s.Value).TokensAt(now) < 1 {
			return false
		}
	}
	for _, s := range slots {
		if s.Value != nil {
			(*s.Value).AllowN(now, 1)
		}
	}
	return true
}
