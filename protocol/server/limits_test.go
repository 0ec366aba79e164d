// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// fakeClock stands still until it is moved.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *fakeClock { return &fakeClock{now: time.Unix(1_800_000_000, 0)} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const someKey = "MAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

func TestRateLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		bodies   []string // share one bucket
		capacity int
		text     string
	}{
		{"registration", []string{`{"type":"register","public_key":"` + someKey + `"}`}, 10, "rate limited: too many registrations from 127.0.0.1"},
		{"resolve", []string{`{"type":"resolve","node_id":1,"requester_id":2}`}, 100, "rate limited: too many resolves from 127.0.0.1"},
		{"query", []string{`{"type":"lookup","node_id":1}`, `{"type":"resolve_hostname","hostname":"a"}`, `{"type":"list_nodes"}`}, 500,
			"rate limited: too many queries from 127.0.0.1"},
		{"heartbeat", []string{`{"type":"heartbeat","node_id":1}`}, 50, "rate limited: too many heartbeats from 127.0.0.1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			clock, metrics := newClock(), &counters{}
			_, addr := start(t, server.Config{Now: clock.Now, Metrics: metrics})
			p, other := dial(t, addr), dial(t, addr) // one source, one bucket
			for i := range test.capacity {
				if got := p.ask(test.bodies[i%len(test.bodies)]); got.Type == "error" {
					t.Fatalf("request %d of %d: %+v", i+1, test.capacity, got)
				}
			}
			want := reply{Type: "error", Code: protocol.CodeRateLimited, Error: test.text, Outcome: "not_applied"}
			for range 2 { // a refusal costs nothing
				if got := other.ask(test.bodies[0]); got != want {
					t.Fatalf("request above the capacity: got %+v, want %+v", got, want)
				}
			}
			if metrics.get("limited "+test.name) != 2 {
				t.Errorf("refusals were not counted: %v", metrics)
			}
			refill := time.Minute / time.Duration(test.capacity)
			clock.Add(refill - time.Millisecond)
			if got := p.ask(test.bodies[0]); got != want {
				t.Errorf("before the refill: %+v", got)
			}
			clock.Add(2 * time.Millisecond)
			if got := p.ask(test.bodies[0]); got.Type == "error" {
				t.Errorf("after the refill: %+v", got)
			}
			if got := p.ask(test.bodies[0]); got != want {
				t.Errorf("one token is refilled, not two: %+v", got)
			}
			if got := p.ask(`{"type":"check_trust"}`); got.Type != "check_trust_ok" {
				t.Errorf("other commands are not limited: %+v", got)
			}
		})
	}
}

func TestRegistrationLimitSparesKnownKeys(t *testing.T) {
	t.Parallel()
	_, addr := start(t, server.Config{
		Now:     newClock().Now,
		Rates:   server.Rates{Registration: 1},
		Backend: &backend{known: func(key string) bool { return key == someKey }},
	})
	p := dial(t, addr)
	register := func(key string) string {
		return p.ask(fmt.Sprintf(`{"type":"register","public_key":%q}`, key)).Code
	}
	stranger := strings.Replace(someKey, "A", "B", 1)
	for i, test := range []struct{ key, want string }{
		{stranger, ""}, {stranger, protocol.CodeRateLimited}, {someKey, ""}, {someKey, ""}, {"", protocol.CodeRateLimited},
	} {
		if got := register(test.key); got != test.want {
			t.Errorf("registration %d: got code %q, want %q", i, got, test.want)
		}
	}
}

func TestRateLimitBeforeValidation(t *testing.T) {
	t.Parallel()
	_, addr := start(t, server.Config{Now: newClock().Now, Rates: server.Rates{Query: 1}})
	p := dial(t, addr)
	if got := p.ask(`{"type":"resolve_hostname"}`); got.Error != "hostname required" {
		t.Fatalf("%+v", got)
	}
	if got := p.ask(`{"type":"resolve_hostname"}`); got.Code != protocol.CodeRateLimited {
		t.Fatalf("%+v", got)
	}
}

func TestRateLimitsOffAndExempt(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]server.Config{
		"off":    {Rates: server.RatesOff()},
		"exempt": {Rates: server.Rates{Heartbeat: 1}, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.Now = newClock().Now
			_, addr := start(t, cfg)
			p := dial(t, addr)
			for range 120 {
				if got := p.ask(`{"type":"heartbeat","node_id":1}`); got.Type != "heartbeat_ok" {
					t.Fatalf("%+v", got)
				}
			}
		})
	}
}

