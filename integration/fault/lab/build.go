// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// Build says which binary to make.
type Build struct {
	// Dir is the module to build, this one when empty.
	Dir string
	// Tags are build tags beside `faults`.
	Tags []string
	// Version is what the binary says it is.
	Version string
	// Race builds with the race detector.
	Race bool
}

var built = struct {
	sync.Mutex
	dir  string
	done map[string]string
}{done: map[string]string{}}

// Binary builds a member that can be made to fail, once per process and kind,
// with the user's build cache, and returns its path.
func Binary(b Build) (string, error) {
	built.Lock()
	defer built.Unlock()
	if b.Dir == "" {
		b.Dir = harness.Root()
	}
	key := fmt.Sprint(b)
	if path := built.done[key]; path != "" {
		return path, nil
	}
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "pilot-lab-bin-")
		if err != nil {
			return "", err
		}
		built.dir = dir
	}
	path := filepath.Join(built.dir, fmt.Sprintf("pilot-registry-%d", len(built.done)+1))
	if err := b.make(path); err != nil {
		return "", err
	}
	built.done[key] = path
	return path, nil
}

func (b Build) make(path string) error {
	args := []string{"build", "-tags", strings.Join(append([]string{"faults"}, b.Tags...), ","), "-o", path}
	if b.Version != "" {
		args = append(args, "-ldflags", "-X main.version="+b.Version)
	}
	cgo := "0"
	if b.Race {
		args, cgo = append(args, "-race"), "1"
	}
	cmd := exec.Command("go", append(args, "./cmd/pilot-registry")...)
	cmd.Dir = b.Dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build a member in %s: %w\n%s", b.Dir, err, out)
	}
	return nil
}

// RemoveBinaries deletes what Binary built.
func RemoveBinaries() {
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		os.RemoveAll(built.dir)
		built.dir, built.done = "", map[string]string{}
	}
}
