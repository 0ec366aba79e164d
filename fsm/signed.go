// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// SignedID is the request id under which a signed request enters the log: its
// id and the time at which it was signed, which Apply checks.
func SignedID(ts int64, id string) string {
	return protocol.SignedIDPrefix + strconv.FormatInt(ts, 10) + "." + id
}

// requestID takes a request id of the log apart. plain is what the result is
// remembered under; signed is false for the ids that clients choose.
func (v *view) requestID(id string) (plain string, ts int64, signed bool) {
	rest, ok := strings.CutPrefix(id, protocol.SignedIDPrefix)
	if !ok {
		return id, 0, false
	}
	at, plain, ok := strings.Cut(rest, ".")
	ts, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil || plain == "" {
		return id, 0, false
	}
	return plain, ts, true
}

// freshSignature refuses a request that was signed too long ago, or in the
// future: beyond the window nobody remembers whether it came before.
func (v *view) freshSignature(ts int64) *protocol.Error {
	switch d := v.meta.now - ts; {
	case d < -protocol.SignedWindowMS:
		return protocol.Refusef(protocol.CodeSignatureEarly,
			"signed in the future: the request says it was signed at %s and the registry's time is %s; they may be %d minutes apart. Check the clock of the machine that signs. Sent again, this request counts from %s on",
			utc(ts), utc(v.meta.now), protocol.SignedWindowMS/60_000, utc(ts-protocol.SignedWindowMS))
	case d <= protocol.SignedWindowMS:
		return nil
	}
	return protocol.Refusef(protocol.CodeSignatureExpired,
		"signature expired: the request says it was signed at %s and the registry's time is %s; they may be %d minutes apart. Check the clock of the machine that signs, and sign again",
		utc(ts), utc(v.meta.now), protocol.SignedWindowMS/60_000)
}

// resultExpiry is until when the result of a request is remembered: a signed
// one at least as long as it could be sent again.
func (v *view) resultExpiry(ts int64, signed bool) int64 {
	expires := v.meta.now + clientResultTTL
	if signed {
		expires = max(expires, ts+protocol.SignedWindowMS+1)
	}
	return expires
}
