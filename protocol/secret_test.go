// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Secrets of orchestrators end with a line end, files of editors begin with a mark.
func TestTokenWithMarkAndLineEndIsTheToken(t *testing.T) {
	for _, s := range []string{"t0ken", "t0ken\n", "t0ken\r\n", "\ufefft0ken\r\n", " t0ken \n\n", "\n\ufefft0ken"} {
		if got := protocol.TrimSecret(s); got != "t0ken" {
			t.Errorf("%q is %q", s, got)
		}
	}
}
