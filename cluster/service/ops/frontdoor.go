// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// Metrics lists every metric of the wire listener. Label values are bounded:
// type is a name of the command table or unknown, code an error code, node_id
// one of maxLegacyNodes.
var Metrics = []cluster.MetricInfo{
	{Name: "pilot_connections", Kind: "gauge", Help: "open client connections"},
	{Name: "pilot_connections_refused_total", Kind: "counter", Help: "connections above a cap, by cap (source, network: an IPv6 /48, total, draining)", Labels: []string{"cap"}},
	{Name: "pilot_accept_failures_total", Kind: "counter", Help: "accepts that failed"},
	{Name: "pilot_requests_total", Kind: "counter", Help: "requests answered, by command", Labels: []string{"type"}},
	{Name: "pilot_errors_total", Kind: "counter", Help: "requests answered with an error, by command", Labels: []string{"type"}},
	{Name: "pilot_error_codes_total", Kind: "counter", Help: "requests answered with an error, by error code", Labels: []string{"code"}},
	{Name: "pilot_request_duration_seconds", Kind: "histogram", Help: "time from decoded request to reply, by command", Labels: []string{"type"}},
	{Name: "pilot_malformed_total", Kind: "counter", Help: "connections closed for their input, by reason: request_too_long (above wire.max_request), frame_too_large (a length no client sends, as of another protocol), frame_empty, frame_timeout, no_room (too many long requests), not_an_object, binary", Labels: []string{"reason"}},
	{Name: "pilot_slow_readers_total", Kind: "counter", Help: "connections closed because a reply was not read in time"},
	{Name: "pilot_rate_limited_total", Kind: "counter", Help: "requests refused by a rate limit, by class", Labels: []string{"class"}},
	{Name: "pilot_wrong_tokens_total", Kind: "counter", Help: "tokens that were not valid, by kind (admin, network, replication, join)", Labels: []string{"kind"}},
	{Name: "pilot_tokens_not_looked_at_total", Kind: "counter", Help: "tokens not looked at because their source had brought too many wrong ones, by kind", Labels: []string{"kind"}},
	{Name: "pilot_unsigned_role_commands_total", Kind: "counter", Help: "role commands let through by compat.unsigned_role_commands, by command", Labels: []string{"type"}},
	{Name: "pilot_unsigned_identities_total", Kind: "counter", Help: "unsigned registrations whose identity token was let through by compat.unsigned_identity"},
	{Name: "pilot_idp_verifications_total", Kind: "counter", Help: "identity tokens that were verified"},
	{Name: "pilot_idp_results_total", Kind: "counter", Help: "identity tokens that were looked at, by result (verified, rejected, error)", Labels: []string{"result"}},
	{Name: "pilot_signature_verify_total", Kind: "counter", Help: "signatures of requests that were verified, by result (ok, fail); once more when a request is looked at again on a newer state", Labels: []string{"result"}},
	{Name: "pilot_legacy_signatures_total", Kind: "counter", Help: "requests with a signature over a challenge instead of a signed request, by command", Labels: []string{"type"}},
	{Name: "pilot_legacy_signature_nodes_total", Kind: "counter", Help: "requests with a verified signature over a challenge, by the node that signed; each member has the 1000 nodes that did last", Labels: []string{"node_id"}},
	{Name: "pilot_panics_total", Kind: "counter", Help: "handlers that panicked, by command", Labels: []string{"type"}},
}

// knownValues are the values of each label, or of a metric with values of its
// own, that are known before the first of them is counted. Their series begin at 0, so that the first count is an
// increase to those who watch it.
func knownValues() map[string][]string {
	known := map[string][]string{
		"cap":    {"source", "network", "total", "draining"},
		"reason": {"request_too_long", "frame_too_large", "frame_empty", "frame_timeout", "no_room", "not_an_object", "binary"},
		"class":  {string(protocol.RateRegistration), string(protocol.RateResolve), string(protocol.RateQuery), string(protocol.RateHeartbeat), string(protocol.RateBeacon)},
		"kind":   {string(guess.Admin), string(guess.Network), string(guess.Replication), string(guess.Join)},
		"result": {"verified", "rejected", "error"},
		"type":   {"unknown"},

		"pilot_signature_verify_total": {"ok", "fail"},
	}
	for i := range protocol.Commands {
		known["type"] = append(known["type"], protocol.Commands[i].Name)
	}
	for _, c := range protocol.ErrorCodes {
		known["code"] = append(known["code"], c.Code)
	}
	return known
}

// begin makes the series of a metric with at most one label.
func begin(m *cluster.MetricInfo, known map[string][]string, series func(values ...string)) {
	if len(m.Labels) == 0 {
		series()
		return
	}
	values, own := known[m.Name]
	if !own {
		values = known[m.Labels[0]]
	}
	for _, value := range values {
		series(value)
	}
}

// requestBuckets are those of the protocol's observability document, in seconds.
var requestBuckets = []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1}

// FrontDoor counts what the wire listener does. It implements server.Metrics.
type FrontDoor struct {
	requests   atomic.Uint64
	took       durations
	gauges     map[string]*prometheus.GaugeVec
	counters   map[string]*prometheus.CounterVec
	histograms map[string]*prometheus.HistogramVec

	legacyMu    sync.Mutex // a node leaves the metric and the list together
	legacyNodes *lru.Cache[uint32, prometheus.Counter]
}

// maxLegacyNodes bounds the nodes that a member shows with old signatures.
const maxLegacyNodes = 1000

var _ server.Metrics = (*FrontDoor)(nil)

