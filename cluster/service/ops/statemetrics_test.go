// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/fsm"
)

// Until a member has applied what it knew before, it shows no counts: they
// would fall and rise with every restart.
func TestStateMetricsWaitUntilCaughtUp(t *testing.T) {
	ready := false
	registry := prometheus.NewRegistry()
	registry.MustRegister(WhenCaughtUp(StateCollector(func() *fsm.Root { return fsm.New().Root() }), func() bool { return ready }))
	for _, want := range []int{0, len(totals)} {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if len(families) != want {
			t.Errorf("caught up: %t: %d metrics, want %d", ready, len(families), want)
		}
		ready = true
	}
}

// Names that clients choose do not make series without end: a thousand
// networks have series of their own, the others share one.
func TestNetworksBeyondTheCapShareASeries(t *testing.T) {
	names := []string{otherNetworks}
	for i := range networksNamed + 4 {
		names = append(names, fmt.Sprintf("network-%04d", i))
	}
	sums, others := sumNetworks(func(yield func(fsm.NetworkTotals) bool) {
		for _, name := range names {
			if !yield(fsm.NetworkTotals{Name: name, Members: 2, Enterprise: true}) {
				return
			}
		}
	})
	if len(sums) != networksNamed || !others.any || others.sums[0] != 2*5 || others.sums[3] != 5 {
		t.Errorf("%d networks have their own series, the others have %+v; want %d, and 10 members and 5 enterprise networks of 5", len(sums), others, networksNamed)
	}
}
