package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parse reads JSON or YAML. JSON is what starts like JSON.
func (d *document) parse(data []byte) *yaml.Node {
	start := bytes.TrimLeft(data, " \t\r\n")
	likeJSON := len(start) > 0 && (start[0] == '{' || start[0] == '[')
	if likeJSON && json.Valid(data) {
		return jsonNode(data)
	}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); err != nil {
		if likeJSON {
			d.badJSON(data)
			return nil
		}
		d.badYAML(err)
		return nil
	}
	if err := dec.Decode(new(yaml.Node)); err != io.EOF {
		d.bad(nil, "", "more than one document in the file")
		return nil
	}
	return doc.Content[0]
}

func (d *document) badJSON(data []byte) {
	err := json.Unmarshal(data, new(any))
	line := 1
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		line += bytes.Count(data[:syntax.Offset], []byte("\n"))
	}
	d.bad(&yaml.Node{Line: line}, "", "%v", err)
}

func (d *document) badYAML(err error) {
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
	d.bad(&yaml.Node{Line: line}, "", "%s", text)
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
