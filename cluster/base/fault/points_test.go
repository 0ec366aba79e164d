// SPDX-License-Identifier: Apache-2.0

package fault_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
)

// constants are the names of the points in points.go.
func constants(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "points.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range file.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
			for _, s := range g.Specs {
				names = append(names, s.(*ast.ValueSpec).Names[0].Name)
			}
		}
	}
	return names
}

// used are the selectors of package fault in the code of the members.
func used(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	visit := func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "fault" {
					found[sel.Sel.Name] = true
				}
			}
			return true
		})
		return nil
	}
	for _, root := range []string{filepath.Join("..", ".."), filepath.Join("..", "..", "..", "cmd")} {
		if err := filepath.WalkDir(root, visit); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// TestEveryPointIsInTheCode: a point that nothing reaches tests nothing.
func TestEveryPointIsInTheCode(t *testing.T) {
	names, found := constants(t), used(t)
	if len(names) != len(fault.Points) {
		t.Errorf("points.go declares %d points and lists %d", len(names), len(fault.Points))
	}
	for _, name := range names {
		if !found[name] {
			t.Errorf("no code of the members reaches fault.%s", name)
		}
	}
	for _, hook := range []string{"Offset", "Route", "Journal", "OnStand", "Serve"} {
		if !found[hook] {
			t.Errorf("no code of the members asks fault.%s", hook)
		}
	}
	seen := map[fault.Point]bool{}
	for _, p := range fault.Points {
		if seen[p] {
			t.Errorf("%s is listed twice", p)
		}
		seen[p] = true
	}
}
