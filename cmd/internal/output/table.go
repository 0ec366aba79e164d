// SPDX-License-Identifier: Apache-2.0

package output

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// table renders replies for people.
type table struct {
	w     io.Writer
	width int
	wide  bool
}

// print renders a reply from its type: one line per member, lists of objects
// as tables below. Members that are absent from the reply are left out.
func (t *table) print(reply any) error {
	v := reflect.Indirect(reflect.ValueOf(reply))
	if v.Kind() != reflect.Struct {
		_, err := fmt.Fprintln(t.w, "done")
		return err
	}
	var single, lists, keyed []member
	for _, m := range membersOf(v) {
		if m.omitEmpty && m.value.IsZero() {
			continue
		}
		switch {
		case m.value.Kind() == reflect.Map:
			keyed = append(keyed, m)
		case m.isList():
			lists = append(lists, m)
		case m.name != "type":
			single = append(single, m)
		}
	}
	if len(single)+len(lists)+len(keyed) == 0 {
		_, err := fmt.Fprintln(t.w, "done")
		return err
	}
	pairs := make([][2]string, len(single))
	for i, m := range single {
		pairs[i] = [2]string{label(m.name), cell(m)}
		if m.name == "digest" && !t.wide { // to be compared at a glance
			pairs[i][1] = cut(pairs[i][1], digestShown)
		}
	}
	if err := t.pairs("", pairs); err != nil {
		return err
	}
	for i, m := range lists {
		if i > 0 || len(single) > 0 {
			fmt.Fprintln(t.w)
		}
		if len(single)+len(lists) > 1 {
			fmt.Fprintf(t.w, "%s\n", label(m.name))
		}
		if err := t.list(m); err != nil {
			return err
		}
	}
	return t.keyed(keyed)
}

// digestShown is how much of a digest a narrow table has.
const digestShown = 24

// isList reports whether a member is shown as a table, or with a line for each
// of its texts.
func (m member) isList() bool {
	return m.value.Kind() == reflect.Slice && (m.value.Type().Elem().Kind() == reflect.Struct ||
		slices.Contains([]string{"actions", "warnings", "problems", "next_steps"}, m.name))
}

// keyed renders objects with a member for each node, by its id.
func (t *table) keyed(all []member) error {
	for _, m := range all {
		keys := m.value.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int {
			return cmp.Or(cmp.Compare(a.Len(), b.Len()), strings.Compare(a.String(), b.String()))
		})
		var pairs [][2]string
		for _, k := range keys {
			pairs = append(pairs, [2]string{Clean(k.String()), cell(member{value: m.value.MapIndex(k)})})
		}
		fmt.Fprintf(t.w, "\n%s\n", label(m.name))
		if err := t.pairs("  ", pairs); err != nil {
			return err
		}
	}
	return nil
}

// pairs writes names and values in two columns. A long value goes on below
// its beginning, where it has places to break.
func (t *table) pairs(indent string, pairs [][2]string) error {
	left := 0
	for _, p := range pairs {
		left = max(left, utf8.RuneCountInString(p[0]))
	}
	for _, p := range pairs {
		lines := []string{p[1]}
		if !t.wide {
			lines = wrap(p[1], t.width-len(indent)-left-2)
		}
		for i, line := range lines {
			name := p[0]
			if i > 0 {
				name = ""
			}
			if _, err := fmt.Fprintf(t.w, "%s%s  %s\n", indent, pad(name, left), line); err != nil {
				return err
			}
		}
	}
	return nil
}

// list renders a list of objects, or of texts.
func (t *table) list(list member) error {
	n := list.value.Len()
	if n == 0 {
		_, err := fmt.Fprintf(t.w, "no %s\n", strings.ToLower(label(list.name)))
		return err
	}
	if list.value.Type().Elem().Kind() == reflect.String {
		for i := range n {
			for j, line := range wrap(Clean(list.value.Index(i).String()), t.width-4) {
				fmt.Fprintf(t.w, "  %s %s\n", map[bool]string{true: "-", false: " "}[j == 0], line)
			}
		}
		return nil
	}
	var rows [][]string
	var names []string
	for i := range n {
		of := t.columns(list.value.Index(i))
		row := make([]string, len(of))
		if names == nil {
			for _, m := range of {
				names = append(names, m.name)
			}
		}
		for j, m := range of {
			row[j] = cell(m)
		}
		rows = append(rows, row)
	}
	return t.rows(names, rows)
}

