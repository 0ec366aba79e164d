// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	gotoken "go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The packages that come to the state: this one and the tables under it.
var deterministic = []string{".", "internal/table"}

// What these packages may import. Everything else could reach a clock, a source
// of randomness, the outside world or another goroutine.
var allowedImports = []string{
	"bufio", "bytes", "crypto/sha256", "crypto/subtle", "encoding/base64", "encoding/binary", "encoding/hex", "encoding/json",
	"errors", "fmt", "hash", "io", "math", "math/bits", "slices", "strconv", "strings", "sync/atomic", "time",
	"github.com/klauspost/compress/zstd", "github.com/tidwall/btree", "github.com/pilotregistry/pilotregistry/protocol",
	"github.com/pilotregistry/pilotregistry/protocol/share", "github.com/pilotregistry/pilotregistry/fsm/internal/table",
}

// What a deterministic package may not use of those it may import.
var forbiddenUses = map[string][]string{
	"time": {"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Sleep", "Local", "LoadLocation"},
	"github.com/pilotregistry/pilotregistry/protocol/share": {"Table", "NewTable", "Of", "OfConn"},
	"strconv": {"Quote", "AppendQuote", "FormatFloat", "AppendFloat"},
}

var (
	forbiddenVerb = regexp.MustCompile(`%[-+# 0-9.]*[qeEfFgG]`)
	sortedMark    = regexp.MustCompile(`^//determinism:sorted \S`)
)

// lint reports everything in the files of one package that could make two
// members disagree.
type lint struct {
	fset     *gotoken.FileSet
	info     *types.Info
	sorted   map[string]bool // file:line that carries the mark
	findings []string
}

func (l *lint) report(n ast.Node, format string, args ...any) {
	p := l.fset.Position(n.Pos())
	l.findings = append(l.findings, fmt.Sprintf("%s:%d: %s", filepath.Base(p.Filename), p.Line, fmt.Sprintf(format, args...)))
}

func (l *lint) file(f *ast.File) {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if sortedMark.MatchString(c.Text) {
				p := l.fset.Position(c.Pos())
				l.sorted[fmt.Sprint(p.Filename, ":", p.Line)] = true
				l.sorted[fmt.Sprint(p.Filename, ":", p.Line+1)] = true
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		l.node(n)
		return true
	})
}

func (l *lint) node(n ast.Node) {
	switch n := n.(type) {
	case *ast.ImportSpec:
		if path, _ := strconv.Unquote(n.Path.Value); !slices.Contains(allowedImports, path) {
			l.report(n, "import of %s", path)
		}
	case *ast.GoStmt:
		l.report(n, "go statement")
	case *ast.SendStmt:
		l.report(n, "channel send")
	case *ast.SelectStmt:
		l.report(n, "select statement")
	case *ast.UnaryExpr:
		if n.Op == gotoken.ARROW {
			l.report(n, "channel receive")
		}
	case *ast.ChanType:
		l.report(n, "channel type")
	case *ast.Ident:
		l.use(n)
	case *ast.BasicLit:
		if n.Kind == gotoken.STRING && forbiddenVerb.MatchString(n.Value) {
			l.report(n, "format verb in %s: quoting and floats may differ between Go versions", n.Value)
		}
	case *ast.RangeStmt:
		l.ranges(n)
	}
}

func (l *lint) use(n *ast.Ident) {
	obj := l.info.Uses[n]
	if obj == nil || obj.Pkg() == nil {
		return
	}
	if slices.Contains(forbiddenUses[obj.Pkg().Path()], obj.Name()) {
		l.report(n, "use of %s.%s", obj.Pkg().Name(), obj.Name())
	}
}

func (l *lint) ranges(n *ast.RangeStmt) {
	t := l.info.TypeOf(n.X)
	if t == nil {
		l.report(n, "range over something of unknown type")
		return
	}
	if p, ok := t.Underlying().(*types.Interface); ok && p.IsMethodSet() {
		return
	}
	p := l.fset.Position(n.Pos())
	switch t.Underlying().(type) {
	case *types.Map:
		if !l.sorted[fmt.Sprint(p.Filename, ":", p.Line)] {
			l.report(n, "range over a map without //determinism:sorted and a reason")
		}
	case *types.Chan:
		l.report(n, "range over a channel")
	}
}

// exports finds compiled packages for the type checker.
func exports(t *testing.T) types.Importer {
	t.Helper()
	out, err := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", ".", "math/rand", "crypto/rand", "os", "net", "log").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		files[path] = file
	}
	return importer.ForCompiler(gotoken.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("no package %s", path)
		}
		return os.Open(files[path])
	})
}

// check runs the lint over sources by file name; strict wants them to compile.
func check(t *testing.T, imp types.Importer, sources map[string]string, strict bool) []string {
	t.Helper()
	fset := gotoken.NewFileSet()
	failed := func(err error) {
		if strict {
			t.Errorf("type check: %v", err)
		}
	}
	files, info := typedWith(t, imp, fset, sources, failed)
	l := &lint{fset: fset, sorted: map[string]bool{}, info: info}
	for _, f := range files {
		l.file(f)
	}
	slices.Sort(l.findings)
	return l.findings
}

