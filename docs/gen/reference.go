// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

//go:embed fields.txt
var fieldMeanings string

// meanings are what the fields of requests and replies mean, and which of the
// meanings have been asked for.
type meanings struct {
	text map[string]string
	used map[string]bool
}

func readMeanings() (*meanings, error) {
	m := &meanings{map[string]string{}, map[string]bool{}}
	for n, line := range strings.Split(fieldMeanings, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, text, ok := strings.Cut(line, " | ")
		if !ok || m.text[name] != "" {
			return nil, fmt.Errorf("fields.txt:%d: want one \"name | meaning\" for each name", n+1)
		}
		m.text[name] = text
	}
	return m, nil
}

// of finds the closest meaning: of the command's field, of the field in its
// parent, of any field of the name.
func (m *meanings) of(command, way string, path []string) (string, error) {
	name := path[len(path)-1]
	keys := []string{command + way + strings.Join(path, ".")}
	if len(path) > 1 {
		keys = append(keys, path[len(path)-2]+"."+name)
	} else {
		keys = append(keys, command+"."+name)
	}
	for _, k := range append(keys, name) {
		if text := m.text[k]; text != "" {
			m.used[k] = true
			return text, nil
		}
	}
	return "", fmt.Errorf("fields.txt has no meaning for %s of %s%s", name, command, way)
}

func (m *meanings) unused() error {
	var idle []string
	for _, k := range slices.Sorted(maps.Keys(m.text)) {
		if !m.used[k] {
			idle = append(idle, k)
		}
	}
	if len(idle) > 0 {
		return fmt.Errorf("fields.txt: no request or reply has %s", strings.Join(idle, ", "))
	}
	return nil
}

var commandBlock = regexp.MustCompile(`(?s)<!-- command ([a-z_]+) -->\n.*?<!-- end of \S+ -->`)

// protocolPages renews what is generated in the pages of docs/protocol. Every
// command has its place in exactly one of them.
func protocolPages() (map[string][]byte, error) {
	means, err := readMeanings()
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob("docs/protocol/*.md")
	if err != nil {
		return nil, err
	}
	pages, placed := map[string][]byte{}, map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var problem error
		pages[path] = commandBlock.ReplaceAllFunc(text, func(block []byte) []byte {
			name := string(commandBlock.FindSubmatch(block)[1])
			row := protocol.ByName(name)
			switch {
			case row == nil:
				problem = fmt.Errorf("%s: there is no command %s", path, name)
				return block
			case placed[name] != "":
				problem = fmt.Errorf("%s: %s is in %s as well", path, name, placed[name])
				return block
			}
			placed[name] = path
			out, err := commandReference(row, means)
			if err != nil {
				problem = err
			}
			return out
		})
		if problem != nil {
			return nil, problem
		}
		pages[path] = codesBlock.ReplaceAllLiteral(pages[path], codesReference())
	}
	for i := range protocol.Commands {
		if name := protocol.Commands[i].Name; placed[name] == "" {
			return nil, fmt.Errorf("no page of docs/protocol has a place for %s: add <!-- command %s --> and <!-- end of %s -->", name, name, name)
		}
	}
	return pages, means.unused()
}

var codesBlock = regexp.MustCompile(`(?s)<!-- codes -->\n.*?<!-- end of codes -->`)

// codesReference lists the codes of errors.
func codesReference() []byte {
	var b bytes.Buffer
	b.WriteString("<!-- codes -->\n| code | meaning |\n|---|---|\n")
	for _, c := range protocol.ErrorCodes {
		fmt.Fprintf(&b, "| `%s` | %s |\n", c.Code, c.Meaning)
	}
	b.WriteString("<!-- end of codes -->")
	return b.Bytes()
}

