// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"math"
	"reflect"
	"strconv"
)

// What clients send is read strictly: a boolean is true or false, a number a
// number in its range, a text a text, a list a list. Anything else is refused
// with what is wanted and what came, because a value that is read as something
// else changes what nobody asked for. null counts as absent, except where
// absence is a decision: in booleans, and in conditions and confirmations.
//
// The tag `read` of a field makes the exceptions:
//
//   - deferred: a value that cannot be read counts as absent at first, because
//     the protocol has its own refusal for that, which programs know. A
//     request that nothing else refuses is refused for the value.
//   - lenient: a value that cannot be read counts as absent. A daemon that
//     cannot register for an odd address would be worse.
//   - main, alias: one of these fields has to be there, so that a configuration
//     is not switched off by a misspelt or forgotten name. Clients always send
//     those that are main.

// Unread is a value that cannot be read.
type Unread struct {
	// Err says which field, what is wanted and what came.
	Err *Error
	// Deferred is true when every other refusal comes first.
	Deferred bool
}

// reader reads values and keeps the first complaint, one that is not deferred
// before all that are.
type reader struct {
	unread *Unread
	// rule is the tag of the field that is being read, secret says that its
	// value must not be shown.
	rule   string
	secret bool
}

// complain notes that a value cannot be read.
func (r *reader) complain(name, want string, raw any) {
	r.refuse(Errorf(CodeInvalid, "invalid %s: want %s, got %s", name, want, r.got(raw)))
}

func (r *reader) refuse(e *Error) {
	if r.rule == "lenient" {
		return
	}
	deferred := r.rule == "deferred"
	if r.unread == nil || r.unread.Deferred && !deferred {
		r.unread = &Unread{Err: e, Deferred: deferred}
	}
}

func (r *reader) got(raw any) string {
	switch v := raw.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		if !r.secret && harmless(v) {
			return "the text " + Quote(v)
		}
		return "a text"
	case bool:
		if !r.secret {
			return strconv.FormatBool(v)
		}
		return "true or false"
	case float64:
		if !r.secret {
			return "the number " + number(v)
		}
	}
	return "a number"
}

// harmless reports whether a text may be repeated in a refusal: a number or a
// word of a few letters. Anything else may be a secret in the wrong place.
func harmless(s string) bool {
	digits := 0
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9' || c == '.' || c == '-' || c == '+':
			digits++
		case (c < 'a' || c > 'z') && (c < 'A' || c > 'Z'):
			return false
		}
	}
	return digits == len(s) && digits <= maxDigits || len(s) <= maxWord
}

// maxDigits is what numbers have, maxWord what words that mean yes or no have.
const maxDigits, maxWord = 20, 8

// number renders a number as people write it.
func number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < maxExact {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// text reads a text.
func (r *reader) text(name string, raw any) string {
	s, ok := raw.(string)
	if !ok && raw != nil {
		r.complain(name, "a text", raw)
	}
	return s
}

// flag reads a boolean.
func (r *reader) flag(name string, raw any) bool {
	b, ok := raw.(bool)
	if !ok && (raw != nil || r.rule != "lenient") {
		r.complain(name, "true or false", raw)
	}
	return b
}

// whole reads a number without a fraction from 0 to limit.
func (r *reader) whole(name string, raw any, limit uint64) uint64 {
	if raw == nil {
		return 0
	}
	if !whole(raw, float64(limit)) {
		r.complain(name, "a whole number from 0 to "+strconv.FormatUint(limit, 10), raw)
		return 0
	}
	return uint64(raw.(float64))
}

// texts reads a list of texts. Of a lenient field the texts count.
func (r *reader) texts(name string, raw any) []string {
	list, ok := raw.([]any)
	if !ok {
		if raw != nil {
			r.complain(name, "a list of texts", raw)
		}
		return nil
	}
	var out []string
	for i, e := range list {
		s, isText := e.(string)
		if !isText {
			r.complain(name+"["+strconv.Itoa(i)+"]", "a text", e)
			continue
		}
		out = append(out, s)
	}
	return out
}

// set reads a field by its type.
func (r *reader) set(f reflect.Value, name string, raw any) {
	switch f.Kind() {
	case reflect.String:
		f.SetString(r.text(name, raw))
	case reflect.Bool:
		f.SetBool(r.flag(name, raw))
	case reflect.Uint16:
		f.SetUint(r.whole(name, raw, math.MaxUint16))
	case reflect.Uint32:
		f.SetUint(r.whole(name, raw, math.MaxUint32))
	case reflect.Uint64:
		f.SetUint(r.whole(name, raw, maxExact))
	case reflect.Pointer:
		r.setPresent(f, name, raw)
	case reflect.Slice:
		f.Set(reflect.ValueOf(r.texts(name, raw)))
	default:
		panic("protocol: field " + name + " has a type without a reading rule")
	}
}

// maxExact is as far as JSON numbers are exact.
const maxExact = 1 << 53

// setPresent reads a field whose absence means something.
func (r *reader) setPresent(f reflect.Value, name string, raw any) {
	switch f.Interface().(type) {
	case *uint64: // conditions and confirmations: null is none
		if raw == nil {
			r.complain(name, "a whole number", raw)
			return
		}
		n := r.whole(name, raw, maxExact)
		f.Set(reflect.ValueOf(&n))
	case *float64:
		v, ok := raw.(float64)
		switch {
		case ok:
			f.Set(reflect.ValueOf(&v))
		case raw != nil:
			r.complain(name, "a number", raw)
		}
	case *string:
		v, ok := raw.(string)
		switch {
		case ok:
			f.Set(reflect.ValueOf(&v))
		case raw != nil:
			r.complain(name, "a text", raw)
		}
	case *[]float64:
		r.setNumbers(f, name, raw)
	default:
		panic("protocol: field " + name + " has a type without a reading rule")
	}
}

// setNumbers reads a list of numbers. An element that is none becomes -1,
// which no list allows: the protocol has its own words for that.
func (r *reader) setNumbers(f reflect.Value, name string, raw any) {
	list, ok := raw.([]any)
	if !ok {
		if raw != nil {
			r.complain(name, "a list of numbers", raw)
		}
		return
	}
	numbers := make([]float64, len(list))
	for i := range list {
		n, isNumber := list[i].(float64)
		if !isNumber {
			n = -1
		}
		numbers[i] = n
	}
	f.Set(reflect.ValueOf(&numbers))
}

// credential reads a text that proves who asks. One that is not a text proves
// nothing: where it is needed, that is refused as if it were missing.
func (r *reader) credential(name string, raw any) Secret {
	r.rule, r.secret = "deferred", true
	s := r.text(name, raw)
	r.rule, r.secret = "", false
	return Secret(s)
}
