// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
)

// Hash identifies what a client asked, so that a request id cannot be used for
// something else. It covers the command, the fields that its row lists, and
// the signature. What a member adds to a request is not a field of the wire, so it
// may differ when the same request comes again over another connection.
// Secrets count by the MACs that stand for them. One without a MAC does not
// count: the hash of a weak secret would give it away.
//
// A field that has not been sent counts for nothing, so that a command can get
// new ones.
func (r *Request) Hash() [32]byte {
	h := make(fieldBytes, 0, 256)
	h.text(r.Type)
	if len(r.Command.plan.fields) > 0 {
		v := reflect.ValueOf(r.Body).Elem()
		for _, f := range r.Command.plan.fields {
			h.field(f.name, v.Field(f.index))
		}
	}
	h.text("") // no field has this name
	if b, ok := r.Body.(MACBody); ok {
		for _, m := range b.SecretMACs() {
			h.number(uint64(m.Key))
			h.text(string(m.Sum))
		}
	}
	h.text(string(r.Signature))
	return sha256.Sum256(h)
}

// fieldBytes are values, written so that different ones are different bytes.
type fieldBytes []byte

func (h *fieldBytes) field(name string, v reflect.Value) {
	if v.Type() != secretType && !v.IsZero() {
		h.text(name)
		h.value(v)
	}
}

func (h *fieldBytes) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		h.text(v.String())
	case reflect.Bool:
		if v.Bool() {
			h.number(1)
		} else {
			h.number(0)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		h.number(uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		h.number(v.Uint())
	case reflect.Float32, reflect.Float64:
		h.number(math.Float64bits(v.Float()))
	case reflect.Slice:
		h.number(uint64(v.Len()))
		for i := range v.Len() {
			h.value(v.Index(i))
		}
	case reflect.Pointer: // never nil in a request's fields: nil is zero
		h.value(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if name := wireName(v.Type().Field(i)); name != "" {
				h.field(name, v.Field(i))
			}
		}
		h.text("")
	default:
		panic(fmt.Sprintf("protocol: a request has a field of type %s", v.Type()))
	}
}

func (h *fieldBytes) number(n uint64) {
	*h = binary.BigEndian.AppendUint64(*h, n)
}

func (h *fieldBytes) text(s string) {
	h.number(uint64(len(s)))
	*h = append(*h, s...)
}
