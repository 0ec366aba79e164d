// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocsNameRealTests: a test that a page names exists.
func TestDocsNameRealTests(t *testing.T) {
	out, err := exec.Command("git", "-C", "..", "grep", "-hoE", "^func (Test|Fuzz)[A-Za-z0-9_]+", "--", "*_test.go").Output()
	if err != nil {
		t.Skipf("git cannot list the tests: %v", err)
	}
	tests := map[string]bool{}
	for _, line := range strings.Split(string(out), "\n") {
		tests[strings.TrimPrefix(line, "func ")] = true
	}
	pages, err := exec.Command("git", "-C", "..", "ls-files", "*.md").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range strings.Fields(string(pages)) {
		text, err := os.ReadFile(filepath.Join("..", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\b(Test|Fuzz)[A-Z][A-Za-z0-9_]*…?`).FindAllString(string(text), -1) {
			if !tests[name] && !strings.HasSuffix(name, "…") { // that stands for several
				t.Errorf("%s names %s, which does not exist", page, name)
			}
		}
	}
}

// TestEveryDeviationHasATest: each row of the tables of docs/compatibility.md
// that have a column for tests names one.
func TestEveryDeviationHasATest(t *testing.T) {
	text, err := os.ReadFile("../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, columns := 0, 0
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasSuffix(line, "| here | test |"):
			columns = strings.Count(line, " | ")
		case !strings.HasPrefix(line, "|"):
			columns = 0
		case columns > 0 && !strings.HasPrefix(line, "|---"):
			rows++
			if cells := strings.Split(strings.Trim(line, "| "), " | "); len(cells) <= columns || !strings.HasPrefix(cells[columns], "`Test") {
				t.Errorf("no test is named for: %.100s", line)
			}
		}
	}
	if rows < 100 {
		t.Errorf("%d rows were looked at: the test does not see the tables", rows)
	}
}

// TestDesignNamesRealFunctions: a function that a page about the design names
// with its parentheses, such as Gateway.Serve(), exists.
func TestDesignNamesRealFunctions(t *testing.T) {
	functions := declaredFunctions(t)
	for _, page := range []string{
		"docs/architecture.md", "fsm/DESIGN.md", "cluster/DESIGN.md", "cluster/service/gateway/DESIGN.md",
		"cluster/service/delivery/DESIGN.md", "integration/fault/DESIGN.md",
	} {
		text, err := os.ReadFile(filepath.Join("..", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`([A-Za-z]+(?:\\.[A-Za-z]+)?)\\(\\)`").FindAllStringSubmatch(string(text), -1) {
			if !functions[m[1]] && m[1] != "function" && m[1] != "Type.method" {
				t.Errorf("%s names %s(), which does not exist", page, m[1])
			}
		}
	}
}

// declaredFunctions are the functions of the product, methods as Type.method.
func declaredFunctions(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, folder := range []string{"audit", "cluster", "cmd", "fsm", "identity", "protocol"} {
		err := filepath.WalkDir(filepath.Join("..", folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok {
					found[receiver(f)+f.Name.Name] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// receiver is the type of a method with a dot, "" for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	switch generic := typ.(type) {
	case *ast.IndexExpr:
		typ = generic.X
	case *ast.IndexListExpr:
		typ = generic.X
	}
	if name, ok := typ.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}

// TestCitationsResolve: a page of docs/ that a comment cites exists, and has
// the heading that the citation names.
func TestCitationsResolve(t *testing.T) {
	out, err := exec.Command("git", "-C", "..", "grep", "-noE", `docs/[a-z/0-9-]+\.md(#[a-z_0-9-]+)?`, "--", "*.go", "Makefile", "*.sh").Output()
	if err != nil {
		t.Skipf("git cannot list the citations: %v", err)
	}
	anchors := map[string]map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		where, cited := line[:strings.LastIndex(line, ":")], line[strings.LastIndex(line, ":")+1:]
		page, anchor, _ := strings.Cut(cited, "#")
		if anchors[page] == nil {
			anchors[page] = headings(t, page)
		}
		if anchor != "" && !anchors[page][anchor] {
			t.Errorf("%s cites %s, and the page has no such heading", where, cited)
		}
	}
}

// headings are the anchors of a page's headings, as they are made for links.
func headings(t *testing.T, page string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", page))
	if err != nil {
		t.Errorf("a comment cites %s: %v", page, err)
	}
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(text), -1) {
		name := regexp.MustCompile(`[^a-z0-9_ -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		found[strings.ReplaceAll(name, " ", "-")] = true
	}
	return found
}

// TestLinksResolve: what a page links to exists, with the heading that the link names.
func TestLinksResolve(t *testing.T) {
	pages, err := exec.Command("git", "-C", "..", "ls-files", "*.md").Output()
	if err != nil {
		t.Skipf("git cannot list the pages: %v", err)
	}
	links := 0
	for _, page := range strings.Fields(string(pages)) {
		text, err := os.ReadFile(filepath.Join("..", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(string(text), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			links++
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), target)
			}
			if info, err := os.Stat(filepath.Join("..", path)); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			} else if anchor != "" && (info.IsDir() || !headings(t, path)[anchor]) {
				t.Errorf("%s links to %s, and the page has no such heading", page, m[1])
			}
		}
	}
	if links < 50 {
		t.Errorf("only %d links were found", links)
	}
}

// TestEveryFileNamesItsLicence: tools that collect licences look at files one by one.
func TestEveryFileNamesItsLicence(t *testing.T) {
	out, err := exec.Command("git", "-C", "..", "grep", "-L", "SPDX-License-Identifier: Apache-2.0", "--", "*.go", "*.sh", ":!*/testdata/*").Output()
	var exit *exec.ExitError
	switch {
	case len(out) > 0:
		t.Errorf("without a line // SPDX-License-Identifier: Apache-2.0:\n%s", out)
	case err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1): // 1: there is none
		t.Skipf("git cannot list the files: %v", err)
	}
}

// Every limit has a test, which TestDocsNameRealTests finds.
func TestEveryLimitHasATest(t *testing.T) {
	text, err := os.ReadFile("../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| what ") {
			continue
		}
		if rows++; len(cells) != 5 || !strings.Contains(cells[4], "`Test") {
			t.Errorf("no test: %s", line)
		}
	}
	if rows < 40 {
		t.Errorf("%d limits were found: the test does not see them", rows)
	}
}
