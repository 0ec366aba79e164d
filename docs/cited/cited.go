// SPDX-License-Identifier: Apache-2.0

// Package cited finds the command lines that documents, messages and comments
// name, so that the tests of the programs can see whether they exist.
//
// Promise: what it returns stands in a page, a string or a comment of this
// repository as a command line, with the place where it stands.
//
// Non-goals: it runs nothing and does not look at the values of flags.
package cited

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// Line is a command line without the name of its program.
type Line struct {
	Where string // file:line
	Words []string
}

// Lines finds the command lines of a program below a folder: those in code
// spans and indented or fenced lines of pages, and those in code spans of Go
// comments and strings outside of tests.
func Lines(root, program string) ([]Line, error) {
	var found []Line
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			found, err = inPage(found, path, program)
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			found, err = inSource(found, path, program)
		}
		return err
	})
	return found, err
}

var span = regexp.MustCompile("`([^`\n]+)`")

func inPage(found []Line, path, program string) ([]Line, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fenced := false
	for n, line := range strings.Split(string(text), "\n") {
		where := path + ":" + strconv.Itoa(n+1)
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if fenced || strings.HasPrefix(line, "    ") {
			found = add(found, where, strings.TrimSpace(line), program)
			continue
		}
		for _, m := range span.FindAllStringSubmatch(line, -1) {
			found = add(found, where, m[1], program)
		}
	}
	return found, nil
}

func inSource(found []Line, path, program string) ([]Line, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	take := func(at token.Pos, text string) {
		for _, m := range span.FindAllStringSubmatch(text, -1) {
			found = add(found, files.Position(at).String(), m[1], program)
		}
	}
	for _, group := range file.Comments {
		take(group.Pos(), group.Text())
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				take(lit.Pos(), text)
			}
		}
		return true
	})
	return found, nil
}

// end is what ends a command in a line of a shell.
var end = regexp.MustCompile(`\s(#|\||\|\||&&|;|>|<|2>)(\s|$)`)

func add(found []Line, where, text, program string) []Line {
	if at := end.FindStringIndex(text + " "); at != nil {
		text = text[:at[0]]
	}
	words := strings.Fields(text)
	for len(words) > 0 && (strings.Contains(words[0], "=") || words[0] == "$" || words[0] == "sudo") {
		words = words[1:]
	}
	if len(words) < 2 || words[0] != program && !strings.HasSuffix(words[0], "/"+program) {
		return found
	}
	return append(found, Line{where, words[1:]})
}

// Missing says which command lines of a program, named below a folder, have a
// command or a flag that the program does not have, and how many lines it saw.
func Missing(folder string, program *cobra.Command) (missing []string, seen int, err error) {
	lines, err := Lines(folder, program.Name())
	for _, l := range lines {
		said := l.Where + ": " + program.Name() + " " + strings.Join(l.Words, " ") + ": "
		cmd, rest, _ := program.Find(l.Words) // what is not found is in rest
		if len(rest) > 0 && cmd.HasSubCommands() && name.MatchString(rest[0]) {
			missing = append(missing, said+cmd.CommandPath()+" has no command "+rest[0])
			continue
		}
		for _, f := range l.flags() {
			if f != "help" && f != "version" && cmd.Flags().Lookup(f) == nil && cmd.InheritedFlags().Lookup(f) == nil {
				missing = append(missing, said+cmd.CommandPath()+" has no flag --"+f)
			}
		}
	}
	return missing, len(lines), err
}

// flags are the names of the long flags of a line.
func (l Line) flags() (names []string) {
	for _, w := range l.Words {
		if m := flag.FindStringSubmatch(w); m != nil {
			names = append(names, m[1])
		}
	}
	return names
}

var (
	flag = regexp.MustCompile(`^\[?--([a-z][a-z0-9-]*)`)
	// name is what can be the name of a command: no flag and no placeholder.
	name = regexp.MustCompile(`^[a-z][a-z-]*$`)
)