// NewFrontDoor registers the metrics of the wire listener.
func NewFrontDoor(r prometheus.Registerer) *FrontDoor {
	f := &FrontDoor{
		gauges:     map[string]*prometheus.GaugeVec{},
		counters:   map[string]*prometheus.CounterVec{},
		histograms: map[string]*prometheus.HistogramVec{},
	}
	known := knownValues()
	for _, m := range Metrics {
		switch m.Kind {
		case "gauge":
			f.gauges[m.Name] = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.Name, Help: m.Help}, m.Labels)
			r.MustRegister(f.gauges[m.Name])
			begin(&m, known, func(v ...string) { f.gauges[m.Name].WithLabelValues(v...) })
		case "counter":
			f.counters[m.Name] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.Labels)
			r.MustRegister(f.counters[m.Name])
			begin(&m, known, func(v ...string) { f.counters[m.Name].WithLabelValues(v...) })
		case "histogram":
			f.histograms[m.Name] = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: requestBuckets}, m.Labels)
			r.MustRegister(f.histograms[m.Name])
			begin(&m, known, func(v ...string) { f.histograms[m.Name].WithLabelValues(v...) })
		}
	}
	nodes := f.counters["pilot_legacy_signature_nodes_total"]
	var err error
	f.legacyNodes, err = lru.NewWithEvict(maxLegacyNodes, func(node uint32, _ prometheus.Counter) {
		nodes.DeleteLabelValues(nodeLabel(node))
	})
	if err != nil { // only for a size below 1
		panic(err)
	}
	return f
}

func nodeLabel(node uint32) string { return strconv.FormatUint(uint64(node), 10) }

func (f *FrontDoor) count(name string, labels ...string) {
	f.counters[name].WithLabelValues(labels...).Inc()
}

// ConnOpened counts an admitted connection.
func (f *FrontDoor) ConnOpened() { f.gauges["pilot_connections"].WithLabelValues().Inc() }

// ConnClosed counts its end.
func (f *FrontDoor) ConnClosed() { f.gauges["pilot_connections"].WithLabelValues().Dec() }

// ConnRefused counts a connection above a cap.
func (f *FrontDoor) ConnRefused(reason string) { f.count("pilot_connections_refused_total", reason) }

// Request counts an answered request. The trace of one that is traced becomes an
// exemplar of its duration.
func (f *FrontDoor) Request(ctx context.Context, command, code string, took time.Duration) {
	f.requests.Add(1)
	f.took.count(took)
	f.count("pilot_requests_total", command)
	if code != "" {
		f.count("pilot_errors_total", command)
		f.count("pilot_error_codes_total", code)
	}
	duration := f.histograms["pilot_request_duration_seconds"].WithLabelValues(command)
	if c := trace.SpanContextFromContext(ctx); c.IsSampled() {
		duration.(prometheus.ExemplarObserver).ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": c.TraceID().String()})
		return
	}
	duration.Observe(took.Seconds())
}

// Requests is how many requests were answered since the start.
func (f *FrontDoor) Requests() uint64 { return f.requests.Load() }

// Malformed counts a connection closed for its input.
func (f *FrontDoor) Malformed(reason string) { f.count("pilot_malformed_total", reason) }

// SlowReader counts a connection closed because a reply was not read in time.
func (f *FrontDoor) SlowReader() { f.count("pilot_slow_readers_total") }

// RateLimited counts a refusal by a rate limit.
func (f *FrontDoor) RateLimited(class protocol.RateClass) {
	f.count("pilot_rate_limited_total", string(class))
}

// WrongToken counts a token that was not valid.
func (f *FrontDoor) WrongToken(kind guess.Kind) { f.count("pilot_wrong_tokens_total", string(kind)) }

// TokenNotLookedAt counts a token of a source that has brought too many wrong ones.
func (f *FrontDoor) TokenNotLookedAt(kind guess.Kind) {
	f.count("pilot_tokens_not_looked_at_total", string(kind))
}

// Panicked counts a handler that panicked.
func (f *FrontDoor) Panicked(command string) { f.count("pilot_panics_total", command) }

// UnsignedRole counts a role command that nobody signed.
func (f *FrontDoor) UnsignedRole(command string) {
	f.count("pilot_unsigned_role_commands_total", command)
}

// UnsignedIdentity counts an unsigned registration that bound a node to a person.
func (f *FrontDoor) UnsignedIdentity() { f.count("pilot_unsigned_identities_total") }

// Verified counts an identity token by what became of it.
func (f *FrontDoor) Verified(result string) {
	f.count("pilot_idp_results_total", result)
	if result == "verified" {
		f.count("pilot_idp_verifications_total")
	}
}

// Signature counts a signature that was verified.
func (f *FrontDoor) Signature(valid bool) {
	result := "fail"
	if valid {
		result = "ok"
	}
	f.count("pilot_signature_verify_total", result)
}

// Legacy counts a request that was signed in the old way.
func (f *FrontDoor) Legacy(command string) { f.count("pilot_legacy_signatures_total", command) }

// LegacyNode counts a request that a node proved itself for in the old way.
func (f *FrontDoor) LegacyNode(node uint32) {
	f.legacyMu.Lock()
	defer f.legacyMu.Unlock()
	c, ok := f.legacyNodes.Get(node)
	if !ok {
		c = f.counters["pilot_legacy_signature_nodes_total"].WithLabelValues(nodeLabel(node))
		f.legacyNodes.Add(node, c)
	}
	c.Inc()
}

// AcceptFailed counts a failed accept.
func (f *FrontDoor) AcceptFailed() { f.count("pilot_accept_failures_total") }