func commandReference(c *protocol.Command, means *meanings) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!-- command %s -->\n", c.Name)
	fmt.Fprintf(&b, "**Who:** %s. **How:** %s.", who(c), how(c))
	if len(c.Events) > 0 {
		fmt.Fprintf(&b, " **Events:** `%s`.", strings.Join(c.Events, "`, `"))
	}
	b.WriteString("\n")
	for _, side := range []struct {
		way, title string
		typ        reflect.Type
	}{{">", "request", reflect.TypeOf(c.New())}, {"<", "reply", reflect.TypeOf(c.NewReply())}} {
		rows, err := fieldRows(c.Name, side.way, nil, side.typ, means)
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			fmt.Fprintf(&b, "\n| %s | type | meaning |\n|---|---|---|\n%s", side.title, strings.Join(rows, ""))
		}
	}
	fmt.Fprintf(&b, "<!-- end of %s -->", c.Name)
	return b.Bytes(), nil
}

// who says what the caller must bring.
func who(c *protocol.Command) string {
	signs := ""
	if c.Challenge != "" {
		signs = " over `" + c.Challenge + "`"
	}
	if c.NewerChallenge != "" {
		signs += " or `" + c.NewerChallenge + "`"
	}
	if c.Signer != "" {
		signs += ", by the key of `" + c.Signer + "`"
	}
	if c.SignedOnly {
		signs = ", as a signed request only"
	}
	switch c.Auth {
	case protocol.AuthOpen:
		if c.Challenge != "" {
			return "anybody; a signature" + signs + " proves more"
		}
		return "anybody"
	case protocol.AuthSignature:
		return "signature" + signs
	case protocol.AuthSignatureOrAdmin:
		return "signature" + signs + ", or the admin token"
	case protocol.AuthRole:
		return "role " + strings.Join(c.Roles, " or ") + ", proven by a signature" + signs + "; the network's admin token; the admin token"
	case protocol.AuthReplication:
		return "the replication token"
	}
	return "the admin token"
}

// how says how the command reaches the state.
func how(c *protocol.Command) string {
	text := map[protocol.Mode]string{
		protocol.ModeWrite: "write", protocol.ModeRead: "read", protocol.ModeStream: "stream",
		protocol.ModeReadThenWrite: "read, and a write when there is something to take away",
		protocol.ModeLocal:         "answered by the member itself, without a quorum",
		protocol.ModeCluster:       "changes the cluster itself; carried out by the leader",
	}[c.Mode]
	for _, more := range []struct {
		is   bool
		text string
	}{
		{c.Plans, "understands `dry_run` and `if_revision`"},
		{c.Lists, "understands `limit` and `cursor`"},
		{c.Enterprise, "enterprise networks only"},
		{c.Soft, "request ids are not remembered"},
		{c.RefusesUnknown, "unknown fields are refused"},
		{c.Rate != protocol.RateNone, "counts against the limit `" + string(c.Rate) + "`"},
	} {
		if more.is {
			text += "; " + more.text
		}
	}
	return text
}

// fieldRows are the rows for the fields of a type, those inside others with
// the path to them.
func fieldRows(command, way string, path []string, t reflect.Type, means *meanings) (rows []string, err error) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil, nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			if strings.HasSuffix(f.Type.Name(), "Facts") { // a member adds them, no client sends them
				continue
			}
			inner, err := fieldRows(command, way, path, f.Type, means)
			if err != nil {
				return nil, err
			}
			rows = append(rows, inner...)
			continue
		}
		name := wireName(f)
		if name == "" || name == "type" {
			continue
		}
		at := append(slices.Clone(path), name)
		meaning, err := means.of(command, way, at)
		if err != nil {
			return nil, err
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", strings.Join(at, "."), typeName(f.Type), meaning))
		inner, err := fieldRows(command, way, at, f.Type, means)
		if err != nil {
			return nil, err
		}
		rows = append(rows, inner...)
	}
	return rows, nil
}

// wireName is the name of a field on the wire, "" for what is not sent.
func wireName(f reflect.StructField) string {
	name, wire := f.Tag.Lookup("wire")
	if !wire {
		name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	}
	if name == "-" || !f.IsExported() {
		return ""
	}
	return name
}

func typeName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "text"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "text"
		}
		return "list of " + typeName(t.Elem()) + "s"
	case reflect.Struct, reflect.Map, reflect.Interface:
		return "object"
	case reflect.Float64:
		return "number"
	}
	return "integer"
}
