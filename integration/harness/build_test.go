// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"path/filepath"
	"testing"
)

// A test that needs a program which is there does not wait for the build of
// another: its clock may run already.
func TestABuildHoldsUpNoOtherProgram(t *testing.T) {
	dir := t.TempDir()
	building, finish := make(chan struct{}), make(chan struct{})
	built.Lock()
	before, made := built.dir, built.made
	built.dir, built.made = dir, map[string]func() error{
		filepath.Join(dir, "slow"):  func() error { close(building); <-finish; return nil },
		filepath.Join(dir, "there"): func() error { return nil },
	}
	built.Unlock()
	defer func() { built.dir, built.made = before, made }()
	done := make(chan error)
	go func() { _, err := Binary("cmd/slow"); done <- err }()
	<-building
	if path, err := Binary("cmd/there"); err != nil || path != filepath.Join(dir, "there") {
		t.Errorf("%s, %v", path, err)
	}
	close(finish)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
