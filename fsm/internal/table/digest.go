// SPDX-License-Identifier: Apache-2.0

package table

import (
	"encoding/binary"
	"math/bits"
)

// Digest is the sum modulo 2^256 of the SHA-256 hashes of all records, as
// four words, least significant first. A sum does not depend on the order in
// which records were put, so it can be kept up to date record by record.
type Digest [4]uint64

func digestOf(h *[32]byte) Digest {
	return Digest{
		binary.BigEndian.Uint64(h[24:]), binary.BigEndian.Uint64(h[16:]),
		binary.BigEndian.Uint64(h[8:]), binary.BigEndian.Uint64(h[:]),
	}
}

// Add adds the hash of a record.
func (d *Digest) Add(h *[32]byte) {
	o := digestOf(h)
	var carry uint64
	for i := range d {
		d[i], carry = bits.Add64(d[i], o[i], carry)
	}
}

// Sub takes the hash of a record out.
func (d *Digest) Sub(h *[32]byte) {
	o := digestOf(h)
	var borrow uint64
	for i := range d {
		d[i], borrow = bits.Sub64(d[i], o[i], borrow)
	}
}

// Bytes renders the sum as a 256-bit big-endian number.
func (d *Digest) Bytes() (out [32]byte) {
	for i, w := range d {
		binary.BigEndian.PutUint64(out[24-8*i:], w)
	}
	return out
}
