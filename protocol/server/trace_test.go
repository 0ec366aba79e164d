// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

type traceKey struct{}

// tracer follows every request but those for stale reads, and remembers.
type tracer struct{ got chan string }

func (r *tracer) note(text string) { r.got <- text }

func (r *tracer) Begin(ctx context.Context, req *protocol.Request, arrived time.Time) (context.Context, server.Trace) {
	if req.Consistency == protocol.Stale {
		return ctx, nil
	}
	r.note(fmt.Sprint("begin ", req.Type, " ", arrived.IsZero()))
	return context.WithValue(ctx, traceKey{}, true), r
}

func (r *tracer) Decided() { r.note("decided") }

func (r *tracer) End(code string, unwritten error) { r.note(fmt.Sprint("end ", code, " ", unwritten)) }

// A request is followed from its frame to its reply, also one that the front
// door refuses, and the backend serves it under its trace.
func TestRequestsAreFollowed(t *testing.T) {
	t.Parallel()
	r := &tracer{make(chan string, 100)}
	_, addr := start(t, server.Config{Tracer: r, Backend: &backend{serve: func(ctx context.Context, _ *server.ConnState, req *protocol.Request) []byte {
		r.note(fmt.Sprint("serve ", req.Type, " ", ctx.Value(traceKey{})))
		return []byte(`{"type":"lookup_ok"}`)
	}}})
	p := dial(t, addr)
	p.ask(`{"type":"lookup","node_id":1}`)
	p.ask(`{"type":"lookup","node_id":1,"consistency":"stale"}`)
	p.ask(`{"type":"nothing"}`)
	for _, want := range []string{"begin lookup false", "serve lookup true", "decided", "end  <nil>", "serve lookup <nil>", "begin nothing false", "decided", "end unknown_command <nil>"} {
		if got := <-r.got; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
