// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
)

// Root is the directory of the module.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

var built = struct {
	sync.Mutex
	dir  string
	done map[string]bool
}{done: map[string]bool{}}

// Binary builds a program of this module once per process and returns its
// path, for example Binary("cmd/pilotctl").
func Binary(pkg string) (string, error) { return Tagged(pkg, "") }

// Tagged is Binary with a build tag.
func Tagged(pkg, tag string) (string, error) {
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "pilot-bin-")
		if err != nil {
			return "", err
		}
		built.dir = dir
	}
	path := filepath.Join(built.dir, filepath.Base(pkg))
	if tag != "" {
		path += "-" + tag
	}
	if built.done[path] {
		return path, nil
	}
	cmd := exec.Command("go", "build", "-tags", tag, "-o", path, "./"+pkg)
	cmd.Dir = Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	built.done[path] = true
	return path, nil
}

// RemoveBinaries deletes what Binary built.
func RemoveBinaries() {
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		os.RemoveAll(built.dir)
		built.dir, built.done = "", map[string]bool{}
	}
}
