// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A program that was just written can be started, however many others are
// started meanwhile.
func TestAWrittenProgramCanBeStarted(t *testing.T) {
	stop := make(chan struct{})
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = exec.Command("/bin/true").Run() // only its forks matter
				}
			}
		})
	}
	path := filepath.Join(t.TempDir(), "program")
	content := "#!/bin/sh\n" + strings.Repeat("# padding\n", 100_000)
	for range 100 {
		if err := WriteProgram(path, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		if err := exec.Command(path).Run(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	others.Wait()
}
