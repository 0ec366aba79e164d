package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A document is a file that a person wrote: what is wrong with it is told all
// at once, and with lines.
type document struct {
	file     string
	problems []problem
}

// problem is one thing wrong with a document.
type problem struct {
	Line int    `json:"line,omitempty"`
	Path string `json:"path,omitempty"`
	Text string `json:"problem"`
}

func (d *document) bad(n *yaml.Node, path, format string, args ...any) {
	p := problem{Path: path, Text: fmt.Sprintf(format, args...)}
	if n != nil {
		p.Line = n.Line
	}
	d.problems = append(d.problems, p)
}

// err is nil when nothing is wrong.
func (d *document) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	lines := make([]string, len(d.problems))
	for i, p := range d.problems {
		lines[i] = p.in(d.file)
	}
	return &hinted{err: fmt.Errorf("%s", strings.Join(lines, "\n       ")), code: "invalid_argument", exit: exitUsage,
		hint: "correct the file and try again"}
}

func (p problem) in(file string) string {
	text := file + ": "
	if p.Line > 0 {
		text = fmt.Sprintf("%s:%d: ", file, p.Line)
	}
	if p.Path != "" {
		text += p.Path + ": "
	}
	return text + p.Text
}

// maxDocument is more than the registry takes in one piece, see its limits.
const maxDocument = 16 << 20

// readDocument reads a file; - is standard input.
func readDocument(path string) ([]byte, error) {
	in := io.ReadCloser(os.Stdin)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		in = f
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	if err == nil && len(data) > maxDocument {
		err = fmt.Errorf("%s: larger than %d MiB", path, maxDocument>>20)
	}
	return data, err
}

// field reads the value of one key.
type field func(n *yaml.Node, path string)

// object reads a mapping whose keys are known.
func (d *document) object(n *yaml.Node, path string, fields map[string]field) {
	n = resolved(n)
	if n.Kind != yaml.MappingNode {
		d.bad(n, path, "want an object, not %s", kindOf(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], resolved(n.Content[i+1])
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		read, known := fields[key.Value]
		switch {
		case !known:
			d.bad(key, at, "unknown key%s", nearest(key.Value, fields))
		case seen[key.Value]:
			d.bad(key, at, "given twice")
		case value.Tag != "!!null": // null is as good as absent
			read(value, at)
		}
		seen[key.Value] = true
	}
}

// list reads a sequence.
func (d *document) list(n *yaml.Node, path string, each field) {
	n = resolved(n)
	if n.Kind != yaml.SequenceNode {
		d.bad(n, path, "want a list, not %s", kindOf(n))
		return
	}
	for i, e := range n.Content {
		each(resolved(e), fmt.Sprintf("%s[%d]", path, i))
	}
}

// text, flag and whole read one value each.
func (d *document) text(to *string) field {
	return func(n *yaml.Node, path string) {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
			d.bad(n, path, "want text, not %s%s", kindOf(n), map[bool]string{true: "; put it in quotes"}[n.Kind == yaml.ScalarNode])
			return
		}
		*to = n.Value
	}
}

func (d *document) flag(to *bool) field {
	return func(n *yaml.Node, path string) {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
			d.bad(n, path, "want true or false, not %s", kindOf(n))
			return
		}
		*to = strings.EqualFold(n.Value, "true")
	}
}

func (d *document) whole(lo, hi int64, set func(int64)) field {
	return func(n *yaml.Node, path string) {
		v, err := strconv.ParseInt(n.Value, 10, 64)
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || v < lo || v > hi {
			d.bad(n, path, "want a whole number from %d to %d, not %s", lo, hi, kindOf(n))
			return
		}
		set(v)
	}
}

func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "an object"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	case n.Tag == "!!str":
		return "the text " + strconv.Quote(n.Value)
	}
	return clean(n.Value)
}

// nearest names the known key that an unknown one was probably meant to be.
func nearest[V any](key string, known map[string]V) string {
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	plain := func(s string) string {
		return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
	}
	for _, name := range names {
		if p, k := plain(name), plain(key); k != "" && (p == k || distance(p, k) <= 2) {
			return "; did you mean " + name + "?"
		}
	}
	return "; known are " + strings.Join(names, ", ")
}

// distance is the number of letters to change, add or drop.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
