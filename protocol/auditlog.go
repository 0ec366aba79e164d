// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// AuditEvent is an entry of the event log.
type AuditEvent struct {
	// Seq is unique over both classes and grows with time.
	Seq uint64
	// Class is the retention class the event is chained in.
	Class EventClass
	// Time is log time in Unix milliseconds, Index the log index of the change.
	Time  int64
	Index uint64
	// Actor is "node:<id>", "token:<name>", "system", or "anonymous" when
	// nobody proved who they are.
	Actor string
	// Source is the client's address, empty for the cluster's own doing.
	Source string
	// Action is one of the Event constants.
	Action string
	// Attrs are in the order in which the audit trail prints them.
	Attrs []AuditAttr
	// Chain is SHA-256 over the previous event's Chain of the class and this
	// event's canonical record.
	Chain [32]byte
}

// AuditAttr is an attribute of an event. One that says something of a person
// can be erased: its canonical record holds a commitment, the SHA-256 of Salt
// and Value, so that the chain still verifies when both are gone.
type AuditAttr struct {
	Key, Value string
	// Salt is 16 random bytes, "" for an attribute that cannot be erased and for
	// one that was: its Value is the commitment then.
	Salt string
}

// ErasedPrefix begins the value of an attribute that was erased; the
// commitment follows in hex.
const ErasedPrefix = "erased:sha256:"

// Canonical is the value as the chain covers it.
func (a AuditAttr) Canonical() string {
	if a.Salt == "" {
		return a.Value
	}
	sum := sha256.Sum256([]byte(a.Salt + a.Value))
	return ErasedPrefix + hex.EncodeToString(sum[:])
}

// Attr finds an attribute, "" when the event has none of this name.
func (e *AuditEvent) Attr(key string) string {
	for i := range e.Attrs {
		if e.Attrs[i].Key == key {
			return e.Attrs[i].Value
		}
	}
	return ""
}

// NodeID is the attribute node_id, 0 when there is none.
func (e *AuditEvent) NodeID() uint32 {
	n, _ := strconv.ParseUint(e.Attr("node_id"), 10, 32)
	return uint32(n)
}

// NetworkID is the attribute network_id, 0 when there is none.
func (e *AuditEvent) NetworkID() uint16 {
	n, _ := strconv.ParseUint(e.Attr("network_id"), 10, 16)
	return uint16(n)
}

// Details are the attributes other than node_id and network_id as
// "key=value", joined with ", ". Programs compare the original's texts as a
// whole: what only we say of a provisioned network is an attribute alone.
func (e *AuditEvent) Details() string {
	var b strings.Builder
	for _, a := range e.Attrs {
		if a.Key == "node_id" || a.Key == "network_id" || a.Key == "created" && e.Action == EventNetworkProvisioned {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.Key)
		b.WriteByte('=')
		b.WriteString(a.Value)
	}
	return b.String()
}

// TypedDetails are all attributes with their JSON types, nil when there are
// none.
func (e *AuditEvent) TypedDetails() map[string]any {
	if len(e.Attrs) == 0 {
		return nil
	}
	out := make(map[string]any, len(e.Attrs))
	for _, a := range e.Attrs {
		out[a.Key] = a.AttrValue()
	}
	return out
}

