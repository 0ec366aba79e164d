// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Reply is what a [Backend] answers to one request. The server encodes it
// once, in the form that the connection uses.
type Reply struct {
	// Body is what a success says: one of the protocol's reply types, or
	// [protocol.Rendered] when the reply was remembered, is shared by all who
	// ask, or was made by another member.
	Body any
	// Index is the log index the reply belongs to, 0 to leave it out.
	Index uint64
	// Replayed says that an earlier decision is given once more.
	Replayed bool
	// Stale adds Age: how old the state is that the reply was read from.
	Stale bool
	Age   time.Duration
	// Err is why the request was not carried out; Body is ignored then.
	Err *protocol.Error

	// countsUntil is until when a refused signed request may still take
	// effect, in Unix milliseconds; 0 to leave it out.
	countsUntil int64
}

// Code is the error code of the reply, "" for a success.
func (r Reply) Code() string {
	if r.Err == nil {
		return ""
	}
	return r.Err.Code
}

// form encodes a reply.
type form func(r Reply) ([]byte, error)

// JSON writes the members of the body, then those that any reply may have.
//
// The second ones are appended to the encoded object, before its brace, and are
// not encoded with it: a body may be bytes that are kept once for all who ask,
// and a type that held both kinds of members would have to be made from every
// body, by a second encoding, for a few bytes that are numbers. Every body is
// an object with at least one member, so a comma always fits. A rendered body
// that nothing is added to is sent from where it lies.
func (r Reply) JSON() ([]byte, error) {
	body, err := r.body()
	if err != nil || !r.addsMembers() {
		return body, err
	}
	out := make([]byte, 0, len(body)+80)
	out = append(out, body[:len(body)-1]...) // all but the brace
	if r.Index != 0 {
		out = strconv.AppendUint(append(out, `,"index":`...), r.Index, 10)
		if r.Replayed {
			out = append(out, `,"replayed":true`...)
		}
	}
	if r.Stale {
		out = strconv.AppendInt(append(out, `,"data_age_ms":`...), r.Age.Milliseconds(), 10)
	}
	if r.countsUntil != 0 {
		out = strconv.AppendInt(append(out, `,"counts_until":`...), r.countsUntil, 10)
	}
	return append(out, '}'), nil
}

func (r Reply) addsMembers() bool { return r.Index != 0 || r.Stale || r.countsUntil != 0 }

// body is the object of the body or of the error, which has at least one member.
func (r Reply) body() ([]byte, error) {
	if r.Err != nil {
		return protocol.EncodeError(r.Err), nil
	}
	if rendered, ok := r.Body.(protocol.Rendered); ok {
		return rendered, nil
	}
	return json.Marshal(r.Body)
}

// noteCounts notes on the refusal of a signed write until when that write may
// still take effect. A signed request proves itself, so anyone who has seen it can
// send it, and the reason for the refusal may pass. Final are the refusals that the
// registry decided and remembers for the request, and the one for its age.
func (r *Reply) noteCounts(req *protocol.Request) {
	if req.Signed == nil || req.Command == nil || !req.Command.Writes() || req.Command.Soft {
		return
	}
	if r.Err == nil || r.Err.Code == protocol.CodeSignatureExpired {
		return
	}
	undecided := r.Err.Code == protocol.CodeRequestIDReused || r.Err.Code == protocol.CodeSignatureEarly || r.Err.Outcome != ""
	if r.Index == 0 || undecided {
		r.countsUntil = req.Signed.CountsUntil()
	}
}
