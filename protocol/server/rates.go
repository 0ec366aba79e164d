package server

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// rateTexts are the refusals of core.md section 4; %s is the source IP.
var rateTexts = map[protocol.RateClass]string{
	protocol.RateRegistration: "rate limited: too many registrations from %s",
	protocol.RateResolve:      "rate limited: too many resolves from %s",
	protocol.RateQuery:        "rate limited: too many queries from %s",
	protocol.RateHeartbeat:    "rate limited: too many heartbeats from %s",
}

// limiter keeps one set of buckets per rate class.
type limiter struct {
	classes map[protocol.RateClass]*buckets
	exempt  exemptions
	now     func() time.Time
}

func newLimiter(r Rates, exempt exemptions, now func() time.Time) *limiter {
	l := &limiter{classes: map[protocol.RateClass]*buckets{}, exempt: exempt, now: now}
	for class := range rateTexts {
		if n := r.capacity(class); n > 0 {
			l.classes[class] = newBuckets(n, r.MaxSources)
		}
	}
	return l
}

// allow takes a token of the class from the source's bucket.
func (l *limiter) allow(class protocol.RateClass, source netip.Addr) bool {
	b := l.classes[class]
	if b == nil || l.exempt.has(source) {
		return true
	}
	return b.take(source, l.now())
}

// buckets are the token buckets of one class: full at first, refilled
// continuously at capacity per minute. A burst of exactly capacity passes.
type buckets struct {
	capacity int

	mu  sync.Mutex
	lru *simplelru.LRU[netip.Addr, *rate.Limiter]
}

func newBuckets(capacity, sources int) *buckets {
	lru, err := simplelru.NewLRU[netip.Addr, *rate.Limiter](sources, nil)
	if err != nil { // only a size below 1, which setDefaults excludes
		panic(err)
	}
	return &buckets{capacity: capacity, lru: lru}
}

func (b *buckets) take(source netip.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, ok := b.lru.Get(source)
	if !ok {
		bucket = rate.NewLimiter(rate.Limit(float64(b.capacity)/60), b.capacity)
		b.lru.Add(source, bucket)
	}
	return bucket.AllowN(now, 1)
}

// exemptions are sources that limits do not apply to.
type exemptions []netip.Prefix

func (e exemptions) has(source netip.Addr) bool {
	for _, p := range e {
		if p.Contains(source) {
			return true
		}
	}
	return false
}
