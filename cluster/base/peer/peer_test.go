// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// pair is an authority with an identity for each name.
type authority struct {
	ca *CA
	t  testing.TB
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	ca, err := NewCA("cluster-1")
	if err != nil {
		t.Fatal(err)
	}
	return &authority{ca, t}
}

func (a *authority) identity(clusterID, member string) *Identity {
	a.t.Helper()
	key, csr, err := NewMemberKey()
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := a.ca.SignMember(csr, clusterID, member, time.Now())
	if err != nil {
		a.t.Fatal(err)
	}
	id, err := NewIdentity(clusterID, member, a.ca.CertPEM(), cert, key)
	if err != nil {
		a.t.Fatal(err)
	}
	return id
}

func echo(_ context.Context, from string, typ byte, payload []byte) ([]byte, *protocol.Error) {
	return fmt.Appendf(nil, "%s %d %s", from, typ, payload), nil
}

func serve(t testing.TB, id *Identity, cfg ServerConfig) *Server {
	t.Helper()
	cfg.Identity = id
	if cfg.Authorize == nil {
		cfg.Authorize = func(string, string) *protocol.Error { return nil }
	}
	if cfg.Handle == nil {
		cfg.Handle = echo
	}
	s, err := Listen("127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func dialTo(t testing.TB, id *Identity, addr string, dial DialFunc) *Client {
	t.Helper()
	c := NewClient(ClientConfig{Identity: id, Dial: dial, Addr: func(string) (string, bool) { return addr, true }})
	t.Cleanup(c.Close)
	return c
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestCallCarriesWhoAsks(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{})
	c := dialTo(t, a.identity("cluster-1", "a"), s.Addr().String(), nil)
	got, err := c.Call(within(t), "b", 9, []byte("hello"))
	if err != nil || string(got) != "a 9 hello" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAnswersComeInAnyOrder(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	gate := make(chan struct{})
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{Handle: func(_ context.Context, _ string, typ byte, p []byte) ([]byte, *protocol.Error) {
		if typ == 1 {
			<-gate
		}
		return p, nil
	}})
	c := dialTo(t, a.identity("cluster-1", "a"), s.Addr().String(), nil)
	slow := make(chan string)
	go func() {
		got, _ := c.Call(within(t), "b", 1, []byte("slow"))
		slow <- string(got)
	}()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			want := fmt.Sprint(i)
			if got, err := c.Call(within(t), "b", 2, []byte(want)); err != nil || string(got) != want {
				t.Errorf("%q, %v", got, err)
			}
		}()
	}
	wg.Wait()
	close(gate)
	if got := <-slow; got != "slow" {
		t.Errorf("slow call got %q", got)
	}
}

func TestErrorsKeepCodeAndOutcome(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	want := protocol.Error{Code: "some_code", Text: "text", Outcome: protocol.OutcomeUnknown, Stateful: true}
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{Handle: func(context.Context, string, byte, []byte) ([]byte, *protocol.Error) { return nil, &want }})
	c := dialTo(t, a.identity("cluster-1", "a"), s.Addr().String(), nil)
	_, err := c.Call(within(t), "b", 1, nil)
	var got *protocol.Error
	if !errors.As(err, &got) || *got != want {
		t.Errorf("got %#v", err)
	}
}

func TestDeadlineTravels(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	ended, given := make(chan error, 1), make(chan struct{})
	defer close(given) // the answer comes after the caller has given up
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{Handle: func(ctx context.Context, _ string, typ byte, _ []byte) ([]byte, *protocol.Error) {
		if typ == 1 {
			<-ctx.Done()
			ended <- ctx.Err()
			<-given
		}
		return nil, nil
	}})
	c := dialTo(t, a.identity("cluster-1", "a"), s.Addr().String(), nil)
	if _, err := c.Call(within(t), "b", 2, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Call(ctx, "b", 1, nil)
	var transport *TransportError
	if !errors.As(err, &transport) || !transport.Sent || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a request that was sent and not answered in time: %v", err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the handler's context ended with %v", err)
		}
	case <-within(t).Done():
		t.Error("the handler's context did not end")
	}
}

func TestSentAndNotSent(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	arrived := make(chan struct{}, 1)
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{Handle: func(ctx context.Context, _ string, _ byte, _ []byte) ([]byte, *protocol.Error) {
		arrived <- struct{}{}
		<-ctx.Done()
		return nil, nil
	}})
	c := dialTo(t, a.identity("cluster-1", "a"), s.Addr().String(), nil)
	var transport *TransportError
	result := make(chan error)
	go func() {
		_, err := c.Call(within(t), "b", 1, nil)
		result <- err
	}()
	<-arrived
	s.Abort()
	if err := <-result; !errors.As(err, &transport) || !transport.Sent {
		t.Errorf("connection lost after sending: %v", err)
	}
	if _, err := c.Call(within(t), "b", 1, nil); !errors.As(err, &transport) || transport.Sent {
		t.Errorf("nobody listens any more: %v", err)
	}
	if _, err := c.Call(within(t), "b", 1, make([]byte, MaxFrame+1)); err == nil || errors.As(err, new(*TransportError)) {
		t.Errorf("oversized request: %v", err)
	}
}

