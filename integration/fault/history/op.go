// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"sort"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Outcome is what a client knows about its operation.
type Outcome string

const (
	// OK: answered with success.
	OK Outcome = "ok"
	// Fail: certainly not applied, now or later.
	Fail Outcome = "fail"
	// Unknown: it may have taken effect, may still do so, or never will.
	Unknown Outcome = "unknown"
)

// CommandDigest is the Op.Command of an observation of a member's state
// digest: Index and Value are the index and the digest in hexadecimal.
const CommandDigest = "digest"

// Op is one operation of one client.
type Op struct {
	// ID counts operations in the order in which they ended.
	ID uint64 `json:"id"`
	// Client is the logical process: its operations never overlap, and it is
	// given up after an unknown outcome, see [Process].
	Client string `json:"client"`
	// Session names one connection to one member, empty when the operation
	// used several.
	Session  string `json:"session,omitempty"`
	Workload string `json:"workload"`
	// Command is the wire name of the command, or CommandDigest.
	Command string `json:"op"`
	// Key is what the operation is about, as kind/name: operations on different
	// keys of a kind do not influence each other.
	Key string `json:"key"`
	// Args is the request as it was sent, credentials left out.
	Args json.RawMessage `json:"args,omitempty"`
	// Call and Return are nanoseconds on the recorder's clock.
	Call    int64   `json:"call"`
	Return  int64   `json:"return"`
	Outcome Outcome `json:"outcome"`
	// Member is who answered or was asked last.
	Member string `json:"member,omitempty"`
	// Code and Text are of the refusal or failure.
	Code string `json:"code,omitempty"`
	Text string `json:"text,omitempty"`
	// Index is the log index of the effect, or the index a read was served at.
	Index     uint64 `json:"index,omitempty"`
	Replayed  bool   `json:"replayed,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// Level, MaxStalenessMS and MinIndex are what a read asked for.
	Level          protocol.Level `json:"level,omitempty"`
	MaxStalenessMS uint64         `json:"max_staleness_ms,omitempty"`
	MinIndex       uint64         `json:"min_index,omitempty"`
	// Sends is how often the request was sent, 0 when never.
	Sends int `json:"sends,omitempty"`
	// Value is the result in a few words, for people.
	Value string `json:"value,omitempty"`
	// Reply is the reply without index and replayed.
	Reply json.RawMessage `json:"reply,omitempty"`
	// Final marks reads made after everything was healed.
	Final bool `json:"final,omitempty"`
}

// Row is the operation's row of the command table, nil when it has none.
func (o *Op) Row() *protocol.Command { return protocol.ByName(o.Command) }

// Writes reports whether the operation can change replicated state.
func (o *Op) Writes() bool {
	row := o.Row()
	return row != nil && row.Writes()
}

// Kind is the part of the key before the slash: which model it belongs to.
func (o *Op) Kind() string {
	for i := range len(o.Key) {
		if o.Key[i] == '/' {
			return o.Key[:i]
		}
	}
	return o.Key
}

// Sort orders operations by call, then by id.
func Sort(ops []Op) {
	sort.Slice(ops, func(i, j int) bool {
		if ops[i].Call != ops[j].Call {
			return ops[i].Call < ops[j].Call
		}
		return ops[i].ID < ops[j].ID
	})
}
