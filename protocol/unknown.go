// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// commonFields are those that every request may have.
var commonFields = []string{"type", "signature", "admin_token", "request_id", "consistency", "max_staleness_ms", "min_index", "limit", "cursor", "dry_run"}

// unknownFields refuses fields that the command does not have: a misspelt one
// would be a setting that is lost.
func (r *reader) unknownFields(c *Command, fields map[string]any) {
	known := slices.Clone(commonFields)
	for _, f := range c.plan.fields {
		known = append(known, f.name)
	}
	r.unknownKeys(c.Name, "", fields, known)
}

// unknownKeys refuses the first key, in alphabetical order, that is not known.
// where is the path of the object, "" for the request itself.
func (r *reader) unknownKeys(command, where string, object map[string]any, known []string) {
	var odd []string
	for key := range object {
		if !slices.Contains(known, key) {
			odd = append(odd, key)
		}
	}
	if len(odd) == 0 {
		return
	}
	slices.Sort(odd)
	r.refuse(unknownField(command, where, odd[0], known))
}

// maxShown bounds how much of a name is repeated in a refusal.
const maxShown = 64

func unknownField(command, where, key string, known []string) *Error {
	if where != "" {
		where += "."
	}
	shown := key
	if len(shown) > maxShown {
		shown = shown[:maxShown]
	}
	return Errorf(CodeUnknownField, "unknown field %s in %s, so nothing was changed%s", Quote(where+shown), command, suggestion(key, known))
}

// knownMembers refuses members of an object that its type does not have, in
// whatever case they are written, and null where it has a boolean.
func (r *reader) knownMembers(command, where string, t reflect.Type, raw any) {
	switch t.Kind() {
	case reflect.Pointer:
		r.knownMembers(command, where, t.Elem(), raw)
	case reflect.Slice:
		list, _ := raw.([]any)
		for i := range list {
			r.knownMembers(command, where+"["+strconv.Itoa(i)+"]", t.Elem(), list[i])
		}
	case reflect.Struct:
		object, _ := raw.(map[string]any)
		types := map[string]reflect.Type{}
		var known []string
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if t.Field(i).Anonymous { // facts, which no client sets
				continue
			}
			known, types[name] = append(known, name), t.Field(i).Type
		}
		inLower := make(map[string]any, len(object))
		for key, value := range object {
			inLower[lower(key)] = value
		}
		r.unknownKeys(command, where, inLower, known)
		for _, name := range known {
			value, given := inLower[name]
			if given && value == nil && types[name].Kind() == reflect.Bool {
				r.complain(where+"."+name, "true or false", nil)
			}
			r.knownMembers(command, where+"."+name, types[name], value)
		}
	}
}

// suggestion names the known field that an unknown one was probably meant to
// be, or all that there are.
func suggestion(key string, known []string) string {
	if name := Nearest(key, known); name != "" {
		return "; did you mean " + name + "?"
	}
	own := slices.DeleteFunc(slices.Clone(known), func(name string) bool { return slices.Contains(commonFields, name) })
	slices.Sort(own)
	return "; its fields are " + strings.Join(own, ", ")
}

// Nearest is the known name that another was probably meant to be, "" when
// none is near.
func Nearest(name string, known []string) string {
	sorted := slices.Clone(known)
	slices.Sort(sorted)
	k := plainName(name)
	if k == "" || len(k) > maxShown {
		return ""
	}
	for _, candidate := range sorted {
		if plainName(candidate) == k {
			return candidate
		}
	}
	for _, candidate := range sorted {
		if p := plainName(candidate); distance(p, k) <= min(2, len(p)/2) || len(k) >= 4 && (strings.HasPrefix(p, k) || strings.HasPrefix(k, p)) {
			return candidate
		}
	}
	return ""
}

// plainName is a name without what spellings differ in.
func plainName(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(lower(s))
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
