// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"testing"
	"time"
)

// Spans are read as Go reads them, by a rule of our own.
func TestSpans(t *testing.T) {
	for _, s := range []string{"24h", "1h30m", "90m", "1.5h", "0.25s", "100ms", "7us", "3ns", "0", "1h1h", "168h", "0s", "-1s", "-1h30m"} {
		want, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		if got, e := parseSpan(s); e != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", s, got, e, want)
		}
	}
	for _, s := range []string{"", "h", "1", "1d", "-", "1h-", "--1h", "1..5h", ".h", "1e3s", "99999999999h", "9999999999999999999s", "1h 2m", "+1h"} {
		if got, e := parseSpan(s); e == nil {
			t.Errorf("%q is %v", s, got)
		}
	}
}
