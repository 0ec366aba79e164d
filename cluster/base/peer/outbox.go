// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"net"
	"sync"
	"time"
)

const (
	// writeTimeout bounds one write of a batch of frames.
	writeTimeout = 10 * time.Second
	// outboxLimit bounds what waits for a slow peer, in bytes.
	outboxLimit = 64 << 20
	// flushBytes is about how much goes into one write.
	flushBytes = 256 << 10
)

// outFrame is a frame that waits for the writer. claim, when set, decides at
// the moment of sending whether it is still wanted. gone, when set, is called
// once the frame is written or can no longer be.
type outFrame struct {
	f     frame
	claim func() bool
	gone  func()
}

func (f outFrame) settle() {
	if f.gone != nil {
		f.gone()
	}
}

// outbox collects frames while the previous write is under way, so that many
// small frames leave in one write.
type outbox struct {
	mu     sync.Mutex
	queue  []outFrame
	bytes  int
	closed bool
	wake   chan struct{}
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// put queues a frame; false when the connection is closed or the peer too slow.
func (o *outbox) put(f outFrame) bool {
	o.mu.Lock()
	if o.closed || o.bytes+len(f.f.payload) > outboxLimit {
		o.mu.Unlock()
		f.settle()
		return false
	}
	o.queue = append(o.queue, f)
	o.bytes += len(f.f.payload)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return true
}

func (o *outbox) take() []outFrame {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.queue
	o.queue, o.bytes = nil, 0
	return q
}

func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	left := o.queue
	o.queue = nil
	o.mu.Unlock()
	for _, f := range left {
		f.settle()
	}
}

// run writes until the connection fails or done is closed.
func (o *outbox) run(conn net.Conn, done <-chan struct{}) error {
	var buf []byte
	for {
		select {
		case <-done:
			return nil
		case <-o.wake:
		}
		for q := o.take(); len(q) > 0; q = o.take() {
			err := writeAll(conn, q, &buf)
			for _, f := range q {
				f.settle()
			}
			if err != nil {
				return err
			}
			if cap(buf) > 4*flushBytes {
				buf = nil
			}
		}
	}
}

// writeAll writes frames in as few pieces as flushBytes allows.
func writeAll(conn net.Conn, q []outFrame, scratch *[]byte) error {
	for len(q) > 0 {
		buf := (*scratch)[:0]
		for len(q) > 0 && len(buf) < flushBytes {
			if q[0].claim == nil || q[0].claim() {
				buf = appendFrame(buf, q[0].f)
			}
			q = q[1:]
		}
		*scratch = buf
		if len(buf) == 0 {
			continue
		}
		if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if _, err := conn.Write(buf); err != nil {
			return err
		}
	}
	return nil
}
