// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/protocol/server"
)

func TestBudgetsAreShares(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(BudgetCollector(func() []server.Budget { return []server.Budget{{Name: "a", Used: 1, Limit: 4}, {Name: "b"}} }))
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 2 {
		t.Fatalf("%v %v", families, err)
	}
	if a, b := families[0].GetMetric()[0].GetGauge().GetValue(), families[0].GetMetric()[1].GetGauge().GetValue(); a != 0.25 || b != 0 {
		t.Errorf("%v and %v, want a quarter and nothing", a, b)
	}
}
