// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A metric under another name has the value of the one it stands for.
func TestAliasesHaveTheValuesOfOthers(t *testing.T) {
	registry := prometheus.NewRegistry()
	front := NewFrontDoor(registry)
	front.ConnOpened()
	front.Panicked("lookup")
	gauge := func(name string, value float64) {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: name})
		g.Set(value)
		registry.MustRegister(g)
	}
	gauge("go_goroutines", 12)
	gauge("pilot_raft_term", 7)
	gauge("pilot_raft_leader", 1)
	gauge("pilot_raft_log_bytes", 4096)
	gauge("pilot_snapshot_timestamp_seconds", 1700000000)
	peers := prometheus.NewCounter(prometheus.CounterOpts{Name: "pilot_peer_panics_total", Help: "p"})
	peers.Add(2)
	saves := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pilot_snapshot_seconds", Help: "s", Buckets: []float64{1}}, []string{"op"})
	saves.WithLabelValues("persist").Observe((3 * time.Second).Seconds())
	saves.WithLabelValues("restore").Observe(1)
	registry.MustRegister(peers, saves)
	want := map[string]float64{
		"pilot_runtime_goroutines": 12, "pilot_registry_tcp_connections": 1, "pilot_replication_term": 7, "pilot_replication_is_standby": 0,
		"pilot_wal_size_bytes": 4096, "pilot_save_total": 1, "pilot_save_duration_seconds": 3, "pilot_save_last_unix_seconds": 1700000000,
		"pilot_recovered_panics_total": 3,
	}
	families, err := WithAliases(registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		m := f.GetMetric()[0]
		if value, is := want[f.GetName()]; is && m.GetGauge().GetValue()+m.GetCounter().GetValue()+m.GetHistogram().GetSampleSum() != value {
			t.Errorf("%s: %v, want %v", f.GetName(), m, value)
		} else if is {
			delete(want, f.GetName())
		}
	}
	if len(want) > 0 {
		t.Errorf("not there: %v", want)
	}
}
