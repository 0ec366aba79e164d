// SPDX-License-Identifier: Apache-2.0

package output_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// fill gives every member of a value something long, as members may answer.
func fill(v reflect.Value, name string, rows int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name, rows)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
				fill(v.Field(i), tag, rows)
			}
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes([]byte(`{}`))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), rows, rows))
		for i := range rows {
			fill(v.Index(i), name, rows)
		}
	case reflect.String:
		switch {
		case name == "id" || name == "member_id" || name == "used_by":
			v.SetString("0157a340-1111-2222-3333-444455556666")
		case strings.HasSuffix(name, "_at"), name == "timestamp", name == "stalled":
			v.SetString(time.Unix(1e9, 0).UTC().Format(time.RFC3339))
		case name == "join_token", name == "public_key", name == "digest", name == "badge", name == "badge_sig", name == "head", name == "anchor": // there to be copied
			v.SetString("x")
		default:
			v.SetString(strings.Repeat("a word or two of text, ", 8))
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1 << 20)
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(65535)
	}
}

func render(t *testing.T, form string, v any) string {
	t.Helper()
	var out bytes.Buffer
	p := &output.Printer{Out: &out, Form: form}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	if err := p.Value(v); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Whatever a member answers, a table fits a terminal of 80 columns.
func TestTablesFit(t *testing.T) {
	t.Parallel()
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		reply := row.NewReply()
		v := reflect.ValueOf(reply)
		if v.Kind() != reflect.Pointer {
			continue
		}
		fill(v.Elem(), "", 2)
		for _, line := range strings.Split(render(t, output.Table, reply), "\n") {
			if _, value, _ := strings.Cut(line, "  "); strings.HasPrefix(strings.TrimSpace(value), "{") {
				continue // a document, to be copied
			}
			if n := utf8.RuneCountInString(line); n > output.Width {
				t.Errorf("%s: a line of %d columns: %s", row.Name, n, line)
			}
		}
	}
}

// Scripts count columns: what the rows hold does not change which there are.
func TestColumnsDoNotDependOnTheRows(t *testing.T) {
	t.Parallel()
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		if of := reflect.TypeOf(row.NewReply()); of.Kind() != reflect.Pointer || of.Elem().Kind() != reflect.Struct {
			continue
		}
		full, empty := row.NewReply(), row.NewReply()
		fill(reflect.ValueOf(full).Elem(), "", 1)
		v := reflect.ValueOf(empty).Elem()
		for j := range v.NumField() {
			list := v.Field(j)
			if list.Kind() != reflect.Slice || list.Type().Elem().Kind() != reflect.Struct {
				continue
			}
			list.Set(reflect.MakeSlice(list.Type(), 1, 1))
			for _, form := range []string{output.Table, output.Wide} {
				head := heading(render(t, form, empty))
				if all := render(t, form, full); !strings.Contains(squeeze(all), head) {
					t.Errorf("%s -o %s: of empty rows the columns are %q, of full ones\n%s", row.Name, form, head, all)
				}
			}
			list.SetZero()
		}
	}
}

// heading is the line above the last one.
func heading(table string) string {
	lines := strings.Split(strings.TrimSpace(table), "\n")
	return squeeze(lines[max(0, len(lines)-2)])
}

func squeeze(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.Join(strings.Fields(lines[i]), " ")
	}
	return strings.Join(lines, "\n")
}

// Ids of members are cut only as far as they can be told apart.
func TestShortIDsStayUnique(t *testing.T) {
	t.Parallel()
	text := render(t, output.Table, &protocol.ClusterMembersReply{Members: []protocol.ClusterMember{
		{ID: "0157a340-1111-2222-3333-444455556666"}, {ID: "0157a340-1112-2222-3333-444455556666"}, {ID: "m3"}}})
	for _, want := range []string{"\n0157a340-1111-22  ", "\n0157a340-1112-22  ", "\nm3  "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if whole := render(t, output.Wide, &protocol.ClusterMembersReply{Members: []protocol.ClusterMember{{ID: "0157a340-1111-2222-3333-444455556666"}}}); !strings.Contains(whole, "0157a340-1111-2222-3333-444455556666") {
		t.Error(whole)
	}
}

// Large numbers come out of a path as they are.
func TestPathsKeepNumbers(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &output.Printer{Out: &out, Form: "jsonpath={.a}"}
	if err := p.Print(json.RawMessage(`{"a":18446744073709551615}`), nil); err != nil || out.String() != "18446744073709551615\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
