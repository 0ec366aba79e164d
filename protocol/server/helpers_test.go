// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// backend is a Backend made of functions. Without them it answers every
// request with its command's reply type and node id.
type backend struct {
	serve     func(ctx context.Context, conn *server.ConnState, req *protocol.Request) []byte
	reply     func(req *protocol.Request) server.Reply
	known     func(key string) bool
	subscribe func(ctx context.Context, conn *server.ConnState, req *protocol.Request, send func([]byte) error) *protocol.Error
}

func (b *backend) Serve(ctx context.Context, conn *server.ConnState, req *protocol.Request) server.Reply {
	if b.serve != nil {
		return server.Reply{Body: protocol.Rendered(b.serve(ctx, conn, req))}
	}
	if b.reply != nil {
		return b.reply(req)
	}
	id := uint32(0)
	if r, ok := req.Body.(*protocol.NodeRequest); ok {
		id = r.NodeID
	}
	return server.Reply{Body: protocol.Rendered(fmt.Appendf(nil, `{"node_id":%d,"type":%q}`, id, req.Command.ReplyType()))}
}

func (b *backend) Repeats(r *protocol.Register) bool { return b.known != nil && b.known(r.PublicKey) }

func (b *backend) Subscribe(ctx context.Context, conn *server.ConnState, req *protocol.Request, send func([]byte) error) *protocol.Error {
	if b.subscribe != nil {
		return b.subscribe(ctx, conn, req, send)
	}
	return protocol.Errorf(protocol.CodeTokenInvalid, "replication not configured")
}

// counters is a Metrics that remembers.
type counters struct {
	mu sync.Mutex
	m  map[string]int
}

func (c *counters) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[string]int{}
	}
	c.m[name]++
}

func (c *counters) get(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m[name]
}

func (c *counters) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(c.m)
}

func (c *counters) ConnOpened()               { c.add("opened") }
func (c *counters) ConnClosed()               { c.add("closed") }
func (c *counters) ConnRefused(reason string) { c.add("refused " + reason) }
func (c *counters) Request(_ context.Context, command, code string, _ time.Duration) {
	c.add(command + " " + code)
}
func (c *counters) Malformed(reason string)              { c.add("malformed " + reason) }
func (c *counters) RateLimited(class protocol.RateClass) { c.add("limited " + string(class)) }
func (c *counters) SlowReader()                          { c.add("slow reader") }
func (c *counters) Panicked(command string)              { c.add("panicked " + command) }
func (c *counters) AcceptFailed()                        { c.add("accept failed") }

// start serves cfg on a loopback port until the test ends.
func start(t testing.TB, cfg server.Config) (*server.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, cfg, l), l.Addr().String()
}

func startOn(t testing.TB, cfg server.Config, l net.Listener) *server.Server {
	t.Helper()
	if cfg.Backend == nil {
		cfg.Backend = &backend{}
	}
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return s
}

// peer is the client side of a connection.
type peer struct {
	t  testing.TB
	nc net.Conn
}

func dial(t testing.TB, addr string) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return wrap(t, nc)
}

func wrap(t testing.TB, nc net.Conn) *peer {
	t.Cleanup(func() { nc.Close() })
	return &peer{t: t, nc: nc}
}

func frame(body string) []byte { return protocol.AppendFrame(nil, []byte(body)) }

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

func (p *peer) send(body string) {
	p.t.Helper()
	p.write(frame(body))
}

func (p *peer) read() []byte {
	p.t.Helper()
	b, err := protocol.ReadFrame(p.nc, protocol.MaxClientReplyBytes, nil)
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	return b
}

type reply struct {
	Type    string `json:"type"`
	NodeID  uint32 `json:"node_id"`
	Code    string `json:"code"`
	Error   string `json:"error"`
	Outcome string `json:"outcome"`
}

func (p *peer) recv() reply {
	p.t.Helper()
	var r reply
	b := p.read()
	if err := json.Unmarshal(b, &r); err != nil {
		p.t.Fatalf("reply %q: %v", b, err)
	}
	return r
}

func (p *peer) ask(body string) reply {
	p.t.Helper()
	p.send(body)
	return p.recv()
}

// wantClosed waits for the end of the connection and fails on any byte.
func (p *peer) wantClosed() {
	p.t.Helper()
	b, err := io.ReadAll(p.nc)
	if len(b) > 0 {
		p.t.Fatalf("got %d bytes before the close: %q", len(b), b)
	}
	if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.ErrClosedPipe) {
		p.t.Fatalf("close: %v", err)
	}
}

// pipeListener hands out in-memory connections, for tests with a fake clock.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (l *pipeListener) dial(t testing.TB, source string) *peer {
	near, far := net.Pipe()
	addr, err := net.ResolveTCPAddr("tcp", source)
	if err != nil {
		t.Fatal(err)
	}
	l.conns <- &pipeConn{Conn: far, remote: addr}
	return wrap(t, near)
}

type pipeConn struct {
	net.Conn
	remote net.Addr
}

func (c *pipeConn) RemoteAddr() net.Addr { return c.remote }