// AppendAuditHead appends the canonical record up to the attributes: class
// byte, varints of sequence number, time (zigzag) and index, then actor,
// source and action, each with its length in front.
func AppendAuditHead(dst []byte, e *AuditEvent) []byte {
	dst = append(dst, byte(e.Class))
	dst = binary.AppendUvarint(dst, e.Seq)
	dst = binary.AppendVarint(dst, e.Time)
	dst = binary.AppendUvarint(dst, e.Index)
	dst = appendText(dst, e.Actor)
	dst = appendText(dst, e.Source)
	return appendText(dst, e.Action)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// VerifyChain recomputes the hash chain over consecutive events of one class,
// oldest first. prev is the Chain of the event before the first, or the
// chain's anchor. It returns the hash at the end; the error names the first
// event that was changed, or before which something is missing.
func VerifyChain(prev [32]byte, events []AuditEvent) ([32]byte, error) {
	var buf []byte
	for i := range events {
		e := &events[i]
		if i > 0 && (e.Seq <= events[i-1].Seq || e.Class != events[i-1].Class) {
			return prev, errors.New("the events are not of one class in ascending order")
		}
		buf = AppendAuditHead(append(buf[:0], prev[:]...), e)
		for _, a := range e.Attrs {
			buf = appendText(appendText(buf, a.Key), a.Canonical())
		}
		sum := sha256.Sum256(buf)
		if !bytes.Equal(sum[:], e.Chain[:]) {
			return prev, fmt.Errorf("the chain is broken at event %d: it was changed, or events before it are missing", e.Seq)
		}
		prev = sum
	}
	return prev, nil
}

// AuditEntry is an event as replies, exports and files show it. The first
// five fields are those of the protocol's audit entry; the others are what
// verifying the chain takes.
type AuditEntry struct {
	// Timestamp is RFC 3339 in UTC, whole seconds.
	Timestamp string `json:"timestamp"`
	Action    string `json:"action"`
	NetworkID uint16 `json:"network_id,omitempty"`
	NodeID    uint32 `json:"node_id,omitempty"`
	Details   string `json:"details,omitempty"`

	Seq    uint64 `json:"seq"`
	Class  string `json:"class"`
	TimeMS int64  `json:"time_ms"`
	Index  uint64 `json:"index"`
	Actor  string `json:"actor"`
	Source string `json:"source,omitempty"`
	// Attrs are all attributes in order, each a pair of key and value.
	Attrs [][2]string `json:"attrs,omitempty"`
	// Salts are those of the attributes that can be erased, by key, hex.
	Salts map[string]string `json:"salts,omitempty"`
	// Chain is the hash of this event and all before it in its class, hex.
	Chain string `json:"chain"`
}

// Entry is the event as replies show it.
func (e *AuditEvent) Entry() AuditEntry {
	out := AuditEntry{
		Timestamp: time.UnixMilli(e.Time).UTC().Format(time.RFC3339), Action: e.Action,
		NetworkID: e.NetworkID(), NodeID: e.NodeID(), Details: e.Details(),
		Seq: e.Seq, Class: e.Class.String(), TimeMS: e.Time, Index: e.Index, Actor: e.Actor, Source: e.Source,
		Chain: hex.EncodeToString(e.Chain[:]),
	}
	for _, a := range e.Attrs {
		out.Attrs = append(out.Attrs, [2]string{a.Key, a.Value})
		if a.Salt != "" {
			if out.Salts == nil {
				out.Salts = map[string]string{}
			}
			out.Salts[a.Key] = hex.EncodeToString([]byte(a.Salt))
		}
	}
	return out
}

// Event is the event that an entry shows. The error says which field cannot be one.
func (a *AuditEntry) Event() (AuditEvent, error) {
	e := AuditEvent{Seq: a.Seq, Time: a.TimeMS, Index: a.Index, Actor: a.Actor, Source: a.Source, Action: a.Action}
	switch a.Class {
	case ClassSecurity.String():
		e.Class = ClassSecurity
	case ClassActivity.String():
		e.Class = ClassActivity
	default:
		return e, fmt.Errorf("event %d: %q is not a class of events", a.Seq, a.Class)
	}
	sum, err := hex.DecodeString(a.Chain)
	if err != nil || len(sum) != len(e.Chain) {
		return e, fmt.Errorf("event %d: its chain is not a SHA-256 hash in hex", a.Seq)
	}
	copy(e.Chain[:], sum)
	for _, kv := range a.Attrs {
		salt, err := hex.DecodeString(a.Salts[kv[0]])
		if err != nil {
			return e, fmt.Errorf("event %d: the salt of %s is not hex", a.Seq, kv[0])
		}
		e.Attrs = append(e.Attrs, AuditAttr{kv[0], kv[1], string(salt)})
	}
	shown := e.Entry()
	if shown.Timestamp != a.Timestamp || shown.NodeID != a.NodeID || shown.NetworkID != a.NetworkID || shown.Details != a.Details {
		return e, fmt.Errorf("event %d: what it shows is not what its chained record says", a.Seq)
	}
	return e, nil
}

// numberAttrs and boolAttrs are the attributes that are numbers and booleans
// where events are shown with typed values; all others are texts.
var (
	numberAttrs = attrSet("node_id network_id size target_node_id target_node beacon_id days expired_count former_owner from from_index from_node_id generation inviter_id " +
		"members networks new_allowed_ports_count new_max_members new_tags_count node_a node_b old_owner new_owner peer_id to to_node_id " +
		"creator_node_id old_max_members old_allowed_ports_count old_tags_count delta new_score polo_score mapped unmapped updated disabled actions " +
		"seq first last count revision nodes roles events")
	boolAttrs = attrSet("accept accepted created enterprise new_enabled new_public old_enabled old_public required enabled")
)

func attrSet(list string) map[string]bool {
	set := map[string]bool{}
	for _, k := range strings.Fields(list) {
		set[k] = true
	}
	return set
}

// AttrValue is the attribute's value with its JSON type: int64, bool or string.
func (a AuditAttr) AttrValue() any {
	switch {
	case numberAttrs[a.Key]:
		if n, err := strconv.ParseInt(a.Value, 10, 64); err == nil {
			return n
		}
	case boolAttrs[a.Key]:
		if b, err := strconv.ParseBool(a.Value); err == nil {
			return b
		}
	}
	return a.Value
}
