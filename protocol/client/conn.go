// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// conn is one connection with at most one request in flight.
type conn struct {
	nc     net.Conn
	addr   string
	reused bool
	rested time.Time
}

// errSpeaksTLS says that a plain connection was answered by a TLS server.
var errSpeaksTLS = errors.New("the server speaks TLS and this client does not: give a pin or a CA file")

// exchange sends one frame and waits for its reply, at most timeout and no
// longer than ctx. After an error the connection is of no use.
func (c *conn) exchange(ctx context.Context, frame []byte, timeout time.Duration) ([]byte, error) {
	if err := c.nc.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := c.nc.Write(frame); err != nil {
		return nil, withContext(ctx, err)
	}
	var header [protocol.FrameHeaderBytes]byte
	if _, err := io.ReadFull(c.nc, header[:]); err != nil {
		return nil, withContext(ctx, err)
	}
	// A TLS server answers plain bytes with an alert: 0x15, version 3.x.
	if header[0] == 0x15 && header[1] == 3 {
		return nil, errSpeaksTLS
	}
	body, err := protocol.ReadFrameBody(c.nc, binary.BigEndian.Uint32(header[:]), protocol.MaxClientReplyBytes, nil)
	if err != nil {
		return nil, withContext(ctx, err)
	}
	return body, nil
}

// withContext names the context as the reason when it was.
func withContext(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// take returns a resting connection to the address in use, or a new one.
func (c *Client) take(ctx context.Context, p *call) (*conn, *failure) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, p.fail(final, CodeClosed, "", nil, "client closed")
	}
	addr := c.opts.Addrs[c.next]
	var conn *conn
	if p.resendable { // a resting connection may be dead, and that is only found out by sending
		conn = c.popIdle(addr)
	}
	c.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	nc, err := c.dial(ctx, addr)
	if err != nil {
		kind, code := unreachable, CodeUnreachable
		if isUntrusted(err) {
			kind, code = untrusted, CodeUntrusted
		}
		return nil, p.fail(kind, code, addr, []error{err}, "cannot reach registry at %s: %s", addr, inWords(err))
	}
	conn = newConn(nc, addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		nc.Close()
		return nil, p.fail(final, CodeClosed, "", nil, "client closed")
	}
	c.all[conn] = struct{}{}
	return conn, nil
}

func newConn(nc net.Conn, addr string) *conn { return &conn{nc: nc, addr: addr} }

// popIdle returns the most recently used connection to addr. Connections to
// other addresses and those that rested too long are closed on the way.
func (c *Client) popIdle(addr string) *conn {
	for len(c.idle) > 0 {
		last := c.idle[len(c.idle)-1]
		c.idle = c.idle[:len(c.idle)-1]
		if last.addr == addr && time.Since(last.rested) < idleTimeout {
			last.reused = true
			return last
		}
		delete(c.all, last)
		last.nc.Close()
	}
	return nil
}

// put lets a connection rest until the next call.
func (c *Client) put(conn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.nc.Close()
		return
	}
	conn.rested = time.Now()
	c.idle = append(c.idle, conn)
}

func (c *Client) drop(conn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, conn)
	conn.nc.Close()
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// rotate moves on from an address that failed, unless another call has done so.
func (c *Client) rotate(failed string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opts.Addrs[c.next] == failed {
		c.next = (c.next + 1) % len(c.opts.Addrs)
	}
}

// dial connects and, with TLS, shakes hands, within five seconds.
func (c *Client) dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nc, err := c.opts.Dialer(ctx, "tcp", addr)
	if err != nil || c.opts.TLS == nil {
		return nc, err
	}
	cfg := c.opts.TLS
	if cfg.ServerName == "" && !cfg.InsecureSkipVerify {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			nc.Close()
			return nil, err
		}
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	secured := tls.Client(nc, cfg)
	if err := secured.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return secured, nil
}

// isUntrusted tells failures that no waiting cures from those it may.
func isUntrusted(err error) bool {
	if errors.Is(err, ErrPinMismatch) {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
}
