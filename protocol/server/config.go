// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// Config configures a Server. Backend is required; a zero field means its default.
type Config struct {
	Backend Backend
	// TLS makes the listener speak TLS; nil means plain TCP only.
	TLS *tls.Config
	// Plain has a listener with TLS serve plain TCP as well. The first byte of
	// a connection says which it is.
	Plain bool
	// MaxConns caps all connections, default 100,000. A connection above it is
	// accepted and closed at once, as the protocol documents it.
	MaxConns int
	// MaxConnsPerSource caps the connections of one source (an IPv4 address or
	// an IPv6 /64), default 1024. An IPv6 /48 may have eight times as many.
	MaxConnsPerSource int
	// ReplyMemory bounds the bytes of all replies that are being made or sent,
	// default 256 MiB, at least ReplyMemoryMin. One source may have an eighth.
	ReplyMemory int
	// MaxRequest is the largest request body that is read, default (and at
	// least) protocol.MaxRequestBytes, at most protocol.MaxRequestLimit.
	MaxRequest int
	// Rates are the per-class limits by source.
	Rates Rates
	// Exempt lists the addresses that no bound per source applies to.
	Exempt []netip.Prefix
	// Timeouts bound how long a peer may take.
	Timeouts Timeouts
	// NoBinary refuses the newer clients' binary mode; its preamble then is an
	// oversized frame, which is how such clients learn to use JSON.
	NoBinary bool
	Logger   Logger
	Metrics  Metrics
	// Short reports that memory is short: requests that nothing proves are
	// refused then. nil means never.
	Short func() bool
	// Tracer follows requests; nil follows none.
	Tracer Tracer
	// Now is the clock of rate limits and durations; default time.Now.
	Now func() time.Time
}

// Timeouts are the deadlines of a connection.
type Timeouts struct {
	// Idle is how long a connection may rest between frames; default 5 min.
	Idle time.Duration
	// Frame is how long a frame may take once its first byte is there, and how
	// long a TLS handshake may take; default 30 s.
	Frame time.Duration
	// Write is how long a reply may take to be read, and a second more for each
	// 32 KiB of it; default 10 s.
	Write time.Duration
	// Request is the deadline of a request's context; default 10 s.
	Request time.Duration
	// StreamHeartbeat is the pause between heartbeat frames of a subscription; default 15 s.
	StreamHeartbeat time.Duration
	// StreamInbound is how long a subscriber may send nothing; default 60 s.
	StreamInbound time.Duration
}

// PerMinute is a rate limit: the capacity of a bucket that refills
// continuously in one minute. 0 means the default of its class, Off no limit.
type PerMinute int

// Off switches a rate limit off.
const Off PerMinute = -1

// UnmarshalText reads a positive number or "off".
func (p *PerMinute) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if strings.EqualFold(s, "off") {
		*p = Off
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1_000_000_000 {
		return fmt.Errorf("invalid rate limit %q: want requests per minute (1 or more) or off", s)
	}
	*p = PerMinute(n)
	return nil
}

// MarshalText is the inverse of UnmarshalText; the default writes as "".
func (p PerMinute) MarshalText() ([]byte, error) {
	switch {
	case p < 0:
		return []byte("off"), nil
	case p == 0:
		return nil, nil
	}
	return strconv.AppendInt(nil, int64(p), 10), nil
}

// Rates are the limits per minute and source, and for signed requests per
// signer at a source. The signers of a source may have 20 times as much, an
// IPv6 /48 16 times as much as a source.
type Rates struct {
	Registration PerMinute `json:"registration" yaml:"registration"` // default 10
	Resolve      PerMinute `json:"resolve" yaml:"resolve"`           // default 100
	Query        PerMinute `json:"query" yaml:"query"`               // default 500
	Heartbeat    PerMinute `json:"heartbeat" yaml:"heartbeat"`       // default 50
	Beacon       PerMinute `json:"beacon" yaml:"beacon"`             // default 240
	// MaxSources bounds the sources remembered per class, default 65,536
	// (about 20 MiB a class); of signers a quarter. Only sources whose bucket is full again are
	// forgotten; beyond that number, sources share buckets.
	MaxSources int `json:"max_sources" yaml:"max_sources"`
}

// RatesOff limits nothing.
func RatesOff() Rates {
	return Rates{Registration: Off, Resolve: Off, Query: Off, Heartbeat: Off, Beacon: Off}
}

func (r *Rates) capacity(class protocol.RateClass) int {
	pick := func(p, def PerMinute) int {
		if p == 0 {
			p = def
		}
		return max(int(p), 0)
	}
	switch class {
	case protocol.RateRegistration:
		return pick(r.Registration, 10)
	case protocol.RateResolve:
		return pick(r.Resolve, 100)
	case protocol.RateQuery:
		return pick(r.Query, 500)
	case protocol.RateHeartbeat:
		return pick(r.Heartbeat, 50)
	case protocol.RateBeacon:
		return pick(r.Beacon, 240)
	}
	return 0
}

func (c *Config) setDefaults() error {
	if c.Backend == nil {
		return errors.New("server: no backend")
	}
	if c.TLS != nil && len(c.TLS.Certificates) == 0 && c.TLS.GetCertificate == nil && c.TLS.GetConfigForClient == nil {
		return errors.New("server: TLS without a certificate: give certificate files or a self-signed one")
	}
	number := func(p *int, def int) {
		if *p <= 0 {
			*p = def
		}
	}
	number(&c.MaxConns, 100_000)
	number(&c.MaxConnsPerSource, 1024)
	number(&c.ReplyMemory, 256<<20)
	c.ReplyMemory = max(c.ReplyMemory, ReplyMemoryMin)
	c.MaxRequest = min(max(c.MaxRequest, protocol.MaxRequestBytes), protocol.MaxRequestLimit)
	number(&c.Rates.MaxSources, 1<<16)
	for i, p := range c.Exempt {
		plain, err := share.PlainRange(p)
		if err != nil {
			return fmt.Errorf("server: exempt: %w", err)
		}
		c.Exempt[i] = plain
	}
	duration := func(p *time.Duration, def time.Duration) {
		if *p <= 0 {
			*p = def
		}
	}
	duration(&c.Timeouts.Idle, 5*time.Minute)
	duration(&c.Timeouts.Frame, 30*time.Second)
	duration(&c.Timeouts.Write, 10*time.Second)
	duration(&c.Timeouts.Request, 10*time.Second)
	duration(&c.Timeouts.StreamHeartbeat, 15*time.Second)
	duration(&c.Timeouts.StreamInbound, 60*time.Second)
	if c.Logger == nil {
		c.Logger = noLog{}
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}
