// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"testing"

	"github.com/pilotregistry/pilotregistry/cmd/internal/manpages"
)

var update = flag.Bool("update", false, "rewrite the manual pages")

// The manual pages are those of the commands that there are.
func TestManPages(t *testing.T) { manpages.Check(t, newRoot(), "../../deploy/man", *update) }
