// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// example is a block of shell commands of a page.
type example struct {
	page  string
	line  int
	lines []string
	mark  string // the comment above the block, "" when there is none
}

func (e example) where() string { return fmt.Sprintf("%s:%d", e.page, e.line) }

// Comments above a block that say why TestEveryExampleRuns does not run it.
var (
	notRun  = regexp.MustCompile(`^not run: .{10,}`)
	runBy   = regexp.MustCompile(`^run by (Test\w+)$`)
	comment = regexp.MustCompile(`^<!-- (.*) -->$`)
)

// otherLanguages may be in a fenced block that is no example of the shell.
var otherLanguages = []string{"go", "json", "mermaid", "text", "yaml"}

// examples finds the blocks of a page: indented ones, and fenced ones that do
// not name another language.
func examples(page, text string) (found []example, strange []string) {
	var open *example // the block that is being read
	mark, fence, indented, blank := "", "", false, true
	for n, line := range strings.Split(text, "\n") {
		code, deep := strings.CutPrefix(line, "    ")
		switch {
		case fence != "":
			if line == "```" {
				fence, open = "", nil
			} else if open != nil {
				open.lines = append(open.lines, line)
			}
			continue
		case strings.HasPrefix(line, "```"):
			if fence = strings.TrimPrefix(line, "```"); !slices.Contains(otherLanguages, fence) {
				if fence != "sh" {
					strange = append(strange, fmt.Sprintf("%s:%d: %s: want sh or one of %v", page, n+1, line, otherLanguages))
				}
				found = append(found, example{page: page, line: n + 2, mark: mark})
				open = &found[len(found)-1]
			}
			fence, indented, mark = "```", false, ""
		case deep && (blank || indented):
			if !indented {
				found, indented = append(found, example{page: page, line: n + 1, mark: mark}), true
			}
			last := &found[len(found)-1]
			last.lines = append(last.lines, code)
			mark = ""
		case line == "":
			if indented { // a blank line inside of a block is harmless
				last := &found[len(found)-1]
				last.lines = append(last.lines, "")
			}
		default:
			indented, mark = false, ""
			if m := comment.FindStringSubmatch(line); m != nil {
				mark = m[1]
			}
		}
		blank = line == "" || mark != ""
	}
	return found, strange
}

// pagesOfExamples are the examples of all pages by page.
func pagesOfExamples(t *testing.T) map[string][]example {
	t.Helper()
	out, err := exec.Command("git", "-C", "..", "ls-files", "*.md").Output()
	if err != nil {
		t.Skipf("git cannot list the pages: %v", err)
	}
	pages := map[string][]example{}
	for _, page := range strings.Fields(string(out)) {
		text, err := os.ReadFile(filepath.Join("..", page))
		if err != nil {
			t.Fatal(err)
		}
		found, strange := examples(page, string(text))
		for _, s := range strange {
			t.Error(s)
		}
		if len(found) > 0 {
			pages[page] = found
		}
	}
	return pages
}

// TestExamplesAreFound: the blocks of a page, and nothing else, are examples.
func TestExamplesAreFound(t *testing.T) {
	text := "# Page\n\n    one\n\n    two\n\nText\n    of a paragraph.\n\n<!-- not run: it needs a machine -->\n\n    three\n\n" +
		"```json\n{}\n```\n\n```sh\nfour\n```\n\n- item\n\n```console\nfive\n```\n"
	found, strange := examples("p", text)
	var got []string
	for _, e := range found {
		got = append(got, fmt.Sprintf("%d %q %s", e.line, strings.TrimSpace(strings.Join(e.lines, "|")), e.mark))
	}
	want := []string{`3 "one||two|" `, `12 "three|" not run: it needs a machine`, `19 "four" `, `25 "five" `}
	if !slices.Equal(got, want) || len(strange) != 1 {
		t.Errorf("found %q, want %q; strange: %q", got, want, strange)
	}
}