func TestClientReconnects(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	id := a.identity("cluster-1", "b")
	first := serve(t, id, ServerConfig{})
	addr := first.Addr().String()
	c := dialTo(t, a.identity("cluster-1", "a"), addr, nil)
	if _, err := c.Call(within(t), "b", 1, nil); err != nil {
		t.Fatal(err)
	}
	first.Close()
	second, err := Listen(addr, ServerConfig{Identity: id, Authorize: func(string, string) *protocol.Error { return nil }, Handle: echo})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	for ctx := within(t); ; {
		if _, err := c.Call(ctx, "b", 1, nil); err == nil {
			break
		} else if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	if !c.Connected("b") || c.Connected("nobody") {
		t.Error("Connected does not tell the truth")
	}
}

func TestWhoIsRefused(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{Authorize: func(id, proto string) *protocol.Error {
		if id == "removed" {
			return protocol.Errorf(CodeNotMember, "removed")
		}
		return nil
	}})
	addr := s.Addr().String()
	for name, tc := range map[string]struct {
		id   *Identity
		want string
		err  error
	}{
		"removed member":      {a.identity("cluster-1", "removed"), "b", ErrNotMember},
		"another CA":          {other.identity("cluster-1", "a"), "b", ErrForeignCluster},
		"another cluster id":  {a.identity("cluster-2", "a"), "b", ErrForeignCluster},
		"wrong member dialed": {a.identity("cluster-1", "a"), "c", ErrWrongMember},
	} {
		_, err := dialTo(t, tc.id, addr, nil).Call(within(t), tc.want, 1, nil)
		if !errors.Is(err, tc.err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := dialMember(within(t), NetDial, tc.id, ProtoRaft, tc.want, addr); !errors.Is(err, tc.err) {
			t.Errorf("%s, raft: %v", name, err)
		}
	}
}

// TestServerChecksTheCertificate: a client that trusts anybody is still refused.
func TestServerChecksTheCertificate(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{})
	for name, certs := range map[string][]tls.Certificate{
		"another CA":         {*other.identity("cluster-1", "a").shown()},
		"another cluster id": {*a.identity("cluster-2", "a").shown()},
		"no certificate":     nil,
	} {
		for _, proto := range []string{ProtoRaft, ProtoRPC} {
			conn, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{proto, ProtoJoin}, Certificates: certs})
			if err == nil {
				err = readVerdict(conn)
				conn.Close()
			}
			if err == nil {
				t.Errorf("%s was accepted for %s", name, proto)
			}
		}
	}
}

func TestJoinConnectionCanOnlyJoin(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	handled := make(chan struct{}, 1)
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{
		Handle: func(context.Context, string, byte, []byte) ([]byte, *protocol.Error) {
			handled <- struct{}{}
			return nil, nil
		},
		Join: func(_ context.Context, _ string, p []byte) ([]byte, *protocol.Error) {
			if string(p) == "no" {
				return nil, protocol.Errorf(protocol.CodeTokenInvalid, "no")
			}
			return append([]byte("join "), p...), nil
		},
	})
	token := Token{ClusterID: "cluster-1", Addrs: []string{"127.0.0.1:1", s.Addr().String()}, CASHA256: a.ca.Hash(), Name: "n", Secret: "s"}
	got, err := CallJoin(within(t), token, nil, []byte("me"))
	if err != nil || string(got) != "join me" {
		t.Errorf("%q, %v", got, err)
	}
	var refused *protocol.Error
	if _, err := CallJoin(within(t), token, nil, []byte("no")); !errors.As(err, &refused) || refused.Code != protocol.CodeTokenInvalid {
		t.Errorf("got %v", err)
	}
	for name, change := range map[string]func(*Token){
		"another CA":         func(t *Token) { t.CASHA256 = newAuthority(a.t).ca.Hash() },
		"another cluster id": func(t *Token) { t.ClusterID = "cluster-2" },
	} {
		bad := token
		change(&bad)
		if _, err := CallJoin(within(t), bad, nil, []byte("me")); !errors.Is(err, ErrForeignCluster) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(handled) != 0 {
		t.Error("a join connection reached the members' handler")
	}
}

func TestPendingConnectionsAreCapped(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{})
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range pendingEach + 1 { // they never say a word
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	last := conns[pendingEach]
	_ = last.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := last.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !strings.Contains(fmt.Sprint(err), "reset") {
		t.Errorf("one connection too many was not closed: %v", err)
	}
	conns[0].Close()
	c := dialTo(t, a.identity("cluster-1", "a"), s.Addr().String(), nil)
	for ctx := within(t); ; {
		if _, err := c.Call(ctx, "b", 1, nil); err == nil {
			break
		} else if ctx.Err() != nil {
			t.Fatalf("no room after one was closed: %v", err)
		}
	}
}

