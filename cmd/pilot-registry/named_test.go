// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/docs/cited"
)

// Commands and flags that pages, messages and comments name exist.
func TestNamedCommandsExist(t *testing.T) {
	t.Parallel()
	missing, seen, err := cited.Missing("../..", newRoot())
	if err != nil || seen < 20 || len(missing) > 0 {
		t.Errorf("%d command lines, error %v:\n%s", seen, err, strings.Join(missing, "\n"))
	}
}
