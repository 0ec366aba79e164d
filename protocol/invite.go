// SPDX-License-Identifier: Apache-2.0

package protocol

// inviteCommands are the rows of commands.go about this subject.
var inviteCommands = []Command{
	{Code: 19, Name: "invite_to_network", Group: GroupInvite, Page: PageSignatureEnterprise, Auth: AuthSignatureOrAdmin, Roles: rolesAdmin, Enterprise: true, Mode: ModeWrite,
		Challenge: "invite:{inviter_id}:{network_id}:{target_node_id}", Signer: "inviter_id", Events: []string{EventInviteCreated, EventInviteExpired}, newBody: body[InviteToNetwork](), newReply: reply[InviteToNetworkReply](),
		Doc: "invite a node to a network"},
	{Code: 20, Name: "respond_invite", Group: GroupInvite, Page: PageSignatureEnterprise, Auth: AuthSignature, Enterprise: true, Mode: ModeWrite,
		Challenge: "respond_invite:{node_id}:{network_id}", Signer: "node_id", Events: []string{EventInviteResponded}, newBody: body[RespondInvite](), newReply: reply[RespondInviteReply](),
		Doc: "accept or reject an invite"},
	{Code: 56, Name: "poll_invites", Group: GroupInvite, Page: PageOpen, Auth: AuthSignature, Mode: ModeRead,
		Challenge: "poll_invites:{node_id}", Signer: "node_id", newBody: body[NodeRequest](), newReply: reply[PollInvitesReply](),
		Doc: "list a node's pending invites"},
}

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
