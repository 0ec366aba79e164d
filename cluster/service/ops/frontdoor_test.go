// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/protocol"
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

// Whoever watches an increase has to see a 0 before the first count: every
// series of a label value that is known is there from the first scrape.
func TestSeriesBeginAtZero(t *testing.T) {
	registry := prometheus.NewRegistry()
	f := NewFrontDoor(registry)
	gathered := func() map[string]int {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		series := map[string]int{}
		for _, family := range families {
			series[family.GetName()] = len(family.GetMetric())
		}
		return series
	}
	types := len(protocol.Commands) + 1
	before := gathered()
	for name, want := range map[string]int{
		"pilot_requests_total": types, "pilot_errors_total": types, "pilot_request_duration_seconds": types, "pilot_error_codes_total": len(protocol.ErrorCodes),
		"pilot_idp_verifications_total": 1, "pilot_idp_results_total": 3, "pilot_connections_refused_total": 4, "pilot_malformed_total": 7, "pilot_rate_limited_total": 5,
	} {
		if before[name] != want {
			t.Errorf("%s has %d series, want %d", name, before[name], want)
		}
	}
	for i := range protocol.Commands {
		f.Request(t.Context(), protocol.Commands[i].Name, protocol.CodeInvalid, 0)
	}
	for _, result := range []string{"verified", "rejected", "error"} {
		f.Verified(result)
	}
	for name, n := range gathered() {
		if n != before[name] {
			t.Errorf("%s has %d series after a count, %d before", name, n, before[name])
		}
	}
}

// Tokens that were verified are one number; those that were looked at are
// counted by result.
func TestVerifiedTokensAreOneNumber(t *testing.T) {
	registry := prometheus.NewRegistry()
	f := NewFrontDoor(registry)
	for _, result := range []string{"verified", "rejected", "verified", "error"} {
		f.Verified(result)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			counted[family.GetName()] += m.GetCounter().GetValue()
		}
	}
	if counted["pilot_idp_verifications_total"] != 2 || counted["pilot_idp_results_total"] != 4 {
		t.Errorf("%v verified of %v", counted["pilot_idp_verifications_total"], counted["pilot_idp_results_total"])
	}
}
