// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"crypto/tls"
	"fmt"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// traceOf answers with the trace that a request belongs to.
func traceOf(ctx context.Context, _ string, _ byte, _ []byte) ([]byte, *protocol.Error) {
	return []byte(trace.SpanContextFromContext(ctx).TraceID().String()), nil
}

// A request brings its trace, and the next one on the connection does not have it.
func TestCallCarriesItsTrace(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := serve(t, a.identity("cluster-1", "b"), ServerConfig{Handle: traceOf})
	c := dialTo(t, a.identity("cluster-1", "a"), s.Addr().String(), nil)
	ctx, span := sdk.NewTracerProvider().Tracer("test").Start(within(t), "register")
	for _, call := range []struct {
		ctx  context.Context
		want trace.TraceID
	}{{ctx, span.SpanContext().TraceID()}, {within(t), trace.TraceID{}}} {
		got, err := c.Call(call.ctx, "b", 9, nil)
		if err != nil || string(got) != call.want.String() {
			t.Errorf("trace %q, %v; want %s", got, err, call.want)
		}
	}
}

// serveOlder serves requests as members do that know no traces: every frame of
// a reserved type is answered like a ping.
func serveOlder(t *testing.T, id *Identity) (addr string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", id.serverConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if writeVerdict(conn, nil) != nil {
			return
		}
		for {
			f, err := readFrame(conn, MaxFrame)
			if err != nil {
				return
			}
			answer := frame{id: f.id, typ: typeOK}
			if f.typ < reserved {
				answer.payload = f.payload
			}
			if _, err := conn.Write(appendFrame(nil, answer)); err != nil {
				return
			}
		}
	}()
	return l.Addr().String()
}

// A caller takes the answer of an older member to the frame with the trace for nothing.
func TestAMemberThatKnowsNoTracesIsCalledAllTheSame(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	c := dialTo(t, a.identity("cluster-1", "a"), serveOlder(t, a.identity("cluster-1", "b")), nil)
	ctx, _ := sdk.NewTracerProvider().Tracer("test").Start(within(t), "register")
	for i := range 20 {
		text := fmt.Sprint("request ", i)
		if got, err := c.Call(ctx, "b", 9, []byte(text)); err != nil || string(got) != text {
			t.Fatalf("%q, %v; want %q", got, err, text)
		}
	}
}
