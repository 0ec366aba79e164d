// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/binary"
	"math"
)

// The canonical encoding of records, entries and snapshots: unsigned varints,
// zigzag varints for signed numbers, length-prefixed strings, fields in a
// fixed order. Encoders append to a buffer; the decoder checks every bound
// and remembers the first failure, so callers check once at the end.

func appendUvarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

func appendVarint(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

func appendStrings(dst []byte, list []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, s := range list {
		dst = appendString(dst, s)
	}
	return dst
}

// appendKey32 and its siblings encode table keys: big endian, so that the
// order of encoded keys is the order of keys.
func appendKey16(dst []byte, v uint16) []byte  { return binary.BigEndian.AppendUint16(dst, v) }
func appendKey32(dst []byte, v uint32) []byte  { return binary.BigEndian.AppendUint32(dst, v) }
func appendKey64(dst []byte, v uint64) []byte  { return binary.BigEndian.AppendUint64(dst, v) }
func appendKeyStr(dst []byte, v string) []byte { return appendString(dst, v) }

// decoder reads what the append functions wrote. After the first failure it
// returns zero values and bad stays true.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() { d.b, d.bad = nil, true }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uvarint32() uint32 {
	v := d.uvarint()
	if v > math.MaxUint32 {
		d.fail()
		return 0
	}
	return uint32(v)
}

func (d *decoder) uint8() uint8 {
	if len(d.b) < 1 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

// raw returns the next n bytes without copying them.
func (d *decoder) raw(n int) []byte {
	if n < 0 || len(d.b) < n {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// bytes returns a length-prefixed field without copying it.
func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	return d.raw(int(n))
}

func (d *decoder) str() string { return string(d.bytes()) }

// strs reads a list; nil when it is empty. A list never has more elements
// than bytes, so a claimed length cannot make it allocate.
func (d *decoder) strs() []string {
	n := d.uvarint()
	if n == 0 {
		return nil
	}
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	list := make([]string, 0, min(n, 64))
	for range n {
		list = append(list, d.str())
		if d.bad {
			return nil
		}
	}
	return list
}

func (d *decoder) hash() (h [32]byte) {
	copy(h[:], d.raw(32))
	return h
}

func (d *decoder) key16() uint16 {
	if b := d.raw(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) key32() uint32 {
	if b := d.raw(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) key64() uint64 {
	if b := d.raw(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// done reports whether everything was read and nothing failed.
func (d *decoder) done() bool { return !d.bad && len(d.b) == 0 }

func readKey16(d *decoder) uint16  { return d.key16() }
func readKey32(d *decoder) uint32  { return d.key32() }
func readKey64(d *decoder) uint64  { return d.key64() }
func readKeyStr(d *decoder) string { return d.str() }

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// bool reads 0 or 1 and nothing else, so that an encoding is canonical.
func (d *decoder) bool() bool {
	v := d.uint8()
	if v > 1 {
		d.fail()
	}
	return v == 1
}
