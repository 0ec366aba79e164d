// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"errors"
	"io"
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
	{"fsm", []string{"protocol", "fsm/internal/table"}, "the state machine is deterministic and alone"},
	{"fsm/internal/table", nil, "tables know nothing of what they hold"},
	{"identity", []string{"protocol"}, "who is calling does not depend on what is stored"},
	{"audit", []string{"protocol"}, "rendering does not depend on what is stored"},
	{"cluster/base", []string{"fsm", "protocol", "cluster/base"}, "what the engine stands on does not know the engine"},
	{"cluster", []string{"fsm", "identity", "protocol", "cluster/base"}, "the engine knows none of the services that use it"},
	{"cluster/service", []string{"fsm", "identity", "audit", "protocol", "cluster"}, "services use the engine and the core, never the programs"},
	{"cmd/internal", []string{"protocol", "cmd/internal"}, "what both programs share knows the command line and the wire only"},
	{"cmd/internal/backup", []string{"fsm", "protocol"}, "a backup is a state, which only its own package reads"},
	{"cmd/internal/original", []string{"fsm", "identity", "protocol"}, "the original's store is a state in another form, with external ids to compare"},
	{"cmd/pilot-registry", []string{"fsm", "identity", "audit", "protocol", "cluster", "cmd/internal"}, "the composition root"},
	{"cmd/pilotctl", []string{"protocol", "cmd/internal", "fsm"}, "the tool of operators and node owners talks the wire protocol, and reads backups"},
	{"docs/cited", nil, "reading pages needs nothing of ours"},
	{"docs/gen", []string{"protocol", "cluster", "fsm"}, "references are made from the tables"},
	{"integration", []string{"protocol", "cluster", "fsm", "integration", "identity"}, "tests look at everything"},
}

// onlyUnder are third-party packages that may appear only below one folder.
var onlyUnder = map[string]string{
	"github.com/hashicorp/raft":    "cluster",
	"go.etcd.io/bbolt":             "cluster",
	"github.com/expr-lang/expr":    "cluster/service/exprpolicy",
	"golang.org/x/text":            "identity",
	"go.opentelemetry.io/otel":     "cluster",
	"go.opentelemetry.io/otel/sdk": "cluster/service/tracing",
	"go.opentelemetry.io/proto":    "cluster/service/tracing",
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
	_, table, ok := strings.Cut(string(doc), "## Linked into the programs")
	if !ok {
		t.Fatal("docs/dependencies.md has no list of linked modules")
	}
	written := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(table, -1) {
		written[row[1]] = true
	}
	list := func(args ...string) []string {
		cmd := exec.Command("go", append([]string{"list"}, args...)...)
		cmd.Dir = ".."
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	programs := list("-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, "./cmd/...")
	if len(programs) == 0 {
		t.Fatal("no programs below cmd")
	}
	linked := map[string]bool{}
	for _, path := range list(append([]string{"-deps", "-f", "{{with .Module}}{{.Path}}{{end}}"}, programs...)...) {
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
