// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/json"
	"fmt"
	"net"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// oneConn is a listener with one connection.
type oneConn struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// A request costs no more allocations, from its frame to the frame of its
// reply, than it did when these bounds were set.
func TestARequestAllocatesNoMoreThanItDid(t *testing.T) {
	if raceDetector {
		t.Skip("skipped: under the race detector pools drop what they are given at random")
	}
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	e.catchUp()
	s, err := server.New(server.Config{Backend: c.g, Rates: server.RatesOff()})
	if err != nil {
		t.Fatal(err)
	}
	l := &oneConn{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	go s.Serve(l)
	defer s.Close()
	defer close(l.done)
	near, far := net.Pipe()
	l.conns <- far
	defer near.Close()
	beat := map[string]any{"type": "heartbeat", "node_id": id, "signature": c.sign(fmt.Sprintf("heartbeat:%d", id))}
	polo := map[string]any{"type": "update_polo_score", "node_id": id, "delta": 5, "request_id": "r1"}
	c.call(polo)
	e.catchUp()
	for _, x := range []struct {
		name   string
		fields map[string]any
		most   float64
	}{
		{"a read", map[string]any{"type": "lookup", "node_id": id}, 45},
		{"a read with index and age", map[string]any{"type": "lookup", "node_id": id, "consistency": "stale"}, 51},
		{"a refused read", map[string]any{"type": "lookup", "node_id": 99}, 43},
		{"a remembered write", polo, 51},
		{"a write without effect", map[string]any{"type": "set_tags", "node_id": id, "tags": []string{}, "signature": c.sign(fmt.Sprintf("set_tags:%d", id))}, 66},
		{"a heartbeat", beat, 68},
		{"a list shared by all", map[string]any{"type": "beacon_list"}, 34},
	} {
		raw, err := json.Marshal(x.fields)
		if err != nil {
			t.Fatal(err)
		}
		request, buf := protocol.AppendFrame(nil, raw), make([]byte, 0, 64<<10)
		ask := func() {
			if _, err := near.Write(request); err != nil {
				t.Fatal(err)
			}
			if _, err := protocol.ReadFrame(near, 64<<10, buf); err != nil {
				t.Fatal(err)
			}
			e.catchUp()
		}
		ask()
		n := testing.AllocsPerRun(200, ask)
		t.Logf("%s: %.0f", x.name, n)
		if n > x.most {
			t.Errorf("%s: %.0f allocations, at most %.0f before", x.name, n, x.most)
		}
	}
}
