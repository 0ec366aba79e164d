// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// Every bug can still be planted: a patch that no longer fits the source
// would be noticed only by the long run.
func TestPatchesApply(t *testing.T) {
	patch, err := exec.LookPath("patch")
	if err != nil {
		t.Skip("there is no patch program (Debian: apt-get install patch): patches are not checked")
	}
	root := filepath.Join("..", "..")
	bugs, err := readBugs(root, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bugs {
		path, err := filepath.Abs(b.path)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := command(root, patch, "-p1", "-s", "--dry-run", "-i", path); err != nil {
			t.Errorf("%s does not apply: %v\n%s", b.name, err, out)
		}
	}
}

// Before the first bug every check runs once: the tests of a package
// together, each list of a soak's faults by itself.
func TestChecksRunTogether(t *testing.T) {
	got := together([]bug{
		{checks: []check{{pkg: "./fsm", tests: "TestA"}, {pkg: soak}}},
		{checks: []check{{pkg: soak, tests: "pause-one"}, {pkg: "./fsm", tests: "TestB"}}},
		{checks: []check{{pkg: soak}}},
	})
	want := []check{{pkg: "./fsm", tests: "TestA|TestB"}, {pkg: soak}, {pkg: soak, tests: "pause-one"}}
	if !slices.Equal(got, want) {
		t.Errorf("together: %v, want %v", got, want)
	}
}
