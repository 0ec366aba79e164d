// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"strings"
)

// beaconCommands are the rows of commands.go about this subject.
var beaconCommands = []Command{
	{Code: 51, Name: "beacon_register", Group: GroupBeacon, Page: PageOpen, Auth: AuthOpen, Mode: ModeWrite, Rate: RateBeacon, Soft: true,
		Challenge: "beacon_register:{beacon_id}:{addr}", Signer: "node_id", SignedOnly: true, Events: []string{EventBeaconRegistered}, newBody: body[BeaconRegister](), newReply: reply[BeaconRegisterReply](), Doc: "announce a beacon"},
	{Code: 52, Name: "beacon_list", Group: GroupBeacon, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Rate: RateQuery,
		newBody: body[BeaconList](), newReply: reply[BeaconListReply](), Doc: "list the live beacons"},
}

// BeaconRegister announces or refreshes a beacon.
// NodeID names the node that signs the request, where it is signed.
type BeaconRegister struct {
	BeaconID uint32 `json:"beacon_id" read:"deferred"`
	Addr     string `json:"addr" read:"deferred"`
	NodeID   uint32 `json:"node_id,omitempty"`
	BeaconFacts
}

// BeaconFacts are what the member that was asked knows of an announcement.
type BeaconFacts struct {
	// SignedAt is the time (Unix milliseconds) of the signed request it came in, else 0.
	SignedAt int64 `json:"signed_at,omitempty"`
}

// Validate follows docs/protocol/nodes.md#beacon_register.
func (r *BeaconRegister) Validate() *Error {
	switch {
	case r.BeaconID == 0:
		return Errorf(CodeInvalid, "beacon_id required")
	case r.Addr == "":
		return Errorf(CodeInvalid, "addr required")
	case len(r.Addr) > MaxBeaconAddrBytes:
		return Errorf(CodeTooLarge, "addr too long (max %d bytes)", MaxBeaconAddrBytes)
	case !IsHostPort(r.Addr):
		return Errorf(CodeInvalid, "invalid addr: want host:port, with a host name or an IP address (IPv6 in brackets) and a port from 1 to 65535")
	}
	return nil
}

// BeaconList lists the live beacons.
type BeaconList struct{ noFields }

// BeaconRegisterReply answers beacon_register.
type BeaconRegisterReply struct {
	BeaconID uint32 `json:"beacon_id"`
	Type     string `json:"type"`
}

// Beacon is an entry of beacon_list.
type Beacon struct {
	Addr string `json:"addr"`
	ID   uint32 `json:"id"`
}

// BeaconListReply answers beacon_list, ascending by id.
type BeaconListReply struct {
	Beacons []Beacon `json:"beacons"`
	Type    string   `json:"type"`
}

// MaxBeaconAddrBytes bounds the address of a beacon: a host name and a port.
const MaxBeaconAddrBytes = 253 + len("[]:65535")

// IsHostPort reports whether a text is host:port as can be dialled: a host name
// or an IPv4 address, or an IPv6 address in brackets, and a port. It decides in
// the replicated state, so it follows a rule of ours that no library changes.
func IsHostPort(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 || !isPort(s[i+1:]) {
		return false
	}
	host := s[:i]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && strings.Contains(inner, ":") && only(inner, func(c byte) bool {
			return c == ':' || c == '.' || c == '%' || c == '-' || isAlphanumeric(c)
		})
	}
	return only(host, func(c byte) bool { return c == '.' || c == '-' || c == '_' || isAlphanumeric(c) })
}

func isPort(s string) bool {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > 65535 {
			return false
		}
		n = 10*n + int(c-'0')
	}
	return n >= 1 && n <= 65535
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// only reports whether a text is not empty and every byte of it is allowed.
func only(s string, allowed func(byte) bool) bool {
	for _, c := range []byte(s) {
		if !allowed(c) {
			return false
		}
	}
	return s != ""
}
