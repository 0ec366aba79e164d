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
	root := (&app{}).rootCommand()
	lines, err := cited.Lines("../..", "pilotctl")
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) < 20 {
		t.Fatalf("only %d command lines were found", len(lines))
	}
	for _, l := range lines {
		cmd, rest, _ := root.Find(l.Words)
		if len(rest) > 0 && cmd.HasSubCommands() && cited.IsName(rest[0]) {
			t.Errorf("%s: pilotctl %s: %s has no command %s", l.Where, strings.Join(l.Words, " "), cmd.CommandPath(), rest[0])
			continue
		}
		for _, f := range l.Flags() {
			if f != "help" && f != "version" && cmd.Flags().Lookup(f) == nil && cmd.InheritedFlags().Lookup(f) == nil {
				t.Errorf("%s: pilotctl %s: %s has no flag --%s", l.Where, strings.Join(l.Words, " "), cmd.CommandPath(), f)
			}
		}
	}
}
