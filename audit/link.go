// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"net"
	"time"
)

// errGone says that the receiver ended the connection.
var errGone = errors.New("the receiver closed the connection")

// link is a connection that only sends. What the receiver sends back means
// nothing in syslog but is read: it is how TLS, and a receiver that goes
// away, are noticed.
type link struct {
	net.Conn
	// raw is the connection under TLS.
	raw net.Conn
	// gone is closed when the reader ends; nil when there is none.
	gone chan struct{}
}

func newLink(conn, raw net.Conn) *link {
	l := &link{conn, raw, make(chan struct{})}
	go l.read()
	return l
}

// newDatagramLink reads nothing: reading would take away the refusals that
// the next write is to see.
func newDatagramLink(conn net.Conn) *link {
	return &link{Conn: conn, raw: conn}
}

func (l *link) read() {
	defer close(l.gone)
	buf := make([]byte, 512)
	for {
		if _, err := l.Read(buf); err != nil {
			return
		}
	}
}

// alive reports whether the receiver has not ended the connection.
func (l *link) alive() bool {
	select {
	case <-l.gone:
		return false
	default:
		return !hungUp(l.raw)
	}
}

// Pauses between looks at what the receiver's host has.
const (
	firstFlushPause = 100 * time.Microsecond
	lastFlushPause  = 50 * time.Millisecond
)

// flushed waits until the receiver's host has all that was written.
func (l *link) flushed(ctx context.Context) error {
	for pause := firstFlushPause; ; pause = min(2*pause, lastFlushPause) {
		waiting := unacknowledged(l.raw) // before alive: nothing waits in a connection that is gone
		if !l.alive() {
			return errGone
		}
		if waiting == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.gone:
		case <-time.After(pause):
		}
	}
}

// abort makes a write that waits fail.
func (l *link) abort() { _ = l.raw.SetWriteDeadline(time.Unix(1, 0)) }

// drop closes the connection without a word to the receiver, which may not
// be reading, and waits for the reader.
func (l *link) drop() { _ = l.end(l.raw) }

// end closes the connection, of which c is the layer to close, and waits for
// the reader.
func (l *link) end(c net.Conn) error {
	err := c.Close()
	if l.gone != nil {
		<-l.gone
	}
	return err
}
