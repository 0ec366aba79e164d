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
	clone := filepath.Join(t.TempDir(), "clone")
	if out, err := exec.Command("git", "clone", "--quiet", "..", clone).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	build := func(version string) (string, error) {
		cmd := exec.Command("make", "--no-print-directory", "release-binaries", "VERSION="+version)
		cmd.Dir = clone
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := build(protocol.Version); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dist := filepath.Join(clone, "dist", protocol.Version)
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
