// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

func TestMain(m *testing.M) {
	// Built first, so that building takes no time of what tests wait for.
	for _, pkg := range []string{"cmd/pilot-registry", "cmd/pilotctl"} {
		if _, err := harness.Binary(pkg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	code := m.Run()
	if shared.cluster != nil {
		shared.cluster.Stop()
		os.RemoveAll(shared.cluster.Dir)
	}
	harness.RemoveBinaries()
	os.Exit(code)
}

var shared struct {
	sync.Mutex
	cluster *harness.Cluster
}

// sharedCluster is one three-member cluster for the tests that leave it as
// they found it: all members up, nothing global changed.
func sharedCluster(t *testing.T) *harness.Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		dir, err := os.MkdirTemp("", "pilot-shared-")
		if err != nil {
			t.Fatal(err)
		}
		// Conversations list the events they cause, and refusals of others are among none of them.
		if shared.cluster, err = harness.Launch(dir, harness.Options{Set: []string{"auth.note_refusals=0"}}); err != nil {
			t.Fatal(err)
		}
	}
	return shared.cluster
}

func binary(t *testing.T, pkg string) string {
	t.Helper()
	path, err := harness.Binary(pkg)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
