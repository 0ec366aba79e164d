// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

// A second dev printed that its cluster is up and named processes that were
// not its own.
func TestSecondDevDoesNotTakeTheFirstOnesCluster(t *testing.T) {
	dir := t.TempDir()
	first, err := openDevHome(dir, 9000, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openDevHome(dir, 9000, true); err == nil || !strings.Contains(err.Error(), "another dev runs") {
		t.Errorf("a second dev: %v", err)
	}
	first.close()
	again, err := openDevHome(dir, 9000, true)
	if err != nil {
		t.Fatal(err)
	}
	again.close()
}

// With other ports members look for each other where nobody is, for ever.
func TestDevOnOtherPortsSaysWhichItWere(t *testing.T) {
	dir := t.TempDir()
	h, err := openDevHome(dir, 9000, false)
	if err != nil {
		t.Fatal(err)
	}
	h.close()
	if _, err := openDevHome(dir, 9050, true); err == nil || !strings.Contains(err.Error(), "--base-port 9000") {
		t.Errorf("other ports: %v", err)
	}
	h, err = openDevHome(dir, 9050, false) // nothing was made with the first
	if err != nil {
		t.Fatal(err)
	}
	h.close()
}
