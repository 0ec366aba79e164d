// SPDX-License-Identifier: Apache-2.0

// Package tracing records traces of some requests and sends them to an OTLP
// receiver over HTTP.
//
// Promise: no request waits for the receiver. Spans wait in a bounded queue;
// what does not fit is dropped and counted. A trace names commands, networks,
// members and error codes, nothing that a client or the cluster keeps secret.
//
// Non-goals: it knows no stages of requests (package spans marks them), and it
// takes no trace from clients.
package tracing

import (
	"context"
	"crypto/x509"
	"reflect"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/spans"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// Config says which requests are traced and where traces go.
type Config struct {
	// Endpoint is the URL of the receiver.
	Endpoint string
	// HeadersFile has headers to send, one "Name: value" a line; "" for none. It
	// is read for every delivery, so that a token in it can be renewed.
	HeadersFile string
	// Ratio is the share of requests that are traced, 0 to 1.
	Ratio float64
	// Roots are the authorities to trust, the system's when nil.
	Roots    *x509.CertPool
	Version  string
	Registry prometheus.Registerer
	Logger   hclog.Logger
}

const (
	// queueSpans bounds the spans that wait for delivery or are being
	// delivered; batchSpans is the most that go in one request.
	queueSpans = 4096
	batchSpans = 512
	// batchAfter is how long a span waits for others.
	batchAfter = time.Second
)

// Tracing is the traces of one member. It implements server.Tracer.
type Tracing struct {
	cfg      Config
	queue    *queue
	exporter sdk.SpanExporter

	once     sync.Once
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

var _ server.Tracer = (*Tracing)(nil)

// New prepares traces. Nothing is recorded before Tracer has been called.
func New(c Config) (*Tracing, error) {
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	counts, err := newCounts(c.Registry)
	if err != nil {
		return nil, err
	}
	exporter, err := otlptrace.New(context.Background(), newSender(c))
	if err != nil {
		return nil, err
	}
	q := &queue{counts: counts, limit: queueSpans}
	t := &Tracing{cfg: c, queue: q, exporter: &delivery{next: exporter, queue: q, log: c.Logger}}
	// What the library has to say beyond failed deliveries, which are logged here.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { c.Logger.Debug("traces", "error", err) }))
	return t, nil
}

// Tracer makes the tracer of a member. It is to be called once, before Begin.
func (t *Tracing) Tracer(memberID string) trace.Tracer {
	t.once.Do(func() {
		about := resource.NewSchemaless(attribute.String("service.name", "pilot-registry"),
			attribute.String("service.instance.id", memberID), attribute.String("service.version", t.cfg.Version))
		t.queue.next = sdk.NewBatchSpanProcessor(t.exporter, sdk.WithMaxQueueSize(queueSpans), sdk.WithMaxExportBatchSize(batchSpans), sdk.WithBatchTimeout(batchAfter))
		t.provider = sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithSpanProcessor(t.queue),
			sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(t.cfg.Ratio))))
		t.tracer = t.provider.Tracer(spans.Scope)
	})
	return t.tracer
}

// Attach has a member record its part of traces; nil records none.
func (t *Tracing) Attach(c *cluster.Config) {
	if t != nil {
		c.Tracer = t.Tracer
	}
}

// Close delivers what waits, until ctx ends.
func (t *Tracing) Close(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Begin begins the trace of a request of a client, with the reading of its frame as the first stage.
func (t *Tracing) Begin(ctx context.Context, req *protocol.Request, arrived time.Time) (context.Context, server.Trace) {
	name := "unknown"
	if req.Command != nil {
		name = req.Command.Name
	}
	under, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(arrived))
	if !span.IsRecording() {
		return ctx, nil
	}
	if id, ok := networkOf(req.Body); ok {
		span.SetAttributes(spans.Network.Int64(id))
	}
	spans.Record(under, "decode", arrived, time.Now())
	return under, &request{ctx: under, span: span}
}

// networkOf is the network that a request names.
func networkOf(body protocol.Body) (int64, bool) {
	v := reflect.Indirect(reflect.ValueOf(body))
	if v.Kind() != reflect.Struct {
		return 0, false
	}
	f := v.FieldByName("NetworkID")
	if f.Kind() == reflect.Pointer {
		f = f.Elem()
	}
	if !f.IsValid() || !f.CanUint() {
		return 0, false
	}
	return int64(f.Uint()), true
}

// request is a request that is traced.
type request struct {
	ctx     context.Context
	span    trace.Span
	decided time.Time
}

// Decided says that the reply is about to be made.
func (r *request) Decided() { r.decided = time.Now() }

// End ends the trace when the reply was written.
func (r *request) End(code string, unwritten error) {
	spans.Record(r.ctx, "reply", r.decided, time.Now())
	endRequest(r.span, code, unwritten)
}
