// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// One port serves old clients and new ones, in turn and at once; one that says
// nothing holds up nobody.
func TestOnePortServesTLSAndPlain(t *testing.T) {
	t.Parallel()
	cert, leaf, _, _ := selfSigned(t)
	_, addr := start(t, server.Config{TLS: server.TLSConfig(cert), Plain: true})
	silent := dial(t, addr)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	plain := dial(t, addr)
	nc, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	secured := wrap(t, nc)
	for i := range 3 {
		for name, p := range map[string]*peer{"plain": plain, "TLS": secured} {
			if got := p.ask(padded(65536 - i)); got.NodeID != 7 {
				t.Fatalf("%s: %+v", name, got)
			}
		}
	}
	if got := silent.ask(padded(100)); got.NodeID != 7 {
		t.Fatalf("after a rest: %+v", got)
	}
	for name, p := range map[string]*peer{"plain": plain, "TLS": secured} {
		p.write(header(1 << 30))
		p.wantClosed()
		t.Logf("%s was closed", name)
	}
}

// A connection that has said nothing rests as long as a plain one may, one
// that has begun TLS has the time of a handshake, and draining ends both.
func TestOnePortHasTheDeadlinesOfBoth(t *testing.T) {
	cert, _, _, _ := selfSigned(t)
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		s := startOn(t, server.Config{TLS: server.TLSConfig(cert), Plain: true}, pipes)
		silent, begun, frame := pipes.dial(t, "10.0.0.1:1"), pipes.dial(t, "10.0.0.1:2"), pipes.dial(t, "10.0.0.1:3")
		begun.write([]byte{0x16, 0x03})
		frame.write([]byte{0})
		time.Sleep(31 * time.Second)
		begun.wantClosed()
		frame.wantClosed()
		if s.Conns() != 1 {
			t.Errorf("%d connections, want the silent one", s.Conns())
		}
		time.Sleep(5 * time.Minute)
		silent.wantClosed()

		late := pipes.dial(t, "10.0.0.1:4")
		synctest.Wait()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		late.wantClosed()
	})
}
