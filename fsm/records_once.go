// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// session is a front door's boot: every sequence number below floor is settled.
type session struct {
	floor uint64
	used  int64
}

func (s session) AppendTo(dst []byte, _ uint32) []byte {
	return table.AppendVarint(table.AppendUvarint(dst, s.floor), s.used)
}

func readSession(d *table.Decoder, _ uint32) session {
	return session{floor: d.Uvarint(), used: d.Varint()}
}

const sessionBytes = len(SessionID{})

// fixedKey reads string keys of exactly n bytes.
func fixedKey(n int) func(*table.Decoder) string {
	return func(d *table.Decoder) string {
		k := d.Text()
		if len(k) != n {
			d.Fail()
		}
		return k
	}
}

// result is a remembered decision. hash is of the client's request, empty
// for minted ids. reply is empty when the command was refused.
type result struct {
	index   uint64
	expires int64
	hash    string
	reply   string
	refusal *protocol.Error
	// signerKey, of generation signerGen, signed the request and was no longer
	// the node's afterwards; signerGen is 0 when it still was.
	signerKey protocol.PublicKey
	signerGen uint32
	bearer    bearer // of a client's id
}

// Parts that a result may have, as bits.
const (
	resultRefused = 1 << 0
	resultSigner  = 1 << 1
	resultBearer  = 1 << 2
)

func (r *result) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendUvarint(dst, r.index)
	dst = table.AppendVarint(dst, r.expires)
	dst = table.AppendString(dst, r.hash)
	var parts byte
	if r.refusal != nil {
		parts |= resultRefused
	}
	if r.signerGen != 0 {
		parts |= resultSigner
	}
	if r.bearer != (bearer{}) {
		parts |= resultBearer
	}
	dst = append(dst, parts)
	if r.signerGen != 0 {
		dst = append(table.AppendUvarint(dst, uint64(r.signerGen)), r.signerKey[:]...)
	}
	if r.bearer != (bearer{}) {
		dst = r.bearer.append(dst)
	}
	if r.refusal == nil {
		return table.AppendString(dst, r.reply)
	}
	dst = table.AppendString(dst, r.refusal.Code)
	dst = table.AppendString(dst, r.refusal.Text)
	dst = table.AppendString(dst, string(r.refusal.Outcome))
	return append(dst, table.BoolByte(r.refusal.Stateful))
}

func readResult(d *table.Decoder, _ uint32) *result {
	r := &result{index: d.Uvarint(), expires: d.Varint(), hash: d.Text()}
	parts := d.Uint8()
	if parts&^(resultRefused|resultSigner|resultBearer) != 0 {
		d.Fail()
	}
	if parts&resultSigner != 0 {
		if r.signerGen = d.Uvarint32(); r.signerGen == 0 {
			d.Fail()
		}
		copy(r.signerKey[:], d.Raw(len(r.signerKey)))
	}
	if parts&resultBearer != 0 {
		r.bearer = readBearer(d)
	}
	if parts&resultRefused == 0 {
		r.reply = d.Text()
		return r
	}
	r.refusal = &protocol.Error{Code: d.Text(), Text: d.Text(), Outcome: protocol.Outcome(d.Text()), Stateful: d.Bool()}
	return r
}

// result as it is given back to a caller.
func (r *result) replay() Result {
	out := Result{Index: r.index, Replayed: true}
	if r.refusal != nil {
		e := *r.refusal
		out.Err = &e
		return out
	}
	out.Reply = protocol.Rendered(r.reply)
	return out
}

func mintedKey(session string, seq uint64) string {
	var b [sessionBytes + 8]byte
	return string(table.AppendKey64(append(b[:0], session...), seq))
}

// resultCost is what a remembered client result counts against the cap, in
// bytes: its strings and a fixed sum for records, trees and indexes.
func resultCost(key string, r *result) int64 {
	n := 256 + 2*len(key) + len(r.hash) + len(r.reply) + len(r.bearer.principal) + len(r.bearer.source) + len(r.bearer.wide)
	if r.refusal != nil {
		n += 64 + len(r.refusal.Text)
	}
	return int64(n)
}
