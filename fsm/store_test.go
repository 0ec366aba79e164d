// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"go/ast"
	gotoken "go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// storeFile reports whether a file may change tables and indexes.
func storeFile(name string) bool {
	name = filepath.Base(name)
	return name == "store.go" || strings.HasPrefix(name, "store_")
}

// changes reports every place outside store files that puts into a table or an
// index, drops from it, or hands its writer on.
func changes(t *testing.T, imp types.Importer, sources map[string]string) []string {
	t.Helper()
	fset := gotoken.NewFileSet()
	files, info := typed(t, imp, fset, sources)
	var findings []string
	for _, f := range files {
		name := fset.Position(f.Pos()).Filename
		if storeFile(name) {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			what := ""
			if sel, ok := n.(*ast.SelectorExpr); ok {
				what = changing(info.Uses[sel.Sel])
			}
			if u, ok := n.(*ast.UnaryExpr); ok && u.Op == gotoken.AND && isNamed(info.TypeOf(u.X), "Writer") {
				what = "the writer of the tables"
			}
			if what != "" {
				findings = append(findings, fmt.Sprintf("%s:%d: %s outside store_*.go", filepath.Base(name), fset.Position(e.Pos()).Line, what))
			}
			return true
		})
	}
	slices.Sort(findings)
	return findings
}

// changing names the method of a table, an index or a declaration that changes it.
func changing(obj types.Object) string {
	fn, ok := obj.(*types.Func)
	if !ok {
		return ""
	}
	recv := fn.Signature().Recv()
	if recv == nil {
		return ""
	}
	for _, typ := range []string{"Table", "Index", "Value"} {
		if isNamed(recv.Type(), typ) && slices.Contains([]string{"Put", "Drop", "Set"}, fn.Name()) {
			return typ + "." + fn.Name()
		}
	}
	if isNamed(recv.Type(), "declaration") && (fn.Name() == "put" || fn.Name() == "drop") {
		return "declaration." + fn.Name()
	}
	return ""
}

// isNamed reports whether a type, or what it points to, has a name.
func isNamed(t types.Type, name string) bool {
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	n, ok := t.(*types.Named)
	return ok && n.Obj().Name() == name
}

// Rules decide and read; what they change they change through store files,
// where each table's indexes are kept.
func TestOnlyStoreFilesChangeTables(t *testing.T) {
	imp, sources := exports(t), sourcesOf(t, ".")
	for _, finding := range changes(t, imp, sources) {
		t.Error(finding)
	}
	for name, c := range map[string]struct{ src, want string }{
		"put":    {"func f(x *txn) { nodeTable.put(x, 1, nil) }", "declaration.put"},
		"drop":   {"func f(x *txn) { nodeTable.drop(x, 1) }", "declaration.drop"},
		"value":  {"func f() any { return nodeTable.drop }", "declaration.drop"},
		"table":  {"func f(x *txn) { x.nodes.records.Drop(&x.w, 1) }", "Table.Drop"},
		"index":  {"func f(x *txn) { x.nodes.byHost.Put(&x.w, `h`, 1) }", "Index.Put"},
		"single": {"func f(x *txn) { x.audit.required.Set(&x.w, 1) }", "Value.Set"},
		"shares": {"func f(x *txn) { x.audit.backlog.add(&x.w, nil, 1) }", "the writer"},
	} {
		bad := map[string]string{"rule.go": "package fsm\n" + c.src}
		for path, src := range sources {
			bad[path] = src
		}
		if found := changes(t, imp, bad); len(found) == 0 || !strings.HasPrefix(found[0], "rule.go:2: "+c.want) {
			t.Errorf("%s: found %v, want %s", name, found, c.want)
		}
	}
}
