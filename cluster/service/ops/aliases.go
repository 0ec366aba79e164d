// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/pilotregistry/pilotregistry/cluster"
)

// alias is a metric under the name that later versions of the original
// registry have for it.
type alias struct {
	cluster.MetricInfo
	of    []string // added up
	label string   // of the series to take, as name=value; empty for all
	value func(sum *dto.Metric) float64
}

var aliases = []alias{
	renamed("pilot_runtime_goroutines", "gauge", "goroutines, as `go_goroutines`", "go_goroutines"),
	renamed("pilot_registry_tcp_connections", "gauge", "as `pilot_connections`", "pilot_connections"),
	renamed("pilot_replication_term", "gauge", "as `pilot_raft_term`", "pilot_raft_term"),
	{info("pilot_replication_is_standby", "gauge", "1 while this member does not lead, else 0"), []string{"pilot_raft_leader"}, "",
		func(m *dto.Metric) float64 { return 1 - m.GetGauge().GetValue() }},
	renamed("pilot_wal_size_bytes", "gauge", "as `pilot_raft_log_bytes`", "pilot_raft_log_bytes"),
	{info("pilot_save_total", "counter", "snapshots written"), []string{"pilot_snapshot_seconds"}, "op=persist",
		func(m *dto.Metric) float64 { return float64(m.GetHistogram().GetSampleCount()) }},
	{info("pilot_save_duration_seconds", "histogram", "as `pilot_snapshot_seconds{op=\"persist\"}`"), []string{"pilot_snapshot_seconds"}, "op=persist", nil},
	renamed("pilot_save_last_unix_seconds", "gauge", "as `pilot_snapshot_timestamp_seconds`", "pilot_snapshot_timestamp_seconds"),
	renamed("pilot_recovered_panics_total", "counter", "handlers that panicked, of clients and of members", "pilot_panics_total", "pilot_peer_panics_total"),
}

// Aliases lists the metrics that are others under the names of later versions
// of the original registry.
var Aliases = func() (list []cluster.MetricInfo) {
	for _, a := range aliases {
		list = append(list, a.MetricInfo)
	}
	return list
}()

func info(name, kind, help string) cluster.MetricInfo {
	return cluster.MetricInfo{Name: name, Kind: kind, Help: help}
}

func renamed(name, kind, help string, of ...string) alias {
	value := func(m *dto.Metric) float64 { return m.GetGauge().GetValue() }
	if kind == "counter" {
		value = func(m *dto.Metric) float64 { return m.GetCounter().GetValue() }
	}
	return alias{info(name, kind, help), of, "", value}
}

// WithAliases adds the aliases to what is gathered.
func WithAliases(g prometheus.Gatherer) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := g.Gather()
		for i := range aliases {
			if f := aliases[i].from(families); f != nil {
				families = append(families, f)
			}
		}
		slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
		return families, err
	})
}

// from makes the family of an alias, nil when there is nothing to make it of.
func (a *alias) from(families []*dto.MetricFamily) *dto.MetricFamily {
	sum, found := 0.0, (*dto.Metric)(nil)
	for _, f := range families {
		if !slices.Contains(a.of, f.GetName()) {
			continue
		}
		for _, m := range f.GetMetric() {
			if !a.takes(m) {
				continue
			}
			if found = m; a.value != nil {
				sum += a.value(m)
			}
		}
	}
	if found == nil {
		return nil
	}
	out, kind := &dto.Metric{}, dto.MetricType_GAUGE
	switch a.Kind {
	case "gauge":
		out.Gauge = &dto.Gauge{Value: &sum}
	case "counter":
		out.Counter, kind = &dto.Counter{Value: &sum}, dto.MetricType_COUNTER
	case "histogram":
		out.Histogram, kind = found.Histogram, dto.MetricType_HISTOGRAM
	}
	return &dto.MetricFamily{Name: &a.Name, Help: &a.Help, Type: &kind, Metric: []*dto.Metric{out}}
}

func (a *alias) takes(m *dto.Metric) bool {
	return a.label == "" || slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName()+"="+l.GetValue() == a.label })
}
