// SPDX-License-Identifier: Apache-2.0

package spans

import (
	"bytes"
	"context"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// A request that is not traced pays nothing for its stages.
func TestARequestThatIsNotTracedAllocatesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	refusal := protocol.NotAppliedf(protocol.CodeNoLeader, "no leader")
	for name, tracer := range map[string]trace.Tracer{"off": nil, "on": sdk.NewTracerProvider().Tracer(Scope)} {
		if n := testing.AllocsPerRun(100, func() {
			under, stage := Begin(ctx, "verify")
			under, served := Serve(Received(under, Carried(under)), tracer, "propose")
			Record(under, "queue", time.Time{}, time.Time{})
			served.End(refusal)
			stage.To("b").End(nil)
			if Traced(under) {
				t.Error("the request is traced")
			}
		}); n != 0 {
			t.Errorf("tracing %s: %v allocations", name, n)
		}
	}
}

// Another member goes on with a trace where this one sent it.
func TestATraceGoesOnAtAnotherMember(t *testing.T) {
	t.Parallel()
	here, there := tracetest.NewSpanRecorder(), tracetest.NewSpanRecorder()
	ctx, root := sdk.NewTracerProvider(sdk.WithSpanProcessor(here)).Tracer(Scope).Start(t.Context(), "register")
	under, stage := Begin(ctx, "forward")
	raw := Carried(under)
	far, served := Serve(Received(context.Background(), bytes.Clone(raw)), sdk.NewTracerProvider(sdk.WithSpanProcessor(there)).Tracer(Scope), "propose")
	Record(far, "queue", time.Unix(1, 0), time.Unix(2, 0))
	served.End(nil)
	stage.To("b").End(protocol.Unknownf(protocol.CodeOutcomeUnknown, "the text is not for traces"))
	root.End()
	forward, queue, propose := here.Ended()[0], there.Ended()[0], there.Ended()[1]
	if propose.Parent().SpanID() != forward.SpanContext().SpanID() || queue.Parent().SpanID() != propose.SpanContext().SpanID() ||
		queue.SpanContext().TraceID() != root.SpanContext().TraceID() {
		t.Errorf("forward %v, propose %v below %v, queue below %v", forward.SpanContext(), propose.SpanContext(), propose.Parent(), queue.Parent())
	}
	if queue.EndTime().Sub(queue.StartTime()) != time.Second {
		t.Errorf("queue took %v", queue.EndTime().Sub(queue.StartTime()))
	}
	if forward.Status().Description != protocol.CodeOutcomeUnknown {
		t.Errorf("the failed stage has status %+v", forward.Status())
	}
}

// What is no trace changes nothing.
func TestReceivedIgnoresWhatIsNoTrace(t *testing.T) {
	t.Parallel()
	for _, raw := range [][]byte{nil, {}, make([]byte, contextBytes), make([]byte, contextBytes+1), bytes.Repeat([]byte{1}, contextBytes-1)} {
		if ctx := t.Context(); Received(ctx, raw) != ctx {
			t.Errorf("%d bytes were taken for a trace", len(raw))
		}
	}
}
