// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// compiled is what go list says of a package, with the file of its types.
type compiled struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	Standard                bool
}

func listCompiled(t *testing.T) map[string]compiled {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Standard", module+"/...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]compiled{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p compiled
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

// TestNoRefusalBecomesAnErrorByItself: a nil *protocol.Error in an error is not
// nil. So one that may be nil becomes an error through its method AsError only;
// one that was just compared with nil, or just made, may as it is.
func TestNoRefusalBecomesAnErrorByItself(t *testing.T) {
	all := listCompiled(t)
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(all[path].Export) })
	seen := 0
	for path, p := range all {
		if !within(path, module) {
			continue
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
		if _, err := (&types.Config{Importer: imports}).Check(path, fset, files, info); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			c := &conversions{info: info}
			ast.Walk(c, f)
			seen += c.seen
			for _, at := range c.found {
				t.Errorf("%s: a *protocol.Error that may be nil becomes an error: use its method AsError", fset.Position(at))
			}
		}
	}
	if seen == 0 {
		t.Error("no refusal becomes an error anywhere: the test looks at nothing")
	}
}

// conversions finds the places of a file where a *protocol.Error becomes an error.
type conversions struct {
	info  *types.Info
	path  []ast.Node
	seen  int
	found []token.Pos
}

func (c *conversions) Visit(n ast.Node) ast.Visitor {
	if n == nil {
		c.path = c.path[:len(c.path)-1]
		return nil
	}
	c.path = append(c.path, n)
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok == token.ASSIGN {
			c.into(n.Rhs, func(i int) types.Type { return c.info.TypeOf(n.Lhs[i]) })
		}
	case *ast.ValueSpec:
		if n.Type != nil {
			c.into(n.Values, func(int) types.Type { return c.info.TypeOf(n.Type) })
		}
	case *ast.ReturnStmt:
		if results := c.results(); results != nil {
			c.into(n.Results, func(i int) types.Type { return results.At(i).Type() })
		}
	case *ast.CallExpr:
		if sig, ok := c.info.TypeOf(n.Fun).(*types.Signature); ok {
			c.into(n.Args, func(i int) types.Type { return parameter(sig, i, n.Ellipsis.IsValid()) })
		} else if len(n.Args) == 1 && c.info.Types[n.Fun].IsType() {
			c.into(n.Args, func(int) types.Type { return c.info.TypeOf(n.Fun) })
		}
	case *ast.CompositeLit:
		for i, e := range n.Elts {
			c.element(n, i, e)
		}
	case *ast.SendStmt:
		if ch, ok := c.info.TypeOf(n.Chan).Underlying().(*types.Chan); ok {
			c.into([]ast.Expr{n.Value}, func(int) types.Type { return ch.Elem() })
		}
	}
	return c
}

// into looks at values that get into places of these types.
func (c *conversions) into(values []ast.Expr, place func(i int) types.Type) {
	if len(values) == 1 {
		if tuple, ok := c.info.TypeOf(values[0]).(*types.Tuple); ok {
			for i := range tuple.Len() {
				if isRefusal(tuple.At(i).Type()) && isError(place(i)) {
					c.seen, c.found = c.seen+1, append(c.found, values[0].Pos())
				}
			}
			return
		}
	}
	for i, v := range values {
		if isRefusal(c.info.TypeOf(v)) && isError(place(i)) {
			c.seen++
			if !c.notNil(v) {
				c.found = append(c.found, v.Pos())
			}
		}
	}
}

func (c *conversions) element(l *ast.CompositeLit, i int, e ast.Expr) {
	kv, keyed := e.(*ast.KeyValueExpr)
	switch t := c.info.TypeOf(l).Underlying().(type) {
	case *types.Struct:
		if keyed {
			c.into([]ast.Expr{kv.Value}, func(int) types.Type { return c.info.TypeOf(kv.Key) })
		} else {
			c.into([]ast.Expr{e}, func(int) types.Type { return t.Field(i).Type() })
		}
	case interface{ Elem() types.Type }:
		if keyed {
			e = kv.Value
		}
		c.into([]ast.Expr{e}, func(int) types.Type { return t.Elem() })
	}
}

// results are those of the function around the newest node.
func (c *conversions) results() *types.Tuple {
	for i := len(c.path) - 1; i >= 0; i-- {
		switch f := c.path[i].(type) {
		case *ast.FuncLit:
			return c.info.TypeOf(f).(*types.Signature).Results()
		case *ast.FuncDecl:
			return c.info.Defs[f.Name].Type().(*types.Signature).Results()
		}
	}
	return nil
}

// notNil reports whether a value is one that was just made, or is compared with
// nil, or found by errors.As, in the condition of an if or a switch around it.
func (c *conversions) notNil(v ast.Expr) bool {
	if call, ok := v.(*ast.CallExpr); ok {
		return c.makes(call)
	}
	if _, address := v.(*ast.UnaryExpr); address {
		return true
	}
	text := types.ExprString(v)
	for _, n := range c.path {
		switch n := n.(type) {
		case *ast.IfStmt:
			if proves(n.Cond, text) && n.Body.Pos() <= v.Pos() && v.End() <= n.Body.End() {
				return true
			}
		case *ast.CaseClause:
			for _, e := range n.List {
				if proves(e, text) {
					return true
				}
			}
		}
	}
	return false
}

// proves reports whether a condition holds only if a value is not nil.
func proves(cond ast.Expr, value string) bool {
	text := types.ExprString(cond)
	return strings.HasPrefix(text, value+" != nil") || strings.HasPrefix(text, "errors.As(") && strings.HasSuffix(text, ", &"+value+")")
}

// makes reports whether a function of package protocol makes a refusal.
func (c *conversions) makes(call *ast.CallExpr) bool {
	s, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	f, ok := c.info.Uses[s.Sel].(*types.Func)
	return ok && f.Pkg() != nil && f.Pkg().Path() == module+"/protocol" && strings.HasSuffix(f.Name(), "f")
}

func parameter(sig *types.Signature, i int, spread bool) types.Type {
	if last := sig.Params().Len() - 1; sig.Variadic() && i >= last {
		if spread {
			return sig.Params().At(last).Type()
		}
		return sig.Params().At(last).Type().(*types.Slice).Elem()
	}
	return sig.Params().At(i).Type()
}

func isRefusal(t types.Type) bool {
	return t != nil && t.String() == "*"+module+"/protocol.Error"
}

func isError(t types.Type) bool {
	return t != nil && types.Identical(t, types.Universe.Lookup("error").Type())
}
