// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// peer is a connection at a syslog receiver.
type peer struct {
	net.Conn
	r *bufio.Reader
}

// listen accepts connections of syslog, over TLS when cfg is set.
func listen(t *testing.T, cfg *tls.Config) (addr string, peers <-chan *peer) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	if cfg != nil {
		l = tls.NewListener(l, cfg)
	}
	t.Cleanup(func() { _ = l.Close() })
	out := make(chan *peer, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if s, is := c.(*tls.Conn); is && s.Handshake() != nil {
				_ = c.Close()
				continue
			}
			t.Cleanup(func() { _ = c.Close() })
			out <- &peer{c, bufio.NewReader(c)}
		}
	}()
	return addr, out
}

// next is the connection that comes next.
func next(t *testing.T, peers <-chan *peer) *peer {
	t.Helper()
	select {
	case p := <-peers:
		return p
	case <-time.After(20 * time.Second):
		t.Fatal("no connection came")
		return nil
	}
}

// expect reads the messages of events.
func (p *peer) expect(t *testing.T, events []protocol.AuditEvent, host string) {
	t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(20 * time.Second))
	for i := range events {
		got, err := readFrame(p.r)
		if want := string(Syslog(&events[i], host)); err != nil || got != want {
			t.Fatalf("got  %q, %v\nwant %q", got, err, want)
		}
	}
}

func openSyslogSink(t *testing.T, endpoint string, cfg *tls.Config) *syslogSink {
	o := export(protocol.FormatCEF, endpoint)
	o.TLS = cfg
	return open(t, o).(*syslogSink)
}

// certificate is a TLS configuration for a server on 127.0.0.1, and one for
// clients that trust it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: pool}
}

func TestSyslogStream(t *testing.T) {
	server, client := certificate(t)
	for scheme, cfg := range map[string]*tls.Config{"tcp": nil, "tls": server} {
		addr, peers := listen(t, cfg)
		x := openSyslogSink(t, scheme+"://"+addr, client)
		events := some(1, 300)
		events[7].Attrs[2].Value = nasty
		deliver(t, x, events)
		p := next(t, peers)
		p.expect(t, events, x.host)
		deliver(t, x, events[:2])
		p.expect(t, events[:2], x.host)
		if len(peers) != 0 {
			t.Errorf("%s: there are two connections", scheme)
		}
	}
}

// A receiver that has gone between two batches is noticed before the second
// is written: nothing of it is lost, and there is no error.
func TestSyslogReconnects(t *testing.T) {
	server, client := certificate(t)
	for scheme, cfg := range map[string]*tls.Config{"tcp": nil, "tls": server} {
		addr, peers := listen(t, cfg)
		x := openSyslogSink(t, scheme+"://"+addr, client)
		deliver(t, x, some(1, 1))
		for seq := uint64(2); seq < 5; seq++ {
			p := next(t, peers)
			p.expect(t, some(seq-1, 1), x.host)
			_ = p.Close()
			if scheme == "tls" {
				<-x.link.gone // its last words are read by the reader
			}
			deliver(t, x, some(seq, 1))
		}
		next(t, peers).expect(t, some(4, 1), x.host)
	}
}

// A connection that is closed before everything was read leaves the events
// not done, although writing them succeeded.
func TestSyslogClosedUnread(t *testing.T) {
	addr, peers := listen(t, nil)
	x := openSyslogSink(t, "tcp://"+addr, nil)
	deliver(t, x, some(1, 1))
	p := next(t, peers)
	p.expect(t, some(1, 1), x.host)
	_ = p.Close()
	// This is behind the question whether the connection lives.
	if err := x.frames(t.Context(), some(2, 3)); err == nil {
		t.Error("events that nobody reads are delivered")
	}
	deliver(t, x, some(2, 3))
	next(t, peers).expect(t, some(2, 3), x.host)
}

// A receiver that stops reading delays a try, not who ends it.
func TestSyslogStuckReceiver(t *testing.T) {
	server, client := certificate(t)
	for scheme, cfg := range map[string]*tls.Config{"tcp": nil, "tls": server} {
		addr, peers := listen(t, cfg)
		x := openSyslogSink(t, scheme+"://"+addr, client)
		x.o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err == nil {
				err = c.(*net.TCPConn).SetWriteBuffer(4096)
			}
			return c, err
		}
		events := some(1, 12)
		for i := range events {
			events[i].Attrs = []protocol.AuditAttr{{Key: "name", Value: strings.Repeat("x", 1<<20)}}
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			_, _ = (<-peers).r.ReadByte()
			stop()
		}()
		if done, err := x.Deliver(ctx, events); done != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %d delivered, %v", scheme, done, err)
		}
		if x.link != nil {
			t.Errorf("%s: a connection with half a message in it is kept", scheme)
		}
	}
}

func TestSyslogErrors(t *testing.T) {
	addr, _ := listen(t, nil)
	x := openSyslogSink(t, "tls://"+addr, nil)
	x.o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no\nway") }
	if done, err := x.Deliver(t.Context(), some(1, 1)); done != 0 || err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("%d delivered, %v", done, err)
	}
	server, _ := certificate(t)
	addr, _ = listen(t, server)
	if done, err := openSyslogSink(t, "tls://"+addr, nil).Deliver(t.Context(), some(1, 1)); done != 0 || err == nil || len(err.Error()) > 200 {
		t.Errorf("delivered %d to a receiver that nobody vouches for: %v", done, err)
	}
}

func TestSyslogDatagrams(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.LocalAddr().String()
	x := openSyslogSink(t, "udp://"+addr, nil)
	events := some(1, 3)
	events[1].Attrs[2].Value = strings.Repeat("ä", MaxDatagram)
	deliver(t, x, events)
	buf := make([]byte, 65536)
	for i := range events {
		_ = l.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, _, err := l.ReadFrom(buf)
		if want := string(Datagram(Syslog(&events[i], x.host))); err != nil || string(buf[:n]) != want {
			t.Errorf("got %q, %v", buf[:n], err)
		}
	}
	_ = l.Close()
	// A host without a receiver refuses the first datagram when the second is sent.
	if done, err := x.Deliver(t.Context(), some(4, 50)); done != 0 || err == nil {
		t.Errorf("%d of 50 delivered to nobody, %v", done, err)
	}
}
