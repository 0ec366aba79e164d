// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

const (
	// HandshakeTimeout bounds the time from accept to the verdict.
	HandshakeTimeout = 10 * time.Second
	// pendingEach, pendingGroup and pendingTotal cap connections that have not
	// finished their handshake: of one source, of an IPv6 /48, in all.
	pendingEach  = 64
	pendingGroup = 128
	pendingTotal = 512
	// knownEach and knownTotal cap those of addresses where members are, which
	// have places of their own.
	knownEach  = 64
	knownTotal = 256
	// joinsEach, joinsGroup and joinsTotal cap connections of machines that
	// join, until they end.
	joinsEach  = 4
	joinsGroup = 8
	joinsTotal = 64
	// inflightPerConn caps requests of one connection that are being worked on.
	inflightPerConn = 8192
	// idleTimeout is how long a connection may be silent; clients ping every second.
	idleTimeout = 15 * time.Second
	joinTimeout = 30 * time.Second
	// refusalTimeout bounds the writing of a refusal that fits one segment.
	refusalTimeout = time.Second
	joinLimit      = 64 << 10
)

// Handler answers one request of a member.
type Handler func(ctx context.Context, from string, typ byte, payload []byte) ([]byte, *protocol.Error)

// ServerConfig says who may connect and who answers.
type ServerConfig struct {
	Identity *Identity
	// Authorize decides whether a member with a valid certificate may open a
	// connection for proto now.
	Authorize func(memberID, proto string) *protocol.Error
	// Handle answers pilot-rpc/1 requests, each in its own goroutine.
	Handle Handler
	// Join answers the one request of a pilot-join/1 connection.
	Join func(ctx context.Context, remote string, payload []byte) ([]byte, *protocol.Error)
	// Panicked, when set, counts defects that ended one connection, by its protocol.
	Panicked func(proto string)
	// Known is shared with the member's client, its own when nil.
	Known  *Known
	Logger hclog.Logger
}

// Server is a member's peer listener.
type Server struct {
	cfg    ServerConfig
	ln     net.Listener
	tls    *tls.Config
	raft   *StreamLayer
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	pending *share.Pool[share.Source]
	members *share.Pool[share.Source] // pending ones of addresses where members are
	joins   *share.Pool[share.Source]
	conns   map[net.Conn]string
}

// Listen opens the listener. It serves from then on.
func Listen(addr string, cfg ServerConfig) (*Server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("peer listener: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	if cfg.Known == nil {
		cfg.Known = NewKnown()
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{cfg: cfg, ln: ln, tls: cfg.Identity.serverConfig(), ctx: ctx, cancel: cancel,
		pending: share.NewPool[share.Source](share.Parts{Total: pendingTotal, Each: pendingEach, Group: pendingGroup}),
		members: share.NewPool[share.Source](share.Parts{Total: knownTotal, Each: knownEach}),
		joins:   share.NewPool[share.Source](share.Parts{Total: joinsTotal, Each: joinsEach, Group: joinsGroup}),
		conns:   map[net.Conn]string{}}
	s.raft = &StreamLayer{addr: ln.Addr(), conns: make(chan net.Conn), closed: make(chan struct{}), out: map[net.Conn]struct{}{}}
	s.wg.Add(1)
	go s.accept()
	return s, nil
}

// Addr is the address listened on.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Close stops listening, drops every connection and waits for the handlers.
func (s *Server) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.wg.Wait()
		return
	}
	s.closed = true
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.cancel()
	_ = s.ln.Close()
	_ = s.raft.Close()
	s.wg.Wait()
}

// Abort closes the listener and every connection without waiting for anybody:
// for a member that is about to exit because something is stuck.
func (s *Server) Abort() {
	_ = s.ln.Close()
	_ = s.raft.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close()
	}
}

// KeepMembers drops the connections of members that keep no longer names.
func (s *Server) KeepMembers(keep func(id string) bool) {
	s.cfg.Known.keep(keep)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, member := range s.conns {
		if member != "" && !keep(member) {
			_ = c.Close()
		}
	}
}

func (s *Server) accept() {
	defer s.wg.Done()
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			s.cfg.Logger.Warn("peer accept failed", "error", err)
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(50 * time.Millisecond):
				continue
			}
		}
		source := share.OfConn(conn.RemoteAddr())
		places := s.admit(source, conn)
		if places == nil {
			_ = conn.Close()
			continue
		}
		go s.serve(conn, source, places)
	}
}

