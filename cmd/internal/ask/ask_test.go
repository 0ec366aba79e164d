// SPDX-License-Identifier: Apache-2.0

package ask_test

import (
	"os"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/cmd/internal/ask"
)

// A device is no person: services have /dev/null for their input.
func TestADeviceIsNoTerminal(t *testing.T) {
	t.Parallel()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if ask.IsTerminal(null) || ask.IsTerminal(&strings.Builder{}) {
		t.Error("somebody would be asked who is not there")
	}
}

// Only a clear yes does it.
func TestOnlyYesDoesIt(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "yes": true, "\n": false, "": false, "n\n": false, "yesterday\n": false} {
		var said strings.Builder
		if err := ask.Decide(&said, strings.NewReader(answer), "delete it"); (err == nil) != want {
			t.Errorf("%q: %v", answer, err)
		}
		if !strings.Contains(said.String(), "This will delete it. Go on? [y/N] ") {
			t.Errorf("asked %q", said.String())
		}
	}
}
