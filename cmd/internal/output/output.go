// SPDX-License-Identifier: Apache-2.0

// Package output writes what a command found in the form that was asked for:
// a table of 80 columns, a wide one, JSON, YAML or what a JSONPath selects.
// Both programs use it, so that scripts and people meet one dialect.
package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/theory/jsonpath"
	"go.yaml.in/yaml/v3"
)

// Width is what a table fits into, on every terminal and in every file.
const Width = 80

// The forms of output. A form of jsonpath goes on with = and the path.
const (
	Table = "table"
	Wide  = "wide"
	JSON  = "json"
	YAML  = "yaml"
	Path  = "jsonpath"
)

// Forms are the words that -o takes.
var Forms = []string{Table, Wide, JSON, YAML, Path + "="}

// Help is the help of -o.
const Help = "output `form`: table, wide, json, yaml or jsonpath=PATH"

// Printer writes in one form.
type Printer struct {
	Out  io.Writer
	Form string
	// Envelope is {"data":...,"status":"ok"} on one line, whatever the form.
	Envelope bool
}

// Check says what is wrong with the form; nil when it can be written.
func (p *Printer) Check() error {
	if slices.Contains([]string{Table, Wide, JSON, YAML}, p.Form) {
		return nil
	}
	path, is := strings.CutPrefix(p.Form, Path)
	if !is || path != "" && path[0] != '=' {
		return fmt.Errorf("invalid output form %q: want table, wide, json, yaml or jsonpath=PATH", p.Form)
	}
	_, err := parsePath(strings.TrimPrefix(path, "="))
	return err
}

// ForPeople reports whether a table was asked for.
func (p *Printer) ForPeople() bool {
	return !p.Envelope && (p.Form == Table || p.Form == Wide)
}

// Print writes JSON. typed is what the table reads it into.
func (p *Printer) Print(raw json.RawMessage, typed any) error {
	switch {
	case p.Envelope:
		return p.envelope(raw)
	case p.Form == JSON:
		var out bytes.Buffer
		if err := json.Indent(&out, raw, "", "  "); err != nil {
			return err
		}
		_, err := fmt.Fprintf(p.Out, "%s\n", out.Bytes())
		return err
	case p.Form == YAML:
		return WriteYAML(p.Out, raw)
	case strings.HasPrefix(p.Form, Path):
		return p.selected(raw)
	}
	if err := json.Unmarshal(raw, typed); err != nil {
		return err
	}
	return p.Value(typed)
}

// Value writes a table of a value that is read already, and other forms of it
// as JSON has it.
func (p *Printer) Value(typed any) error {
	if !p.ForPeople() {
		raw, err := json.Marshal(typed)
		if err != nil {
			return err
		}
		return p.Print(raw, typed)
	}
	t := table{w: p.Out, width: Width, wide: p.Form == Wide}
	return t.print(typed)
}

func (p *Printer) envelope(raw json.RawMessage) error {
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.Out, "{\"data\":%s,\"status\":\"ok\"}\n", line.Bytes())
	return err
}

// selected writes each value that the path selects on a line: text as it is,
// everything else as JSON.
func (p *Printer) selected(raw json.RawMessage) error {
	path, err := parsePath(strings.TrimPrefix(strings.TrimPrefix(p.Form, Path), "="))
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber() // numbers are written as they came
	var doc any
	if err := dec.Decode(&doc); err != nil {
		return err
	}
	for _, v := range path.Select(doc) {
		text, is := v.(string)
		if !is {
			line, err := json.Marshal(v)
			if err != nil {
				return err
			}
			text = string(line)
		}
		if _, err := fmt.Fprintln(p.Out, text); err != nil {
			return err
		}
	}
	return nil
}

// parsePath reads a path of RFC 9535. As kubectl has it, braces may stand
// around it, and the $ at its beginning may be missing.
func parsePath(text string) (*jsonpath.Path, error) {
	path := strings.TrimSpace(text)
	if strings.HasPrefix(path, "{") && strings.HasSuffix(path, "}") {
		path = path[1 : len(path)-1]
	}
	if path == "" {
		return nil, fmt.Errorf("-o jsonpath needs a path, as in -o 'jsonpath=$.members[*].id'")
	}
	if !strings.HasPrefix(path, "$") {
		if path[0] != '.' && path[0] != '[' {
			path = "." + path
		}
		path = "$" + path
	}
	parsed, err := jsonpath.Parse(path)
	if err != nil {
		return nil, fmt.Errorf("invalid path %q: %w; want one like $.members[*].id", text, err)
	}
	return parsed, nil
}

// WriteYAML keeps the order of members: JSON is read as the YAML it is.
func WriteYAML(w io.Writer, raw []byte) error {
	var node yaml.Node
	if err := yaml.Unmarshal(raw, &node); err != nil {
		return err
	}
	plainStyle(&node)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return err
	}
	return enc.Close()
}

// plainStyle turns JSON's flow style into YAML's block style. Quotes stay
// where dropping them would change a value's type.
func plainStyle(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.SetString(n.Value)
	}
	for _, c := range n.Content {
		plainStyle(c)
	}
}

// Complete offers the forms to the shell.
func Complete(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return Forms, cobra.ShellCompDirectiveNoFileComp
}

// AsksForJSON reports whether arguments ask for JSON, also when they are wrong
// otherwise.
func AsksForJSON(args []string) bool {
	for i, arg := range args {
		switch arg {
		case "--json", "-ojson", "-o=json", "--output=json":
			return true
		case "-o", "--output":
			if i+1 < len(args) && args[i+1] == JSON {
				return true
			}
		}
	}
	return false
}
