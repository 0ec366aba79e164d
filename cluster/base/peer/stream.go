// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// StreamLayer is the raft side of a peer listener. Closing it leaves the
// listener and the RPC connections alone.
type StreamLayer struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once

	id   *Identity
	dial DialFunc

	mu  sync.Mutex
	out map[net.Conn]struct{}
}

var _ raft.StreamLayer = (*StreamLayer)(nil)

// Raft returns the raft side of the listener, which dials with dial (NetDial when nil).
func (s *Server) Raft(dial DialFunc) *StreamLayer {
	if dial == nil {
		dial = NetDial
	}
	s.raft.mu.Lock()
	defer s.raft.mu.Unlock()
	s.raft.id, s.raft.dial = s.cfg.Identity, dial
	return s.raft
}

// RaftAddress joins a member id and its peer address into the address raft
// hands to Dial, so that Dial can verify whom it reached.
func RaftAddress(memberID, addr string) raft.ServerAddress {
	return raft.ServerAddress(memberID + "@" + addr)
}

// Dial opens a raft connection to an address made by RaftAddress.
func (l *StreamLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, ErrClosed
	default:
	}
	member, addr, ok := strings.Cut(string(address), "@")
	if !ok {
		return nil, fmt.Errorf("raft address %q names no member", address)
	}
	if timeout <= 0 || timeout > dialTimeout {
		timeout = dialTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := dialMember(ctx, l.dial, l.id, ProtoRaft, member, addr)
	if err != nil {
		return nil, err
	}
	tracked, err := l.track(conn)
	if err != nil {
		return nil, err
	}
	return tracked, nil
}

// track remembers an open connection so that Close can end it.
func (l *StreamLayer) track(conn *tls.Conn) (*trackedConn, error) {
	t := &trackedConn{Conn: conn, closed: make(chan struct{})}
	t.onClose = func() {
		l.mu.Lock()
		delete(l.out, t)
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		_ = conn.NetConn().Close()
		return nil, ErrClosed
	default:
	}
	l.out[t] = struct{}{}
	return t, nil
}

// deliver hands an accepted connection to raft.
func (l *StreamLayer) deliver(conn net.Conn) bool {
	select {
	case l.conns <- conn:
		return true
	case <-l.closed:
		return false
	}
}

// Accept waits for a raft connection of another member.
func (l *StreamLayer) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends raft's part of the listener and all raft connections.
func (l *StreamLayer) Close() error {
	l.once.Do(func() {
		l.mu.Lock()
		close(l.closed)
		open := make([]net.Conn, 0, len(l.out))
		for c := range l.out {
			open = append(open, c)
		}
		l.mu.Unlock()
		for _, c := range open {
			_ = c.Close()
		}
	})
	return nil
}

// Addr is the listener's address.
func (l *StreamLayer) Addr() net.Addr { return l.addr }

// trackedConn tells when raft has closed it. It closes the TCP connection
// directly: a close-notify could block on a stalled peer.
type trackedConn struct {
	*tls.Conn
	once    sync.Once
	closed  chan struct{}
	onClose func()
}

func (c *trackedConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.NetConn().Close()
		close(c.closed)
		if c.onClose != nil {
			c.onClose()
		}
	})
	return err
}
