// SPDX-License-Identifier: Apache-2.0

// Package spans marks the stages of requests that are traced, and carries the
// trace of a request to another member.
//
// Promise: for a request that is not traced nothing is allocated and no clock is
// read. A span says which stage it is, how long it took and what came of it by
// error code: no text, no body, no credential.
//
// Non-goals: it does not decide which requests are traced and sends nothing
// (package tracing does).
package spans

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Scope names the tracer of all spans.
const Scope = "github.com/pilotregistry/pilotregistry"

// Attributes of spans.
const (
	// Code is the error code of the protocol.
	Code = attribute.Key("pilot.code")
	// Outcome says whether a failed write can have been applied.
	Outcome = attribute.Key("pilot.outcome")
	// Network is the network that a request names.
	Network = attribute.Key("pilot.network_id")
	// Member is the member that a request is sent on to.
	Member = attribute.Key("pilot.member_id")
	// Commands is how many commands share the log entry of this one.
	Commands = attribute.Key("pilot.entry_commands")
)

// Stage is a stage that has begun. The zero value does nothing.
type Stage struct{ span trace.Span }

// Begin begins a stage of the request of ctx. What happens under the context
// that it returns is a part of the stage.
func Begin(ctx context.Context, name string) (context.Context, Stage) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, Stage{}
	}
	ctx, span := parent.TracerProvider().Tracer(Scope).Start(ctx, name)
	return ctx, Stage{span}
}

// End ends the stage, with the reason if it failed.
func (s Stage) End(e *protocol.Error) {
	if s.span == nil {
		return
	}
	Fail(s.span, e)
	s.span.End()
}

// To notes the member that the request is sent on to.
func (s Stage) To(member string) Stage {
	if s.span != nil {
		s.span.SetAttributes(Member.String(member))
	}
	return s
}

// Fail notes why a request was not carried out. A refusal is an answer like
// any other; a request that the cluster could not decide is an error.
func Fail(span trace.Span, e *protocol.Error) {
	if e == nil {
		return
	}
	span.SetAttributes(Code.String(e.Code))
	if e.Outcome != "" {
		span.SetAttributes(Outcome.String(string(e.Outcome)))
		span.SetStatus(codes.Error, e.Code)
	}
}

// Traced reports whether the request of ctx is traced.
func Traced(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// Record adds a stage that is over. A stage whose times are not known is left out.
func Record(ctx context.Context, name string, from, to time.Time, about ...attribute.KeyValue) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() || from.IsZero() || to.IsZero() {
		return
	}
	_, span := parent.TracerProvider().Tracer(Scope).Start(ctx, name, trace.WithTimestamp(from), trace.WithAttributes(about...))
	span.End(trace.WithTimestamp(to))
}

// contextBytes is the length of a trace between members: trace id, span id, flags.
const contextBytes = 16 + 8 + 1

// Carried is the trace of ctx as another member reads it; nil when the request
// is not traced.
func Carried(ctx context.Context) []byte {
	c := trace.SpanContextFromContext(ctx)
	if !c.IsValid() || !c.IsSampled() {
		return nil
	}
	id, span := c.TraceID(), c.SpanID()
	return append(append(append(make([]byte, 0, contextBytes), id[:]...), span[:]...), byte(c.TraceFlags()))
}

// Received adds a trace that another member carried here. What cannot be read is ignored.
func Received(ctx context.Context, raw []byte) context.Context {
	if len(raw) != contextBytes {
		return ctx
	}
	c := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(raw[:16]), SpanID: trace.SpanID(raw[16:24]), TraceFlags: trace.TraceFlags(raw[24]), Remote: true,
	})
	if !c.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, c)
}

// Serve begins this member's part of a request that another member traces.
func Serve(ctx context.Context, tracer trace.Tracer, name string) (context.Context, Stage) {
	if tracer == nil || !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, Stage{}
	}
	ctx, span := tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, Stage{span}
}
