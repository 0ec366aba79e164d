// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// wire is one connection to one member with at most one request in flight.
type wire struct {
	net.Conn
	addr    string
	session string
	in      *bufio.Reader
}

// stale reports whether the other side has closed a resting connection, so
// that sending on it would only make one more unknown outcome.
func (w *wire) stale() bool {
	sc, ok := w.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	closed := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = err != syscall.EAGAIN || n > 0 // ended, reset, or a reply that nobody asked for
	})
	return closed || err != nil
}

// exchange sends a frame and waits for its reply. sent is true once a byte may
// have left. After an error the connection is of no use.
func (w *wire) exchange(frame []byte, timeout time.Duration) (reply []byte, sent bool, err error) {
	if err := w.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, false, err
	}
	if n, err := w.Write(frame); err != nil {
		return nil, n > 0, err
	}
	reply, err = protocol.ReadFrame(w.in, protocol.MaxClientReplyBytes, nil)
	return reply, true, err
}

// connection returns a resting connection to a member, or a new one.
func (c *Client) connection(ctx context.Context, m Member) (*wire, error) {
	if w := c.wires[m.Name]; w != nil {
		if w.addr == m.Addr && !w.stale() {
			return w, nil
		}
		c.hangUp(m.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, c.env.Timeout)
	defer cancel()
	nc, err := c.env.Dial(ctx, m.Addr)
	if err != nil {
		return nil, err
	}
	c.dials++
	w := &wire{Conn: nc, addr: m.Addr, session: fmt.Sprintf("%s/%s#%d", c.name, m.Name, c.dials), in: bufio.NewReader(nc)}
	c.wires[m.Name] = w
	return w, nil
}

func (c *Client) hangUp(member string) {
	if w := c.wires[member]; w != nil {
		w.Close()
		delete(c.wires, member)
	}
}
