// SPDX-License-Identifier: Apache-2.0

package protocol

// membershipCommands are the rows of commands.go about this subject.
var membershipCommands = []Command{
	{Code: 21, Name: "kick_member", Group: GroupMember, Page: PageSignatureEnterprise, Auth: AuthRole, Roles: rolesAdmin, Enterprise: true, Mode: ModeWrite,
		Challenge: "kick_member:{node_id}:{network_id}:{target_node_id}", Signer: "node_id", Events: []string{EventMemberKicked}, newBody: body[KickMember](), newReply: reply[KickMemberReply](),
		Doc: "remove a member"},
	{Code: 22, Name: "promote_member", Group: GroupMember, Page: PageSignatureEnterprise, Auth: AuthRole, Roles: rolesOwner, Enterprise: true, Mode: ModeWrite,
		Challenge: "promote_member:{node_id}:{network_id}:{target_node_id}", Signer: "node_id", Events: []string{EventMemberPromoted}, newBody: body[PromoteMember](), newReply: reply[MemberRoleReply](),
		Doc: "make a member an admin"},
	{Code: 23, Name: "demote_member", Group: GroupMember, Page: PageSignatureEnterprise, Auth: AuthRole, Roles: rolesOwner, Enterprise: true, Mode: ModeWrite,
		Challenge: "demote_member:{node_id}:{network_id}:{target_node_id}", Signer: "node_id", Events: []string{EventMemberDemoted}, newBody: body[DemoteMember](), newReply: reply[MemberRoleReply](),
		Doc: "make an admin a member"},
	{Code: 24, Name: "transfer_ownership", Group: GroupMember, Page: PageSignatureEnterprise, Auth: AuthRole, Roles: rolesOwner, Enterprise: true, Mode: ModeWrite,
		Challenge: "transfer_ownership:{node_id}:{network_id}:{new_owner_id}", Signer: "node_id", Events: []string{EventOwnershipTransferred}, newBody: body[TransferOwnership](), newReply: reply[TransferOwnershipReply](),
		Doc: "hand a network to another member"},
	{Code: 53, Name: "get_member_role", Group: GroupMember, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead,
		newBody: body[GetMemberRole](), newReply: reply[GetMemberRoleReply](), Doc: "show a member's role"},
}

// Roles of a network's members, and those that commands ask for.
const (
	RoleOwner  = "owner"
	RoleAdmin  = "admin"
	RoleMember = "member"
)

var (
	rolesOwner = []string{RoleOwner}
	rolesAdmin = []string{RoleOwner, RoleAdmin}
)

// RoleFacts is part of the requests that a network's own admin token
// authorises. NetworkToken is the MAC of the presented token, made at the
// front door under the keyring version of the network's token.
type RoleFacts struct {
	NetworkToken MAC `json:"network_token,omitzero"`
	// Unsigned says that the operator lets node_id act without a signature.
	Unsigned bool `json:"unsigned,omitempty"`
}

// Role returns the facts themselves, see [RoleBody].
func (f *RoleFacts) Role() *RoleFacts { return f }

// RoleBody is a request that a network's own admin token authorises.
type RoleBody interface {
	Body
	Role() *RoleFacts
}

// GetMemberRole asks for a member's role.
type GetMemberRole struct {
	NetworkID    uint16 `json:"network_id"`
	TargetNodeID uint32 `json:"target_node_id"`
}

// Validate accepts everything.
func (*GetMemberRole) Validate() *Error { return nil }

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

// GetMemberRoleReply answers get_member_role.
type GetMemberRoleReply struct {
	NetworkID    uint16 `json:"network_id"`
	Role         string `json:"role"`
	TargetNodeID uint32 `json:"target_node_id"`
	Type         string `json:"type"`
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
