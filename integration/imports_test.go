package integration

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/pilotregistry/pilotregistry"

// importRules say which packages of this module a package may import, and
// why. The longest matching prefix of the importing package decides.
var importRules = []struct {
	from    string
	allowed []string
	why     string
}{
	{"protocol", nil, "the contract is importable by anybody and knows nothing of ours"},
	{"protocol/client", []string{"protocol"}, "the SDK must not drag the server into its users"},
	{"protocol/server", []string{"protocol", "protocol/share"}, "the front door knows no Raft and no state"},
	{"fsm", []string{"protocol"}, "the state machine is deterministic and alone"},
	{"identity", []string{"protocol"}, "who is calling does not depend on what is stored"},
	{"audit", []string{"protocol"}, "rendering does not depend on what is stored"},
	{"cluster", []string{"fsm", "identity", "audit", "protocol", "cluster"}, "the engine room uses the core, never the programs"},
	{"cmd/pilot-registry", []string{"fsm", "identity", "audit", "protocol", "cluster"}, "the composition root"},
	{"cmd/pilotctl", []string{"protocol"}, "the tool of operators and node owners talks the wire protocol only"},
	{"docs/cited", nil, "reading pages needs nothing of ours"},
	{"docs/gen", []string{"protocol", "cluster", "fsm"}, "references are made from the tables"},
	{"integration", []string{"protocol", "cluster", "fsm", "integration", "identity"}, "tests look at everything"},
}

// onlyUnder are third-party packages that may appear only below one folder.
var onlyUnder = map[string]string{
	"github.com/hashicorp/raft": "cluster",
	"go.etcd.io/bbolt":          "cluster",
	"github.com/expr-lang/expr": "cluster/exprpolicy",
	"golang.org/x/text":         "identity",
}

type listedPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

func listPackages(t *testing.T) map[string]listedPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Deps,Standard", module+"/...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	all := map[string]listedPackage{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

func within(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

func TestImportDirections(t *testing.T) {
	all := listPackages(t)
	for path, p := range all {
		from, ours := strings.CutPrefix(path, module+"/")
		if !ours {
			continue
		}
		rule := -1
		for i, r := range importRules {
			if within(from, r.from) && (rule < 0 || len(r.from) > len(importRules[rule].from)) {
				rule = i
			}
		}
		if rule < 0 {
			t.Errorf("%s: no import rule covers it; add one that says what it may use and why", from)
			continue
		}
		for _, imp := range p.Imports {
			checkImport(t, from, imp, importRules[rule].allowed, importRules[rule].why, all)
		}
		if from == "fsm" || from == "protocol" {
			for _, dep := range p.Deps {
				if within(dep, "github.com/expr-lang/expr") {
					t.Errorf("%s depends on %s: what is stored must not depend on the language of expressions", from, dep)
				}
				if within(dep, "golang.org/x/text") {
					t.Errorf("%s depends on %s: members of different versions would have different Unicode tables", from, dep)
				}
			}
		}
		if from == "cmd/pilotctl" {
			for _, dep := range p.Deps {
				if within(dep, "github.com/hashicorp/raft") {
					t.Errorf("cmd/pilotctl depends on %s: the tool must build without the engine", dep)
				}
			}
		}
	}
}

func checkImport(t *testing.T, from, imp string, allowed []string, why string, all map[string]listedPackage) {
	t.Helper()
	to, ours := strings.CutPrefix(imp, module+"/")
	if !ours {
		for pkg, folder := range onlyUnder {
			if within(imp, pkg) && !within(from, folder) {
				t.Errorf("%s imports %s, which may appear only under %s/", from, imp, folder)
			}
		}
		if from == "protocol" && !all[imp].Standard {
			t.Errorf("protocol imports %s: the contract uses the standard library only", imp)
		}
		return
	}
	for _, a := range allowed {
		if within(to, a) && !(a == "protocol" && to != "protocol" && strings.HasPrefix(from, "protocol/")) {
			return
		}
	}
	t.Errorf("%s imports %s: %s", from, to, why)
}

// TestLinkedModules compares the modules in the programs with the written list.
func TestLinkedModules(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(string(doc), "## Linked into the programs")
	if !ok {
		t.Fatal("docs/dependencies.md has no list of linked modules")
	}
	written := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(list, -1) {
		written[row[1]] = true
	}
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]bool{}
	for _, path := range strings.Fields(string(out)) {
		if path == module {
			continue
		}
		path = strings.TrimPrefix(path, "github.com/")
		if linked[path] = true; !written[path] {
			t.Errorf("%s is linked into the programs, but not listed in docs/dependencies.md", path)
		}
	}
	for path := range written {
		if !linked[path] {
			t.Errorf("docs/dependencies.md lists %s, which is not linked", path)
		}
	}
	if len(linked) == 0 {
		t.Error("no module is linked: the test sees nothing")
	}
}

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
		"docs/architecture.md", "fsm/DESIGN.md", "cluster/DESIGN.md", "cluster/gateway/DESIGN.md",
		"cluster/delivery/DESIGN.md", "integration/fault/DESIGN.md",
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
