// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"
	"math"
	"slices"
	"testing"
)

func TestCodec(t *testing.T) {
	var b []byte
	b = AppendUvarint(b, 300)
	b = AppendVarint(b, -5)
	b = AppendString(b, "text")
	b = AppendBytes(b, []byte{1, 2})
	b = AppendStrings(b, []string{"a", ""})
	b = AppendStrings(b, nil)
	b = AppendKey16(b, 1)
	b = AppendKey32(b, 2)
	b = AppendKey64(b, 3)
	b = AppendKeyString(b, "key")
	b = append(b, BoolByte(true), BoolByte(false), 9)
	b = append(b, bytes.Repeat([]byte{4}, 32)...)
	d := NewDecoder(b)
	if d.Left() != len(b) {
		t.Errorf("%d bytes left of %d", d.Left(), len(b))
	}
	if d.Uvarint() != 300 || d.Varint() != -5 || d.Text() != "text" || !bytes.Equal(d.Bytes(), []byte{1, 2}) {
		t.Error("numbers and strings are others")
	}
	if !slices.Equal(d.Texts(), []string{"a", ""}) || d.Texts() != nil {
		t.Error("lists are others")
	}
	if ReadKey16(d) != 1 || ReadKey32(d) != 2 || ReadKey64(d) != 3 || ReadKeyString(d) != "key" {
		t.Error("keys are others")
	}
	if !d.Bool() || d.Bool() || d.Uint8() != 9 || d.Hash() != [32]byte(bytes.Repeat([]byte{4}, 32)) || !d.Done() {
		t.Error("the rest is another")
	}
}

// The order of encoded keys is the order of keys.
func TestKeysKeepTheirOrder(t *testing.T) {
	for _, pair := range [][2]uint64{{0, 1}, {255, 256}, {1 << 40, math.MaxUint64}} {
		if bytes.Compare(AppendKey64(nil, pair[0]), AppendKey64(nil, pair[1])) >= 0 {
			t.Errorf("%d comes after %d", pair[0], pair[1])
		}
	}
}

// A decoder that has failed once returns zero values only.
func TestFailureStays(t *testing.T) {
	for name, read := range map[string]func(*Decoder){
		"uvarint":      func(d *Decoder) { d.Uvarint() },
		"varint":       func(d *Decoder) { d.Varint() },
		"uvarint32":    func(d *Decoder) { d.Uvarint32() },
		"uint8":        func(d *Decoder) { d.Uint8() },
		"raw":          func(d *Decoder) { d.Raw(1) },
		"negative raw": func(d *Decoder) { d.Raw(-1) },
		"text":         func(d *Decoder) { _ = d.Text() },
		"texts":        func(d *Decoder) { d.Texts() },
		"hash":         func(d *Decoder) { d.Hash() },
		"key16":        func(d *Decoder) { d.Key16() },
		"key32":        func(d *Decoder) { d.Key32() },
		"key64":        func(d *Decoder) { d.Key64() },
		"bool":         func(d *Decoder) { d.Bool() },
		"fail":         func(d *Decoder) { d.Fail() },
	} {
		d := NewDecoder(nil)
		read(d)
		if !d.Failed() || d.Done() || d.Uvarint() != 0 || d.Text() != "" {
			t.Errorf("%s: reading nothing does not fail", name)
		}
	}
	for name, d := range map[string]*Decoder{
		"a length beyond the end": NewDecoder([]byte{5, 1}),
		"a list beyond the end":   NewDecoder([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}),
	} {
		if d.Texts(); !d.Failed() {
			t.Errorf("%s is read", name)
		}
	}
	if d := NewDecoder([]byte{2}); d.Bool() || !d.Failed() {
		t.Error("2 is read as a bool")
	}
	if d := NewDecoder(AppendUvarint(nil, 1<<32)); d.Uvarint32() != 0 || !d.Failed() {
		t.Error("33 bits are read as 32")
	}
}