func TestRateLimitMemoryIsBounded(t *testing.T) {
	t.Parallel()
	pipes, clock := newPipes(), newClock()
	startOn(t, server.Config{Now: clock.Now, Rates: server.Rates{Heartbeat: 1, MaxSources: 4}}, pipes)
	beat := func(source string) string {
		p := pipes.dial(t, source)
		defer p.nc.Close()
		return p.ask(`{"type":"heartbeat"}`).Code
	}
	if beat("10.0.0.1:1") != "" || beat("10.0.0.1:2") != protocol.CodeRateLimited {
		t.Fatal("the port must not matter")
	}
	if beat("[2001:db8::1]:1") != "" || beat("[2001:db8::1]:2") != protocol.CodeRateLimited {
		t.Fatal("IPv6 sources are limited too")
	}
	clock.Add(time.Minute)
	for i := range 4 {
		if beat(fmt.Sprintf("10.1.0.%d:1", i)) != "" {
			t.Fatal("a new source starts full, and takes the place of one whose bucket is full again")
		}
	}
	if beat("10.0.0.1:3") != "" || beat("10.1.0.3:2") != protocol.CodeRateLimited {
		t.Error("a source that was refused is remembered, one that rests is not")
	}
}

// Coming from many other addresses must not give a refused source a new bucket.
func TestRefusedSourceStaysRefused(t *testing.T) {
	t.Parallel()
	pipes, clock := newPipes(), newClock()
	startOn(t, server.Config{Now: clock.Now, Rates: server.Rates{Heartbeat: 1, MaxSources: 64}}, pipes)
	beat := func(source string) string {
		p := pipes.dial(t, source)
		defer p.nc.Close()
		return p.ask(`{"type":"heartbeat"}`).Code
	}
	beat("10.0.0.1:1")
	beat("[2001:db8:1:1::1]:1")
	for i := range 256 {
		beat(fmt.Sprintf("10.1.%d.%d:1", i%8, i))
		beat(fmt.Sprintf("[2001:db8:%x:1::1]:1", i+16))
	}
	for _, source := range []string{"10.0.0.1:2", "[2001:db8:1:1::1]:2"} {
		if beat(source) != protocol.CodeRateLimited {
			t.Errorf("%s has a full bucket again after 512 other sources came", source)
		}
	}
}

// One customer has a /64, one site a /48: neither has more by having more addresses.
func TestIPv6NetworkIsOneSource(t *testing.T) {
	t.Parallel()
	pipes := newPipes()
	startOn(t, server.Config{Now: newClock().Now, Rates: server.Rates{Heartbeat: 3}}, pipes)
	passed := func(format string) (n int) {
		for i := range 100 {
			p := pipes.dial(t, fmt.Sprintf(format, i))
			if p.ask(`{"type":"heartbeat"}`).Code == "" {
				n++
			}
			p.nc.Close()
		}
		return n
	}
	if n := passed("[2001:db8:1:1::%x]:1"); n != 3 {
		t.Errorf("%d requests of one /64 passed, want 3", n)
	}
	if n := passed("[2001:db8:2:%x::1]:1"); n != 3*16 {
		t.Errorf("%d requests of one /48 passed, want %d", n, 3*16)
	}
	if n := passed("[2001:db8:3:1::%x]:1"); n != 3 {
		t.Errorf("%d requests of another site passed, want 3", n)
	}
}

