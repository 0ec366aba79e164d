// SPDX-License-Identifier: Apache-2.0

package contexts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/pilotregistry/pilotregistry/cmd/internal/contexts"
)

// Programs that keep a context at the same time all keep theirs, in a file
// that only its owner reads.
func TestChangesAreNotLost(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "home", "contexts.json")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if _, err := contexts.Put(path, fmt.Sprint("c", i), contexts.Context{Addrs: []string{"127.0.0.1:9000"}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	f, err := contexts.Load(path)
	if err != nil || len(f.Contexts) != 20 || f.Contexts[f.Current].Addrs == nil {
		t.Errorf("%v, %v", f, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".contexts-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}

// A change that fails changes nothing, and a broken file is not overwritten.
func TestAFailedChangeChangesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "contexts.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := contexts.Put(path, "a", contexts.Context{}); err == nil {
		t.Error("a broken file was replaced")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "{" {
		t.Errorf("%q, %v", data, err)
	}
}
