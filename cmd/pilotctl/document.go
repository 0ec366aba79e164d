// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// A document is a file that a person wrote: what is wrong with it is told all
// at once, and with lines.
type document struct {
	file     string
	problems []problem
	// merges counts how often merge keys were followed.
	merges int
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

// inOrder are the problems in the order of their lines.
func (d *document) inOrder() []problem {
	slices.SortStableFunc(d.problems, func(a, b problem) int { return cmp.Compare(a.Line, b.Line) })
	return d.problems
}

// err is nil when nothing is wrong.
func (d *document) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	lines := make([]string, len(d.problems))
	for i, p := range d.inOrder() {
		lines[i] = p.in(d.file)
	}
	return &failure.Error{Err: fmt.Errorf("%s", strings.Join(lines, "\n       ")), Code: "invalid_argument", Exit: failure.Usage,
		Hint: "correct the file and try again"}
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

// object reads a mapping whose keys are known. At the top of a file keys that
// begin with x- are the writer's own, as a place for anchors.
func (d *document) object(n *yaml.Node, path string, fields map[string]field) {
	d.members(n, path, fields, func(key string) string { return key })
}

// objectInAnyCase does not mind the case of the keys, nor null in what says
// whether a person is in, which is refused there.
func (d *document) objectInAnyCase(n *yaml.Node, path string, fields map[string]field) {
	d.members(n, path, fields, strings.ToLower)
}

func (d *document) members(n *yaml.Node, path string, fields map[string]field, plain func(string) string) {
	n = resolved(n)
	if n.Kind != yaml.MappingNode {
		d.bad(n, path, "want an object, not %s", kindOf(n))
		return
	}
	seen := map[string]bool{}
	for _, p := range d.pairs(n, path, 0) {
		name, value := plain(p.key.Value), resolved(p.value)
		at := strings.TrimPrefix(path+"."+p.key.Value, ".")
		read, known := fields[name]
		switch {
		case path == "" && strings.HasPrefix(name, "x-"):
		case !known:
			d.bad(p.key, at, "unknown key%s", nearest(p.key.Value, fields))
		case seen[name]:
			d.bad(p.key, at, "given twice")
		case value.Tag != "!!null" || saysState(name): // null is as good as absent
			read(value, at)
		}
		seen[name] = true
	}
}

// keyValue is a key with its value.
type keyValue struct{ key, value *yaml.Node }

// maxDepth is how deep merge keys may lead to each other, maxMerges how often
// they may be followed in a file: each could double what there is.
const (
	maxDepth  = 16
	maxMerges = 1 << 18
)

// pairs are the members of a mapping, with those that merge keys (<<) bring
// and that it does not have itself.
func (d *document) pairs(n *yaml.Node, path string, depth int) (list []keyValue) {
	if depth > 0 {
		d.merges++
	}
	switch {
	case d.merges > maxMerges: // told already
		return nil
	case depth > maxDepth, d.merges == maxMerges:
		d.merges = maxMerges
		d.bad(n, path, "merge keys (<<) lead to each other in a circle, or too often")
		return nil
	}
	has := map[string]bool{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; key.Tag != "!!merge" {
			list = append(list, keyValue{key, n.Content[i+1]})
			has[key.Value] = true
		} else if value := resolved(n.Content[i+1]); value.Kind == yaml.SequenceNode {
			merged = append(merged, value.Content...)
		} else {
			merged = append(merged, value)
		}
	}
	for _, m := range merged {
		m = resolved(m)
		if m.Kind != yaml.MappingNode {
			d.bad(m, strings.TrimPrefix(path+".<<", "."), "want an object to merge, not %s", kindOf(m))
			continue
		}
		for _, p := range d.pairs(m, path, depth+1) {
			if !has[p.key.Value] {
				has[p.key.Value] = true
				list = append(list, p)
			}
		}
	}
	return list
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
	names := slices.Sorted(maps.Keys(known))
	if name := protocol.Nearest(key, names); name != "" {
		return "; did you mean " + name + "?"
	}
	return "; known are " + strings.Join(names, ", ")
}
