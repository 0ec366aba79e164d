// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/spans"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const (
	// pingEvery is the interval of pings, and silence the time without a byte
	// after which a connection counts as dead: a partition sends no reset.
	pingEvery = time.Second
	silence   = 4 * time.Second
)

// States of a call. queued -> sent happens when the writer takes the frame,
// queued -> gone when the caller gives up first.
const (
	callQueued int32 = iota
	callSent
	callGone
)

// pending is a call to another member that has no answer yet.
type pending struct {
	state atomic.Int32
	done  chan struct{}
	resp  []byte
	perr  *protocol.Error
	err   error
}

// clientConn is one live connection: pipelined requests, answers in any order.
type clientConn struct {
	member string
	conn   *tls.Conn
	out    *outbox
	closed chan struct{}
	heard  atomic.Int64

	mu    sync.Mutex
	err   error
	next  uint64
	calls map[uint64]*pending
}

func newClientConn(c *Client, member string, tc *tls.Conn) *clientConn {
	cc := &clientConn{member: member, conn: tc, out: newOutbox(), closed: make(chan struct{}), calls: map[uint64]*pending{}}
	cc.heard.Store(time.Now().UnixNano())
	run := func(f func() error) {
		c.wg.Add(1)
		go func() {
			defer c.wg.Done()
			cc.fail(f())
		}()
	}
	run(cc.read)
	run(func() error { return cc.out.run(tc, cc.closed) })
	run(cc.ping)
	stop := context.AfterFunc(c.ctx, func() { cc.fail(ErrClosed) })
	run(func() error { <-cc.closed; stop(); return ErrClosed })
	return cc
}

func (cc *clientConn) dead() bool {
	select {
	case <-cc.closed:
		return true
	default:
		return false
	}
}

// fail closes the connection once and answers every waiting call.
func (cc *clientConn) fail(err error) {
	if err == nil {
		err = ErrClosed
	}
	cc.mu.Lock()
	if cc.err != nil {
		cc.mu.Unlock()
		return
	}
	cc.err = err
	calls := cc.calls
	cc.calls = nil
	close(cc.closed)
	cc.mu.Unlock()
	cc.out.close()
	// Closing the TCP connection directly: a close-notify could block on a stalled peer.
	_ = cc.conn.NetConn().Close()
	for _, k := range calls {
		k.err = err
		close(k.done)
	}
}

func (cc *clientConn) call(ctx context.Context, typ byte, payload []byte) ([]byte, error) {
	k := &pending{done: make(chan struct{})}
	cc.mu.Lock()
	if cc.err != nil {
		err := cc.err
		cc.mu.Unlock()
		return nil, &TransportError{Member: cc.member, Err: err}
	}
	cc.next++
	id := cc.next
	cc.calls[id] = k
	cc.mu.Unlock()

	f := frame{id: id, typ: typ, budget: budgetOf(ctx), payload: payload, trace: spans.Carried(ctx)}
	if !cc.out.put(outFrame{f: f, claim: func() bool { return k.state.CompareAndSwap(callQueued, callSent) }}) {
		cc.forget(id)
		return nil, &TransportError{Member: cc.member, Err: errors.New("connection closed or peer too slow")}
	}
	select {
	case <-k.done:
		if k.err != nil {
			return nil, &TransportError{Member: cc.member, Sent: !k.state.CompareAndSwap(callQueued, callGone), Err: k.err}
		}
		if k.perr != nil {
			return nil, k.perr
		}
		return k.resp, nil
	case <-ctx.Done():
		cc.forget(id)
		return nil, &TransportError{Member: cc.member, Sent: !k.state.CompareAndSwap(callQueued, callGone), Err: ctx.Err()}
	}
}

func (cc *clientConn) forget(id uint64) {
	cc.mu.Lock()
	delete(cc.calls, id)
	cc.mu.Unlock()
}

func (cc *clientConn) read() error {
	r := bufio.NewReaderSize(cc.conn, 64<<10)
	for {
		f, err := readFrame(r, MaxFrame)
		if err != nil {
			return err
		}
		cc.heard.Store(time.Now().UnixNano())
		cc.mu.Lock()
		k := cc.calls[f.id]
		delete(cc.calls, f.id)
		cc.mu.Unlock()
		if k == nil {
			continue
		}
		if f.typ == typeOK {
			k.resp = f.payload
		} else {
			k.perr = DecodeError(f.payload)
		}
		close(k.done)
	}
}

func (cc *clientConn) ping() error {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-cc.closed:
			return nil
		case <-t.C:
		}
		if time.Since(time.Unix(0, cc.heard.Load())) > silence {
			return errors.New("the peer fell silent")
		}
		cc.out.put(outFrame{f: frame{typ: typePing}})
	}
}

// maxAnswerTime is the most that budgetOf keeps back.
const maxAnswerTime = time.Second

// budgetOf is the time that the other side may take, in milliseconds, at least
// 1, or 0 for no limit. It is a little less than what is left here: what the
// other side has to say when its time is over must still arrive.
func budgetOf(ctx context.Context) uint32 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	left := time.Until(deadline)
	ms := (left - min(left/10, maxAnswerTime)).Milliseconds()
	return uint32(min(max(ms, 1), 1<<31))
}
