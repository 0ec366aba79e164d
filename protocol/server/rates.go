// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/binary"
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

// signedWorth is how many signers' worth the signed requests of one source may
// be, so that many nodes behind one address translator can live.
const signedWorth = 20

// signersPart is how many places of sources there are for one place of a signer.
const signersPart = 4

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
			l.classes[class] = &buckets{capacity: n,
				sources: share.NewTable[share.Source, sourceBuckets](r.MaxSources),
				signers: share.NewTable[signer, *rate.Limiter](r.MaxSources / signersPart)}
		}
	}
	return l
}

// allow takes a token for a request of the class from what counts for who
// sends it. When there is none, pause is how long one takes to come.
func (l *limiter) allow(class protocol.RateClass, source share.Source, who signerID) (pause time.Duration, ok bool) {
	b := l.classes[class]
	if b == nil {
		return 0, true
	}
	return b.take(source, who, l.now())
}

// signerID stands for who a request says has signed it: a node id, or the key
// that it registers. It is zero when the request is not signed.
type signerID [32]byte

// signerOf does not verify: a request signed for another is refused later, and has
// only the allowance of signed requests of his source for it.
func signerOf(req *protocol.Request) (who signerID) {
	if req.Signature == "" && req.Signed == nil {
		return who
	}
	if r, ok := req.Body.(*protocol.Register); ok {
		if key, err := protocol.ParsePublicKey(r.PublicKey); err == nil {
			return signerID(key)
		}
		return who
	}
	id := protocol.SignerID(req.Command, req.Body)
	if req.Signed != nil {
		id = req.Signed.NodeID
	}
	binary.BigEndian.PutUint32(who[:], id)
	return who
}

// signer is a signer at a source.
type signer struct {
	source share.Source
	who    signerID
}

// Wide says that signers have no wider group: their sources have their own buckets.
func (s signer) Wide() signer { return s }

// sourceBuckets are what counts for a source: one bucket for requests that
// nobody has signed, one for those of all its signers.
type sourceBuckets struct{ unsigned, signed *rate.Limiter }

// buckets are the token buckets of one class: full at first, refilled
// continuously at capacity per minute. A burst of exactly capacity passes.
type buckets struct {
	capacity int

	mu      sync.Mutex
	sources *share.Table[share.Source, sourceBuckets]
	signers *share.Table[signer, *rate.Limiter]
}

// take takes one token from each bucket that counts, or none and says how long
// the emptiest takes to have one.
func (b *buckets) take(source share.Source, who signerID, now time.Time) (pause time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	full := func(l *rate.Limiter) bool { return l == nil || l.TokensAt(now) >= float64(l.Burst()) }
	count := b.unsigned
	if who != (signerID{}) {
		count = b.signed
	}
	limiters := count(source, who, full)
	for _, l := range limiters {
		if l.TokensAt(now) < 1 {
			return time.Duration(float64(time.Second)/float64(l.Limit())) + time.Millisecond, false
		}
	}
	for _, l := range limiters {
		l.AllowN(now, 1)
	}
	return 0, true
}

// unsigned returns the buckets that count for a request that nobody signed.
func (b *buckets) unsigned(source share.Source, _ signerID, full func(*rate.Limiter) bool) (limiters []*rate.Limiter) {
	for _, s := range b.slots(source, full) {
		if s.Value != nil {
			limiters = append(limiters, b.bucket(&s.Value.unsigned, s.Worth))
		}
	}
	return limiters
}

// signed returns the buckets that count for a signed request.
func (b *buckets) signed(source share.Source, who signerID, full func(*rate.Limiter) bool) (limiters []*rate.Limiter) {
	own := b.signers.Slots(signer{source, who}, func(l **rate.Limiter) bool { return full(*l) })[0]
	limiters = append(limiters, b.bucket(own.Value, own.Worth))
	for _, s := range b.slots(source, full) {
		if s.Value != nil {
			limiters = append(limiters, b.bucket(&s.Value.signed, s.Worth*signedWorth))
		}
	}
	return limiters
}

func (b *buckets) slots(source share.Source, full func(*rate.Limiter) bool) [2]share.Slot[sourceBuckets] {
	return b.sources.Slots(source, func(s *sourceBuckets) bool { return full(s.unsigned) && full(s.signed) })
}

// bucket is the bucket in a place of a table, a full one when it is new.
func (b *buckets) bucket(place **rate.Limiter, worth int64) *rate.Limiter {
	if *place == nil {
		capacity := b.capacity * int(worth)
		*place = rate.NewLimiter(rate.Limit(float64(capacity)/60), capacity)
	}
	return *place
}
