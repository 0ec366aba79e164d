// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Metrics lists the metrics of the event log and its sinks. All are read from
// the replicated state, so every member shows the same: sum over members is
// wrong, max is right. No counter ever falls, also when sinks come and go.
var Metrics = []cluster.MetricInfo{
	{Name: "pilot_audit_events_total", Kind: "counter", Help: "events in the audit log since the cluster began"},
	{Name: "pilot_audit_exports_total", Kind: "counter", Help: "events delivered to exports since the cluster began, also to those that are gone"},
	{Name: "pilot_audit_export_active", Kind: "gauge", Help: "1 while an audit export is configured"},
	{Name: "pilot_webhook_configured", Kind: "gauge", Help: "1 while a webhook is configured"},
	{Name: "pilot_idp_configured", Kind: "gauge", Help: "1 while an identity provider is configured"},
	{Name: "pilot_jwks_keys", Kind: "gauge", Help: "keys of the identity provider in use; absent before the first fetch, as are the next two"},
	{Name: "pilot_jwks_keys_left_out", Kind: "gauge", Help: "keys of the identity provider that cannot be used"},
	{Name: "pilot_jwks_fetch_age_seconds", Kind: "gauge", Help: "how long ago the identity provider's keys were last confirmed"},
	{Name: "pilot_jwks_failing_seconds", Kind: "gauge", Help: "how long fetching the identity provider's keys has been failing, 0 while it works"},
	{Name: "pilot_audit_sink_lag_events", Kind: "gauge", Help: "events that a sink is behind", Labels: []string{"sink"}},
	{Name: "pilot_audit_sink_cursor", Kind: "gauge", Help: "sequence number of the newest event that a sink is done with", Labels: []string{"sink"}},
	{Name: "pilot_audit_sink_delivered_total", Kind: "counter", Help: "events delivered to the sinks of a name since the cluster began, also after the sink is gone", Labels: []string{"sink"}},
	{Name: "pilot_audit_sink_failed_total", Kind: "counter", Help: "events of them that became dead letters", Labels: []string{"sink"}},
	{Name: "pilot_audit_sink_dropped_total", Kind: "counter", Help: "events that retention cut off before they had them", Labels: []string{"sink"}},
	{Name: "pilot_audit_sink_troubled", Kind: "gauge", Help: "1 while a sink does not take events", Labels: []string{"sink"}},
	{Name: "pilot_webhook_dlq_size", Kind: "gauge", Help: "dead letters of a sink", Labels: []string{"sink"}},
	{Name: "pilot_webhook_deliveries_total", Kind: "counter", Help: "events of the webhook of set_webhook by result (ok, error: became a dead letter, dropped: cut off by retention)", Labels: []string{"result"}},
}

// collector reads the metrics when they are asked for.
type collector struct {
	root  func() *fsm.Root
	descs map[string]*prometheus.Desc
	kinds map[string]prometheus.ValueType
}

// Collector makes the metrics of a member's state.
func Collector(root func() *fsm.Root) prometheus.Collector {
	c := &collector{root: root, descs: map[string]*prometheus.Desc{}, kinds: map[string]prometheus.ValueType{}}
	for _, m := range Metrics {
		c.descs[m.Name] = prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
		c.kinds[m.Name] = prometheus.GaugeValue
		if m.Kind == "counter" {
			c.kinds[m.Name] = prometheus.CounterValue
		}
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	root := c.root()
	put := func(name string, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(c.descs[name], c.kinds[name], v, labels...)
	}
	yes := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	exports, webhooks := 0, 0
	for _, s := range root.Sinks() {
		switch s.Kind {
		case protocol.SinkExport:
			exports++
		case protocol.SinkWebhook:
			webhooks++
		}
		put("pilot_audit_sink_lag_events", float64(s.Lag), s.Name)
		put("pilot_audit_sink_cursor", float64(s.Seq), s.Name)
		put("pilot_audit_sink_troubled", yes(s.Problem != ""), s.Name)
		if s.Kind != protocol.SinkLog { // it has none
			put("pilot_webhook_dlq_size", float64(s.DeadLetters), s.Name)
		}
	}
	var webhook fsm.SinkTotals
	for _, t := range root.SinkTotals() {
		if t.Name == protocol.SinkNameWebhook {
			webhook = t
		}
		put("pilot_audit_sink_delivered_total", float64(t.Delivered), t.Name)
		put("pilot_audit_sink_failed_total", float64(t.Failed), t.Name)
		put("pilot_audit_sink_dropped_total", float64(t.Dropped), t.Name)
	}
	put("pilot_webhook_deliveries_total", float64(webhook.Delivered), "ok")
	put("pilot_webhook_deliveries_total", float64(webhook.Failed), "error")
	put("pilot_webhook_deliveries_total", float64(webhook.Dropped), "dropped")
	_, idp := root.IDP()
	put("pilot_audit_events_total", float64(root.EventSeq()))
	put("pilot_audit_exports_total", float64(root.Exported()))
	put("pilot_audit_export_active", yes(exports > 0))
	put("pilot_webhook_configured", yes(webhooks > 0))
	put("pilot_idp_configured", yes(idp))
	collectKeys(root, put)
}

// collectKeys tells about the identity provider's keys, in log time.
func collectKeys(root *fsm.Root, put func(string, float64, ...string)) {
	status, failing := root.KeyStatus(), 0.0
	if status.Failing != 0 {
		failing = age(root, status.Failing)
	}
	put("pilot_jwks_failing_seconds", failing)
	if _, fetched, ok := root.JWKS(); ok {
		put("pilot_jwks_keys", float64(len(status.Keys)))
		put("pilot_jwks_keys_left_out", float64(len(status.LeftOut)))
		put("pilot_jwks_fetch_age_seconds", age(root, fetched))
	}
}

// age is how long ago a log time was, in seconds.
func age(root *fsm.Root, ms int64) float64 { return float64(max(root.Now()-ms, 0)) / 1000 }