// admit counts a connection that has not finished its handshake. It returns
// where, nil when there is no place.
func (s *Server) admit(source share.Source, conn net.Conn) *share.Pool[share.Source] {
	known := s.cfg.Known.has(source)
	s.mu.Lock()
	defer s.mu.Unlock()
	places := s.pending
	switch {
	case s.closed:
		return nil
	case known && s.members.Take(source, source.Wide(), 1) == share.Within:
		places = s.members
	case s.pending.Take(source, source.Wide(), 1) != share.Within:
		return nil
	}
	s.conns[conn] = ""
	s.wg.Add(1)
	return places
}

func (s *Server) settled(source share.Source, places *share.Pool[share.Source], conn net.Conn, member string) {
	s.cfg.Known.note(member, conn.RemoteAddr())
	s.mu.Lock()
	defer s.mu.Unlock()
	places.Give(source, source.Wide(), 1)
	if member != "" {
		s.conns[conn] = member
	}
}

func (s *Server) serve(raw net.Conn, source share.Source, places *share.Pool[share.Source]) {
	defer s.wg.Done()
	defer func() {
		s.mu.Lock()
		delete(s.conns, raw)
		s.mu.Unlock()
		_ = raw.Close()
	}()
	proto := ""
	defer s.survive(raw, &proto)
	_ = raw.SetDeadline(time.Now().Add(HandshakeTimeout))
	conn := tls.Server(raw, s.tls)
	member, err := s.settle(conn, raw, source, places, &proto)
	if err != nil {
		s.cfg.Logger.Debug("peer connection refused", "remote", raw.RemoteAddr().String(), "member", member, "error", err)
		return
	}
	_ = raw.SetDeadline(time.Time{})
	switch proto {
	case ProtoRaft:
		if tracked, err := s.raft.track(conn); err == nil && s.raft.deliver(tracked) {
			select {
			case <-tracked.closed:
			case <-s.ctx.Done():
			}
		}
	case ProtoRPC:
		s.serveRPC(conn, member)
	case ProtoJoin:
		s.join(conn, source)
	}
}

// settle finds out who is there, after which the connection is not pending any more.
func (s *Server) settle(conn *tls.Conn, raw net.Conn, source share.Source, places *share.Pool[share.Source], proto *string) (member string, err error) {
	defer func() { s.settled(source, places, raw, member) }()
	member, *proto, err = s.greet(conn)
	return member, err
}

// survive keeps a defect in what serves one connection from ending the member:
// only that connection ends. What the handler had done by then is not known,
// and neither is it to the peer, which gets no answer.
func (s *Server) survive(conn net.Conn, proto *string) {
	p := recover()
	if p == nil {
		return
	}
	name := *proto
	if name == "" {
		name = "handshake"
	}
	if s.cfg.Panicked != nil {
		s.cfg.Panicked(name)
	}
	s.cfg.Logger.Error("peer handler panicked; its connection is closed", "protocol", name, "remote", conn.RemoteAddr().String(),
		"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	_ = conn.Close()
}

// greet does the handshake, finds out who is there and tells them the verdict.
func (s *Server) greet(conn *tls.Conn) (member, proto string, err error) {
	if err := conn.HandshakeContext(s.ctx); err != nil {
		return "", "", err
	}
	cs := conn.ConnectionState()
	proto = cs.NegotiatedProtocol
	if proto == ProtoJoin {
		return "", proto, nil
	}
	if proto != ProtoRaft && proto != ProtoRPC {
		return "", proto, fmt.Errorf("no application protocol agreed")
	}
	var verdict *protocol.Error
	if member, err = s.cfg.Identity.verify(cs.PeerCertificates[0], x509.ExtKeyUsageClientAuth); err != nil {
		verdict = protocol.NotAppliedf(CodeNotMember, "certificate refused: %v", err)
	} else {
		verdict = s.cfg.Authorize(member, proto)
	}
	if err := writeVerdict(conn, verdict); err != nil {
		return member, proto, err
	}
	if verdict != nil {
		return "", proto, verdict
	}
	return member, proto, nil
}
