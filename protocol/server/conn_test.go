// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	_, addr := start(t, server.Config{Rates: server.RatesOff()})
	p := dial(t, addr)
	const n = 1000
	var all []byte
	for i := range n {
		body := fmt.Sprintf(`{"type":"lookup","node_id":%d}`, i+1)
		if i%7 == 0 {
			body = fmt.Sprintf(`{"type":"t%d"}`, i)
		}
		all = append(all, frame(body)...)
	}
	go p.nc.Write(all)
	for i := range n {
		got := p.recv()
		switch {
		case i%7 == 0 && got.Error != fmt.Sprintf(`unknown message type: "t%d"`, i):
			t.Fatalf("reply %d: %+v", i, got)
		case i%7 != 0 && got.NodeID != uint32(i+1):
			t.Fatalf("reply %d: %+v", i, got)
		}
	}
}

func TestFramesMayArriveInPieces(t *testing.T) {
	t.Parallel()
	pipes := newPipes()
	startOn(t, server.Config{}, pipes)
	p := pipes.dial(t, "10.0.0.1:1")
	for _, b := range frame(padded(5000)) {
		p.write([]byte{b})
	}
	if got := p.recv(); got.NodeID != 7 {
		t.Errorf("%+v", got)
	}
}

// A reply is one write, and so one segment wherever it fits.
func TestReplyIsOneWrite(t *testing.T) {
	t.Parallel()
	pipes := newPipes()
	startOn(t, server.Config{}, pipes)
	p := pipes.dial(t, "10.0.0.1:1")
	p.send(`{"type":"lookup","node_id":1}`)
	buf := make([]byte, 4096)
	n, err := p.nc.Read(buf) // a pipe hands over at most one write
	if err != nil || string(buf[4:n]) != `{"node_id":1,"type":"lookup_ok"}` {
		t.Fatalf("first read: %q, %v", buf[:n], err)
	}
}

func TestConnStateBelongsToTheConnection(t *testing.T) {
	t.Parallel()
	_, addr := start(t, server.Config{Backend: &backend{
		serve: func(_ context.Context, conn *server.ConnState, _ *protocol.Request) []byte {
			conn.MinIndex++
			return fmt.Appendf(nil, `{"node_id":%d,"error":%q,"type":"x"}`, conn.MinIndex, conn.Source)
		},
	}})
	a, b := dial(t, addr), dial(t, addr)
	a.ask(`{"type":"lookup"}`)
	if got := a.ask(`{"type":"lookup"}`); got.NodeID != 2 || got.Error != a.nc.LocalAddr().String() {
		t.Errorf("%+v", got)
	}
	if got := b.ask(`{"type":"lookup"}`); got.NodeID != 1 {
		t.Errorf("%+v", got)
	}
}

func TestPanicInHandler(t *testing.T) {
	t.Parallel()
	metrics := &counters{}
	_, addr := start(t, server.Config{Metrics: metrics, Backend: &backend{
		serve: func(_ context.Context, _ *server.ConnState, req *protocol.Request) []byte {
			if r, ok := req.Body.(*protocol.NodeRequest); ok && r.NodeID == 1 {
				return []byte(`{"node_id":1,"type":"lookup_ok"}`)
			}
			panic("defect in " + req.Type)
		},
	}})
	p := dial(t, addr)
	for body, outcome := range map[string]string{
		`{"type":"set_visibility","node_id":2}`: "unknown",
		`{"type":"poll_handshakes"}`:            "unknown",
		`{"type":"cluster_remove"}`:             "unknown",
		`{"type":"check_trust"}`:                "not_applied",
	} {
		got := p.ask(body)
		if got.Code != protocol.CodeInternal || got.Outcome != outcome || strings.Contains(got.Error, "defect in") {
			t.Errorf("%s: %+v", body, got)
		}
	}
	if got := p.ask(`{"type":"lookup","node_id":1}`); got.NodeID != 1 {
		t.Errorf("the connection did not survive: %+v", got)
	}
	if metrics.get("panicked set_visibility") != 1 || metrics.get("set_visibility internal") != 1 {
		t.Errorf("not counted: %v", metrics)
	}
}

// unreadable is a body that cannot be encoded.
type unreadable struct{ panics bool }

func (u unreadable) MarshalJSON() ([]byte, error) {
	if u.panics {
		panic("defect in the reply")
	}
	return nil, errors.New("defect in the reply")
}

func TestAReplyThatCannotBeEncodedIsAnError(t *testing.T) {
	t.Parallel()
	metrics := &counters{}
	_, addr := start(t, server.Config{Metrics: metrics, Backend: &backend{reply: func(req *protocol.Request) server.Reply {
		return server.Reply{Body: unreadable{panics: req.Type == "set_visibility"}}
	}}})
	p := dial(t, addr)
	if got := p.ask(`{"type":"set_visibility","node_id":2}`); got.Code != protocol.CodeInternal || got.Outcome != "unknown" {
		t.Errorf("%+v", got)
	}
	if got := p.ask(`{"type":"lookup","node_id":1}`); got.Code != protocol.CodeInternal {
		t.Errorf("%+v", got)
	}
	if metrics.get("panicked set_visibility") != 1 || metrics.get("set_visibility internal") != 1 || metrics.get("lookup internal") != 1 {
		t.Errorf("not counted: %v", metrics)
	}
}

