// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

const mib = 1 << 20

// large answers list_nodes and beacon_list with 4 MiB, everything else shortly.
func large(built *counters) *backend {
	big := []byte(`{"pad":"` + strings.Repeat("x", 4*mib) + `","type":"x"}`)
	return &backend{serve: func(_ context.Context, _ *server.ConnState, req *protocol.Request) []byte {
		built.add(req.Type)
		if req.Type == "list_nodes" || req.Type == "beacon_list" {
			return big
		}
		return fmt.Appendf(nil, `{"type":%q}`, req.Command.ReplyType())
	}}
}

// Clients that ask for large lists and do not read them: what they hold is
// bounded per source, the rest is refused, and others get their lists.
func TestClientsThatDoNotReadHoldOnlyTheirShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes, built, metrics := newPipes(), &counters{}, &counters{}
		s := startOn(t, server.Config{Backend: large(built), Metrics: metrics, Rates: server.RatesOff(), ReplyMemory: 64 * mib}, pipes)
		for i := range 100 {
			pipes.dial(t, fmt.Sprintf("10.0.0.1:%d", i+1)).send(`{"type":"list_nodes"}`)
		}
		synctest.Wait()
		// The part of a source is 8 MiB: one list may be made, then what is left
		// is less than the largest one.
		if n := built.get("list_nodes"); n != 1 {
			t.Errorf("%d lists were made for one source", n)
		}
		pipes.dial(t, "10.0.0.1:200").ask(`{"type":"lookup"}`)
		if got := pipes.dial(t, "10.0.0.2:1").ask(`{"type":"list_nodes"}`); got.Type != "x" {
			t.Errorf("another source is refused: %+v", got)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if n := metrics.get("list_nodes overloaded"); n != 99 {
			t.Errorf("%d were refused, want 99: %v", n, metrics)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if s.Conns() != 0 || metrics.get("slow reader") != 100 {
			t.Errorf("%d connections left: %v", s.Conns(), metrics)
		}
	})
}

// Replies that are not known to be long are refused when they are made.
func TestLargeReadsBeyondTheShareAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes, built, metrics := newPipes(), &counters{}, &counters{}
		startOn(t, server.Config{Backend: large(built), Metrics: metrics, ReplyMemory: 64 * mib}, pipes)
		pipes.dial(t, "10.0.0.1:1").send(`{"type":"beacon_list"}`)
		synctest.Wait()
		got := pipes.dial(t, "10.0.0.1:2").ask(`{"type":"beacon_list"}`)
		if got.Code != protocol.CodeOverloaded || got.Outcome != "not_applied" || !strings.Contains(got.Error, "10.0.0.1") {
			t.Errorf("beyond the part of a source: %+v", got)
		}
		if got := pipes.dial(t, "10.0.0.2:1").ask(`{"type":"beacon_list"}`); got.Type != "x" {
			t.Errorf("another source is refused: %+v", got)
		}
	})
}

// A list waits for the one before it, it is not refused.
func TestListsOfOneSourceWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes, built := newPipes(), &counters{}
		startOn(t, server.Config{Backend: large(built), Rates: server.RatesOff(), ReplyMemory: 64 * mib}, pipes)
		var all []*peer
		for i := range 20 {
			p := pipes.dial(t, fmt.Sprintf("10.0.0.1:%d", i+1))
			p.send(`{"type":"list_nodes"}`)
			all = append(all, p)
		}
		done := make(chan string, len(all))
		for _, p := range all {
			go func() { done <- p.recv().Type }()
		}
		for range all {
			if typ := <-done; typ != "x" {
				t.Errorf("a list was answered with %s", typ)
			}
		}
	})
}

func TestSlowReaderIsCutOffAtTheDeadlineOfTheWholeReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes, metrics := newPipes(), &counters{}
		s := startOn(t, server.Config{Backend: large(&counters{}), Metrics: metrics}, pipes)
		p := pipes.dial(t, "10.0.0.1:1")
		p.send(`{"type":"list_nodes"}`)
		buf, from := make([]byte, 64<<10), time.Now()
		for { // 16 KiB a second: every single write makes progress
			time.Sleep(4 * time.Second)
			if _, err := p.nc.Read(buf); err != nil {
				break
			}
		}
		if took := time.Since(from); took > 150*time.Second || metrics.get("slow reader") != 1 {
			t.Errorf("4 MiB were sent for %v: %v", took, metrics)
		}
		synctest.Wait()
		if s.Conns() != 0 {
			t.Error("the connection is still there")
		}
	})
}

// A reply is sent from where it lies, so one buffer can serve all.
func TestRepliesAreNotCopied(t *testing.T) {
	body := []byte(`{"pad":"` + strings.Repeat("x", 4*mib) + `"}`)
	_, addr := start(t, server.Config{Backend: &backend{
		serve: func(context.Context, *server.ConnState, *protocol.Request) []byte { return body },
	}})
	p := dial(t, addr)
	buf := make([]byte, 0, 5*mib)
	read := func() {
		p.send(`{"type":"beacon_list"}`)
		if _, err := protocol.ReadFrame(p.nc, 5*mib, buf); err != nil {
			t.Fatal(err)
		}
	}
	read()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		read()
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4*mib {
		t.Errorf("10 replies of 4 MiB allocated %d bytes", n)
	}
}

// A connection that rests after a large request keeps nothing of it.
func TestRestingConnectionKeepsNoBuffer(t *testing.T) {
	_, addr := start(t, server.Config{})
	heap := func() uint64 {
		var m runtime.MemStats
		for range 3 { // a sync.Pool keeps for two collections
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	pad := strings.Repeat("x", 60<<10)
	var all []*peer
	for range 200 {
		p := dial(t, addr)
		p.ask(`{"type":"lookup","node_id":1}`)
		all = append(all, p)
	}
	before := heap()
	for _, p := range all {
		p.ask(`{"type":"lookup","node_id":1,"pad":"` + pad + `"}`)
	}
	if n := int64(heap()) - int64(before); n > 200*(8<<10) {
		t.Errorf("200 resting connections keep %d bytes more after a large request", n)
	}
}
