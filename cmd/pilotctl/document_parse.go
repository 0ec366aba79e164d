// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// parse reads JSON or YAML. JSON is what starts like JSON.
func (d *document) parse(data []byte) *yaml.Node {
	if likeJSON(data) && json.Valid(data) {
		return jsonNode(data)
	}
	var docs []*yaml.Node
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := dec.Decode(&doc)
		switch {
		case errors.Is(err, io.EOF) && len(docs) == 1:
			return docs[0]
		case errors.Is(err, io.EOF) && len(docs) > 1:
			d.bad(docs[1], "", "more than one document in the file")
			return nil
		case err != nil && likeJSON(data):
			d.badJSON(data)
			return nil
		case err != nil:
			d.badYAML(err, data)
			return nil
		}
		if root := doc.Content[0]; root.Tag != "!!null" { // nothing between two lines of ---
			docs = append(docs, root)
		}
	}
}

// likeJSON reports whether a text starts like JSON.
func likeJSON(data []byte) bool {
	start := bytes.TrimLeft(data, " \t\r\n")
	return len(start) > 0 && (start[0] == '{' || start[0] == '[')
}

func (d *document) badJSON(data []byte) {
	err := json.Unmarshal(data, new(any))
	line := 1
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		line += bytes.Count(data[:syntax.Offset], []byte("\n"))
	}
	d.bad(&yaml.Node{Line: line}, "", "%s", protocol.JSONProblem(err, data))
}

func (d *document) badYAML(err error, data []byte) {
	if errors.Is(err, io.EOF) {
		d.bad(nil, "", "the file is empty")
		return
	}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, found := strings.CutPrefix(text, "line "); found {
		number, after, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			line, text = n, after
		}
	}
	if at := tabbedLine(data); at > 0 && (line == 0 || strings.Contains(text, "tab") || at == line || strings.Contains(text, "cannot start any token")) {
		line, text = at, "a tab in front of a key: YAML wants spaces there"
	}
	d.bad(&yaml.Node{Line: line}, "", "%s", text)
}

// tabbedLine is the first line that is indented with a tab, 0 when none is.
func tabbedLine(data []byte) int {
	for i, line := range bytes.Split(data, []byte("\n")) {
		indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if bytes.IndexByte(indent, '\t') >= 0 && len(bytes.TrimSpace(line)) > 0 {
			return i + 1
		}
	}
	return 0
}

// jsonNode turns valid JSON into nodes that know their lines.
func jsonNode(data []byte) *yaml.Node {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	line, counted := 1, int64(0)
	next := func() (json.Token, int) {
		t, _ := dec.Token()
		at := dec.InputOffset()
		line += bytes.Count(data[counted:at], []byte("\n"))
		counted = at
		return t, line
	}
	var value func(t json.Token, line int) *yaml.Node
	value = func(t json.Token, line int) *yaml.Node {
		switch t := t.(type) {
		case json.Delim:
			n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: line}
			if t == '{' {
				n.Kind, n.Tag = yaml.MappingNode, "!!map"
			}
			for {
				t, line := next()
				if t == json.Delim('}') || t == json.Delim(']') {
					return n
				}
				n.Content = append(n.Content, value(t, line))
			}
		case string:
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: t, Line: line}
		case json.Number:
			tag := "!!float"
			if strings.Trim(t.String(), "-0123456789") == "" {
				tag = "!!int"
			}
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: t.String(), Line: line}
		case bool:
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(t), Line: line}
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: line}
	}
	return value(next())
}