// TestEveryExampleRuns runs the examples of each page, in their order, in one
// shell and against one cluster, as somebody does who pastes them next to make
// run. What a page takes for granted is in testdata/pages. A block that cannot
// be run here has a comment above it that says why, or names its test.
func TestEveryExampleRuns(t *testing.T) {
	t.Parallel()
	bin := filepath.Dir(binary(t, "cmd/pilotctl"))
	binary(t, "cmd/pilot-registry")
	ran := 0
	for page, all := range pagesOfExamples(t) {
		var run []example
		for _, e := range all {
			switch {
			case e.mark == "":
				run = append(run, e)
			case !notRun.MatchString(e.mark) && !runBy.MatchString(e.mark):
				t.Errorf("%s: the comment %q is neither \"not run: REASON\" nor \"run by TEST\"", e.where(), e.mark)
			}
		}
		if ran += len(run); len(run) > 0 {
			t.Run(strings.ReplaceAll(strings.TrimSuffix(page, ".md"), "/", "_"), func(t *testing.T) {
				t.Parallel()
				runExamples(t, bin, run)
			})
		}
	}
	if ran < 15 {
		t.Errorf("%d examples were found: the test does not see them", ran)
	}
}

func runExamples(t *testing.T, bin string, run []example) {
	dir := t.TempDir()
	c, err := harness.Launch(filepath.Join(dir, "data"), harness.Options{TLS: true, RateLimits: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	for name, target := range map[string]string{"bin": bin, "data/admin-token": "admin"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	script := "set -euo pipefail\n"
	before := filepath.Join("testdata", "pages", strings.TrimSuffix(filepath.Base(run[0].page), ".md")+".sh")
	if text, err := os.ReadFile(before); err == nil {
		script += "echo '== " + before + "'\n" + string(text)
	}
	for _, e := range run {
		script += "echo '== " + e.where() + "'\n" + strings.Join(e.lines, "\n") + "\n"
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir, cmd.WaitDelay = dir, 10*time.Second
	cmd.Env = append(os.Environ(), "HOME="+c.Dir) // dev has kept its context there
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v; the block that failed is the last one:\n%s", err, out)
	}
}

// TestRunbookCommandsRun runs what the runbooks say to run, each in its order
// and against one cluster, with a member for MEMBER and a directory for DIR.
func TestRunbookCommandsRun(t *testing.T) {
	t.Parallel()
	span := regexp.MustCompile("`(pilotctl|pilot-registry) ([^`]+)`")
	books, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil || len(books) == 0 {
		t.Fatal(books, err)
	}
	// The webhook and the member that they are about.
	run := []example{{page: "runbooks", lines: []string{". data/env", `PATH="$PWD/bin:$PATH"`, "pilotctl webhook set https://hooks.example.org/audit",
		`MEMBER=$(pilotctl cluster members -o 'jsonpath=$.members[?@.role=="follower"].id' | tail -n 1)`}}}
	commands := 0
	for _, book := range books {
		text, err := os.ReadFile(book)
		if err != nil {
			t.Fatal(err)
		}
		e := example{page: strings.TrimPrefix(book, "../"), line: 1}
		for _, m := range span.FindAllStringSubmatch(string(text), -1) {
			e.lines, commands = append(e.lines, fromRunbook(m[1], m[2])), commands+1
		}
		run = append(run, e)
	}
	if commands < 15 {
		t.Errorf("%d commands were found: the test does not see them", commands)
	}
	runExamples(t, filepath.Dir(binary(t, "cmd/pilotctl")), run)
}

// Members that dev starts write the file of the guide's audit sink.
func TestDevMembersExportToFiles(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{})
	file := filepath.Join(c.Dir, "export", "audit.jsonl")
	if _, err := ctl(t, c, "audit", "sink", "put", "archive", "--kind", "export", "--format", "file", "--endpoint", file); err != nil {
		t.Fatal(err)
	}
	await(t, "an event in "+file, func() (any, bool) {
		text, err := os.ReadFile(file)
		return err, strings.Contains(string(text), "sink")
	})
}

// fromRunbook is a command of a runbook as a script runs it.
func fromRunbook(program, args string) string {
	args = strings.NewReplacer("MEMBER", `"$MEMBER"`, "DIR", "data/n1").Replace(args)
	if program == "pilot-registry" && !strings.Contains(args, "--data-dir") {
		args += " --data-dir data/n1"
	}
	switch {
	case args == "audit sink put": // the settings are the reader's
		args += " log --kind log"
	case strings.Contains(args, " drop "):
		args += " --yes"
	case strings.Contains(args, "cluster remove"): // two runbooks remove a member, and one is enough
		args += " --dry-run"
	}
	return program + " " + args
}
