// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// printTable renders a reply from its type: one line per member, lists of
// objects as tables below. Members that are absent from the reply are left out.
func printTable(w io.Writer, reply any) error {
	v := reflect.Indirect(reflect.ValueOf(reply))
	if v.Kind() != reflect.Struct {
		_, err := fmt.Fprintln(w, "done")
		return err
	}
	var single, lists, keyed []member
	for _, m := range membersOf(v) {
		if m.omitEmpty && m.value.IsZero() {
			continue
		}
		if m.value.Kind() == reflect.Map {
			keyed = append(keyed, m)
		} else if m.value.Kind() == reflect.Slice && (m.value.Type().Elem().Kind() == reflect.Struct || m.name == "actions" || m.name == "warnings") {
			lists = append(lists, m)
		} else if m.name != "type" {
			single = append(single, m)
		}
	}
	if len(single)+len(lists)+len(keyed) == 0 {
		_, err := fmt.Fprintln(w, "done")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, m := range single {
		fmt.Fprintf(tw, "%s\t%s\n", label(m.name), cell(m))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for i, m := range lists {
		if i > 0 || len(single) > 0 {
			fmt.Fprintln(w)
		}
		if len(single)+len(lists) > 1 {
			fmt.Fprintf(w, "%s\n", label(m.name))
		}
		if err := printList(w, m); err != nil {
			return err
		}
	}
	return printKeyed(w, keyed)
}

// printKeyed renders objects with a member for each node, by its id.
func printKeyed(w io.Writer, keyed []member) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, m := range keyed {
		fmt.Fprintf(tw, "\n%s\n", label(m.name))
		keys := m.value.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int {
			return cmp.Or(cmp.Compare(a.Len(), b.Len()), strings.Compare(a.String(), b.String()))
		})
		for _, k := range keys {
			fmt.Fprintf(tw, "  %s\t%s\n", clean(k.String()), cell(member{value: m.value.MapIndex(k)}))
		}
	}
	return tw.Flush()
}

// printList renders a list of objects with the columns that hold something.
func printList(w io.Writer, list member) error {
	n := list.value.Len()
	if n == 0 {
		_, err := fmt.Fprintf(w, "no %s\n", strings.ToLower(label(list.name)))
		return err
	}
	if list.value.Type().Elem().Kind() == reflect.String {
		for i := range n {
			fmt.Fprintf(w, "  - %s\n", clean(list.value.Index(i).String()))
		}
		return nil
	}
	rows := make([][]member, n)
	used := map[int]bool{}
	for i := range n {
		rows[i] = membersOf(list.value.Index(i))
		for j, m := range rows[i] {
			if !m.omitEmpty || !m.value.IsZero() {
				used[j] = true
			}
		}
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	line := func(text func(m member) string, row []member) {
		var cells []string
		for j, m := range row {
			if used[j] {
				cells = append(cells, text(m))
			}
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	line(func(m member) string { return label(m.name) }, rows[0])
	for _, row := range rows {
		line(cell, row)
	}
	return tw.Flush()
}

// member is one member of a JSON object.
type member struct {
	name      string
	value     reflect.Value
	omitEmpty bool
}

func membersOf(v reflect.Value) []member {
	var out []member
	for i := range v.NumField() {
		name, opts, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if v.Type().Field(i).Anonymous && name == "" {
			out = append(out, membersOf(v.Field(i))...)
		} else if name != "" && name != "-" {
			out = append(out, member{name: name, value: v.Field(i), omitEmpty: strings.Contains(opts, "omit")})
		}
	}
	if _, ordered := v.Interface().(inOrder); !ordered {
		slices.SortStableFunc(out, func(a, b member) int { return rank(a.name) - rank(b.name) })
	}
	return out
}

// inOrder marks types whose members stand in the order for readers already.
type inOrder interface{ inOrder() }

// first are the members that say what an entry is. Replies have theirs in
// alphabetical order, which is of no use to a reader.
var first = []string{"id", "member_id", "cluster_id", "node_id", "from_node_id", "beacon_id", "command", "name", "network_id", "version", "hostname", "address", "addr",
	"state", "ready", "role", "suffrage", "reachable", "offline"}

func rank(name string) int {
	if i := slices.Index(first, name); i >= 0 {
		return i
	}
	return len(first)
}

func label(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "_", " ")) }

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
		return clean(string(raw))
	}
	switch v.Kind() {
	case reflect.Struct:
		raw, err := json.Marshal(v.Interface())
		if err != nil {
			return "-"
		}
		return clean(string(raw))
	case reflect.String:
		if v.Len() == 0 {
			return "-"
		}
		return clean(v.String())
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
		if v.Len() == 0 {
			return "-"
		}
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = clean(fmt.Sprint(v.Index(i).Interface()))
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v.Interface())
}

func isTime(name string) bool { return name == "time" || name == "timestamp" || name == "created" }

func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) && r != ' ' {
			return '\uFFFD'
		}
		return r
	}, s)
}
