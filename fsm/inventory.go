// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
)

// Holding is what a state has of one kind of records.
type Holding struct {
	// Name of the kind, as in "nodes".
	Name string `json:"name"`
	// Records counts them, Bytes is their encoded size without compression.
	Records int    `json:"records"`
	Bytes   uint64 `json:"bytes"`
	// Digest is the sum modulo 2^256 of the SHA-256 hashes of the records, in
	// hexadecimal: equal for equal records.
	Digest string `json:"digest,omitempty"`
}

// holdingNames names the kinds of records for people. A kind without a name
// is counted with "other records".
var holdingNames = map[table.Kind]string{
	kindNode: "nodes", kindSeen: "last signs of life", kindNetwork: "networks", kindMembership: "memberships", kindTrust: "trust pairs",
	kindRequest: "handshake requests", kindResponse: "handshake responses", kindBeacon: "beacons", kindToken: "tokens", kindSealed: "sealed secrets",
	kindClusterMember: "members", kindSession: "sessions of writers", kindMinted: "results of writers", kindResult: "remembered replies",
	kindSecurity: "security events", kindActivity: "activity events", kindBlocked: "blocked heartbeats", kindInvite: "invites",
	kindPreAssign: "role pre-assignments", kindCursor: "sink positions", kindSettings: "settings", kindStaged: "uploads", kindSink: "sinks",
	kindLetter: "dead letters", kindJWKS: "key sets", kindMemberTag: "member tags", kindNetDocs: "blueprints and directories", kindRejected: "refused handshakes",
	kindProvenKey: "proven keys", kindSinkTotals: "sink totals",
}

// Inventory counts what the state holds, kind by kind, in the order of a
// snapshot. Empty kinds are left out.
func (r *Root) Inventory() []Holding {
	var out []Holding
	for i, t := range r.stored() {
		if t.Len() == 0 {
			continue
		}
		h := Holding{Name: holdingNames[tables[i].kind()], Records: t.Len()}
		if h.Name == "" {
			h.Name = "other records"
		}
		var sum table.Digest
		_ = t.Each(r.meta.level, func(record []byte) error { // emit never fails
			hash := sha256.Sum256(record)
			sum.Add(&hash)
			h.Bytes += uint64(len(record))
			return nil
		})
		digest := sum.Bytes()
		h.Digest = hex.EncodeToString(digest[:])
		out = append(out, h)
	}
	return out
}

// Difference is what two states have of one kind of records.
type Difference struct {
	Name string `json:"name"`
	// Added, Removed and Changed count records from the first state to the second.
	Added   int `json:"added"`
	Removed int `json:"removed"`
	Changed int `json:"changed"`
}

// Differences compares two states record by record. Kinds that are equal are
// left out. Records of states at different feature levels are compared as
// the higher of the two writes them.
func Differences(from, to *Root) []Difference {
	level := max(from.meta.level, to.meta.level)
	var out []Difference
	before, after := from.stored(), to.stored()
	for i := range before {
		d := Difference{Name: holdingNames[tables[i].kind()]}
		old := recordsByKey(before[i], tables[i], level)
		for key, record := range recordsByKey(after[i], tables[i], level) { //determinism:sorted nothing is decided by the order, it is counted
			was, had := old[key]
			switch {
			case !had:
				d.Added++
			case !bytes.Equal(was[:], record[:]):
				d.Changed++
			}
			delete(old, key)
		}
		d.Removed = len(old)
		if d.Added+d.Removed+d.Changed > 0 {
			out = append(out, d)
		}
	}
	return out
}

// recordsByKey hashes the records of a table, by their encoded keys.
func recordsByKey(t table.Stored, d declared, level uint32) map[string][sha256.Size]byte {
	out := make(map[string][sha256.Size]byte, t.Len())
	_ = t.Each(level, func(record []byte) error { // emit never fails
		out[d.keyOf(record)] = sha256.Sum256(record)
		return nil
	})
	return out
}
