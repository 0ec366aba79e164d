// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What may not be used where members have to decide alike, with the reason.
var (
	inexactImports = map[string]string{
		"unicode": "its tables grow with Go", "regexp": "its classes grow with Unicode", "net/url": "its parser has changed",
		"math/rand": "every member draws another number", "math/rand/v2": "every member draws another number", "crypto/rand": "every member draws another number",
		"os": "every machine is another one", "text/template": "its escapes have changed", "html/template": "its escapes have changed",
		"maps": "its order is another one every time",
	}
	inexactCalls = map[string]string{
		"time.Parse": "it has been lenient in ways that changed; use protocol.ParseTime", "time.ParseInLocation": "see time.Parse", "time.ParseDuration": "see time.Parse",
		"time.Now": "every member has another clock", "time.Since": "every member has another clock", "time.Until": "every member has another clock",
		"time.Unix": "it is local time; use time.UnixMilli(ms).UTC()", "time.Local": "every machine has another zone", "time.LoadLocation": "every machine has other zones",
		"strings.ToLower": "Unicode tables", "strings.ToUpper": "Unicode tables", "strings.EqualFold": "Unicode tables; use protocol.FoldExternalID", "strings.Title": "Unicode tables",
		"strings.ToTitle": "Unicode tables", "strings.Fields": "Unicode tables", "strings.TrimSpace": "Unicode tables", "strings.Map": "Unicode", "strings.ToValidUTF8": "Unicode",
		"bytes.ToLower": "Unicode tables", "bytes.ToUpper": "Unicode tables", "bytes.EqualFold": "Unicode tables", "bytes.Fields": "Unicode tables", "bytes.TrimSpace": "Unicode tables",
		"strconv.Quote": "what is printable grows with Unicode; use protocol.Quote", "strconv.AppendQuote": "see strconv.Quote", "strconv.QuoteToASCII": "see strconv.Quote",
		"strconv.ParseFloat": "its corner cases", "strconv.FormatFloat": "its corner cases", "strconv.AppendFloat": "its corner cases",
	}
	inexactVerbs = map[string]string{"%q": "use protocol.Quote", "%#v": "Go's own form", "%+v": "Go's own form", "%g": "corner cases", "%e": "corner cases", "%f": "corner cases", "%T": "Go's own form"}
)

// Files of package protocol that Apply does not come by: they read and write
// what goes over the wire.
var frontDoorOnly = []string{"address.go", "auditlog.go", "decode.go", "encode.go", "frame.go", "urls.go", "signed.go", "uploadparts.go",
	"read.go", "unknown.go", "networkrules.go", "secret.go"}

// Uses that Apply does not come by, in files that it does.
var exactEnough = map[string]string{
	"cluster.go strings.TrimSpace": "of cluster_* commands, which are not of the log",
}

// Members of different versions, built with different versions of Go, apply
// the same entries and have to come to the same state: no rule of a command
// rests on what the standard library may see otherwise tomorrow.
func TestNothingInApplyDependsOnTheGoVersion(t *testing.T) {
	used := map[string]bool{}
	for _, dir := range []string{".", "internal/table", "../protocol"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(err, files)
		}
		for _, path := range files {
			name := filepath.Base(path)
			if strings.HasSuffix(name, "_test.go") || dir == "../protocol" && slices.Contains(frontDoorOnly, name) {
				continue
			}
			for _, found := range inexact(t, path) {
				key := name + " " + found.what
				if _, ok := exactEnough[key]; ok {
					used[key] = true
					continue
				}
				t.Errorf("%s uses %s, %s", found.at, found.what, found.why)
			}
		}
	}
	for key := range exactEnough {
		if !used[key] {
			t.Errorf("the exception %q is not needed", key)
		}
	}
}

type inexactUse struct{ at, what, why string }

func inexact(t *testing.T, path string) (found []inexactUse) {
	t.Helper()
	set := gotoken.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	add := func(n ast.Node, what, why string) {
		found = append(found, inexactUse{set.Position(n.Pos()).String(), what, why})
	}
	for _, i := range file.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if why, bad := inexactImports[name]; bad {
			add(i, name, why)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok {
				if why, bad := inexactCalls[pkg.Name+"."+n.Sel.Name]; bad {
					add(n, pkg.Name+"."+n.Sel.Name, why)
				}
			}
		case *ast.BasicLit:
			for verb, why := range inexactVerbs {
				if n.Kind == gotoken.STRING && strings.Contains(n.Value, verb) {
					add(n, verb, why)
				}
			}
		case *ast.GoStmt:
			add(n, "a goroutine", "its order is another one every time")
		}
		return true
	})
	return found
}
