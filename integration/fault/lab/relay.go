// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Direction is one way over a link.
type Direction int

// Directions of a link: from the side that dials to the side that is dialled, and back.
const (
	There Direction = iota
	Back
)

// Link is the path from a dialling side to one member: a TCP relay.
type Link struct {
	// Name says who dials whom, as in "m1>m2".
	Name   string
	listen string
	target string
	source net.Addr // outgoing connections come from here, nil for any address
	ways   [2]*way

	mu     sync.Mutex
	ln     net.Listener
	conns  map[*passage]struct{}
	closed bool
	wg     sync.WaitGroup
}

// dialTimeout bounds the relay's own dial; on loopback it is over at once.
const dialTimeout = 5 * time.Second

// newLink makes a link that is down: nobody listens until Up.
func newLink(name, listen, target, source string, seed uint64) *Link {
	l := &Link{Name: name, listen: listen, target: target, conns: map[*passage]struct{}{},
		ways: [2]*way{newWay(2 * seed), newWay(2*seed + 1)}}
	if source != "" {
		l.source = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	return l
}

// Addr is where to dial.
func (l *Link) Addr() string { return l.listen }

// Set changes what happens one way.
func (l *Link) Set(d Direction, p Policy) { l.ways[d].set(p) }

// SetBoth changes what happens both ways.
func (l *Link) SetBoth(p Policy) {
	l.Set(There, p)
	l.Set(Back, p)
}

// Policy is what happens one way now.
func (l *Link) Policy(d Direction) Policy {
	p, _ := l.ways[d].get()
	return p
}

// Up starts to listen; the member at its end has started.
func (l *Link) Up() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ln != nil || l.closed {
		return nil
	}
	ln, err := net.Listen("tcp", l.listen)
	if err != nil {
		return fmt.Errorf("link %s: %w", l.Name, err)
	}
	l.ln = ln
	l.wg.Add(1)
	go l.accept(ln)
	return nil
}

// Down stops listening, so that dials are refused as by a machine on which
// nothing runs. Open connections end when the member closes them.
func (l *Link) Down() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ln != nil {
		_ = l.ln.Close()
		l.ln = nil
	}
}

// Reset ends every open connection with a reset to both sides.
func (l *Link) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.conns {
		p.reset()
	}
}

// Close ends the link.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.Down()
	l.Reset()
	l.wg.Wait()
}

func (l *Link) accept(ln net.Listener) {
	defer l.wg.Done()
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, or the peer gave up already
			time.Sleep(5 * time.Millisecond)
			continue
		}
		p := newPassage(l, conn.(*net.TCPConn))
		if there, _ := l.ways[There].get(); there.Refuse || !l.enter(p) {
			p.reset()
			continue
		}
		go func() {
			defer l.leave(p)
			p.run()
		}()
	}
}

func (l *Link) enter(p *passage) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.conns[p] = struct{}{}
	l.wg.Add(1)
	return true
}

func (l *Link) leave(p *passage) {
	l.mu.Lock()
	delete(l.conns, p)
	l.mu.Unlock()
	l.wg.Done()
}

// dial connects to the member once bytes can pass both ways: until then the
// first packets of the connection are lost.
func (l *Link) dial(done <-chan struct{}) (*net.TCPConn, error) {
	for _, w := range l.ways {
		if !w.awaitOpen(0, done) {
			return nil, net.ErrClosed
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	d := net.Dialer{LocalAddr: l.source}
	conn, err := d.DialContext(ctx, "tcp", l.target)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}
