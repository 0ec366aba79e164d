// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"net"
	"sync"
)

// faults decide about the connections between members, by (source, destination).
// A cut fails new dials and stops bytes both ways, silently, as a partition
// does; what was on its way stays on its way.
type faults struct {
	mu    sync.Mutex
	cond  *sync.Cond
	cuts  map[[2]string]bool
	holds map[[3]string]bool
}

func newFaults() *faults {
	f := &faults{cuts: map[[2]string]bool{}, holds: map[[3]string]bool{}}
	f.cond = sync.NewCond(&f.mu)
	return f
}

// cut stops everything that a sends to b, and every dial from a to b.
func (f *faults) cut(a, b *member) { f.set(func() { f.cuts[[2]string{a.id, b.id}] = true }) }

// isolate cuts a from the others, both ways.
func (f *faults) isolate(a *member, others ...*member) {
	for _, o := range others {
		f.cut(a, o)
		f.cut(o, a)
	}
}

// hold keeps the answers that b sends to a on connections a has dialled for proto.
func (f *faults) hold(proto string, a, b *member) (release func()) {
	key := [3]string{proto, a.id, b.id}
	f.set(func() { f.holds[key] = true })
	return func() { f.set(func() { delete(f.holds, key) }) }
}

func (f *faults) heal() { f.set(func() { clear(f.cuts); clear(f.holds) }) }

func (f *faults) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	f.cond.Broadcast()
}

func (f *faults) dialer(src func() string) func(ctx context.Context, proto, dst, addr string) (net.Conn, error) {
	return func(ctx context.Context, proto, dst, addr string) (net.Conn, error) {
		f.mu.Lock()
		cut := f.cuts[[2]string{src(), dst}] || f.cuts[[2]string{dst, src()}]
		f.mu.Unlock()
		if cut {
			return nil, errors.New("cut by the test")
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return &faultConn{Conn: conn, f: f, src: src(), dst: dst, proto: proto}, nil
	}
}

// faultConn is the dialling end of a connection.
type faultConn struct {
	net.Conn
	f               *faults
	src, dst, proto string
	closed          bool
}

// wait blocks while the condition holds.
func (c *faultConn) wait(blocked func() bool) error {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	for blocked() && !c.closed {
		c.f.cond.Wait()
	}
	if c.closed {
		return net.ErrClosed
	}
	return nil
}

func (c *faultConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	held := func() bool {
		return c.f.cuts[[2]string{c.dst, c.src}] || c.f.holds[[3]string{c.proto, c.src, c.dst}]
	}
	if werr := c.wait(held); werr != nil {
		return 0, werr
	}
	return n, err
}

func (c *faultConn) Write(p []byte) (int, error) {
	if err := c.wait(func() bool { return c.f.cuts[[2]string{c.src, c.dst}] }); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *faultConn) Close() error {
	c.f.set(func() { c.closed = true })
	return c.Conn.Close()
}
