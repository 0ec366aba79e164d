// SPDX-License-Identifier: Apache-2.0

//go:build nextver

package protocol

// The synthetic next version, with which upgrades are tested: one new
// command, one new field in a reply, one new event, at the next feature level.

// LookupNext are the fields of a lookup reply that only the next version has.
type LookupNext struct {
	Motto string `json:"motto,omitempty"`
}

// FeatureMotto is what the next level brings.
const FeatureMotto = "motto"

// EventMottoChanged is caused by set_motto.
const EventMottoChanged = "motto.changed"

// SetMotto gives a node a motto; empty clears it.
type SetMotto struct {
	NodeID uint32 `json:"node_id"`
	Motto  string `json:"motto,omitempty"`
}

// Validate bounds the motto.
func (r *SetMotto) Validate() *Error {
	if len(r.Motto) > MaxTextBytes {
		return Errorf(CodeTooLarge, "motto too long (max %d bytes)", MaxTextBytes)
	}
	return nil
}

// SetMottoReply answers set_motto.
type SetMottoReply struct {
	Motto  string `json:"motto"`
	NodeID uint32 `json:"node_id"`
	Type   string `json:"type"`
}

// Files are initialised in the order of their names, so the row is there when
// table.go reads the table.
func init() {
	Features = append(Features, Feature{FeatureMotto, LevelCounts + 1, "a motto for each node"})
	Events[EventMottoChanged] = ClassActivity
	Commands = append(Commands, Command{
		Code: 0x7001, Name: "set_motto", Group: GroupNode, Auth: AuthSignatureOrAdmin, Mode: ModeWrite, Feature: FeatureMotto,
		Challenge: "set_motto:{node_id}", Signer: "node_id", Events: []string{EventMottoChanged},
		newBody: body[SetMotto](), newReply: reply[SetMottoReply](), Doc: "set or clear a node's motto",
	})
}
