// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// check is what is to notice a bug: tests of a package, or a soak, which runs
// real processes with the bug under load and faults. Of a soak, tests are the
// kinds of faults, those of soakKinds when empty.
type check struct{ pkg, tests string }

// soak is the package name of a check by soaking.
const soak = "soak"

// run returns what the check found, "" when it found nothing.
func (c check) run(s *site) (string, error) {
	if c.pkg == soak {
		return s.soak(cmp.Or(c.tests, soakKinds))
	}
	test := filepath.Join(s.bin, "test")
	if out, err := command(s.dir, "go", "test", "-c", "-o", test, c.pkg); err != nil {
		return "", fmt.Errorf("build the tests of %s: %w\n%s", c.pkg, err, out)
	}
	// The binary itself, in the package's directory: its children end with it.
	out, ended, err := within(bugLimit, filepath.Join(s.dir, c.pkg), test, "-test.short", "-test.failfast", "-test.run", "^("+c.tests+")$")
	switch {
	case !ended:
		return fmt.Sprintf("%s did not end in %s", c.pkg, bugLimit), nil
	case err == nil && strings.Contains(out, "no tests to run"):
		return "", fmt.Errorf("%s has no test %s", c.pkg, c.tests)
	case err == nil:
		return "", nil
	}
	if m := failed.FindStringSubmatch(out); m != nil {
		return m[1] + m[2], nil
	}
	return strings.TrimSpace(out), nil
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^panic: (.*)$`)

// What a soak of a planted bug is like: kills, pauses and resets at short
// intervals, over the same seed.
const (
	soakLength = 25 * time.Second
	soakSeed   = "7"
	soakKinds  = "kill-leader,pause-leader,pause-one,restart-leader,split-one,client-resets"
)

// found is how a soak lists what was wrong.
var found = regexp.MustCompile(`(?m)^ +- (.*)$`)

func (s *site) soak(kinds string) (string, error) {
	binary := filepath.Join(s.bin, "pilot-registry")
	if out, err := command(s.dir, "go", "build", "-tags", "faults", "-o", binary, "./cmd/pilot-registry"); err != nil {
		return "", fmt.Errorf("build the member: %w\n%s", err, out)
	}
	dir, err := os.MkdirTemp("", "pilot-planted-soak-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	out, ended, err := within(2*bugLimit, s.root, filepath.Join(s.bin, "soak"), "-length", soakLength.String(), "-seeds", soakSeed,
		"-kinds", kinds, "-dir", dir, "-binary", binary, "-next", binary)
	switch {
	case !ended:
		return "the soak did not end", nil
	case err == nil:
		return "", nil
	}
	if by := checkers(out); len(by) > 0 {
		return "soak: " + strings.Join(by, ", "), nil
	}
	return "", fmt.Errorf("the soak failed and says nothing of a violation:\n%s", out)
}

// checkers are the names of the checkers that found something in a soak, each
// once; the first finding itself when it is none of theirs.
func checkers(out string) []string {
	var by []string
	all := found.FindAllStringSubmatch(out, -1)
	for _, m := range all {
		if name, isChecker := strings.CutPrefix(m[1], "violation: "); isChecker {
			if name, _, _ = strings.Cut(name, " "); !slices.Contains(by, name) {
				by = append(by, name)
			}
		}
	}
	if len(by) == 0 && len(all) > 0 {
		by = append(by, all[0][1])
	}
	return by
}
