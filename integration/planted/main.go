// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// bugLimit bounds what one check of one bug may take, its build aside. A test
// that never ends counts as one that failed.
const bugLimit = 60 * time.Second

func main() {
	root := flag.String("root", ".", "directory of the module")
	only := flag.String("only", "", "plant only bugs whose name contains this")
	flag.Parse()
	if err := run(*root, *only); err != nil {
		fmt.Fprintln(os.Stderr, "planted:", err)
		os.Exit(1)
	}
}

// bug is a patch and the checks that must notice it, cheapest first.
type bug struct {
	name, path string
	checks     []check
}

func run(root, only string) error {
	bugs, err := readBugs(root, only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "pilot-planted-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &site{root: root, dir: filepath.Join(dir, "copy"), bin: filepath.Join(dir, "bin")}
	if err := s.prepare(); err != nil {
		return err
	}
	fmt.Println("first without a bug: every check must pass")
	if err := s.baseline(bugs); err != nil {
		return err
	}
	fmt.Printf("\n%-42s %8s  %s\n", "bug", "after", "noticed by")
	missed := 0
	for _, b := range bugs {
		start := time.Now()
		found, err := s.plant(b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		if found == "" {
			missed++
			found = "NOBODY"
		}
		fmt.Printf("%-42s %6.1f s  %s\n", b.name, time.Since(start).Seconds(), found)
	}
	fmt.Printf("\nnoticed %d of %d\n", len(bugs)-missed, len(bugs))
	if missed > 0 {
		return fmt.Errorf("%d planted bugs were not noticed", missed)
	}
	return nil
}

// noticedBy is a line of a patch: a package and the tests in it, or a soak.
var noticedBy = regexp.MustCompile(`(?m)^Noticed-by: (\S+)(?: (\S+))?$`)

func readBugs(root, only string) ([]bug, error) {
	paths, err := filepath.Glob(filepath.Join(root, "integration", "planted", "patches", "*.patch"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no patches found below %s: %v", root, err)
	}
	var out []bug
	for _, path := range paths {
		b := bug{name: strings.TrimSuffix(filepath.Base(path), ".patch"), path: path}
		if !strings.Contains(b.name, only) {
			continue
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for _, m := range noticedBy.FindAllStringSubmatch(string(raw), -1) {
			b.checks = append(b.checks, check{pkg: m[1], tests: m[2]})
		}
		if len(b.checks) == 0 {
			return nil, fmt.Errorf("%s does not say what notices it", b.name)
		}
		out = append(out, b)
	}
	return out, nil
}

// site is where bugs are planted: a copy of the source, and binaries. The
// soak and its checkers are built from the source as it is: a checker must not
// share the bug that it looks for.
type site struct{ root, dir, bin string }

func (s *site) prepare() error {
	if err := os.MkdirAll(s.bin, 0o755); err != nil {
		return err
	}
	if out, err := command(s.root, "go", "build", "-o", filepath.Join(s.bin, "soak"), "./integration/fault/soak/run"); err != nil {
		return fmt.Errorf("build the soak: %w\n%s", err, out)
	}
	return copyTree(s.root, s.dir)
}

// baseline runs every check on the source without a bug.
func (s *site) baseline(bugs []bug) error {
	for _, c := range together(bugs) {
		start := time.Now()
		found, err := c.run(s)
		if err != nil {
			return err
		}
		if found != "" {
			return fmt.Errorf("%s finds something without a bug: %s", c.pkg, found)
		}
		fmt.Printf("  %-24s %5.1f s\n", c.pkg, time.Since(start).Seconds())
	}
	return nil
}

// together are the checks of all bugs, the tests of a package in one, in the
// order in which they first occur. Soaks with other kinds of faults are other
// checks.
func together(bugs []bug) []check {
	var out []check
	for _, b := range bugs {
		for _, c := range b.checks {
			at := slices.IndexFunc(out, func(o check) bool {
				return o.pkg == c.pkg && (c.pkg != soak || o.tests == c.tests)
			})
			switch {
			case at < 0:
				out = append(out, c)
			case c.pkg != soak:
				out[at].tests += "|" + c.tests
			}
		}
	}
	return out
}

// plant applies one patch, runs its checks until one notices, and takes the
// patch back.
func (s *site) plant(b bug) (found string, err error) {
	abs, err := filepath.Abs(b.path)
	if err != nil {
		return "", err
	}
	if out, err := command(s.dir, "patch", "-p1", "-s", "-i", abs); err != nil {
		return "", fmt.Errorf("does not apply: %w\n%s", err, out)
	}
	defer func() {
		if out, undo := command(s.dir, "patch", "-p1", "-s", "-R", "-i", abs); undo != nil && err == nil {
			err = fmt.Errorf("cannot be taken back: %w\n%s", undo, out)
		}
	}()
	if out, err := command(s.dir, "go", "build", "./cmd/..."); err != nil {
		return "", fmt.Errorf("does not build: %w\n%s", err, out)
	}
	var by []string
	for _, c := range b.checks {
		found, err := c.run(s)
		if err != nil {
			return "", err
		}
		if found == "" { // a check that is said to notice it has to
			return "", nil
		}
		by = append(by, found)
	}
	return strings.Join(by, "; "), nil
}

// copyTree copies the files that git knows or would add.
func copyTree(root, dir string) error {
	list := exec.Command("git", "ls-files", "-co", "--exclude-standard", "-z")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for _, name := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
		raw, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // deleted in the working tree
		}
		if err != nil {
			return err
		}
		target := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, raw, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func command(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// within runs a command for at most limit; it reports whether that was enough.
func within(limit time.Duration, dir, name string, args ...string) (out string, ended bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var buf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buf, &buf
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	return buf.String(), ctx.Err() == nil, err
}
