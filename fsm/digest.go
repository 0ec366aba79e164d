// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// digest is the sum modulo 2^256 of the SHA-256 hashes of all records, as
// four words, least significant first. A sum does not depend on the order in
// which records were put, so it can be kept up to date record by record.
type digest [4]uint64

func digestOf(h *[32]byte) digest {
	return digest{
		binary.BigEndian.Uint64(h[24:]), binary.BigEndian.Uint64(h[16:]),
		binary.BigEndian.Uint64(h[8:]), binary.BigEndian.Uint64(h[:]),
	}
}

func (d *digest) add(h *[32]byte) {
	o := digestOf(h)
	var carry uint64
	for i := range d {
		d[i], carry = bits.Add64(d[i], o[i], carry)
	}
}

func (d *digest) sub(h *[32]byte) {
	o := digestOf(h)
	var borrow uint64
	for i := range d {
		d[i], borrow = bits.Sub64(d[i], o[i], borrow)
	}
}

// bytes renders the sum as a 256-bit big-endian number.
func (d *digest) bytes() (out [32]byte) {
	for i, w := range d {
		binary.BigEndian.PutUint64(out[24-8*i:], w)
	}
	return out
}

// redigest computes the digest anew, at a level that encodes records
// differently. The entry's end replaces the hash of the meta record.
func (x *txn) redigest() {
	x.digest = digest{}
	x.digest.add(&x.metaHash)
	for _, t := range x.tables() {
		_ = t.each(x.meta.level, func(record []byte) error { // the function never fails
			x.sum = sha256.Sum256(record)
			x.digest.add(&x.sum)
			return nil
		})
	}
}
