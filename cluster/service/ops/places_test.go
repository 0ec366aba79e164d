// SPDX-License-Identifier: Apache-2.0

package ops_test

import (
	"net"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
)

// connections is a listener to which connections come from anywhere.
type connections chan net.Conn

func (c connections) Accept() (net.Conn, error) {
	conn, ok := <-c
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (c connections) Close() error   { return nil }
func (c connections) Addr() net.Addr { return &net.TCPAddr{} }

type from struct {
	net.Conn
	ip     string
	closed bool
}

func (f *from) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(f.ip), Port: 1} }

func (f *from) Close() error {
	f.closed = true
	return nil
}

func TestOneSourceCannotHoldTheOpsListener(t *testing.T) {
	in := make(connections, 1000)
	l := ops.Places(in)
	ask := func(ip string, n int) (admitted []net.Conn) {
		t.Helper()
		conns := make([]*from, n)
		for i := range conns {
			conns[i] = &from{ip: ip}
			in <- conns[i]
		}
		in <- &from{ip: "127.0.0.1"} // the operator, who comes after them
		for {
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if conn.RemoteAddr().(*net.TCPAddr).IP.IsLoopback() {
				_ = conn.Close()
				break
			}
			admitted = append(admitted, conn)
		}
		for _, c := range conns[len(admitted):] {
			if !c.closed {
				t.Errorf("%s: a connection too many is open", ip)
			}
		}
		return admitted
	}
	held := ask("203.0.113.1", 300)
	if len(held) != 128 {
		t.Errorf("one source holds %d, want 128", len(held))
	}
	if n := len(ask("203.0.113.2", 300)); n == 0 || n > 127 {
		t.Errorf("another source holds %d, want some and not the rest", n)
	}
	for _, c := range held {
		_, _ = c.Close(), c.Close()
	}
	if n := len(ask("203.0.113.1", 300)); n < 64 {
		t.Errorf("after its connections ended the source may hold %d only", n)
	}
}
