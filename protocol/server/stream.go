// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

var streamHeartbeat = []byte(`{"type":"heartbeat"}`)

// stream turns the connection into a subscription (docs/protocol/audit.md#subscribe_replication). It returns
// an error in every case: a subscription ends with its connection.
func (c *conn) stream(req *protocol.Request) error {
	ctx, cancel := context.WithCancel(c.srv.streams)
	defer cancel()
	w := &streamWriter{conn: c, started: make(chan struct{})}
	var helpers sync.WaitGroup
	helpers.Go(func() { c.discardInbound(ctx, cancel) })
	helpers.Go(func() { w.beat(ctx, cancel) })

	start := c.srv.cfg.Now()
	refusal := c.callSubscribe(ctx, req, w.send)
	code := ""
	if refusal != nil {
		code = refusal.Code
		w.last(protocol.EncodeError(refusal))
	}
	c.srv.cfg.Metrics.Request(ctx, req.Command.Name, code, c.srv.cfg.Now().Sub(start))
	cancel()
	c.nc.SetWriteDeadline(time.Unix(1, 0)) // nothing follows: wakes a heartbeat that nobody reads
	helpers.Wait()
	if refusal != nil {
		return refusal
	}
	return errors.New("subscription ended")
}

func (c *conn) callSubscribe(ctx context.Context, req *protocol.Request, send func([]byte) error) (e *protocol.Error) {
	defer func() {
		if p := recover(); p != nil {
			c.srv.cfg.Metrics.Panicked(req.Command.Name)
			c.srv.cfg.Logger.Error("subscription panicked", "source", c.state.Source, "panic", p, "stack", string(debug.Stack()))
			e = panicError(req.Command)
		}
	}()
	return c.srv.cfg.Backend.Subscribe(ctx, &c.state, req, send)
}

// discardInbound reads and drops what the subscriber sends, and ends the
// stream when it sends nothing for the inbound deadline or goes away.
func (c *conn) discardInbound(ctx context.Context, cancel context.CancelFunc) {
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.nc.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, 512)
	for ctx.Err() == nil {
		c.nc.SetReadDeadline(time.Now().Add(c.srv.cfg.Timeouts.StreamInbound))
		if ctx.Err() != nil { // AfterFunc may have run before the line above
			return
		}
		if _, err := c.in.Read(buf); err != nil {
			return
		}
	}
}

// streamWriter serialises the frames of the backend with the heartbeats.
type streamWriter struct {
	conn    *conn
	started chan struct{} // closed with the first frame: heartbeats only follow it

	mu     sync.Mutex
	first  bool
	failed error
}

// send writes one frame. Frames of a stream may exceed the request limit.
func (w *streamWriter) send(frame []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return w.failed
	}
	if err := w.conn.writeFrame(frame); err != nil {
		w.failed = err
		return err
	}
	w.conn.replied = true
	// What is read meanwhile may have to be answered, see conn.armRead.
	_ = w.conn.nc.SetWriteDeadline(time.Now().Add(w.conn.srv.cfg.Timeouts.StreamInbound))
	if !w.first {
		w.first = true
		close(w.started)
	}
	return nil
}

// last writes the frame after which nothing follows.
func (w *streamWriter) last(frame []byte) {
	if w.send(frame) != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = errDraining
}

func (w *streamWriter) beat(ctx context.Context, cancel context.CancelFunc) {
	select {
	case <-w.started:
	case <-ctx.Done():
		return
	}
	t := time.NewTicker(w.conn.srv.cfg.Timeouts.StreamHeartbeat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if ctx.Err() != nil || w.send(streamHeartbeat) != nil {
				cancel()
				return
			}
		}
	}
}
