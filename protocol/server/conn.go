// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

const (
	// readBuffer is the buffered reader of a connection. Small: many
	// connections rest, and a pipelining client gains little beyond it.
	readBuffer = 4 << 10
	// firstBody is the size of a new request buffer.
	firstBody = 4 << 10
	// lingerTime and lingerBytes bound how long a connection that is closed
	// with unread input waits for its peer: closing it outright would make the
	// kernel reset it and take back replies the peer has not read yet.
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

// conn is one client connection. One goroutine reads, serves and writes, so
// requests are strictly in order.
type conn struct {
	srv    *Server
	nc     net.Conn // the socket: deadlines and closing
	rw     net.Conn // nc, or TLS over it
	in     *bufio.Reader
	ip     netip.Addr
	source share.Source // whose budgets the connection counts in
	exempt bool         // budgets per source do not apply
	state  ConnState

	arrived time.Time // when the frame that is read began to arrive; with a Tracer only

	held     int64 // reply bytes counted in Server.replies, which guards it
	longHeld int64 // bytes of a long request counted in Server.long, likewise
	replied  bool  // something was written, so lingering makes sense

	mu       sync.Mutex
	busy     bool // a request has been read and is not answered yet
	draining bool
}

func newConn(s *Server, nc net.Conn) *conn {
	source := nc.RemoteAddr().String()
	ip := netip.Addr{}
	if ap, err := netip.ParseAddrPort(source); err == nil {
		ip = ap.Addr().Unmap()
		source = netip.AddrPortFrom(ip, ap.Port()).String()
	}
	return &conn{srv: s, nc: nc, ip: ip, source: share.Of(ip), exempt: s.rates.exempt.Has(ip), state: ConnState{Source: source}}
}

// errDraining ends a connection between two requests.
var errDraining = errors.New("server is draining")

func (c *conn) serve() {
	defer c.nc.Close()
	defer c.srv.long.release(c, &c.longHeld)
	defer func() {
		if p := recover(); p != nil { // a defect outside the handlers: only this connection ends
			c.srv.cfg.Metrics.Panicked("unknown")
			c.srv.cfg.Logger.Error("connection ended by a defect", "source", c.state.Source, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if err := c.open(); err != nil {
		c.srv.cfg.Logger.Debug("connection ended before its first request", "source", c.state.Source, "error", err)
		return
	}
	if err := c.loop(); err != nil && !errors.Is(err, io.EOF) {
		c.srv.cfg.Logger.Debug("connection closed", "source", c.state.Source, "reason", err)
	}
	c.linger()
}

// loop serves frames until the connection has to be closed and says why.
func (c *conn) loop() error {
	for first := true; ; first = false {
		n, err := c.readHeader()
		if err != nil {
			return err
		}
		if first && n == binaryMagic && !c.srv.cfg.NoBinary {
			return c.serveBinary()
		}
		req, err := c.readRequest(n)
		if err != nil {
			return err
		}
		if err := c.answer(req, Reply.JSON, c.writeFrame); err != nil {
			return err
		}
		c.srv.long.release(c, &c.longHeld)
	}
}

// answer serves one request, encodes its reply and writes it with write.
func (c *conn) answer(req *protocol.Request, encode form, write func(reply []byte) error) error {
	if !c.begin() {
		return errDraining
	}
	if req.Command != nil && req.Command.Mode == protocol.ModeStream {
		c.srv.long.release(c, &c.longHeld)
		return c.stream(req)
	}
	defer c.srv.replies.release(c)
	ctx, trace := c.srv.follow(c, req)
	reply, code := c.srv.handle(ctx, c, req, encode, trace)
	err := write(reply)
	if trace != nil {
		trace.End(code, err)
	}
	if err != nil {
		return err
	}
	c.replied = true
	if !c.end() {
		return errDraining
	}
	return nil
}

// readHeader waits for a frame and reads its length.
func (c *conn) readHeader() (uint32, error) {
	if !c.armRead(c.srv.cfg.Timeouts.Idle) {
		return 0, errDraining
	}
	if _, err := c.in.Peek(1); err != nil {
		return 0, err
	}
	if !c.armRead(c.srv.cfg.Timeouts.Frame) {
		return 0, errDraining
	}
	if c.srv.cfg.Tracer != nil {
		c.arrived = c.srv.cfg.Now()
	}
	var header [protocol.FrameHeaderBytes]byte
	if _, err := io.ReadFull(c.in, header[:]); err != nil {
		return 0, c.frameError(err)
	}
	return binary.BigEndian.Uint32(header[:]), nil
}

// bodies are request buffers. A connection has one only while a request is
// read, so resting connections keep none.
var bodies = sync.Pool{New: func() any { b := make([]byte, 0, firstBody); return &b }}

func giveBody(buf *[]byte) {
	if keepsBuffer(buf) {
		bodies.Put(buf)
	}
}

// readRequest reads and decodes a body of n bytes.
func (c *conn) readRequest(n uint32) (*protocol.Request, error) {
	buf := bodies.Get().(*[]byte)
	defer giveBody(buf)
	body, err := c.readBody(n, c.srv.cfg.MaxRequest, buf)
	if err != nil {
		return nil, err
	}
	req, err := protocol.ParseRequest(body) // keeps nothing of body
	if err != nil {
		c.srv.cfg.Metrics.Malformed("not_an_object")
	}
	return req, err
}

// readBody reads n bytes into buf, after checking n. The buffer grows with the
// bytes that arrive, so announcing a large frame costs the server nothing.
func (c *conn) readBody(n uint32, limit int, buf *[]byte) ([]byte, error) {
	if n == 0 || uint64(n) > uint64(limit) {
		if n != 0 {
			c.tooLong(n)
		}
		_, err := protocol.ReadFrameBody(c.in, n, limit, nil) // reads nothing, says what is wrong
		return nil, c.frameError(err)
	}
	if n > protocol.MaxRequestBytes+1 { // the type byte of a binary frame does not count
		if err := c.awaitRoom(int(n)); err != nil {
			return nil, err
		}
	}
	body := (*buf)[:0]
	for len(body) < int(n) {
		end := len(body) + min(int(n)-len(body), max(len(body), firstBody))
		body = slices.Grow(body, end-len(body))
		if _, err := io.ReadFull(c.in, body[len(body):end]); err != nil {
			return nil, c.frameError(err)
		}
		body = body[:end]
	}
	*buf = body
	return body, nil
}

func (c *conn) frameError(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	switch {
	case errors.Is(err, protocol.ErrFrameEmpty):
		c.srv.cfg.Metrics.Malformed("frame_empty")
	case errors.Is(err, os.ErrDeadlineExceeded) && !c.isDraining():
		c.srv.cfg.Metrics.Malformed("frame_timeout")
	}
	return err
}

// begin marks the connection busy. It refuses once draining has begun.
func (c *conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return false
	}
	c.busy = true
	return true
}

// end marks the connection idle and reports whether it may continue.
func (c *conn) end() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	return !c.draining
}

// drain closes the connection as soon as it is idle.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if !c.busy {
		c.nc.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
	}
}

// armRead sets the read deadline unless draining has begun. It is a
// write deadline as well: a TLS reader answers a change of keys.
func (c *conn) armRead(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return false
	}
	return c.nc.SetDeadline(time.Now().Add(d)) == nil
}

func (c *conn) isDraining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

// linger ends the sending side and gives the peer a moment to read what was
// sent before the socket goes.
func (c *conn) linger() {
	type closeWriter interface{ CloseWrite() error }
	tcp, ok := c.nc.(closeWriter)
	if !c.replied || !ok {
		return
	}
	if secured, ok := c.rw.(closeWriter); ok && c.rw != c.nc {
		c.nc.SetWriteDeadline(time.Now().Add(lingerTime))
		secured.CloseWrite()
	}
	if tcp.CloseWrite() != nil {
		return
	}
	c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	io.CopyN(io.Discard, c.nc, lingerBytes)
}
