// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// session is a front door's boot: every sequence number below floor is settled.
type session struct {
	floor uint64
	used  int64
}

func (s session) appendTo(dst []byte, _ uint32) []byte {
	return appendVarint(appendUvarint(dst, s.floor), s.used)
}

func readSession(d *decoder, _ uint32) session {
	return session{floor: d.uvarint(), used: d.varint()}
}

const sessionBytes = len(SessionID{})

// Sessions are keyed by their 16 bytes.
var sessionSchema = schema[string, session]{kindSession, appendKeyStr, fixedKey(sessionBytes), readSession}

// fixedKey reads string keys of exactly n bytes.
func fixedKey(n int) func(*decoder) string {
	return func(d *decoder) string {
		k := d.str()
		if len(k) != n {
			d.fail()
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

func (r *result) appendTo(dst []byte, _ uint32) []byte {
	dst = appendUvarint(dst, r.index)
	dst = appendVarint(dst, r.expires)
	dst = appendString(dst, r.hash)
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
		dst = append(appendUvarint(dst, uint64(r.signerGen)), r.signerKey[:]...)
	}
	if r.bearer != (bearer{}) {
		dst = r.bearer.append(dst)
	}
	if r.refusal == nil {
		return appendString(dst, r.reply)
	}
	dst = appendString(dst, r.refusal.Code)
	dst = appendString(dst, r.refusal.Text)
	dst = appendString(dst, string(r.refusal.Outcome))
	return append(dst, boolByte(r.refusal.Stateful))
}

func readResult(d *decoder, _ uint32) *result {
	r := &result{index: d.uvarint(), expires: d.varint(), hash: d.str()}
	parts := d.uint8()
	if parts&^(resultRefused|resultSigner|resultBearer) != 0 {
		d.fail()
	}
	if parts&resultSigner != 0 {
		if r.signerGen = d.uvarint32(); r.signerGen == 0 {
			d.fail()
		}
		copy(r.signerKey[:], d.raw(len(r.signerKey)))
	}
	if parts&resultBearer != 0 {
		r.bearer = readBearer(d)
	}
	if parts&resultRefused == 0 {
		r.reply = d.str()
		return r
	}
	r.refusal = &protocol.Error{Code: d.str(), Text: d.str(), Outcome: protocol.Outcome(d.str()), Stateful: d.bool()}
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

// Minted results are keyed by session and sequence number.
var mintedSchema = schema[string, *result]{kindMinted, appendKeyStr, fixedKey(sessionBytes + 8), readResult}

func mintedKey(session string, seq uint64) string {
	var b [sessionBytes + 8]byte
	return string(appendKey64(append(b[:0], session...), seq))
}

// Client results are keyed by scope, command code and request id, see resultKey.
var resultSchema = schema[string, *result]{kindResult, appendKeyStr, readKeyStr, readResult}

// resultCost is what a remembered client result counts against the cap, in
// bytes: its strings and a fixed sum for records, trees and indexes.
func resultCost(key string, r *result) int64 {
	n := 256 + 2*len(key) + len(r.hash) + len(r.reply) + len(r.bearer.principal) + len(r.bearer.source) + len(r.bearer.wide)
	if r.refusal != nil {
		n += 64 + len(r.refusal.Text)
	}
	return int64(n)
}
