// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// DefaultSource is the source of events in Splunk when none is configured.
const DefaultSource = "pilot-registry"

// JSON is the event as the protocol's audit entry, on one line without its end.
func JSON(e *protocol.AuditEvent) []byte { return marshal(e.Entry()) }

// hecEvent is an event in the form of Splunk's HTTP event collector.
type hecEvent struct {
	Time       int64     `json:"time"`
	Source     string    `json:"source"`
	SourceType string    `json:"sourcetype"`
	Index      string    `json:"index,omitempty"`
	Event      hecFields `json:"event"`
}

// hecFields has the protocol's fields first: searches were written for them.
type hecFields struct {
	Action     string `json:"action"`
	NetworkID  uint16 `json:"network_id"`
	NodeID     uint32 `json:"node_id"`
	Details    string `json:"details,omitempty"`
	Seq        uint64 `json:"seq"`
	Actor      string `json:"actor,omitempty"`
	SourceAddr string `json:"source_addr,omitempty"`
	Class      string `json:"class"`
	Chain      string `json:"chain"`
}

// HEC is the event for Splunk's HTTP event collector. An empty source is
// [DefaultSource]; without an index Splunk takes the token's.
func HEC(e *protocol.AuditEvent, source, index string) []byte {
	if source == "" {
		source = DefaultSource
	}
	return marshal(hecEvent{
		Time: moment(e).Unix(), Source: source, SourceType: "pilot:audit", Index: index,
		Event: hecFields{
			Action: e.Action, NetworkID: e.NetworkID(), NodeID: e.NodeID(), Details: e.Details(),
			Seq: e.Seq, Actor: e.Actor, SourceAddr: e.Source, Class: e.Class.String(), Chain: hex.EncodeToString(e.Chain[:]),
		},
	})
}

// Webhook is the body of a webhook. The sequence number is the event's id: it
// stays the same over retries, restarts and leaders.
func Webhook(e *protocol.AuditEvent) []byte {
	return marshal(protocol.WebhookEvent{EventID: e.Seq, Action: e.Action, Timestamp: moment(e).Format(time.RFC3339Nano), Details: e.TypedDetails()})
}

func moment(e *protocol.AuditEvent) time.Time { return time.UnixMilli(e.Time).UTC() }

// marshal leaves <, > and & as they are: receivers show texts, not pages.
func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return nil // the types above have no value that cannot be encoded
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
