// SPDX-License-Identifier: Apache-2.0

package table

import (
	"encoding/binary"
	"math"
)

// The canonical encoding of records, entries and snapshots: unsigned varints,
// zigzag varints for signed numbers, length-prefixed strings, fields in a
// fixed order. Encoders append to a buffer; the decoder checks every bound
// and remembers the first failure, so callers check once at the end.

// AppendUvarint appends an unsigned varint.
func AppendUvarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

// AppendVarint appends a zigzag varint.
func AppendVarint(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

// AppendString appends a string after its length.
func AppendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// AppendBytes appends bytes after their number.
func AppendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// AppendStrings appends a list of strings after its length.
func AppendStrings(dst []byte, list []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, s := range list {
		dst = AppendString(dst, s)
	}
	return dst
}

// AppendKey16 encodes a table key big endian, so that the order of encoded
// keys is the order of keys.
func AppendKey16(dst []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(dst, v) }

// AppendKey32 is AppendKey16 for keys of 32 bits.
func AppendKey32(dst []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(dst, v) }

// AppendKey64 is AppendKey16 for keys of 64 bits.
func AppendKey64(dst []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(dst, v) }

// AppendKeyString encodes a key of a table that is ordered by strings.
func AppendKeyString(dst []byte, v string) []byte { return AppendString(dst, v) }

// Decoder reads what the append functions wrote. After the first failure it
// returns zero values and bad stays true.
type Decoder struct {
	b   []byte
	bad bool
}

// NewDecoder returns a decoder of b.
func NewDecoder(b []byte) *Decoder { return &Decoder{b: b} }

// Left is the number of bytes that have not been read.
func (d *Decoder) Left() int { return len(d.b) }

// Failed reports whether anything has failed.
func (d *Decoder) Failed() bool { return d.bad }

// Fail makes the decoder fail, for a value that does not make sense.
func (d *Decoder) Fail() { d.b, d.bad = nil, true }

func (d *Decoder) Uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.Fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *Decoder) Varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.Fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// Uvarint32 reads an unsigned varint of at most 32 bits.
func (d *Decoder) Uvarint32() uint32 {
	v := d.Uvarint()
	if v > math.MaxUint32 {
		d.Fail()
		return 0
	}
	return uint32(v)
}

// Uint8 reads one byte.
func (d *Decoder) Uint8() uint8 {
	if len(d.b) < 1 {
		d.Fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

// Raw returns the next n bytes without copying them.
func (d *Decoder) Raw(n int) []byte {
	if n < 0 || len(d.b) < n {
		d.Fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// Bytes returns a length-prefixed field without copying it.
func (d *Decoder) Bytes() []byte {
	n := d.Uvarint()
	if n > uint64(len(d.b)) {
		d.Fail()
		return nil
	}
	return d.Raw(int(n))
}

func (d *Decoder) Text() string { return string(d.Bytes()) }

// Texts reads a list; nil when it is empty. A list never has more elements
// than bytes, so a claimed length cannot make it allocate.
func (d *Decoder) Texts() []string {
	n := d.Uvarint()
	if n == 0 {
		return nil
	}
	if n > uint64(len(d.b)) {
		d.Fail()
		return nil
	}
	list := make([]string, 0, min(n, 64))
	for range n {
		list = append(list, d.Text())
		if d.bad {
			return nil
		}
	}
	return list
}

// Hash reads 32 bytes.
func (d *Decoder) Hash() (h [32]byte) {
	copy(h[:], d.Raw(32))
	return h
}

// Key16 reads what AppendKey16 wrote.
func (d *Decoder) Key16() uint16 {
	if b := d.Raw(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// Key32 reads what AppendKey32 wrote.
func (d *Decoder) Key32() uint32 {
	if b := d.Raw(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// Key64 reads what AppendKey64 wrote.
func (d *Decoder) Key64() uint64 {
	if b := d.Raw(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// Done reports whether everything was read and nothing failed.
func (d *Decoder) Done() bool { return !d.bad && len(d.b) == 0 }

// ReadKey16 reads a key that AppendKey16 wrote.
func ReadKey16(d *Decoder) uint16 { return d.Key16() }

// ReadKey32 reads a key that AppendKey32 wrote.
func ReadKey32(d *Decoder) uint32 { return d.Key32() }

// ReadKey64 reads a key that AppendKey64 wrote.
func ReadKey64(d *Decoder) uint64 { return d.Key64() }

// ReadKeyString reads a key that AppendKeyString wrote.
func ReadKeyString(d *Decoder) string { return d.Text() }

// BoolByte is the encoding of a bool.
func BoolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// Bool reads 0 or 1 and nothing else, so that an encoding is canonical.
func (d *Decoder) Bool() bool {
	v := d.Uint8()
	if v > 1 {
		d.Fail()
	}
	return v == 1
}
