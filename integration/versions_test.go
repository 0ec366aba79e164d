// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// missing is what pilotctl says of a verb that the cluster does not have, with
// the next step.
var missing = regexp.MustCompile(`(?s)^error: .*(unknown message type|becomes available when all members are upgraded).*\nhint: .*upgrade|^error: .*of feature level .*; use a version that knows it`)

// TestPilotctlOfTwoVersions: the verbs work between a pilotctl and a cluster
// of the next version, in both directions. What the other end does not have is
// said in words, with what to do.
func TestPilotctlOfTwoVersions(t *testing.T) {
	onlyE2E(t, "it builds both programs of the next version")
	t.Parallel()
	nextCtl, err := harness.Tagged("cmd/pilotctl", "nextver")
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]struct{ program, registry, says string }{
		"older pilotctl": {binary(t, "cmd/pilotctl"), nextVersion(t), ""},
		"newer pilotctl": {nextCtl, "", "unknown message type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := launch(t, v.registry)
			runVerbs(t, v.program, c, true)
			home := t.TempDir()
			run := func(program string, args ...string) string {
				cmd := exec.CommandContext(t.Context(), program, append(args, "--addr", c.Addrs()[0])...)
				cmd.Env = append(os.Environ(), "HOME="+home)
				out, err := cmd.CombinedOutput()
				if _, is := errors.AsType[*exec.ExitError](err); err != nil && !is {
					t.Fatal(err)
				}
				return string(out)
			}
			run(nextCtl, "register", "--hostname", "motto-bearer")
			run(nextCtl, "node", "set-visibility", "public")
			said := run(nextCtl, "node", "set-motto", "onwards")
			if missing.MatchString(said) != (v.says != "") || !strings.Contains(said, v.says) {
				t.Errorf("a verb of the next version alone: %s", said)
			}
			// A field that the program does not know is shown all the same.
			if found := run(v.program, "lookup", "motto-bearer", "-o", "json"); strings.Contains(found, "onwards") != (v.says == "") {
				t.Errorf("lookup: %s", found)
			}
		})
	}
}

// TestReleaseBinariesAndThisVersion: the verbs work between the programs of
// the first release and those of this version, in both directions.
func TestReleaseBinariesAndThisVersion(t *testing.T) {
	onlyE2E(t, "it builds both programs from a clone")
	t.Parallel()
	dist := releasedPrograms(t, "0.1.0")
	for name, v := range map[string]struct{ program, registry string }{
		"released pilotctl": {filepath.Join(dist, "pilotctl"), ""},
		"released cluster":  {binary(t, "cmd/pilotctl"), filepath.Join(dist, "pilot-registry")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runVerbs(t, v.program, launch(t, v.registry), true)
		})
	}
}
