// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// checkSpan bounds the life of a membership or role.
func checkSpan(seconds uint32) *Error {
	if seconds > MaxKeyExpiryDays*24*3600 {
		return Errorf(CodeInvalid, "invalid for_seconds: cannot exceed 10 years")
	}
	return nil
}

// InviteToNetwork leaves an invite in a node's inbox.
type InviteToNetwork struct {
	RoleFacts
	InviterID    uint32 `json:"inviter_id"`
	NetworkID    uint16 `json:"network_id"`
	TargetNodeID uint32 `json:"target_node_id"`
	// ForSeconds is how long the membership lasts once accepted, 0 for good.
	ForSeconds uint32 `json:"for_seconds,omitempty"`
}

// Validate follows docs/protocol/networks.md#invite_to_network.
func (r *InviteToNetwork) Validate() *Error {
	if r.InviterID == r.TargetNodeID {
		return Errorf(CodeInvalid, "cannot invite yourself")
	}
	return checkSpan(r.ForSeconds)
}

// RespondInvite accepts or rejects an invite; absent accept means reject.
type RespondInvite struct {
	NodeID    uint32 `json:"node_id"`
	NetworkID uint16 `json:"network_id"`
	Accept    bool   `json:"accept,omitempty"`
}

// Validate accepts everything.
func (*RespondInvite) Validate() *Error { return nil }

// KickMember removes a member. NodeID is who acts when no token does.
type KickMember struct {
	RoleFacts
	NodeID       uint32 `json:"node_id,omitempty"`
	NetworkID    uint16 `json:"network_id"`
	TargetNodeID uint32 `json:"target_node_id"`
}

// Validate follows docs/protocol/networks.md#promote_member.
func (r *KickMember) Validate() *Error {
	if r.NetworkID == 0 {
		return Errorf(CodeInvalid, "cannot kick from the backbone network")
	}
	return nil
}

// DemoteMember makes an admin a member.
type DemoteMember struct {
	RoleFacts
	NodeID       uint32 `json:"node_id,omitempty" read:"deferred"`
	NetworkID    uint16 `json:"network_id"`
	TargetNodeID uint32 `json:"target_node_id"`
}

// Validate accepts everything.
func (*DemoteMember) Validate() *Error { return nil }

// PromoteMember makes a member an admin.
type PromoteMember struct {
	RoleFacts
	NodeID       uint32 `json:"node_id,omitempty" read:"deferred"`
	NetworkID    uint16 `json:"network_id"`
	TargetNodeID uint32 `json:"target_node_id"`
	// ForSeconds is how long the role lasts, 0 for good.
	ForSeconds uint32 `json:"for_seconds,omitempty"`
}

// Validate bounds the life of the role.
func (r *PromoteMember) Validate() *Error { return checkSpan(r.ForSeconds) }

// TransferOwnership makes another member the owner.
type TransferOwnership struct {
	RoleFacts
	NodeID     uint32 `json:"node_id,omitempty"`
	NetworkID  uint16 `json:"network_id"`
	NewOwnerID uint32 `json:"new_owner_id"`
}

// Validate follows docs/protocol/networks.md#transfer_ownership.
func (r *TransferOwnership) Validate() *Error {
	if r.NewOwnerID == 0 {
		return Errorf(CodeInvalid, "new_owner_id is required")
	}
	return nil
}

// Limits of a network's policy.
const (
	MaxPolicyMembers          = 10_000
	MaxPolicyPorts            = 100
	MaxPolicyDescriptionBytes = 256
	// MaxInvites is how many invites a node's inbox holds, InviteTTLDays how
	// long each waits.
	MaxInvites    = 100
	InviteTTLDays = 30
)

// SetNetworkPolicy changes the fields of a policy that are present.
type SetNetworkPolicy struct {
	RoleFacts
	NodeID       uint32     `json:"node_id,omitempty"`
	NetworkID    uint16     `json:"network_id"`
	MaxMembers   *float64   `json:"max_members,omitempty" read:"main"`
	AllowedPorts *[]float64 `json:"allowed_ports,omitempty" read:"main"`
	Description  *string    `json:"description,omitempty" text:"lines" read:"main"`
}