func TestExemptMatchesEveryFormOfAnAddress(t *testing.T) {
	t.Parallel()
	pipes := newPipes()
	startOn(t, server.Config{Now: newClock().Now, Rates: server.Rates{Heartbeat: 1},
		Exempt: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104"), netip.MustParsePrefix("fe80::/10")}}, pipes)
	for _, source := range []string{"10.1.2.3:1", "[::ffff:10.1.2.3]:1", "[fe80::1%lo]:1"} {
		p := pipes.dial(t, source)
		for range 3 {
			if got := p.ask(`{"type":"heartbeat"}`); got.Type != "heartbeat_ok" {
				t.Errorf("%s is limited: %+v", source, got)
			}
		}
	}
	_, err := server.New(server.Config{Backend: &backend{}, Exempt: []netip.Prefix{netip.MustParsePrefix("::ffff:0:0/90")}})
	if err == nil || !strings.Contains(err.Error(), "write 0.0.0.0/0") {
		t.Errorf("a range that can never match as it was meant: %v", err)
	}
}

func TestIPv6SourceInTexts(t *testing.T) {
	t.Parallel()
	pipes := newPipes()
	startOn(t, server.Config{Now: newClock().Now, Rates: server.Rates{Heartbeat: 1}}, pipes)
	for source, want := range map[string]string{"[2001:db8::1]:9": "2001:db8::1", "[::ffff:10.1.2.3]:9": "10.1.2.3"} {
		p := pipes.dial(t, source)
		p.ask(`{"type":"heartbeat"}`)
		if got := p.ask(`{"type":"heartbeat"}`).Error; got != "rate limited: too many heartbeats from "+want {
			t.Error(got)
		}
	}
}

func TestConnectionCaps(t *testing.T) {
	t.Parallel()
	t.Run("source", func(t *testing.T) {
		t.Parallel()
		pipes, metrics := newPipes(), &counters{}
		startOn(t, server.Config{MaxConnsPerSource: 2, Metrics: metrics, Exempt: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}, pipes)
		hold := []*peer{pipes.dial(t, "10.0.0.1:1"), pipes.dial(t, "10.0.0.1:2")}
		for _, p := range hold {
			p.ask(`{"type":"lookup"}`)
		}
		pipes.dial(t, "10.0.0.1:3").wantClosed()
		pipes.dial(t, "10.0.0.2:1").ask(`{"type":"lookup"}`)
		for i := range 3 {
			pipes.dial(t, fmt.Sprintf("10.9.0.1:%d", i+1)).ask(`{"type":"lookup"}`)
		}
		if metrics.get("refused source") != 1 {
			t.Errorf("refusals: %v", metrics)
		}
	})
	t.Run("total, and places are given back", func(t *testing.T) {
		t.Parallel()
		metrics := &counters{}
		pipes := newPipes()
		s := startOn(t, server.Config{MaxConns: 2, Metrics: metrics}, pipes)
		a, b := pipes.dial(t, "10.0.0.1:1"), pipes.dial(t, "10.0.0.2:1")
		a.ask(`{"type":"lookup"}`)
		b.ask(`{"type":"lookup"}`)
		pipes.dial(t, "10.0.0.3:1").wantClosed()
		a.nc.Close()
		await(t, func() bool { return s.Conns() == 1 })
		pipes.dial(t, "10.0.0.3:2").ask(`{"type":"lookup"}`)
		if metrics.get("refused total") != 1 {
			t.Errorf("refusals: %v", metrics)
		}
	})
}

// A flood of connections meets its own ceiling: others still get in.
func TestOneNetworkCannotUseUpTheConnections(t *testing.T) {
	t.Parallel()
	pipes, metrics := newPipes(), &counters{}
	s := startOn(t, server.Config{MaxConns: 64, MaxConnsPerSource: 4, Metrics: metrics}, pipes)
	for i := range 80 {
		pipes.dial(t, fmt.Sprintf("[2001:db8:1:1::%x]:1", i+1))
	}
	await(t, func() bool { return metrics.get("refused source") == 76 })
	for i := range 80 {
		pipes.dial(t, fmt.Sprintf("[2001:db8:2:%x::1]:1", i+1))
	}
	await(t, func() bool { return metrics.get("refused network") == 48 })
	if s.Conns() != 4+32 {
		t.Errorf("a /64 and a /48 have %d connections, want 4 and 32", s.Conns())
	}
	for range 12 { // many greedy sources
		for i := range 20 {
			pipes.dial(t, fmt.Sprintf("10.0.0.%d:1", i+1))
		}
	}
	pipes.dial(t, "192.0.2.1:1").ask(`{"type":"lookup"}`)
}

// await polls for an event that another goroutine brings about.
func await(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal("waited in vain")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestPerMinuteText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]server.PerMinute{"off": server.Off, "OFF": server.Off, "1": 1, " 250 ": 250} {
		var p server.PerMinute
		if err := p.UnmarshalText([]byte(text)); err != nil || p != want {
			t.Errorf("%q: %d, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "1.5", "many"} {
		var p server.PerMinute
		if err := p.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was accepted as %d", text, p)
		}
	}
}

// Who is refused is told when to come again.
func TestRateLimitedSaysWhenToRetry(t *testing.T) {
	t.Parallel()
	_, addr := start(t, server.Config{Now: newClock().Now, Rates: server.Rates{Query: 1}})
	p := dial(t, addr)
	p.ask(`{"type":"lookup","node_id":1}`)
	p.write(protocol.AppendFrame(nil, []byte(`{"type":"lookup","node_id":1}`)))
	if got := string(p.read()); !strings.Contains(got, `"retry_after_ms":60001`) {
		t.Errorf("got %s", got)
	}
}
