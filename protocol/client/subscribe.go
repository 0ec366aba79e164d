// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	// maxStreamFrame bounds a replication frame, which holds the whole state.
	maxStreamFrame = 1 << 30
	// streamSilence ends a subscription whose server has gone: it sends a
	// heartbeat every 15 s.
	streamSilence = 45 * time.Second
	// streamKeepAlive keeps the server from ending a subscription that says nothing for 60 s.
	streamKeepAlive = 20 * time.Second
)

// Subscribe opens a replication stream and calls receive with every frame, one
// JSON object each, heartbeats excluded. It returns when the stream ends, ctx
// ends, or receive fails; it does not connect again.
func (c *Client) Subscribe(ctx context.Context, token string, deltas bool, receive func(frame json.RawMessage) error) error {
	return c.stream(ctx, protocol.Must("subscribe_replication"), &protocol.SubscribeReplication{Token: protocol.Secret(token), Deltas: deltas},
		protocol.Credentials{}, receive)
}

// stream sends a request that turns its connection into a stream and hands
// every frame but heartbeats to receive.
func (c *Client) stream(ctx context.Context, row *protocol.Command, body protocol.Body, cred protocol.Credentials, receive func(frame json.RawMessage) error) error {
	p := &call{row: row}
	request, err := protocol.EncodeRequest(row, body, cred, protocol.Options{})
	if err != nil {
		return err
	}
	conn, f := c.subscribeConn(ctx, p)
	if f != nil {
		return f.err
	}
	defer c.drop(conn)
	ctx, cancel := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel()
	helpers.Go(func() {
		<-ctx.Done()
		conn.nc.Close()
	})
	if _, err := conn.nc.Write(protocol.AppendFrame(nil, request)); err != nil {
		return p.streamError(ctx, conn, err)
	}
	helpers.Go(func() { keepAlive(ctx, conn) })
	for {
		frame, err := conn.readStream()
		if err != nil {
			return p.streamError(ctx, conn, err)
		}
		res, failed := p.decode(conn.addr, frame)
		if failed != nil {
			return failed.err
		}
		if isHeartbeat(res.Raw) {
			continue
		}
		if err := receive(res.Raw); err != nil {
			return err
		}
	}
}

// subscribeConn dials the addresses in turn, once each.
func (c *Client) subscribeConn(ctx context.Context, p *call) (conn *conn, f *failure) {
	for range c.opts.Addrs {
		if conn, f = c.take(ctx, p); f == nil {
			return conn, nil
		}
		c.rotate(f.err.Addr)
	}
	return nil, f
}

func (c *conn) readStream() ([]byte, error) {
	if err := c.nc.SetReadDeadline(time.Now().Add(streamSilence)); err != nil {
		return nil, err
	}
	return protocol.ReadFrame(c.nc, maxStreamFrame, nil)
}

func keepAlive(ctx context.Context, conn *conn) {
	t := time.NewTicker(streamKeepAlive)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			conn.nc.SetWriteDeadline(time.Now().Add(streamKeepAlive))
			if _, err := conn.nc.Write([]byte{0}); err != nil {
				return // the reader finds out
			}
		}
	}
}

func (p *call) streamError(ctx context.Context, conn *conn, err error) error {
	if ctx.Err() != nil {
		return p.fail(final, CodeCanceled, conn.addr, []error{ctx.Err()}, "%v", ctx.Err()).err
	}
	if errors.Is(err, io.EOF) {
		return p.fail(final, CodeUnreachable, conn.addr, []error{err}, "%s ended the stream", conn.addr).err
	}
	return p.fail(final, CodeUnreachable, conn.addr, []error{err}, "stream from %s failed: %v", conn.addr, err).err
}

func isHeartbeat(frame []byte) bool {
	var f struct {
		Type string `json:"type"`
	}
	return len(frame) < 128 && json.Unmarshal(frame, &f) == nil && f.Type == "heartbeat"
}
