// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// TestReleaseBinaries: any clone builds a version that was released, so that a
// roll from it can be tried.
func TestReleaseBinaries(t *testing.T) {
	onlyE2E(t, "it builds both programs from a clone")
	t.Parallel()
	dist := releasedPrograms(t, protocol.Version)
	build := func(version string) (string, error) { return buildRelease(filepath.Dir(filepath.Dir(dist)), version) }
	out, err := exec.Command(filepath.Join(dist, "pilot-registry"), "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "pilot-registry "+protocol.Version+" ") {
		t.Errorf("%v %s", err, out)
	}
	sums := exec.Command("sha256sum", "--check", "--quiet", "SHA256SUMS")
	sums.Dir = dist
	if out, err := sums.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for version, says := range map[string]string{"9.9.9": "no commit of version 9.9.9", "": "want a version like 0.1.0", "0.1": "want a version like 0.1.0"} {
		if out, err := build(version); err == nil || !strings.Contains(out, says) {
			t.Errorf("VERSION=%s: %v %s", version, err, out)
		}
	}
}

// releasedPrograms builds the programs of a version in a clone and returns
// their folder.
func releasedPrograms(t *testing.T, version string) string {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "clone")
	if out, err := exec.Command("git", "clone", "--quiet", "..", clone).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := buildRelease(clone, version); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(clone, "dist", version)
}

func buildRelease(clone, version string) (string, error) {
	cmd := exec.Command("make", "--no-print-directory", "release-binaries", "VERSION="+version)
	cmd.Dir = clone
	out, err := cmd.CombinedOutput()
	return string(out), err
}
