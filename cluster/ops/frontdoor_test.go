package ops

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// The metric has the nodes that signed in the old way last, however many did.
func TestLegacyNodesAreBounded(t *testing.T) {
	f := NewFrontDoor(prometheus.NewRegistry())
	vec := f.counters["pilot_legacy_signature_nodes_total"]
	for node := range uint32(maxLegacyNodes) {
		f.LegacyNode(node + 1)
	}
	f.LegacyNode(1)
	f.LegacyNode(maxLegacyNodes + 1) // in the place of node 2
	if n := testutil.CollectAndCount(vec); n != maxLegacyNodes {
		t.Errorf("%d nodes are shown, want %d", n, maxLegacyNodes)
	}
	if n := testutil.ToFloat64(vec.WithLabelValues("1")); n != 2 {
		t.Errorf("node 1 signed %v times, want 2", n)
	}
	if vec.DeleteLabelValues("2") {
		t.Error("node 2 is still shown")
	}
}
