// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/spans"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const spansTotal = "pilot_trace_spans_total"

// Results of spans.
const (
	exported = "exported"
	dropped  = "dropped"
	failed   = "failed"
)

// Metrics lists the metrics of this package.
var Metrics = []cluster.MetricInfo{
	{Name: spansTotal, Kind: "counter", Help: "spans of traced requests by result (exported, dropped: too many waited, failed: the receiver did not take them)", Labels: []string{"result"}},
}

// newCounts registers the metrics, with a series for each result. Without
// traces they stay at 0.
func newCounts(r prometheus.Registerer) (*prometheus.CounterVec, error) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: spansTotal, Help: Metrics[0].Help}, Metrics[0].Labels)
	for _, result := range []string{exported, dropped, failed} {
		c.WithLabelValues(result)
	}
	return c, r.Register(c)
}

// Off registers the metrics of a member that traces nothing.
func Off(r prometheus.Registerer) error {
	_, err := newCounts(r)
	return err
}

// queue bounds the spans that wait. The processor behind it has room for all
// of them, so it drops none by itself, which nobody would count.
type queue struct {
	next    sdk.SpanProcessor
	counts  *prometheus.CounterVec
	limit   int64
	waiting atomic.Int64
}

func (q *queue) OnStart(ctx context.Context, s sdk.ReadWriteSpan) { q.next.OnStart(ctx, s) }

func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if q.waiting.Add(1) > q.limit {
		q.waiting.Add(-1)
		q.counts.WithLabelValues(dropped).Inc()
		return
	}
	q.next.OnEnd(s)
}

func (q *queue) Shutdown(ctx context.Context) error   { return q.next.Shutdown(ctx) }
func (q *queue) ForceFlush(ctx context.Context) error { return q.next.ForceFlush(ctx) }

// delivery counts what leaves the queue, and logs when the receiver stops and
// starts taking it.
type delivery struct {
	next  sdk.SpanExporter
	queue *queue
	log   hclog.Logger

	mu      sync.Mutex
	failing bool
}

func (d *delivery) ExportSpans(ctx context.Context, batch []sdk.ReadOnlySpan) error {
	defer d.queue.waiting.Add(-int64(len(batch)))
	err := d.next.ExportSpans(ctx, batch)
	result := exported
	if err != nil {
		result = failed
	}
	d.queue.counts.WithLabelValues(result).Add(float64(len(batch)))
	d.note(err)
	return nil // it is said and counted
}

func (d *delivery) note(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil && !d.failing:
		d.log.Warn("traces are not taken by the receiver of ops.otlp_endpoint; requests go on, spans are counted in "+spansTotal, "error", err)
	case err == nil && d.failing:
		d.log.Info("traces are taken again by the receiver of ops.otlp_endpoint")
	}
	d.failing = err != nil
}

func (d *delivery) Shutdown(ctx context.Context) error { return d.next.Shutdown(ctx) }

// endRequest ends the span of a request. A refusal is an answer like any
// other; a defect, and a reply that was not read, are errors.
func endRequest(span trace.Span, code string, unwritten error) {
	if code != "" {
		span.SetAttributes(spans.Code.String(code))
	}
	switch {
	case unwritten != nil:
		span.SetStatus(codes.Error, "the reply was not written")
	case fails(code):
		span.SetStatus(codes.Error, code)
	}
	span.End()
}

// fails reports whether a code says that the registry could not answer.
func fails(code string) bool {
	switch code {
	case protocol.CodeInternal, protocol.CodeNoLeader, protocol.CodeOutcomeUnknown, protocol.CodeTimeout, protocol.CodeTimeoutRead,
		protocol.CodeQuarantined, protocol.CodeOverloaded:
		return true
	}
	return false
}
