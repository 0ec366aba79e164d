// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"unicode/utf8"
)

// JSONProblem says in the reader's words what is wrong with a JSON document;
// err came of reading it with encoding/json.
func JSONProblem(err error, document []byte) string {
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(document, new(any)), &syntax) {
		return syntaxProblem(syntax, document)
	}
	var kind *json.UnmarshalTypeError
	if !errors.As(err, &kind) {
		return err.Error()
	}
	wants := ""
	if kind.Type != nil {
		wants = " wants " + wanted(kind.Type) + ","
	}
	field := "it"
	if kind.Field != "" {
		field = Quote(kind.Field)
	}
	return field + wants + " not " + given(kind.Value)
}

func syntaxProblem(err *json.SyntaxError, document []byte) string {
	if len(bytes.Trim(document, " \t\r\n")) == 0 {
		return "it is empty"
	}
	if errors.Is(json.NewDecoder(bytes.NewReader(document)).Decode(new(any)), io.ErrUnexpectedEOF) {
		return "it ends too early; was it cut off?"
	}
	at := int(max(err.Offset-1, 0))
	before := document[:min(at, len(document))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	r, _ := utf8.DecodeRune(document[len(before):])
	return fmt.Sprintf("it is not JSON: line %d, column %d has %s where that cannot be", line, column, Quote(string(r)))
}

// wanted names what a Go type is in JSON.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Map, reflect.Struct, reflect.Interface:
		return "an object"
	}
	return fmt.Sprintf("a whole number of %d bits", t.Bits())
}

// given names what came, as encoding/json calls it.
func given(value string) string {
	switch value {
	case "bool":
		return "true or false"
	case "string":
		return "a text"
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "number":
		return "a number"
	}
	return "the " + value // number 1e400
}
