// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/pilotregistry/pilotregistry/cmd/internal/manpages"
)

// The manual pages are those of the commands that there are.
func TestManPages(t *testing.T) {
	manpages.Check(t, (&app{}).rootCommand(), "../../deploy/man", *update)
}
