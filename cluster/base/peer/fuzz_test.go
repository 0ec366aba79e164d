// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// connect gives a listener the other end of a connection. done is closed when
// the listener has finished with it.
func connect(t testing.TB, s *Server) (net.Conn, <-chan struct{}) {
	t.Helper()
	ours, theirs := net.Pipe()
	places := s.admit(share.Source{}, theirs)
	if places == nil {
		t.Fatal("the listener takes no connection")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serve(theirs, share.Source{}, places)
	}()
	return ours, done
}

// nothingHeld fails when the listener still counts a connection.
func nothingHeld(t testing.TB, s *Server) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending.Total() != 0 || s.joins.Total() != 0 || len(s.conns) != 0 {
		t.Errorf("with no connection left %d are pending, %d joining and %d open", s.pending.Total(), s.joins.Total(), len(s.conns))
	}
}

// hello is what a TLS client says first.
func hello(f *testing.F, protos ...string) []byte {
	ours, theirs := net.Pipe()
	go func() {
		_ = tls.Client(ours, &tls.Config{InsecureSkipVerify: true, NextProtos: protos, MinVersion: tls.VersionTLS13}).Handshake()
	}()
	defer ours.Close()
	buf := make([]byte, 4096)
	n, err := theirs.Read(buf)
	if err != nil {
		f.Fatal(err)
	}
	return buf[:n]
}

// FuzzHandshake sends a peer port arbitrary bytes before any TLS: it must
// neither panic nor keep the connection.
func FuzzHandshake(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte{0x16, 3, 1, 0xff, 0xff})
	for _, proto := range []string{ProtoRaft, ProtoRPC, ProtoJoin, "h2"} {
		f.Add(hello(f, proto))
	}
	f.Add(hello(f))
	f.Add(hello(f, ProtoJoin, ProtoRPC))
	s := serve(f, newAuthority(f).identity("cluster-1", "m"), ServerConfig{})
	f.Fuzz(func(t *testing.T, input []byte) {
		conn, done := connect(t, s)
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		_, _ = conn.Write(input) // the listener may have hung up already
		_ = conn.Close()
		<-done
		nothingHeld(t, s)
	})
}

// FuzzJoinConnection sends arbitrary bytes where a joining machine sends its
// request: what reaches the cluster is bounded, and what is sent is one frame.
func FuzzJoinConnection(f *testing.F) {
	f.Add(appendFrame(nil, frame{id: 1, payload: []byte(`{"member_id":"x"}`)}))
	f.Add(appendFrame(nil, frame{id: 1, typ: reserved, budget: 1}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0, 0, 0, 0})
	s := serve(f, newAuthority(f).identity("cluster-1", "m"), ServerConfig{
		Join: func(_ context.Context, _ string, payload []byte) ([]byte, *protocol.Error) {
			if len(payload) > joinLimit {
				panic("a request beyond the limit")
			}
			return payload, nil
		},
	})
	f.Fuzz(func(t *testing.T, input []byte) {
		raw, done := connect(t, s)
		conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{ProtoJoin}, MinVersion: tls.VersionTLS13})
		_ = conn.SetDeadline(time.Now().Add(joinTimeout))
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = conn.Write(input) // the listener may have hung up already
			_ = conn.CloseWrite()
		}()
		got, _ := io.ReadAll(conn)
		_ = raw.Close()
		<-done
		if len(got) > 0 {
			if reply, err := readFrame(bytes.NewReader(got), MaxFrame); err != nil || !bytes.Equal(appendFrame(nil, reply), got) {
				t.Errorf("%q is answered with %q: %v", input, got, err)
			}
		}
		nothingHeld(t, s)
	})
}

// FuzzMemberCertificate shows a listener certificates that its cluster did not
// issue: none makes its bearer a member.
func FuzzMemberCertificate(f *testing.F) {
	own, other := newAuthority(f), newAuthority(f)
	id := own.identity("cluster-1", "m")
	issued, err := x509.ParseCertificate(id.shown().Certificate[0])
	if err != nil {
		f.Fatal(err)
	}
	for _, cert := range []tls.Certificate{*id.shown(), *other.identity("cluster-1", "m").shown(), *own.identity("cluster-2", "m").shown()} {
		for _, der := range cert.Certificate {
			f.Add(der)
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		if member, err := id.verify(leaf, x509.ExtKeyUsageClientAuth); err == nil && !bytes.Equal(leaf.RawTBSCertificate, issued.RawTBSCertificate) {
			t.Errorf("a forged certificate makes its bearer member %q", member)
		}
	})
}

// FuzzCertificateRequest asks for certificates with arbitrary requests: one that
// is issued is for the member it was asked for, and nothing else of the request
// is in it.
func FuzzCertificateRequest(f *testing.F) {
	_, csr, err := NewMemberKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(csr)
	f.Add(csr[:len(csr)/2])
	f.Add([]byte{0x30, 0x80})
	a := newAuthority(f)
	id := a.identity("cluster-1", "m")
	f.Fuzz(func(t *testing.T, der []byte) {
		_, _ = KeyHash(der)
		cert, err := a.ca.SignMember(der, "cluster-1", "joiner", time.Now())
		if err != nil {
			return
		}
		block, _ := pem.Decode(cert)
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		member, err := id.verify(leaf, x509.ExtKeyUsageClientAuth)
		if err != nil || member != "joiner" || leaf.IsCA || len(leaf.URIs) != 1 || len(leaf.DNSNames) > 0 {
			t.Errorf("a certificate of member %q (CA: %v, %v, %v) was issued: %v", member, leaf.IsCA, leaf.URIs, leaf.DNSNames, err)
		}
	})
}
