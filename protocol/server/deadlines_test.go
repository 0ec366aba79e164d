// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// A client of TLS 1.3 may change its keys at any time and have the server change
// its own. That is answered while reading, so writing must have the time of
// reading: not that of the last reply, after which a client that rested would
// lose its connection, and not all time, which who reads nothing would use.
func TestKeysMayChangeOnARestingConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		startOn(t, server.Config{}, pipes)
		near, far := net.Pipe()
		conn := &deadlines{pipeConn: pipeConn{Conn: far, remote: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1}}}
		pipes.conns <- conn
		p := wrap(t, near)
		for range 3 {
			p.ask(`{"type":"lookup","node_id":1}`)
			time.Sleep(time.Minute) // of the test's clock
		}
		p.nc.Close()
		synctest.Wait()
		if conn.reads == 0 || conn.short > 0 {
			t.Errorf("%d of %d reads began with less time for writing than for reading", conn.short, conn.reads)
		}
	})
}

// deadlines is a connection that compares them whenever it is read.
type deadlines struct {
	pipeConn

	mu           sync.Mutex
	read, write  time.Time
	reads, short int
}

func (d *deadlines) set(at time.Time, deadlines ...*time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, deadline := range deadlines {
		*deadline = at
	}
}

func (d *deadlines) SetDeadline(at time.Time) error {
	d.set(at, &d.read, &d.write)
	return d.pipeConn.SetDeadline(at)
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set(at, &d.read)
	return d.pipeConn.SetReadDeadline(at)
}

func (d *deadlines) SetWriteDeadline(at time.Time) error {
	d.set(at, &d.write)
	return d.pipeConn.SetWriteDeadline(at)
}

func (d *deadlines) Read(b []byte) (int, error) {
	d.mu.Lock()
	d.reads++
	if d.write.IsZero() || d.write.Before(d.read) {
		d.short++
	}
	d.mu.Unlock()
	return d.pipeConn.Read(b)
}
