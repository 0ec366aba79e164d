// SPDX-License-Identifier: Apache-2.0

package termguard

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// pipes is a network within the process.
type pipes struct {
	mu    sync.Mutex
	ends  map[string]chan net.Conn
	conns []net.Conn
}

// hangUp closes every connection. A transport leaves those it has accepted open,
// each with half a MiB of buffers.
func (n *pipes) hangUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		_ = c.Close()
	}
	n.conns = nil
}

func (n *pipes) transport(id string) *raft.NetworkTransport {
	l := &pipeEnd{net: n, id: id, in: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	n.ends[id] = l.in
	n.mu.Unlock()
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: l, MaxPool: 2, MaxRPCsInFlight: 1, Timeout: time.Second, Logger: hclog.NewNullLogger(), MsgpackUseNewTimeFormat: true})
}

type pipeEnd struct {
	net    *pipes
	id     string
	in     chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (e *pipeEnd) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	e.net.mu.Lock()
	in := e.net.ends[string(to)]
	e.net.mu.Unlock()
	if in == nil {
		return nil, errors.New("nobody is there")
	}
	a, b := net.Pipe()
	select {
	case in <- b:
		e.net.mu.Lock()
		e.net.conns = append(e.net.conns, a, b)
		e.net.mu.Unlock()
		return a, nil
	case <-e.closed:
	case <-time.After(timeout):
	}
	return nil, net.ErrClosed
}

func (e *pipeEnd) Accept() (net.Conn, error) {
	select {
	case c := <-e.in:
		return c, nil
	case <-e.closed:
		return nil, net.ErrClosed
	}
}

func (e *pipeEnd) Close() error   { e.once.Do(func() { close(e.closed) }); return nil }
func (e *pipeEnd) Addr() net.Addr { return pipeAddr(e.id) }

type pipeAddr string

func (a pipeAddr) Network() string { return "pipe" }
func (a pipeAddr) String() string  { return string(a) }
