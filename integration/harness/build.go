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

// built are the programs of this process. The lock is not held while one is
// built: a test that needs another one, or one that is there, does not wait.
var built = struct {
	sync.Mutex
	dir  string
	made map[string]func() error // by path
}{made: map[string]func() error{}}

// Binary builds a program of this module once per process and returns its
// path, for example Binary("cmd/pilotctl").
func Binary(pkg string) (string, error) { return Tagged(pkg, "") }

// Tagged is Binary with a build tag.
func Tagged(pkg, tag string) (string, error) {
	path, build, err := program(pkg, tag)
	if err != nil {
		return "", err
	}
	return path, build()
}

// program is where a program is and how it comes there, once.
func program(pkg, tag string) (path string, build func() error, err error) {
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		if built.dir, err = os.MkdirTemp("", "pilot-bin-"); err != nil {
			return "", nil, err
		}
	}
	path = filepath.Join(built.dir, filepath.Base(pkg))
	if tag != "" {
		path += "-" + tag
	}
	if built.made[path] == nil {
		built.made[path] = sync.OnceValue(func() error { return compile(pkg, tag, path) })
	}
	return path, built.made[path], nil
}

func compile(pkg, tag, path string) error {
	cmd := exec.Command("go", "build", "-tags", tag, "-o", path, "./"+pkg)
	cmd.Dir = Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// RemoveBinaries deletes what Binary built.
func RemoveBinaries() {
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		os.RemoveAll(built.dir)
		built.dir, built.made = "", map[string]func() error{}
	}
}
