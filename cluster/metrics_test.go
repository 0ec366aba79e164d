// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestMetricsMatchTheirTable(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	c := newCluster(t, 1, func(_ int, cfg *Config) { cfg.Registry = registry })
	m := c.members[0]
	m.must(increment(t, c.node(m), ""))
	m.mustRead(c.node(m))
	m.metrics.snapshotOp("persist", time.Millisecond)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range families {
		got[f.GetName()] = f.GetHelp()
	}
	for _, info := range Metrics {
		if got[info.Name] != info.Help || info.Help == "" {
			t.Errorf("metric %s: help %q, want %q", info.Name, got[info.Name], info.Help)
		}
		delete(got, info.Name)
	}
	for name := range got {
		t.Errorf("metric %s is not in the table", name)
	}
	m.kill()
	if families, _ := registry.Gather(); len(families) != 0 {
		t.Errorf("%d metrics are left after the member stopped", len(families))
	}
}
