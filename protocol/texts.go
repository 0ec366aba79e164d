// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"reflect"
	"strings"
	"unicode/utf8"
)

// Texts that clients send are stored, and shown in terminals, logs, listings
// and audit trails. So none of them may hold a control character: with one, a
// name could rewrite what stands around it. The tag `text` of a field makes
// the few exceptions: "lines" allows tabs and line breaks, "-" says that the
// field is not stored as it was sent.

// controlInside says what is wrong with a text.
const controlInside = "holds a control character; send it without"

// Check looks at a request as far as that needs no state. It runs at the front
// door and again in Apply.
func Check(row *Command, body Body) *Error {
	if e := body.Validate(); e != nil {
		return e
	}
	if !row.Writes() || !row.plan.texts {
		return nil
	}
	if field := controlIn(reflect.ValueOf(body), "", ""); field != "" {
		return Errorf(CodeInvalid, "invalid %s: it %s", field, controlInside)
	}
	return nil
}

var secretType = reflect.TypeFor[Secret]()

// hasTexts reports whether values of a type can hold texts.
func hasTexts(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String:
		return t != secretType
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return hasTexts(t.Elem())
	case reflect.Map:
		return true
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && hasTexts(f.Type) {
				return true
			}
		}
	}
	return false
}

// controlIn finds the name of the first field below v that holds a control
// character it must not hold, "" when there is none.
func controlIn(v reflect.Value, name, rule string) string {
	switch v.Kind() {
	case reflect.String:
		if rule != "-" && v.Type() != secretType && hasControl(v.String(), rule == "lines") {
			return name
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return controlIn(v.Elem(), name, rule)
		}
	case reflect.Slice, reflect.Array:
		if !hasTexts(v.Type()) {
			return ""
		}
		for i := range v.Len() {
			if bad := controlIn(v.Index(i), name, rule); bad != "" {
				return bad
			}
		}
	case reflect.Struct:
		return controlInFields(v, name)
	}
	return ""
}

func controlInFields(v reflect.Value, outer string) string {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "" || name == "-" {
			name = outer
		} else if outer != "" {
			name = outer + "." + name
		}
		if bad := controlIn(v.Field(i), name, f.Tag.Get("text")); bad != "" {
			return bad
		}
	}
	return ""
}

// HasControl reports whether a text that no request brings holds a control character.
func HasControl(s string) bool { return hasControl(s, false) }

// hasControl reports whether a text holds a control character: U+0000 to
// U+001F, U+007F or U+0080 to U+009F, which terminals obey too. lines allows
// tabs and line breaks.
func hasControl(s string, lines bool) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case lines && (c == '\t' || c == '\n' || c == '\r'):
		case c < 0x20, c == 0x7f, c == 0xc2 && i+1 < len(s) && s[i+1] >= 0x80 && s[i+1] < 0xa0:
			return true
		}
	}
	return false
}

// Quote puts text from a client in double quotes as the verb %q does,
// but by a fixed rule: the standard library's depends on its Unicode tables.
// Characters that nobody sees are written as what they are, since texts that
// look alike may differ by one.
func Quote(s string) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'x', digits[c>>4], digits[c&15])
		case c >= 0x80 && unseen(s[i:]):
			r, size := utf8.DecodeRuneInString(s[i:])
			b = append(b, '\\', 'u', digits[r>>12], digits[r>>8&15], digits[r>>4&15], digits[r&15])
			i += size - 1
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// unseen reports whether a text begins with a space that does not break, a
// soft hyphen, a zero-width character or a mark of the direction of writing.
func unseen(s string) bool {
	switch r, _ := utf8.DecodeRuneInString(s); {
	case r == 0xa0, r == 0xad, r == 0xfeff,
		r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202f, r >= 0x2060 && r <= 0x206f:
		return true
	}
	return false
}