// ChallengeField computes policy_sha256, what the signature covers of the
// policy: the hexadecimal SHA-256 of the compact JSON object of those of
// allowed_ports, description and max_members that are present, in this order,
// ports without repetitions, characters beyond ASCII and < > & as they are.
func (r *SetNetworkPolicy) ChallengeField(name string) (string, bool) {
	if name != "policy_sha256" {
		return "", false
	}
	present := struct {
		AllowedPorts *[]float64 `json:"allowed_ports,omitempty"`
		Description  *string    `json:"description,omitempty"`
		MaxMembers   *float64   `json:"max_members,omitempty"`
	}{Description: r.Description, MaxMembers: r.MaxMembers}
	if r.AllowedPorts != nil {
		ports := []float64{}
		for _, p := range *r.AllowedPorts {
			if !slices.Contains(ports, p) {
				ports = append(ports, p)
			}
		}
		present.AllowedPorts = &ports
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(present); err != nil { // numbers come from JSON, so they are finite
		return "", false
	}
	return hexSHA256(bytes.TrimSuffix(out.Bytes(), []byte("\n"))), true
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Validate accepts everything: the values are looked at after the caller's
// role, see Check.
func (*SetNetworkPolicy) Validate() *Error { return nil }

// Check follows docs/protocol/networks.md#set_network_policy as far as it needs no state.
func (r *SetNetworkPolicy) Check() *Error {
	if m := r.MaxMembers; m != nil && !wholeIn(*m, 0, MaxPolicyMembers) {
		return Errorf(CodeInvalid, "invalid max_members (must be integer 0-10000)")
	}
	return nil
}

// CheckRest follows the checks behind the one that compares max_members with
// the number of members.
func (r *SetNetworkPolicy) CheckRest() *Error {
	if r.AllowedPorts != nil {
		if len(*r.AllowedPorts) > MaxPolicyPorts {
			return Errorf(CodeInvalid, "too many allowed_ports (max 100)")
		}
		for _, p := range *r.AllowedPorts {
			if !wholeIn(p, 1, 65535) {
				return Errorf(CodeInvalid, "invalid port number in allowed_ports (must be integer 1-65535)")
			}
		}
	}
	if r.Description != nil && len(*r.Description) > MaxPolicyDescriptionBytes {
		return Errorf(CodeInvalid, "policy description too long (max 256 chars)")
	}
	return nil
}

// Ports are the allowed ports without repetitions, in the order given.
func (r *SetNetworkPolicy) Ports() []uint16 {
	ports := []uint16{}
	if r.AllowedPorts != nil {
		for _, p := range *r.AllowedPorts {
			if !slices.Contains(ports, uint16(p)) {
				ports = append(ports, uint16(p))
			}
		}
	}
	return ports
}

func wholeIn(f float64, lo, hi float64) bool { return f >= lo && f <= hi && f == float64(int64(f)) }

// SetExternalID binds a node to an external identity; empty unbinds it.
type SetExternalID struct {
	NodeID     uint32 `json:"node_id"`
	ExternalID string `json:"external_id,omitempty"`
	Keys       IDKeys `json:"keys,omitzero" wire:"-"`
}

// Validate bounds the identity.
func (r *SetExternalID) Validate() *Error {
	if len(r.ExternalID) > MaxTextBytes {
		return Errorf(CodeTooLarge, "external_id too long (max %d bytes)", MaxTextBytes)
	}
	if garbled(r.ExternalID) {
		return Errorf(CodeInvalid, "invalid external_id: it %s", notUTF8)
	}
	if r.ExternalID != "" && trim(r.ExternalID) == "" {
		return Errorf(CodeInvalid, "invalid external_id: it is blank, and names nobody; an empty one takes the external id away")
	}
	return nil
}

// FoldExternalID is the form in which external identities are compared that
// have no match key of their own, see [IDKeys]: letters A to Z match a to z, all
// other bytes themselves. The rule is fixed here, because Unicode tables change
// with Go versions.
func FoldExternalID(s string) string { return lower(s) }
