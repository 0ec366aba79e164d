// SPDX-License-Identifier: Apache-2.0

package original

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// entry is a member of a JSON object, as it stands in the file.
type entry struct {
	key string
	raw json.RawMessage
}

// entries takes an object apart, nil for null. A key that stands there twice is
// an error: nobody knows which of the two is meant.
func entries(raw []byte) ([]entry, error) {
	if len(raw) == 0 || string(bytes.TrimSpace(raw)) == "null" {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, errors.New("it is not an object")
	}
	var list []entry
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		e := entry{key: key.(string)} // keys are texts
		if err := d.Decode(&e.raw); err != nil {
			return nil, err
		}
		if seen[e.key] {
			return nil, fmt.Errorf("%s stands there twice", protocol.Quote(e.key))
		}
		seen[e.key] = true
		list = append(list, e)
	}
	return list, nil
}

// items takes an array apart, nil for null.
func items(raw []byte) ([]json.RawMessage, error) {
	var list []json.RawMessage
	if len(raw) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, errors.New("it is not a list")
	}
	return list, nil
}

// decode reads an object and notes keys that the schema does not have.
func decode(n *notes, object string, raw []byte, into any) error {
	list, err := entries(raw)
	if err == nil && list == nil {
		err = errors.New("it is empty")
	}
	if err != nil {
		return err
	}
	known := keysOf(reflect.TypeOf(into).Elem())
	kept := make([]byte, 0, len(raw))
	for _, e := range list {
		if !known[e.key] {
			n.leftOut(object, label(e.key), "the schema has no such key")
			continue
		}
		kept = append(kept, map[bool]byte{true: '{', false: ','}[len(kept) == 0])
		kept = append(append(append(kept, '"'), e.key...), `":`...) // known keys need no escapes
		kept = append(kept, e.raw...)
	}
	if len(kept) == 0 {
		kept = append(kept, '{')
	}
	kept = append(kept, '}')
	if err := json.Unmarshal(kept, into); err != nil {
		return errors.New(protocol.JSONProblem(err, kept))
	}
	if !utf8.Valid(raw) {
		n.changed(object, "", "it has bytes that are not UTF-8; each is U+FFFD now, as the original reads them")
	}
	return nil
}

// keysOf are the JSON keys of a type.
func keysOf(t reflect.Type) map[string]bool {
	keys := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			for k := range keysOf(f.Type) {
				keys[k] = true
			}
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		keys[name] = true
	}
	return keys
}

// id reads a decimal key as ids are written, from 1 on.
func id(text string, bits int) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, bits)
	return uint32(n), err == nil && n > 0 && strconv.FormatUint(n, 10) == text
}

// label is a text of the file as reports show it.
func label(text string) string {
	if len(text) > 64 {
		text = strings.ToValidUTF8(text[:64], "") + "…"
	}
	if text == "" || protocol.HasControl(text) || strings.ContainsAny(text, " \"") {
		return protocol.Quote(text)
	}
	return text
}
