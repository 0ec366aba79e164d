// SPDX-License-Identifier: Apache-2.0

package protocol

import "time"

// keyCommands are the rows of commands.go about this subject.
var keyCommands = []Command{
	{Code: 26, Name: "set_key_expiry", Group: GroupKey, Page: PageSignatureEnterprise, Auth: AuthSignatureOrAdmin, Enterprise: true, Mode: ModeWrite,
		Challenge: "set_key_expiry:{node_id}", Signer: "node_id", Events: []string{EventKeyExpirySet, EventKeyExpiryCleared},
		newBody: body[SetKeyExpiry](), newReply: reply[SetKeyExpiryReply](), Doc: "set or clear the day a node's key expires"},
	{Code: 44, Name: "rotate_key", Group: GroupKey, Page: PageSignature, Auth: AuthSignature, Mode: ModeWrite,
		Challenge: "rotate:{node_id}", NewerChallenge: "rotate:{node_id}:{new_public_key}", Signer: "node_id", Events: []string{EventKeyRotated},
		newBody: body[RotateKey](), newReply: reply[RotateKeyReply](), Doc: "replace a node's key"},
	{Code: 55, Name: "get_key_info", Group: GroupKey, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead,
		newBody: body[NodeRequest](), newReply: reply[GetKeyInfoReply](), Doc: "show the age and expiry of a node's key"},
}

// RotateKey replaces a node's key; the signature is by the old one.
type RotateKey struct {
	NodeID       uint32 `json:"node_id"`
	NewPublicKey string `json:"new_public_key" text:"-"`
}

// Validate follows docs/protocol/nodes.md#rotate_key.
func (r *RotateKey) Validate() *Error {
	if r.NewPublicKey == "" {
		return Errorf(CodeInvalid, "rotate_key requires new_public_key")
	}
	if _, err := ParsePublicKey(r.NewPublicKey); err != nil {
		return Errorf(CodeInvalid, "invalid new_public_key: %v", err)
	}
	return nil
}

// SetKeyExpiry sets (RFC 3339) or clears ("" or "never") the day a key ends.
type SetKeyExpiry struct {
	NodeID    uint32 `json:"node_id"`
	ExpiresAt string `json:"expires_at,omitempty"`
}

// Validate follows docs/protocol/nodes.md#set_key_expiry.
func (r *SetKeyExpiry) Validate() *Error {
	_, _, e := r.Time()
	return e
}

// Time returns the parsed expiry, whole seconds; set is false when the
// request clears the expiry.
func (r *SetKeyExpiry) Time() (at time.Time, set bool, e *Error) {
	if r.ExpiresAt == "" || r.ExpiresAt == "never" {
		return time.Time{}, false, nil
	}
	at, ok := ParseTime(r.ExpiresAt)
	if !ok {
		return time.Time{}, false, Errorf(CodeInvalid, "invalid expires_at: parsing %s: want RFC 3339 (as in 2027-01-31T10:00:00Z) or never", Quote(r.ExpiresAt))
	}
	return at.Truncate(time.Second), true, nil
}

// RotateKeyReply answers rotate_key.
type RotateKeyReply struct {
	Address   string `json:"address"`
	NodeID    uint32 `json:"node_id"`
	PublicKey string `json:"public_key"`
	Type      string `json:"type"`
}

// SetKeyExpiryReply answers set_key_expiry; ExpiresAt (RFC 3339, in the
// caller's zone) is absent when the expiry was cleared.
type SetKeyExpiryReply struct {
	ExpiresAt string `json:"expires_at,omitempty"`
	NodeID    uint32 `json:"node_id"`
	Type      string `json:"type"`
}

// GetKeyInfoReply answers get_key_info. Times are RFC 3339 in UTC.
type GetKeyInfoReply struct {
	CreatedAt   string `json:"created_at"`
	ExpiresAt   string `json:"expires_at,omitempty"`
	KeyAgeDays  *int64 `json:"key_age_days,omitempty"`
	NodeID      uint32 `json:"node_id"`
	RotateCount int64  `json:"rotate_count"`
	RotatedAt   string `json:"rotated_at,omitempty"`
	Type        string `json:"type"`
}