// Strangers who begin handshakes from many addresses and finish none must not
// keep members from hearing of each other, after one was away.
func TestStrangersCannotKeepAMemberOut(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{})
	c := dialTo(t, a.identity("cluster-1", "a"), s.Addr().String(), nil)
	if _, err := c.Call(within(t), "b", 1, nil); err != nil {
		t.Fatal(err)
	}
	full := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.pending.Total() == pendingTotal
	}
	for i := 2; !full(); i++ { // they never say a word
		if i == 250 {
			t.Fatal("the places of strangers are never full")
		}
		source := share.OfText(fmt.Sprintf("198.51.100.%d:1", i))
		for range pendingEach {
			if s.admit(source, &net.TCPConn{}) == nil {
				break
			}
		}
	}
	c.CloseConns()
	if _, err := c.Call(within(t), "b", 1, nil); err != nil {
		t.Errorf("a member that comes back: %v", err)
	}
	if s.admit(share.OfText("192.0.2.1:1"), &net.TCPConn{}) != nil {
		t.Error("the test proves nothing: a stranger finds a place")
	}
	s.mu.Lock() // what was admitted without a connection is not waited for
	defer s.mu.Unlock()
	for conn := range s.conns {
		if _, mute := conn.(*net.TCPConn); mute && s.conns[conn] == "" && conn.RemoteAddr() == nil {
			delete(s.conns, conn)
			s.wg.Done()
		}
	}
}

func TestRaftStreams(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	b := serve(t, a.identity("cluster-1", "b"), ServerConfig{})
	layer := serve(t, a.identity("cluster-1", "a"), ServerConfig{}).Raft(nil)
	accepting := b.Raft(nil)
	conn, err := layer.Dial(RaftAddress("b", b.Addr().String()), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	got, err := accepting.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = conn.Write([]byte("append")) }()
	buf := make([]byte, 6)
	if _, err := io.ReadFull(got, buf); err != nil || string(buf) != "append" {
		t.Errorf("%q, %v", buf, err)
	}
	_ = accepting.Close()
	if _, err := io.ReadFull(conn, buf); err == nil {
		t.Error("the stream outlived its layer")
	}
	if _, err := accepting.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
	if _, err := layer.Dial("127.0.0.1:1", time.Second); err == nil {
		t.Error("dialled an address without a member")
	}
	c := dialTo(t, a.identity("cluster-1", "a"), b.Addr().String(), nil)
	if _, err := c.Call(within(t), "b", 1, nil); err != nil {
		t.Errorf("RPC after raft was closed: %v", err)
	}
}

// The caller gets the reply to a request whose handler ends the server.
func TestAReplyIsSentBeforeWhatEndsTheServer(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for range 50 {
		end := make(chan struct{})
		s := serve(t, a.identity("cluster-1", "b"), ServerConfig{Handle: func(ctx context.Context, _ string, _ byte, p []byte) ([]byte, *protocol.Error) {
			AfterReply(ctx, func() { close(end) })
			return p, nil
		}})
		closed := make(chan struct{})
		go func() {
			<-end
			s.Close()
			close(closed)
		}()
		c := dialTo(t, a.identity("cluster-1", "a"), s.Addr().String(), nil)
		if got, err := c.Call(within(t), "b", 1, []byte("leave")); err != nil || string(got) != "leave" {
			t.Fatalf("%q, %v", got, err)
		}
		<-closed
	}
}

// What waits for a reply to be written goes on when it never can be.
func TestAfterReplyOfABrokenConnection(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	hung, gone := make(chan struct{}), make(chan struct{})
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{Handle: func(ctx context.Context, _ string, _ byte, _ []byte) ([]byte, *protocol.Error) {
		AfterReply(ctx, func() { close(gone) })
		close(hung)
		<-ctx.Done()
		return nil, nil
	}})
	c := dialTo(t, a.identity("cluster-1", "a"), s.Addr().String(), nil)
	go func() { _, _ = c.Call(within(t), "b", 1, nil) }()
	<-hung
	c.Close()
	select {
	case <-gone:
	case <-within(t).Done():
		t.Fatal("nobody was told")
	}
}

// Whoever reaches the peer port can open connections of joining machines: they
// count until they end, so that a member keeps its descriptors.
func TestJoiningMachinesCannotUseUpConnections(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	hold, held := make(chan struct{}), make(chan struct{}, 2*joinsEach)
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{Join: func(context.Context, string, []byte) ([]byte, *protocol.Error) {
		held <- struct{}{}
		<-hold
		return []byte("welcome"), nil
	}})
	token := Token{Addrs: []string{s.Addr().String()}, ClusterID: "cluster-1", CASHA256: a.ca.Hash(), Name: "n", Secret: "s"}
	answers := make(chan error, joinsEach)
	for range joinsEach {
		go func() {
			_, err := CallJoin(within(t), token, nil, []byte("{}"))
			answers <- err
		}()
		<-held
	}
	_, err := CallJoin(within(t), token, nil, []byte("{}"))
	if err == nil || !strings.Contains(err.Error(), "too many machines are joining from 127.0.0.1") {
		t.Errorf("one more: %v", err)
	}
	close(hold)
	for range joinsEach {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	for ctx := within(t); ; { // a place is free a moment after its answer was read
		_, err := CallJoin(ctx, token, nil, []byte("{}"))
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("after the others ended: %v", err)
		}
	}
}
