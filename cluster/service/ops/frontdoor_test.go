// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// The metric has the nodes that signed in the old way last, however many did.
func TestLegacyNodesAreBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	f := NewFrontDoor(registry)
	for node := range uint32(maxLegacyNodes) {
		f.LegacyNode(node + 1)
	}
	f.LegacyNode(1)
	f.LegacyNode(maxLegacyNodes + 1) // in the place of node 2
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "pilot_legacy_signature_nodes_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			shown[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	if len(shown) != maxLegacyNodes || shown["1"] != 2 || shown["1001"] != 1 || shown["2"] != 0 {
		t.Errorf("%d nodes are shown, node 1 with %v, 1001 with %v, 2 with %v; want %d, 2, 1, 0", len(shown), shown["1"], shown["1001"], shown["2"], maxLegacyNodes)
	}
}
