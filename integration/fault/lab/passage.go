// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"net"
	"sync"
	"time"
)

// Sizes of what a connection holds on its way: pieces as they were read, and
// how many may wait before the sender feels it.
const (
	pieceBytes = 32 << 10
	maxWaiting = 64
)

// piece is what one read returned; the last one has no data and says that the
// sender has ended.
type piece struct {
	data []byte
	at   time.Time
}

// passage is one connection through a link.
type passage struct {
	link *Link
	near *net.TCPConn // who dialled
	done chan struct{}
	once sync.Once

	mu  sync.Mutex
	far *net.TCPConn // the member
}

func newPassage(l *Link, near *net.TCPConn) *passage {
	return &passage{link: l, near: near, done: make(chan struct{})}
}

// reset ends the connection at once.
func (p *passage) reset() {
	p.once.Do(func() {
		close(p.done)
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range []*net.TCPConn{p.near, p.far} {
			if c != nil {
				_ = c.SetLinger(0) // it may be closed
				_ = c.Close()
			}
		}
	})
}

// setFar notes the member's side, unless the connection has ended meanwhile.
func (p *passage) setFar(c *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
		_ = c.Close()
		return false
	default:
		p.far = c
		return true
	}
}

// run moves bytes until both sides have ended or one has failed. The near side
// is read from the start, so that a caller that gives up while the link is
// blocked is noticed.
func (p *passage) run() {
	defer p.reset()
	there := make(chan piece, maxWaiting)
	gone := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		p.read(p.near, there)
		close(gone)
	}()
	defer wg.Wait()
	defer p.reset()
	far, err := p.link.dial(either(p.done, gone))
	if err != nil || !p.setFar(far) {
		return
	}
	back := make(chan piece, maxWaiting)
	wg.Add(3)
	go func() { defer wg.Done(); p.read(far, back) }()
	ended := make(chan struct{}, 2)
	go func() { defer wg.Done(); p.write(p.link.ways[There], there, far); ended <- struct{}{} }()
	go func() { defer wg.Done(); p.write(p.link.ways[Back], back, p.near); ended <- struct{}{} }()
	<-ended
	<-ended
}

// either is closed when one of two channels is.
func either(a, b <-chan struct{}) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		select {
		case <-a:
		case <-b:
		}
		close(out)
	}()
	return out
}

// read takes pieces from a socket until it ends; the channel is closed then.
func (p *passage) read(from *net.TCPConn, to chan<- piece) {
	defer close(to)
	buf := make([]byte, pieceBytes)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			select {
			case to <- piece{append([]byte(nil), buf[:n]...), time.Now()}:
			case <-p.done:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// write delivers pieces when their time has come. When the sender has ended it
// ends the receiver's side too, at the moment that message would arrive.
func (p *passage) write(w *way, from <-chan piece, to *net.TCPConn) {
	var busy time.Time // until when the line is taken
	for {
		var next piece
		var ok bool
		select {
		case next, ok = <-from:
		case <-p.done:
			return
		}
		if !w.awaitOpen(len(next.data), p.done) {
			return
		}
		if !ok {
			_ = to.CloseWrite() // it may be closed
			return
		}
		policy, _ := w.get()
		latency, transmission := w.toll(policy, len(next.data))
		due := next.at.Add(latency)
		if due.Before(busy) {
			due = busy
		}
		due = due.Add(transmission)
		busy = due
		if !p.sleepUntil(due) {
			return
		}
		// A block that began while the piece was on its way holds it too.
		if !w.awaitOpen(len(next.data), p.done) {
			return
		}
		if _, err := to.Write(next.data); err != nil {
			p.reset()
			return
		}
	}
}

func (p *passage) sleepUntil(due time.Time) bool {
	d := time.Until(due)
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.done:
		return false
	}
}
