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
	"strings"
	"time"
)

// tier is a set of tests; tiers are tried in order.
type tier struct {
	name string
	args []string
}

var tiers = []tier{
	{"unit", []string{"test", "-short", "./protocol/...", "./identity", "./fsm", "./cluster/keyring", "./cluster/store", "./cluster/gateway", "./cluster/peer"}},
	{"cluster in one process", []string{"test", "-short", "./cluster"}},
	{"real processes", []string{"test", "-count=1", "./integration", "-run", "LeaderKilled|Follower|Transcripts|Roll"}},
}

// tierLimit ends a tier that hangs, which counts as noticed: a test that
// never ends is a failure.
const tierLimit = 3 * time.Minute

func main() {
	root := flag.String("root", ".", "directory of the module")
	only := flag.String("only", "", "plant only bugs whose name contains this")
	flag.Parse()
	if err := run(*root, *only); err != nil {
		fmt.Fprintln(os.Stderr, "planted:", err)
		os.Exit(1)
	}
}

func run(root, only string) error {
	patches, err := filepath.Glob(filepath.Join(root, "integration", "planted", "patches", "*.patch"))
	if err != nil || len(patches) == 0 {
		return fmt.Errorf("no patches found below %s: %v", root, err)
	}
	dir, err := os.MkdirTemp("", "pilot-planted-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyTree(root, dir); err != nil {
		return err
	}
	fmt.Println("first without a bug: every tier must pass")
	for _, t := range tiers {
		start := time.Now()
		if found := t.run(dir); found != "" {
			return fmt.Errorf("tier %q fails without a bug: %s", t.name, found)
		}
		fmt.Printf("  %-24s %5.1f s\n", t.name, time.Since(start).Seconds())
	}
	missed, planted := 0, 0
	fmt.Printf("\n%-46s %-24s %8s  %s\n", "bug", "noticed by", "after", "test")
	for _, patch := range patches {
		name := strings.TrimSuffix(filepath.Base(patch), ".patch")
		if !strings.Contains(name, only) {
			continue
		}
		planted++
		start := time.Now()
		by, test, err := plant(dir, patch)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if by == "" {
			missed++
			by = "NOBODY"
		}
		fmt.Printf("%-46s %-24s %6.1f s  %s\n", name, by, time.Since(start).Seconds(), test)
	}
	fmt.Printf("\nnoticed %d of %d\n", planted-missed, planted)
	if missed > 0 {
		return fmt.Errorf("%d planted bugs were not noticed", missed)
	}
	return nil
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

// plant applies one patch, runs the tiers until one fails, and takes the patch back.
func plant(dir, patch string) (by, test string, err error) {
	abs, err := filepath.Abs(patch)
	if err != nil {
		return "", "", err
	}
	if out, err := command(dir, "patch", "-p1", "-s", "-i", abs); err != nil {
		return "", "", fmt.Errorf("does not apply: %w\n%s", err, out)
	}
	defer func() {
		if out, undo := command(dir, "patch", "-p1", "-s", "-R", "-i", abs); undo != nil && err == nil {
			err = fmt.Errorf("cannot be taken back: %w\n%s", undo, out)
		}
	}()
	if out, err := command(dir, "go", "build", "./..."); err != nil {
		return "", "", fmt.Errorf("does not build: %w\n%s", err, out)
	}
	for _, t := range tiers {
		if found := t.run(dir); found != "" {
			return t.name, found, nil
		}
	}
	return "", "", nil
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^panic: (.*)$`)

// run returns the first failure of the tier, "" when all pass.
func (t tier) run(dir string) string {
	ctx, cancel := context.WithTimeout(context.Background(), tierLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", t.args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	switch {
	case err == nil:
		return ""
	case ctx.Err() != nil:
		return "did not end in " + tierLimit.String()
	}
	if m := failed.FindStringSubmatch(out.String()); m != nil {
		return m[1] + m[2]
	}
	return strings.TrimSpace(out.String())
}

func command(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}
