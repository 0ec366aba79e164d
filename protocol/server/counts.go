// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// stillCounts adds to the refusal of a signed write until when that write may
// still take effect. A signed request proves itself, so whoever has seen it can
// send it, and what refused it may pass. Final are the refusals that the
// registry decided and remembers for the request, and the one for its age.
func stillCounts(req *protocol.Request, reply []byte) []byte {
	if req.Signed == nil || req.Command == nil || !req.Command.Writes() || req.Command.Soft {
		return reply
	}
	code := errorCode(reply)
	if code == "" || code == protocol.CodeSignatureExpired {
		return reply
	}
	var refusal struct {
		Outcome protocol.Outcome `json:"outcome"`
		Index   uint64           `json:"index"`
	}
	if err := json.Unmarshal(reply, &refusal); err != nil { // errors are objects
		return reply
	}
	undecided := code == protocol.CodeRequestIDReused || code == protocol.CodeSignatureEarly || refusal.Outcome != ""
	if refusal.Index != 0 && !undecided {
		return reply
	}
	out := append(bytes.Clone(reply[:len(reply)-1]), `,"counts_until":`...)
	return append(strconv.AppendInt(out, req.Signed.CountsUntil(), 10), '}')
}