// columns are the members of a row that are shown.
func (t *table) columns(row reflect.Value) []member {
	all := membersOf(row)
	spec, is := shown[row.Type().Name()]
	if t.wide || !is {
		return all
	}
	var out []member
	for _, name := range strings.Fields(spec) {
		if i := slices.IndexFunc(all, func(m member) bool { return m.name == name }); i >= 0 {
			out = append(out, all[i])
		}
	}
	return out
}

// rows writes a heading and the rows. In a narrow table ids of members are as
// short as they can be told apart by, and long texts are cut.
func (t *table) rows(names []string, rows [][]string) error {
	if !t.wide {
		for j, name := range names {
			if name == "id" || name == "member_id" || name == "used_by" {
				shortenIDs(rows, j)
			}
		}
	}
	head := make([]string, len(names))
	widths := make([]int, len(names))
	for j, name := range names {
		head[j] = heading(name)
	}
	all := append([][]string{head}, rows...)
	for _, row := range all {
		for j, text := range row {
			widths[j] = max(widths[j], utf8.RuneCountInString(text))
		}
	}
	if !t.wide {
		fit(names, widths, t.width)
	}
	for _, row := range all {
		var line strings.Builder
		for j, text := range row {
			if j > 0 {
				line.WriteString("  ")
			}
			line.WriteString(pad(cut(text, widths[j]), widths[j]))
		}
		if _, err := fmt.Fprintln(t.w, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// member is one member of a JSON object.
type member struct {
	name      string
	value     reflect.Value
	omitEmpty bool
}

func membersOf(v reflect.Value) []member {
	out := declared(v)
	slices.SortStableFunc(out, func(a, b member) int { return rank(a.name) - rank(b.name) })
	return out
}

// declared are the members in the order of the type.
func declared(v reflect.Value) []member {
	var out []member
	for i := range v.NumField() {
		name, opts, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if v.Type().Field(i).Anonymous && name == "" {
			out = append(out, declared(v.Field(i))...)
		} else if name != "" && name != "-" {
			out = append(out, member{name: name, value: v.Field(i), omitEmpty: strings.Contains(opts, "omit")})
		}
	}
	return out
}

func rank(name string) int {
	if i := slices.Index(first, name); i >= 0 {
		return i
	}
	return len(first)
}

// cell renders a value for people. Control characters, which a stranger's
// text may hold, do not reach the terminal.
func cell(m member) string {
	v := m.value
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "-"
		}
		v = v.Elem()
	}
	if raw, is := v.Interface().(json.RawMessage); is && len(raw) > 0 {
		return Clean(string(raw))
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Map:
		if v.IsZero() {
			return "-"
		}
		raw, err := json.Marshal(v.Interface())
		if err != nil {
			return "-"
		}
		return Clean(string(raw))
	case reflect.String:
		if v.Len() == 0 {
			return "-"
		}
		return Clean(v.String())
	case reflect.Bool:
		if v.Bool() {
			return "yes"
		}
		return "no"
	case reflect.Int64:
		if isTime(m.name) {
			if v.Int() <= 0 {
				return "-"
			}
			return time.Unix(v.Int(), 0).UTC().Format(time.RFC3339)
		}
	case reflect.Slice:
		return cells(v)
	}
	if m.omitEmpty && v.IsZero() {
		return "-"
	}
	return fmt.Sprint(v.Interface())
}

// cells renders a list within a cell.
func cells(v reflect.Value) string {
	if v.Len() == 0 {
		return "-"
	}
	parts := make([]string, v.Len())
	for i := range parts {
		parts[i] = Clean(fmt.Sprint(v.Index(i).Interface()))
	}
	return strings.Join(parts, ", ")
}

func isTime(name string) bool { return name == "time" || name == "timestamp" || name == "created" }

// Clean replaces what would steer a terminal.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) && r != ' ' {
			return '\uFFFD'
		}
		return r
	}, s)
}
