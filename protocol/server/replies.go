// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

const (
	// ReplyMemoryMin is the smallest Config.ReplyMemory: below it one list
	// could take what others need.
	ReplyMemoryMin = 4 * protocol.MaxReplyBytes
	// replyEach and replyGroup are the parts of ReplyMemory that one source and
	// one IPv6 /48 may have.
	replyEach, replyGroup = 8, 4
	// smallReply is a reply that costs less than refusing it.
	smallReply = 1 << 10
	// firstWrite is how much of a reply goes out together with its header. It
	// is one TLS record; what follows is written from where it lies.
	firstWrite = 16 << 10
	// replyRate is the least speed at which a reply has to be read, in bytes a
	// second, beyond the time that every reply gets.
	replyRate = 32 << 10
)

// replies bounds the memory of replies that are being made or sent. A list
// reserves the size of the largest reply before it is made, and waits for the
// room; then every reply counts with its size until it has been sent.
type replies struct{ room *room }

func newReplies(total int) *replies {
	n := int64(total)
	return &replies{newRoom(share.Parts{Total: n, Each: max(n/replyEach, protocol.MaxReplyBytes), Group: max(n/replyGroup, protocol.MaxReplyBytes)})}
}

// reserve waits until the connection may hold n bytes.
func (r *replies) reserve(ctx context.Context, c *conn, n int) *protocol.Error {
	if limit := r.room.wait(ctx, c, &c.held, int64(n)); limit != share.Within {
		return noRoom(c, limit)
	}
	return nil
}

// settle makes what the connection holds the size of its reply. A reply that
// must be sent, because something has been changed, is counted in any case.
func (r *replies) settle(c *conn, n int, must bool) *protocol.Error {
	if limit := r.room.resize(c, &c.held, int64(n), must); limit != share.Within {
		return noRoom(c, limit)
	}
	return nil
}

// release gives back what the connection holds.
func (r *replies) release(c *conn) { r.room.release(c, &c.held) }

func noRoom(c *conn, limit share.Limit) *protocol.Error {
	whose := "all clients"
	if limit != share.WholeTotal {
		whose = sourceIP(c)
	}
	return protocol.NotAppliedf(protocol.CodeOverloaded,
		"too many reply bytes for %s are on their way; read the replies that were asked for, then try again, or ask for a part with limit and cursor", whose)
}

// firsts are buffers for the beginnings of replies, of at most firstWrite bytes.
var firsts = sync.Pool{New: func() any { return new([]byte) }}

// writeFrame writes one reply with its header. body may be shared: it is not
// changed, and copied only as far as it goes out with the header.
func (c *conn) writeFrame(body []byte) error { return c.writeParts(nil, body) }

// writeParts writes prefix and body as one frame. A peer that has not read it
// when the time of the whole frame is over loses its connection.
func (c *conn) writeParts(prefix, body []byte) error {
	size := len(prefix) + len(body)
	limit := c.srv.cfg.Timeouts.Write + time.Duration(size/replyRate)*time.Second
	if err := c.nc.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	n := min(len(body), firstWrite-protocol.FrameHeaderBytes-len(prefix))
	buf := firsts.Get().(*[]byte)
	defer firsts.Put(buf)
	first := append(append(protocol.AppendFrameHeader((*buf)[:0], size), prefix...), body[:n]...)
	*buf = first
	_, err := c.rw.Write(first)
	if err == nil && n < len(body) {
		_, err = c.rw.Write(body[n:])
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && c.srv.streams.Err() == nil {
		c.srv.cfg.Metrics.SlowReader()
	}
	return err
}
