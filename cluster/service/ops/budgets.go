// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// BudgetMetrics lists the metrics of what connections share.
var BudgetMetrics = []cluster.MetricInfo{
	{Name: "pilot_budget_used_ratio", Kind: "gauge", Help: "share of what clients share that is taken, by budget (connections, replies: memory of replies, long_requests: memory of long requests, writes and write_bytes: writes that wait at this member as leader)", Labels: []string{"budget"}},
}

type budgetCollector struct {
	budgets func() []server.Budget
	used    *prometheus.Desc
}

// BudgetCollector makes the metrics of what budgets shows.
func BudgetCollector(budgets func() []server.Budget) prometheus.Collector {
	m := &BudgetMetrics[0]
	return &budgetCollector{budgets, prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)}
}

// Describe implements prometheus.Collector.
func (c *budgetCollector) Describe(out chan<- *prometheus.Desc) { out <- c.used }

// Collect implements prometheus.Collector.
func (c *budgetCollector) Collect(out chan<- prometheus.Metric) {
	for _, b := range c.budgets() {
		out <- prometheus.MustNewConstMetric(c.used, prometheus.GaugeValue, float64(b.Used)/float64(max(b.Limit, 1)), b.Name)
	}
}