func TestReplyAboveTheLimit(t *testing.T) {
	t.Parallel()
	big := append([]byte(`{"pad":"`), make([]byte, protocol.MaxReplyBytes)...)
	_, addr := start(t, server.Config{Backend: &backend{
		serve: func(context.Context, *server.ConnState, *protocol.Request) []byte { return big },
	}})
	if got := dial(t, addr).ask(`{"type":"list_nodes"}`); got.Code != protocol.CodeTooLarge || !strings.Contains(got.Error, "limit") {
		t.Errorf("%+v", got)
	}
}

// The tests below run on a fake clock: deadlines are exact and cost no time.

func TestIdleConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		s := startOn(t, server.Config{}, pipes)
		p := pipes.dial(t, "10.0.0.1:1")
		for range 3 { // each frame re-arms the deadline
			time.Sleep(4 * time.Minute)
			p.ask(`{"type":"lookup"}`)
		}
		time.Sleep(5*time.Minute - time.Second)
		synctest.Wait()
		if s.Conns() != 1 {
			t.Fatal("closed before the idle deadline")
		}
		time.Sleep(2 * time.Second)
		p.wantClosed()
	})
}

func TestHalfAFrameIsClosed(t *testing.T) {
	for name, part := range map[string][]byte{
		"half a header": header(10)[:2], "no body": header(10), "half a body": frame(`{"type":"lookup"}`)[:9],
		"one byte": {0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pipes, metrics := newPipes(), &counters{}
				s := startOn(t, server.Config{Metrics: metrics}, pipes)
				p := pipes.dial(t, "10.0.0.1:1")
				time.Sleep(4 * time.Minute) // the idle time does not count for the frame
				p.write(part)
				time.Sleep(29 * time.Second)
				synctest.Wait()
				if s.Conns() != 1 {
					t.Fatal("closed before the frame deadline")
				}
				time.Sleep(2 * time.Second)
				p.wantClosed()
				if metrics.get("malformed frame_timeout") != 1 {
					t.Errorf("not counted: %v", metrics)
				}
			})
		})
	}
}

func TestClientThatDoesNotReadIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		s := startOn(t, server.Config{}, pipes)
		p := pipes.dial(t, "10.0.0.1:1")
		p.send(`{"type":"lookup"}`)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if s.Conns() != 1 {
			t.Fatal("closed before the write deadline")
		}
		time.Sleep(2 * time.Second)
		p.wantClosed()
	})
}

func TestSlowReaderGetsALargeReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := []byte(`{"pad":"` + strings.Repeat("x", 1<<20) + `"}`)
		pipes := newPipes()
		startOn(t, server.Config{Backend: &backend{
			serve: func(context.Context, *server.ConnState, *protocol.Request) []byte { return body },
		}}, pipes)
		p := pipes.dial(t, "10.0.0.1:1")
		p.send(`{"type":"list_nodes"}`)
		buf := make([]byte, 4+len(body))
		for at := 0; at < len(buf); at += 128 << 10 {
			time.Sleep(4 * time.Second)
			if _, err := io.ReadFull(p.nc, buf[at:min(at+128<<10, len(buf))]); err != nil {
				t.Fatal(err)
			}
		}
		if string(buf[4:]) != string(body) {
			t.Error("the reply is damaged")
		}
	})
}

func TestRequestContextHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		startOn(t, server.Config{Backend: &backend{
			serve: func(ctx context.Context, _ *server.ConnState, _ *protocol.Request) []byte {
				from := time.Now()
				<-ctx.Done()
				return fmt.Appendf(nil, `{"node_id":%d,"type":"x"}`, time.Since(from)/time.Second)
			},
		}}, pipes)
		if got := pipes.dial(t, "10.0.0.1:1").ask(`{"type":"lookup"}`); got.NodeID != 10 {
			t.Errorf("the context ended after %d s", got.NodeID)
		}
	})
}

func TestAcceptBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes, metrics := newPipes(), &counters{}
		flaky := &flakyListener{pipeListener: pipes, fail: 30}
		from := time.Now()
		startOn(t, server.Config{Metrics: metrics}, flaky)
		pipes.dial(t, "10.0.0.1:1").ask(`{"type":"lookup"}`)
		if n := metrics.get("accept failed"); n != 30 {
			t.Errorf("%d failures counted", n)
		}
		// 100 ms, 200 ms … 2 s, then 2 s each.
		if want := 41 * time.Second; time.Since(from) != want {
			t.Errorf("30 failures took %v, want %v", time.Since(from), want)
		}
	})
}

type flakyListener struct {
	*pipeListener
	fail int
}

func (l *flakyListener) Accept() (net.Conn, error) {
	if l.fail > 0 {
		l.fail--
		return nil, fmt.Errorf("accept: too many open files")
	}
	return l.pipeListener.Accept()
}
