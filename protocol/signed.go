// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
)

// Signed requests, version 2. A request travels as a text inside another one,
// the signed request, and the signature covers that very text:
//
//	{"type":"signed_request","payload":"{\"type\":…}","node_id":7,"ts":1800000000000,"nonce":"<32 hex digits>","signature":"<base64>"}
//
// Unlike a challenge it is good for one request, in one cluster, once.

// TypeSigned is the type of a signed request.
const TypeSigned = "signed_request"

// SignedWindowMS is how far the time of a signed request and the registry's
// may be apart, in milliseconds.
const SignedWindowMS = 5 * 60 * 1000

// CountsUntil is the last moment, in Unix milliseconds, at which the request
// can take effect: whoever has its bytes can send it until then.
func (s *Signed) CountsUntil() int64 { return s.TS + SignedWindowMS }

// signedDomain keeps these signatures apart from all others.
const signedDomain = "pilot registry signed request v2"

// SignedIDPrefix begins the ids under which members note signed requests in
// the replicated log. Clients' own ids must not begin with it.
const SignedIDPrefix = "v2."

// nonceBytes is the length of a nonce.
const nonceBytes = 16

// Signed is a signed request: what is around the request that is signed.
type Signed struct {
	// NodeID is the node that signs. It is 0 for a registration, which is
	// signed with the key that it registers.
	NodeID uint32
	// TS is when the request was signed, in Unix milliseconds.
	TS int64
	// Nonce is different for every request: 32 lower-case hexadecimal digits.
	Nonce string
	// Payload is the request as JSON text.
	Payload string
	// Signature is the Ed25519 signature of Text in standard base64.
	Signature Secret
}

// Text is what is signed: domain, cluster id, node id, time, nonce and
// payload, each after its length in four bytes, most significant first.
// Numbers are big endian in four (node id) and eight (time) bytes, the nonce
// is its 16 bytes.
func (s *Signed) Text(clusterID string) []byte {
	nonce, _ := hex.DecodeString(s.Nonce) // checked when the signed request was read
	out := make([]byte, 0, 6*4+len(signedDomain)+len(clusterID)+4+8+nonceBytes+len(s.Payload))
	field := func(b []byte) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(b)))
		out = append(out, b...)
	}
	field([]byte(signedDomain))
	field([]byte(clusterID))
	field(binary.BigEndian.AppendUint32(nil, s.NodeID))
	field(binary.BigEndian.AppendUint64(nil, uint64(s.TS)))
	field(nonce)
	field([]byte(s.Payload))
	return out
}

// Encode renders the signed request for the wire.
func (s *Signed) Encode() ([]byte, error) {
	return json.Marshal(map[string]any{"type": TypeSigned, "payload": s.Payload, "node_id": s.NodeID, "ts": s.TS,
		"nonce": s.Nonce, "signature": string(s.Signature)})
}

// ValidNonce reports whether s is a nonce: 32 lower-case hexadecimal digits.
func ValidNonce(s string) bool {
	if len(s) != 2*nonceBytes {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// parseSigned takes a request out of the signed one around it. What is wrong
// with that is in the request's Malformed.
func parseSigned(fields map[string]any) *Request {
	bad := func(format string, args ...any) *Request {
		return &Request{Type: TypeSigned, Malformed: Errorf(CodeInvalid, "invalid signed_request: "+format, args...)}
	}
	s := &Signed{Nonce: text(fields["nonce"]), Payload: text(fields["payload"]), Signature: Secret(text(fields["signature"]))}
	node, ts := fields["node_id"], fields["ts"]
	if node == nil {
		node = 0.0
	}
	switch {
	case !whole(node, math.MaxUint32):
		return bad("node_id is not a node id")
	case !whole(ts, 1<<53):
		return bad("ts is not a time in Unix milliseconds")
	case !ValidNonce(s.Nonce):
		return bad("nonce is not 32 lower-case hexadecimal digits")
	case s.Payload == "":
		return bad("payload is required: the request as JSON text")
	case s.Signature == "":
		return bad("signature is required")
	}
	s.NodeID, s.TS = uint32(node.(float64)), int64(ts.(float64))
	var inner map[string]any
	if json.Unmarshal([]byte(s.Payload), &inner) != nil || inner == nil {
		return bad("payload is not a JSON object")
	}
	if text(inner["type"]) == TypeSigned {
		return bad("payload is a signed_request itself")
	}
	r := parseFields(inner)
	if r.Signature != "" {
		return bad("payload carries another signature; leave it out")
	}
	if r.RequestID == "" {
		r.RequestID = s.Nonce
	}
	r.Signed = s
	return r
}

// whole reports whether v is a JSON number without a fraction in [0, limit].
func whole(v any, limit float64) bool {
	f, ok := v.(float64)
	return ok && f >= 0 && f <= limit && f == math.Trunc(f)
}

// ClusterID asks which cluster this is.
type ClusterID struct{ noFields }

// ClusterIDReply answers cluster_id. SignedRequests is true when the cluster
// takes signed requests, MaxRequest the longest request in bytes.
type ClusterIDReply struct {
	ClusterID      string `json:"cluster_id"`
	MaxRequest     int    `json:"max_request"`
	SignedRequests bool   `json:"signed_requests"`
	Type           string `json:"type"`
}
