// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// ErrServerClosed is what Serve returns after Shutdown or Close.
var ErrServerClosed = errors.New("server: closed")

// Accept failures are answered with pauses of 100 ms times their number in a
// row, at most 2 s (docs/protocol/README.md#connections). They never end the process: a member that is
// out of descriptors still has its peers to serve.
const (
	acceptPause    = 100 * time.Millisecond
	acceptPauseMax = 2 * time.Second
)

// groupConns is how many sources' worth of connections one IPv6 /48 may have.
const groupConns = 8

// capNames are the reasons of refused connections in metrics.
var capNames = map[share.Limit]string{share.OwnPart: "source", share.GroupPart: "network", share.WholeTotal: "total"}

// Server is the front door. Make one with New; it serves any number of listeners.
type Server struct {
	cfg     Config
	rates   *limiter
	replies *replies
	long    *room   // of requests above protocol.MaxRequestBytes
	named   *naming // of sources whose requests are too long

	// ctx is the parent of all requests and streams. It ends when the server
	// is closed by force; streams end earlier, with the start of draining.
	ctx       context.Context
	cancel    context.CancelFunc
	streams   context.Context
	endStream context.CancelFunc

	mu        sync.Mutex
	draining  bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	places    *share.Pool[share.Source]
	running   sync.WaitGroup
}

// New makes a Server. It does not listen yet.
func New(cfg Config) (*Server, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:       cfg,
		replies:   newReplies(cfg.ReplyMemory),
		long:      newLongRequests(),
		named:     newNaming(),
		rates:     newLimiter(cfg.Rates, cfg.Exempt, cfg.Now),
		listeners: map[net.Listener]struct{}{},
		conns:     map[*conn]struct{}{},
		places: share.NewPool[share.Source](share.Parts{Total: int64(cfg.MaxConns),
			Each: int64(cfg.MaxConnsPerSource), Group: groupConns * int64(cfg.MaxConnsPerSource)}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.streams, s.endStream = context.WithCancel(s.ctx)
	return s, nil
}

// ListenAndServe listens on a TCP address and serves it until the server ends.
func (s *Server) ListenAndServe(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	return s.Serve(l)
}

// Serve accepts connections from l, which it closes at the end. It returns
// ErrServerClosed after Shutdown or Close, and an error when l was closed by
// somebody else.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.addListener(l) {
		return ErrServerClosed
	}
	defer s.dropListener(l)
	failures := 0
	for {
		nc, err := l.Accept()
		if err == nil {
			failures = 0
			s.admit(nc)
			continue
		}
		if s.isDraining() {
			return ErrServerClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept clients: %w", err)
		}
		failures++
		s.cfg.Metrics.AcceptFailed()
		s.cfg.Logger.Warn("cannot accept a connection", "error", err, "failures", failures)
		if !s.pause(min(time.Duration(failures)*acceptPause, acceptPauseMax)) {
			return ErrServerClosed
		}
	}
}

// pause waits, or returns false because the server is being shut down.
func (s *Server) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.streams.Done():
		return false
	}
}

// admit starts serving a connection, or closes it at once when a cap is reached.
func (s *Server) admit(nc net.Conn) {
	c := newConn(s, nc)
	if reason := s.register(c); reason != "" {
		s.cfg.Metrics.ConnRefused(reason)
		s.cfg.Logger.Debug("connection refused", "source", c.state.Source, "cap", reason)
		nc.Close()
		return
	}
	s.cfg.Metrics.ConnOpened()
	go func() {
		defer s.running.Done()
		defer s.cfg.Metrics.ConnClosed()
		defer s.unregister(c)
		c.serve()
	}()
}

func (s *Server) register(c *conn) (refused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return "draining"
	}
	take := s.places.Take
	if c.exempt {
		take = s.places.TakeExempt
	}
	if limit := take(c.source, c.source.Wide(), 1); limit != share.Within {
		return capNames[limit]
	}
	s.conns[c] = struct{}{}
	s.running.Add(1)
	return ""
}

func (s *Server) unregister(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.places.Give(c.source, c.source.Wide(), 1)
}

// Conns is the number of admitted connections.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Shutdown stops accepting, closes idle connections, ends subscriptions and
// lets requests that were read completely finish and be answered. When ctx
// ends first, the rest is closed by force and ctx's error returned without
// waiting for handlers that ignore their context.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, c := range s.startDraining() {
		c.drain()
	}
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
		s.cancel()
		return nil
	case <-ctx.Done():
		s.closeConns()
		return ctx.Err()
	}
}

// Close ends everything at once. Requests in flight are cut off.
func (s *Server) Close() error {
	s.startDraining()
	s.closeConns()
	s.running.Wait()
	return nil
}

func (s *Server) startDraining() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	s.endStream()
	for l := range s.listeners {
		l.Close()
	}
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

func (s *Server) closeConns() {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.nc.Close()
	}
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

func (s *Server) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) dropListener(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

// secure wraps a connection in TLS when the server speaks it, and shakes hands
// within the frame deadline.
func (s *Server) secure(nc net.Conn) (net.Conn, error) {
	if s.cfg.TLS == nil {
		return nc, nil
	}
	t := tls.Server(nc, s.cfg.TLS)
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Timeouts.Frame)
	defer cancel()
	err := t.HandshakeContext(ctx)
	if err == nil {
		return t, nil
	}
	if notTLS, ok := errors.AsType[tls.RecordHeaderError](err); ok && notTLS.Conn != nil {
		nc.SetWriteDeadline(time.Now().Add(s.cfg.Timeouts.Write))
		nc.Write(tlsAlert)
	}
	return nil, err
}

// tlsAlert (fatal, protocol_version) tells a client that speaks plain text to
// a TLS port what is wrong: the SDK recognises it.
var tlsAlert = []byte{0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46}
