// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestConnectionsLeaveFilesForTheMember(t *testing.T) {
	for _, x := range []struct{ configured, files, want int }{
		{100_000, 0, 100_000}, {100_000, 262_144, 100_000}, {100_000, 20_000, 20_000 - filesKept},
		{100_000, 2500, 1250}, {100, 2500, 100}, {100_000, 1, 1},
	} {
		if got := connsFor(x.configured, x.files, hclog.NewNullLogger()); got != x.want {
			t.Errorf("%d configured, %d open files: %d, want %d", x.configured, x.files, got, x.want)
		}
	}
}