// typed parses and type checks sources by file name.
func typed(t *testing.T, imp types.Importer, fset *gotoken.FileSet, sources map[string]string) ([]*ast.File, *types.Info) {
	t.Helper()
	return typedWith(t, imp, fset, sources, func(err error) { t.Errorf("type check: %v", err) })
}

// typedWith is typed that hands the errors of the type checker to failed.
func typedWith(t *testing.T, imp types.Importer, fset *gotoken.FileSet, sources map[string]string, failed func(error)) ([]*ast.File, *types.Info) {
	t.Helper()
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}}
	var files []*ast.File
	for name, src := range sources {
		f, err := parser.ParseFile(fset, name, src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	conf := types.Config{Importer: imp, Error: failed}
	_, _ = conf.Check("fsm", fset, files, info)
	return files, info
}

func TestSourceIsDeterministic(t *testing.T) {
	imp := exports(t)
	total := 0
	for _, dir := range deterministic {
		sources := sourcesOf(t, dir)
		total += len(sources)
		for _, finding := range check(t, imp, sources, true) {
			t.Error(finding)
		}
	}
	if total < 20 {
		t.Fatalf("only %d source files found", total)
	}
}

// sourcesOf reads the files of a package that are built by default, by name.
func sourcesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatal(err, names)
	}
	sources := map[string]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		// Of files that exclude one another by build tags, those that are built by default.
		if built, err := build.Default.MatchFile(dir, filepath.Base(name)); err != nil || !built {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources[name] = string(src)
	}
	return sources
}

func TestDeterminismLintFinds(t *testing.T) {
	imp := exports(t)
	for name, c := range map[string]struct{ src, want string }{
		"now":       {`import "time"; func f() int64 { return time.Now().Unix() }`, "use of time.Now"},
		"since":     {`import "time"; func f(t time.Time) any { return time.Since(t) }`, "use of time.Since"},
		"after":     {`import "time"; var c = time.After(1)`, "use of time.After"},
		"renamed":   {`import clock "time"; var t = clock.Now`, "use of time.Now"},
		"local":     {`import "time"; func f(t time.Time) any { return t.Local() }`, "use of time.Local"},
		"math/rand": {`import "math/rand"; var r = rand.Int()`, "import of math/rand"},
		"crypto":    {`import "crypto/rand"; var r = rand.Reader`, "import of crypto/rand"},
		"os":        {`import "os"; var r = os.Args`, "import of os"},
		"net":       {`import "net"; var r net.IP`, "import of net"},
		"log":       {`import "log"; func f() { log.Print() }`, "import of log"},
		"hclog":     {`import "github.com/hashicorp/go-hclog"; var r = hclog.Default()`, "import of github.com/hashicorp/go-hclog"},
		"maps":      {`import "maps"; var k = maps.Keys(map[int]int{})`, "import of maps"},
		"go":        {`func f() { go f() }`, "go statement"},
		"send":      {`func f(c chan int) { c <- 1 }`, "channel send"},
		"receive":   {`func f(c chan int) int { return <-c }`, "channel receive"},
		"select":    {`func f() { select {} }`, "select statement"},
		"quote":     {`import "fmt"; func f(s string) string { return fmt.Sprintf("%q", s) }`, "format verb"},
		"float":     {`import "fmt"; func f(v float64) string { return fmt.Sprintf("%.2f", v) }`, "format verb"},
		"strconv":   {`import "strconv"; func f(s string) string { return strconv.Quote(s) }`, "use of strconv.Quote"},
		"map":       {"func f(m map[int]int) {\n for range m {\n}\n}", "range over a map"},
		"named map": {"type set map[int]bool\nfunc f(m set) {\n for k := range m { _ = k\n}\n}", "range over a map"},
		"foreign map": {"import \"github.com/pilotregistry/pilotregistry/protocol\"\nfunc f() {\n for k := range protocol.Events { _ = k\n}\n}",
			"range over a map"},
		"no reason": {"func f(m map[int]int) {\n for range m { //determinism:sorted\n}\n}", "range over a map"},
	} {
		t.Run(name, func(t *testing.T) {
			found := check(t, imp, map[string]string{"bad.go": "package fsm\n" + c.src}, false)
			if !strings.Contains(strings.Join(found, "\n"), c.want) {
				t.Errorf("found %v, want %q", found, c.want)
			}
		})
	}
	for name, src := range map[string]string{
		"marked line":  "func f(m map[int]int) {\n for range m { //determinism:sorted counts only\n}\n}",
		"marked above": "func f(m map[int]int) {\n //determinism:sorted counts only\n for range m {\n}\n}",
		"slice":        "func f(m []int) { for range m { } }",
		"time value":   "import \"time\"\nfunc f() string { return time.UnixMilli(0).UTC().Format(time.RFC3339) }",
	} {
		if found := check(t, imp, map[string]string{"good.go": "package fsm\n" + src}, true); len(found) != 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}
