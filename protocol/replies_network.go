// SPDX-License-Identifier: Apache-2.0

package protocol

// LeaveNetworkReply answers leave_network.
type LeaveNetworkReply struct {
	NetworkID uint16 `json:"network_id"`
	Type      string `json:"type"`
}

// DeleteNetworkReply answers delete_network.
type DeleteNetworkReply struct {
	NetworkID uint16 `json:"network_id"`
	Type      string `json:"type"`
}

// RenameNetworkReply answers rename_network.
type RenameNetworkReply struct {
	Name      string `json:"name"`
	NetworkID uint16 `json:"network_id"`
	Type      string `json:"type"`
}

// SetNetworkEnterpriseReply answers set_network_enterprise.
type SetNetworkEnterpriseReply struct {
	Enterprise bool   `json:"enterprise"`
	NetworkID  uint16 `json:"network_id"`
	Type       string `json:"type"`
}

// InviteToNetworkReply answers invite_to_network; Status is already_invited
// when an invite was waiting and nothing was stored.
type InviteToNetworkReply struct {
	NetworkID    uint16 `json:"network_id"`
	Status       string `json:"status,omitempty"`
	TargetNodeID uint32 `json:"target_node_id"`
	Type         string `json:"type"`
}

// Invite is a pending invite. Timestamp is in Unix seconds.
type Invite struct {
	InviterID uint32 `json:"inviter_id"`
	NetworkID uint16 `json:"network_id"`
	Timestamp int64  `json:"timestamp"`
}

// PollInvitesReply answers poll_invites, oldest first.
type PollInvitesReply struct {
	Invites []Invite `json:"invites"`
	Type    string   `json:"type"`
}

// RespondInviteReply answers respond_invite; roles as in JoinNetworkReply.
type RespondInviteReply struct {
	Accepted        bool   `json:"accepted"`
	NetworkID       uint16 `json:"network_id"`
	PreAssignedRole string `json:"pre_assigned_role,omitempty"`
	Role            string `json:"role,omitempty"`
	Type            string `json:"type"`
}

// KickMemberReply answers kick_member.
type KickMemberReply struct {
	NetworkID    uint16 `json:"network_id"`
	TargetNodeID uint32 `json:"target_node_id"`
	Type         string `json:"type"`
}

// MemberRoleReply answers promote_member and demote_member. ExpiresAt (RFC
// 3339 in UTC) is set when the role ends by itself.
type MemberRoleReply struct {
	ExpiresAt    string `json:"expires_at,omitempty"`
	NetworkID    uint16 `json:"network_id"`
	Role         string `json:"role"`
	TargetNodeID uint32 `json:"target_node_id"`
	Type         string `json:"type"`
}

// TransferOwnershipReply answers transfer_ownership.
type TransferOwnershipReply struct {
	NetworkID uint16 `json:"network_id"`
	NewOwner  uint32 `json:"new_owner"`
	OldOwner  uint32 `json:"old_owner"`
	Type      string `json:"type"`
}

// NetworkPolicyReply answers set_network_policy and get_network_policy.
// Revision grows with every change of the network's configuration.
type NetworkPolicyReply struct {
	AllowedPorts []uint16 `json:"allowed_ports"`
	Description  string   `json:"description"`
	MaxMembers   uint32   `json:"max_members"`
	NetworkID    uint16   `json:"network_id"`
	Revision     uint64   `json:"revision"`
	Type         string   `json:"type"`
}

// SetExternalIDReply answers set_external_id.
type SetExternalIDReply struct {
	ExternalID string `json:"external_id"`
	NodeID     uint32 `json:"node_id"`
	Type       string `json:"type"`
}

// GetIdentityReply answers get_identity.
type GetIdentityReply struct {
	ExternalID string `json:"external_id"`
	NodeID     uint32 `json:"node_id"`
	Owner      string `json:"owner"`
	Type       string `json:"type"`
}
