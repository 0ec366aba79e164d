// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// elsewhere are the verbs that need what a script does not have, with the test
// that runs them.
var elsewhere = map[string]string{
	"badge submit":      "TestAccountsRecoverNodes: a verifier of accounts",
	"recovery enroll":   "the same",
	"recovery recover":  "the same",
	"idp set":           "an identity provider, see oidc_test.go",
	"idp validate":      "the same",
	"cluster subscribe": "TestVerbsThatDocumentsNameWork: the replication token",
	"help":              "of the library for command lines", "completion bash": "the same", "completion zsh": "the same",
	"completion fish": "the same", "completion powershell": "the same",
}

// TestEveryVerbAgainstACluster runs the scripts of testdata/scripts: each verb
// of pilotctl against live members, with tables of 80 columns.
func TestEveryVerbAgainstACluster(t *testing.T) {
	v := runVerbs(t, binary(t, "cmd/pilotctl"), launch(t, ""), false)
	for _, verb := range v.known {
		if !v.ran[verb] && elsewhere[verb] == "" {
			t.Errorf("no script runs pilotctl %s", verb)
		}
	}
}

// launch runs a cluster of a program, this version's when it is "".
func launch(t *testing.T, registry string) *harness.Cluster {
	t.Helper()
	c, err := harness.Launch(t.TempDir(), harness.Options{Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// runVerbs runs the scripts with a program. When it and the cluster are of two
// versions, what one of them does not have may be missing.
func runVerbs(t *testing.T, program string, c *harness.Cluster, twoVersions bool) *verbs {
	t.Helper()
	v := &verbs{program: program, known: knownVerbs(t, program), ran: map[string]bool{}, twoVersions: twoVersions}
	t.Run("scripts", func(t *testing.T) {
		testscript.Run(t, testscript.Params{
			Dir: "testdata/scripts",
			Setup: func(env *testscript.Env) error {
				env.Setenv("HOME", env.WorkDir)
				env.Setenv("PILOT_ADDR", strings.Join(c.Addrs(), ","))
				env.Setenv("PILOT_ADMIN_TOKEN", c.AdminToken)
				return nil
			},
			Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"pilotctl": v.run, "exits": v.exits},
		})
	})
	return v
}

// knownVerbs asks the program for its verbs.
func knownVerbs(t *testing.T, program string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, "context").Output()
	if err != nil {
		t.Fatal(err)
	}
	var about struct {
		Commands []struct {
			Command string `json:"command"`
		} `json:"commands"`
	}
	if err := json.Unmarshal(out, &about); err != nil || len(about.Commands) < 100 {
		t.Fatalf("%d verbs, %v", len(about.Commands), err)
	}
	var names []string
	for _, c := range about.Commands {
		names = append(names, c.Command)
	}
	return names
}

// verbs runs verbs and notes which.
type verbs struct {
	program string
	known   []string
	mu      sync.Mutex
	ran     map[string]bool
	// twoVersions allows for what the program or the cluster does not have.
	twoVersions bool
}

func (v *verbs) run(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("say which code: exits code pilotctl args...")
	}
	v.expect(ts, 0, args)
}

func (v *verbs) exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || args[1] != "pilotctl" {
		ts.Fatalf("usage: exits code pilotctl args...")
	}
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	v.expect(ts, code, args[2:])
}

func (v *verbs) expect(ts *testscript.TestScript, want int, args []string) {
	if !v.note(args) && v.twoVersions {
		ts.Logf("the program has no such verb")
		return
	}
	got := 0
	if err := ts.Exec(v.program, args...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if v.twoVersions && missing.MatchString(ts.ReadFile("stderr")) {
		return
	}
	if got != want {
		ts.Fatalf("pilotctl %s exited with %d, want %d", strings.Join(args, " "), got, want)
	}
	if slices.Contains(args, "-o") {
		return
	}
	for _, line := range strings.Split(ts.ReadFile("stdout"), "\n") {
		if n := utf8.RuneCountInString(line); n > 80 && !copied(args, line) {
			ts.Fatalf("pilotctl %s writes %d columns: %s", strings.Join(args, " "), n, line)
		}
	}
}

// copied reports whether a line is there to be copied whole, or is of a
// document or a log.
func copied(args []string, line string) bool {
	text := strings.TrimSpace(line)
	_, value, _ := strings.Cut(text, "  ")
	return strings.HasPrefix(text, `"`) || strings.HasPrefix(strings.TrimSpace(value), "{") || strings.HasPrefix(text, "JOIN TOKEN") ||
		slices.Contains(args, "tail")
}

// note finds the verb in a command line, false when the program does not have it.
func (v *verbs) note(args []string) bool {
	var words []string
	for i, arg := range args {
		if !strings.HasPrefix(arg, "-") && (i == 0 || args[i-1] != "--identity" && args[i-1] != "--node-id") {
			words = append(words, arg)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for n := min(4, len(words)); n > 0; n-- {
		if verb := strings.Join(words[:n], " "); slices.Contains(v.known, verb) {
			v.ran[verb] = true
			return true
		}
	}
	return false
}
