// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// notes is a Logger that remembers its warnings.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) Debug(string, ...any) {}
func (n *notes) Info(string, ...any)  {}
func (n *notes) Error(string, ...any) {}
func (n *notes) Warn(msg string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, fmt.Sprint(append([]any{msg + ":"}, args...)...))
}

func (n *notes) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.list...)
}

// The newest command line listens for a moment before it asks, and gives up a
// connection on which anything comes.
func TestServerIsSilentUntilItIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		s := startOn(t, server.Config{}, pipes)
		p := pipes.dial(t, "10.0.0.1:1")
		p.nc.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := p.nc.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || s.Conns() != 1 {
			t.Errorf("before the first request: %d bytes, %v, %d connections", n, err, s.Conns())
		}
	})
}

// What is longer than by default is served where the operator allows it, in
// JSON as in binary mode, up to the bound and not beyond.
func TestLongRequestIsServedWhereItIsAllowed(t *testing.T) {
	t.Parallel()
	_, addr := start(t, server.Config{MaxRequest: protocol.MaxRequestLimit})
	p := dial(t, addr)
	for _, n := range []int{protocol.MaxRequestBytes + 1, 300_000, protocol.MaxRequestLimit} {
		if got := p.ask(padded(n)); got.NodeID != 7 {
			t.Errorf("%d bytes: %+v", n, got)
		}
	}
	p.write(header(protocol.MaxRequestLimit + 1))
	p.wantClosed()
	b := dial(t, addr)
	b.write([]byte(preamble))
	b.sendBinary(0x00, []byte(padded(protocol.MaxRequestLimit)))
	if got := b.read(); got[0] != 0x00 || !strings.Contains(string(got), "lookup_ok") {
		t.Errorf("binary: %.80q", got)
	}
}

// The sender of a request that is too long hears nothing; its operator finds
// who it was and how long, however many do it at once.
func TestTooLongRequestIsNamedInTheLog(t *testing.T) {
	t.Parallel()
	log, metrics, clock := &notes{}, &counters{}, newClock()
	pipes := newPipes()
	startOn(t, server.Config{Logger: log, Metrics: metrics, Now: clock.Now}, pipes)
	send := func(source string, n uint32) {
		p := pipes.dial(t, source)
		p.write(header(n))
		p.wantClosed()
	}
	send("10.0.0.1:5", 70_000)
	want := "connection closed: its request is longer than wire.max_request:source10.0.0.1:5bytes70000max65536"
	if got := log.all(); len(got) != 1 || got[0] != want {
		t.Fatalf("logged %q, want %q", got, want)
	}
	for range 3 {
		send("10.0.0.1:6", 70_000) // named a moment ago
	}
	send("10.0.0.3:7", 0x47455420) // "GET "
	send("10.0.0.2:7", 80_000)
	want = "connection closed: its request is longer than wire.max_request:source10.0.0.2:7bytes80000max65536others_not_named3"
	if got := log.all(); len(got) != 2 || got[1] != want {
		t.Fatalf("logged %q, want %q", got, want)
	}
	for i := range 60 {
		send(fmt.Sprintf("10.1.0.%d:1", i), 70_000)
	}
	if got := len(log.all()); got != 20 {
		t.Errorf("%d lines for many sources at once, want 20", got)
	}
	clock.Add(time.Minute)
	send("10.0.0.1:5", 70_000)
	if got := len(log.all()); got != 21 {
		t.Errorf("%d lines a minute later, want 21", got)
	}
	if long, odd := metrics.get("malformed request_too_long"), metrics.get("malformed frame_too_large"); long != 66 || odd != 1 {
		t.Errorf("counted %d too long and %d that are no requests, want 66 and 1", long, odd)
	}
}

// Long requests that are being served hold memory: one source has its part,
// others still find room, and who waits is served when room is given back.
func TestLongRequestsHoldOnlyTheirShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes, metrics, gate := newPipes(), &counters{}, make(chan struct{})
		startOn(t, server.Config{MaxRequest: protocol.MaxRequestLimit, Metrics: metrics, Rates: server.RatesOff(), Backend: &backend{
			serve: func(context.Context, *server.ConnState, *protocol.Request) []byte {
				<-gate
				return []byte(`{"node_id":7,"type":"lookup_ok"}`)
			},
		}}, pipes)
		const each = server.LongRequestMemory / 8 / 8 / protocol.MaxRequestLimit
		ask := func(source string) *peer {
			p := pipes.dial(t, source)
			go p.nc.Write(frame(padded(protocol.MaxRequestLimit)))
			return p
		}
		var served []*peer
		for range each {
			served = append(served, ask("10.0.0.1:1"))
		}
		synctest.Wait()
		starved, other := ask("10.0.0.1:2"), ask("10.0.0.2:1")
		synctest.Wait()
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if n := metrics.get("malformed no_room"); n != 1 {
			t.Errorf("%d connections found no room, want the one above its source's part", n)
		}
		starved.wantClosed()
		waits := ask("10.0.0.1:3")
		synctest.Wait()
		close(gate)
		for _, p := range append(served, other, waits) {
			if got := p.recv(); got.NodeID != 7 {
				t.Errorf("%+v", got)
			}
		}
	})
}
