// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// echo answers what it is sent. It counts connections.
type echo struct {
	net.Listener
	mu    sync.Mutex
	conns int
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{Listener: ln}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			e.mu.Lock()
			e.conns++
			e.mu.Unlock()
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // ends with the connection
			}()
		}
	}()
	return e
}

func (e *echo) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conns
}

func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func newTestLink(t *testing.T) (*Link, *echo) {
	t.Helper()
	e := newEcho(t)
	l := newLink("test", freeAddr(t), e.Addr().String(), "127.0.0.1", 1)
	if err := l.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, e
}

func dialLink(t *testing.T, l *Link) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func send(t *testing.T, c net.Conn, n int) []byte {
	t.Helper()
	b := bytes.Repeat([]byte{'x'}, n)
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func expect(t *testing.T, c net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes, error %v", len(got), err)
	}
}

// silent proves that nothing arrives: another connection, made and answered
// meanwhile, would have been overtaken.
func silent(t *testing.T, c net.Conn, meanwhile func()) {
	t.Helper()
	got := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(c, make([]byte, 1))
		got <- err
	}()
	meanwhile()
	select {
	case err := <-got:
		t.Fatalf("something arrived although the link is blocked (error %v)", err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := c.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	<-got
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
}

func TestEachDirectionIsBlockedByItself(t *testing.T) {
	for name, d := range map[string]Direction{"there": There, "back": Back} {
		t.Run(name, func(t *testing.T) {
			l, e := newTestLink(t)
			c := dialLink(t, l)
			expect(t, c, send(t, c, 10))
			l.Set(d, Policy{Block: true})
			sent := send(t, c, 10)
			silent(t, c, func() {
				fresh := dialLink(t, l)
				send(t, fresh, 1)
			})
			if n := e.count(); n != 1 {
				t.Errorf("a connection was made through a blocked link: %d", n)
			}
			l.Set(d, Policy{})
			expect(t, c, sent) // it was on its way
		})
	}
}

func TestOnlyBigPiecesAreLost(t *testing.T) {
	l, _ := newTestLink(t)
	small, big := dialLink(t, l), dialLink(t, l)
	expect(t, small, send(t, small, 10))
	expect(t, big, send(t, big, 10))
	l.Set(There, Policy{MaxPiece: 600})
	sent := send(t, big, 2000)
	silent(t, big, func() {
		expect(t, small, send(t, small, 100))
		sent = append(sent, send(t, big, 1)...) // after what was lost
	})
	l.Set(There, Policy{})
	expect(t, big, sent)
}

func TestDelayAndRateTakeTime(t *testing.T) {
	l, _ := newTestLink(t)
	c := dialLink(t, l)
	expect(t, c, send(t, c, 1))
	for what, p := range map[string]Policy{"delay": {Delay: 150 * time.Millisecond}, "rate": {Rate: 10_000}, "loss": {Loss: 1}} {
		l.Set(There, p)
		start := time.Now()
		expect(t, c, send(t, c, 1500))
		if took := time.Since(start); took < 140*time.Millisecond {
			t.Errorf("%s: the answer came after %s", what, took)
		}
	}
}

func TestResetAndRefusal(t *testing.T) {
	l, _ := newTestLink(t)
	c := dialLink(t, l)
	expect(t, c, send(t, c, 1))
	l.Reset()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a reset: %v", err)
	}
	l.Set(There, Policy{Refuse: true})
	refused, err := net.Dial("tcp", l.Addr()) // the reset may come before Dial has returned
	if err == nil {
		_, err = refused.Read(make([]byte, 1))
		refused.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("while refusing: %v", err)
	}
	l.Down()
	if _, err := net.Dial("tcp", l.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("with nobody there: %v", err)
	}
}

func TestEndsTravel(t *testing.T) {
	l, _ := newTestLink(t)
	c := dialLink(t, l)
	sent := send(t, c, 10)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	expect(t, c, sent)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("want the end, got %v", err)
	}
}
