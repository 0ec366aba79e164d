// SPDX-License-Identifier: Apache-2.0

package termguard

import (
	"testing"

	"go.uber.org/goleak"
)

// A schedule that leaves its instance behind costs half a MiB for each of its
// connections: ten thousand took several GiB.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
