// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Requests are counted in the buckets of the metric, and shares of them are read from these.
func TestDurations(t *testing.T) {
	f := NewFrontDoor(prometheus.NewRegistry())
	if len(requestBuckets)+1 != durationBuckets {
		t.Fatalf("%d buckets, and one above, in %d", len(requestBuckets), durationBuckets)
	}
	before := f.Durations()
	for range 98 {
		f.Request(t.Context(), "lookup", "", 2*time.Millisecond)
	}
	f.Request(t.Context(), "lookup", "", 200*time.Millisecond)
	f.Request(t.Context(), "lookup", "", time.Minute)
	d := f.Durations().Since(before)
	p50, p985, p100 := d.Quantile(0.5), d.Quantile(0.985), d.Quantile(1)
	if d.Total() != 100 || p50 <= 0.001 || p50 > 0.0025 || p985 <= 0.1 || p985 > 0.25 || p100 != 1 {
		t.Errorf("%v: %g %g %g", d, p50, p985, p100)
	}
	if none := (Durations{}).Quantile(0.99); none != 0 {
		t.Errorf("of no requests: %g", none)
	}
}
