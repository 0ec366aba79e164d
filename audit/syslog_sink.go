// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// syslogChunk is how many messages are written before the exporter asks
// whether the receiver's host has them: as many may be sent twice.
const syslogChunk = 128

// syslogSink sends messages of RFC 5424 over UDP, TCP or TLS.
type syslogSink struct {
	o       Options
	scheme  string
	addr    string
	host    string
	timeout time.Duration
	link    *link
}

func openSyslog(o Options) (Exporter, error) {
	u, err := endpoint(o.Sink.Endpoint, "udp", "tcp", "tls")
	if err != nil {
		return nil, err
	}
	if u.Hostname() == "" || u.Port() == "" {
		return nil, errors.New("the endpoint of syslog needs a host and a port")
	}
	host, _ := os.Hostname()
	return &syslogSink{o: o, scheme: u.Scheme, addr: u.Host, host: host, timeout: o.bound(exportTimeout)}, nil
}

// Deliver connects when there is no connection that lives, and writes.
func (s *syslogSink) Deliver(ctx context.Context, events []protocol.AuditEvent) (int, error) {
	done, err := s.deliver(ctx, events)
	if err != nil {
		// What has arrived over a broken connection is unknown, and half a message may
		// be in it: it is never used again.
		s.drop()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		err = failed("syslog to "+s.scheme+"://"+s.addr, err, "")
	}
	return done, err
}

func (s *syslogSink) deliver(ctx context.Context, events []protocol.AuditEvent) (done int, err error) {
	if s.link != nil && !s.link.alive() {
		s.drop()
	}
	if s.link == nil {
		if s.link, err = s.connect(ctx); err != nil {
			return 0, err
		}
	}
	// Whoever stops the delivery does not wait for a receiver that reads nothing.
	defer context.AfterFunc(ctx, s.link.abort)()
	if s.scheme == "udp" {
		return s.datagrams(events)
	}
	for done < len(events) {
		n := min(syslogChunk, len(events)-done)
		if err := s.frames(ctx, events[done:done+n]); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// frames writes a chunk and waits until the receiver's host has it. TCP tells
// that a connection is gone only after a write that seemed to succeed.
func (s *syslogSink) frames(ctx context.Context, events []protocol.AuditEvent) error {
	var b []byte
	for i := range events {
		b = s.frame(b, Syslog(&events[i], s.host))
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	if err := s.link.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // the deadline may have undone an abort
	}
	if _, err := s.link.Write(b); err != nil {
		return err
	}
	return s.link.flushed(ctx)
}

// frame appends a message as the receiver tells where it ends. A message has
// neither a line break nor a NUL: CEF escapes them.
func (s *syslogSink) frame(b, message []byte) []byte {
	switch s.o.Sink.Framing {
	case protocol.FramingNewline:
		return append(append(b, message...), '\n')
	case protocol.FramingNUL:
		return append(append(b, message...), 0)
	}
	return AppendFrame(b, message)
}

// datagrams writes a message each. A refusal is of the message before, which
// is all that UDP ever tells.
func (s *syslogSink) datagrams(events []protocol.AuditEvent) (int, error) {
	if err := s.link.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return 0, err
	}
	for i := range events {
		if _, err := s.link.Write(Datagram(Syslog(&events[i], s.host))); err != nil {
			return max(i-1, 0), err
		}
	}
	return len(events), nil
}

func (s *syslogSink) connect(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	network := s.scheme
	if network == "tls" {
		network = "tcp"
	}
	conn, err := s.o.dial(ctx, network, s.addr)
	switch {
	case err != nil:
		return nil, err
	case s.scheme == "udp":
		return newDatagramLink(conn), nil
	case s.scheme == "tcp":
		return newLink(conn, conn), nil
	}
	secure := tls.Client(conn, s.tlsConfig())
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return newLink(secure, conn), nil
}

func (s *syslogSink) tlsConfig() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.o.TLS != nil {
		c = s.o.TLS.Clone()
	}
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(s.addr)
	}
	return c
}

// Close ends the connection.
func (s *syslogSink) Close() error {
	if s.link == nil {
		return nil
	}
	err := s.link.end(s.link.Conn)
	s.link = nil
	return err
}

func (s *syslogSink) drop() {
	if s.link != nil {
		s.link.drop()
		s.link = nil
	}
}
