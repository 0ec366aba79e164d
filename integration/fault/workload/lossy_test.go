// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
)

// lossy is a network that now and then loses a request or a reply, and the
// connection with it: the client cannot tell which.
type lossy struct {
	mu     sync.Mutex
	rng    *rand.Rand
	healed bool
}

func newLossy(seed uint64) *lossy { return &lossy{rng: rand.New(rand.NewPCG(seed, 0))} }

func (l *lossy) chance(percent int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.healed && l.rng.IntN(100) < percent
}

// heal ends the losses.
func (l *lossy) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.healed = true
}

func (l *lossy) dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &lossyConn{Conn: nc, net: l}, nil
}

type lossyConn struct {
	net.Conn
	net *lossy
}

func (c *lossyConn) Write(b []byte) (int, error) {
	if c.net.chance(3) {
		c.Close()
		return len(b), nil // it looks sent
	}
	return c.Conn.Write(b)
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b) // so that the request has been carried out
	if err == nil && c.net.chance(6) {
		c.Close()
		return 0, syscall.ECONNRESET
	}
	return n, err
}
