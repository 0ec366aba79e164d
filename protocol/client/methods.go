// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// The methods below name the commands of the table. Each is Call with the
// command's body; all take call options and return an *Error.

// Lookup shows what is public about a node.
func (c *Client) Lookup(ctx context.Context, node uint32, opts ...CallOption) (*protocol.LookupReply, error) {
	return Call[protocol.LookupReply](ctx, c, "lookup", &protocol.NodeRequest{NodeID: node}, opts...)
}

// Resolve asks, as requester, for a node's endpoints.
func (c *Client) Resolve(ctx context.Context, node, requester uint32, opts ...CallOption) (*protocol.ResolveReply, error) {
	return Call[protocol.ResolveReply](ctx, c, "resolve", &protocol.Resolve{NodeID: node, RequesterID: requester}, opts...)
}

// Deregister takes a node out of the registry.
func (c *Client) Deregister(ctx context.Context, node uint32, opts ...CallOption) (*protocol.EmptyReply, error) {
	return Call[protocol.EmptyReply](ctx, c, "deregister", &protocol.NodeRequest{NodeID: node}, opts...)
}

// Heartbeat says that a node is alive.
func (c *Client) Heartbeat(ctx context.Context, node uint32, opts ...CallOption) (*protocol.HeartbeatReply, error) {
	return Call[protocol.HeartbeatReply](ctx, c, "heartbeat", &protocol.NodeRequest{NodeID: node}, opts...)
}

// ListNodes lists a network's members; network 0 needs the admin token.
func (c *Client) ListNodes(ctx context.Context, network uint16, opts ...CallOption) (*protocol.ListNodesReply, error) {
	return Call[protocol.ListNodesReply](ctx, c, "list_nodes", &protocol.ListNodes{NetworkID: network}, opts...)
}

// Punch asks for the endpoints of two nodes that want to meet; requester is one of them.
func (c *Client) Punch(ctx context.Context, requester, a, b uint32, opts ...CallOption) (*protocol.PunchReply, error) {
	return Call[protocol.PunchReply](ctx, c, "punch", &protocol.Punch{RequesterID: requester, NodeA: a, NodeB: b}, opts...)
}

// SetHostname names a node; "" clears the name.
func (c *Client) SetHostname(ctx context.Context, node uint32, hostname string, opts ...CallOption) (*protocol.SetHostnameReply, error) {
	return Call[protocol.SetHostnameReply](ctx, c, "set_hostname", &protocol.SetHostname{NodeID: node, Hostname: hostname}, opts...)
}

// ResolveHostname finds a node by name; requester 0 sees public nodes only.
func (c *Client) ResolveHostname(ctx context.Context, hostname string, requester uint32, opts ...CallOption) (*protocol.ResolveHostnameReply, error) {
	return Call[protocol.ResolveHostnameReply](ctx, c, "resolve_hostname",
		&protocol.ResolveHostname{Hostname: hostname, RequesterID: requester}, opts...)
}

// SetTags replaces a node's tags.
func (c *Client) SetTags(ctx context.Context, node uint32, tags []string, opts ...CallOption) (*protocol.SetTagsReply, error) {
	return Call[protocol.SetTagsReply](ctx, c, "set_tags", &protocol.SetTags{NodeID: node, Tags: tags}, opts...)
}

// SetTaskExec says whether a node executes tasks.
func (c *Client) SetTaskExec(ctx context.Context, node uint32, enabled bool, opts ...CallOption) (*protocol.SetTaskExecReply, error) {
	return Call[protocol.SetTaskExecReply](ctx, c, "set_task_exec", &protocol.SetTaskExec{NodeID: node, Enabled: enabled}, opts...)
}

// SetSignedRegister says whether registrations of a node's key have to be
// signed requests. It is itself sent as one, or with the admin token.
func (c *Client) SetSignedRegister(ctx context.Context, node uint32, required bool, opts ...CallOption) (*protocol.SetSignedRegisterReply, error) {
	return Call[protocol.SetSignedRegisterReply](ctx, c, "set_signed_register", &protocol.SetSignedRegister{NodeID: node, Required: required}, opts...)
}

// SetVisibility makes a node public or private.
func (c *Client) SetVisibility(ctx context.Context, node uint32, public bool, opts ...CallOption) (*protocol.SetVisibilityReply, error) {
	return Call[protocol.SetVisibilityReply](ctx, c, "set_visibility", &protocol.SetVisibility{NodeID: node, Public: public}, opts...)
}

// ReportTrust makes node and peer trust each other.
func (c *Client) ReportTrust(ctx context.Context, node, peer uint32, opts ...CallOption) (*protocol.EmptyReply, error) {
	return Call[protocol.EmptyReply](ctx, c, "report_trust", &protocol.Trust{NodeID: node, PeerID: peer}, opts...)
}

// RevokeTrust ends the trust between node and peer.
func (c *Client) RevokeTrust(ctx context.Context, node, peer uint32, opts ...CallOption) (*protocol.EmptyReply, error) {
	return Call[protocol.EmptyReply](ctx, c, "revoke_trust", &protocol.Trust{NodeID: node, PeerID: peer}, opts...)
}

// CheckTrust asks whether two nodes trust each other.
func (c *Client) CheckTrust(ctx context.Context, a, b uint32, opts ...CallOption) (*protocol.CheckTrustReply, error) {
	return Call[protocol.CheckTrustReply](ctx, c, "check_trust", &protocol.Trust{NodeID: a, PeerID: b}, opts...)
}

// RequestHandshake leaves a request for trust in another node's inbox.
func (c *Client) RequestHandshake(ctx context.Context, from, to uint32, justification string, opts ...CallOption) (*protocol.RequestHandshakeReply, error) {
	return Call[protocol.RequestHandshakeReply](ctx, c, "request_handshake",
		&protocol.RequestHandshake{FromNodeID: from, ToNodeID: to, Justification: justification}, opts...)
}

// PollHandshakes takes what waits for a node; More in the reply says to poll again.
func (c *Client) PollHandshakes(ctx context.Context, node uint32, opts ...CallOption) (*protocol.PollHandshakesReply, error) {
	return Call[protocol.PollHandshakesReply](ctx, c, "poll_handshakes", &protocol.PollHandshakes{NodeID: node}, opts...)
}

// RespondHandshake accepts or rejects a peer's request.
func (c *Client) RespondHandshake(ctx context.Context, node, peer uint32, accept bool, opts ...CallOption) (*protocol.RespondHandshakeReply, error) {
	return Call[protocol.RespondHandshakeReply](ctx, c, "respond_handshake",
		&protocol.RespondHandshake{NodeID: node, PeerID: peer, Accept: accept}, opts...)
}

// RotateKey replaces a node's key; the client's signer holds the old one.
// Switch to the new one only after it succeeded, and keep both while the
// outcome is unknown.
func (c *Client) RotateKey(ctx context.Context, node uint32, key protocol.PublicKey, opts ...CallOption) (*protocol.RotateKeyReply, error) {
	return Call[protocol.RotateKeyReply](ctx, c, "rotate_key", &protocol.RotateKey{NodeID: node, NewPublicKey: key.String()}, opts...)
}

// SetKeyExpiry sets the time a node's key expires, to the second; the zero
// time clears it.
func (c *Client) SetKeyExpiry(ctx context.Context, node uint32, at time.Time, opts ...CallOption) (*protocol.SetKeyExpiryReply, error) {
	text := "never"
	if !at.IsZero() {
		text = at.Format(time.RFC3339)
	}
	return Call[protocol.SetKeyExpiryReply](ctx, c, "set_key_expiry", &protocol.SetKeyExpiry{NodeID: node, ExpiresAt: text}, opts...)
}

// GetKeyInfo shows the age and expiry of a node's key.
func (c *Client) GetKeyInfo(ctx context.Context, node uint32, opts ...CallOption) (*protocol.GetKeyInfoReply, error) {
	return Call[protocol.GetKeyInfoReply](ctx, c, "get_key_info", &protocol.NodeRequest{NodeID: node}, opts...)
}

// UpdatePoloScore adds to a node's score, within ±1,000,000. Where registries
// want it signed, Call it with a RequesterID in the request.
func (c *Client) UpdatePoloScore(ctx context.Context, node uint32, delta int64, opts ...CallOption) (*protocol.PoloScoreReply, error) {
	d := float64(delta)
	return Call[protocol.PoloScoreReply](ctx, c, "update_polo_score", &protocol.UpdatePoloScore{NodeID: node, Delta: &d}, opts...)
}

// SetPoloScore sets a node's score; where it has to be signed, as UpdatePoloScore.
func (c *Client) SetPoloScore(ctx context.Context, node uint32, score int64, opts ...CallOption) (*protocol.PoloScoreReply, error) {
	s := float64(score)
	return Call[protocol.PoloScoreReply](ctx, c, "set_polo_score", &protocol.SetPoloScore{NodeID: node, PoloScore: &s}, opts...)
}

// GetPoloScore shows a node's score.
func (c *Client) GetPoloScore(ctx context.Context, node uint32, opts ...CallOption) (*protocol.PoloScoreReply, error) {
	return Call[protocol.PoloScoreReply](ctx, c, "get_polo_score", &protocol.NodeRequest{NodeID: node}, opts...)
}

// BeaconRegister announces or refreshes a beacon. Where registries want it
// signed, Call it with a NodeID in the request.
func (c *Client) BeaconRegister(ctx context.Context, beacon uint32, addr string, opts ...CallOption) (*protocol.BeaconRegisterReply, error) {
	return Call[protocol.BeaconRegisterReply](ctx, c, "beacon_register", &protocol.BeaconRegister{BeaconID: beacon, Addr: addr}, opts...)
}

// BeaconList lists the live beacons.
func (c *Client) BeaconList(ctx context.Context, opts ...CallOption) (*protocol.BeaconListReply, error) {
	return Call[protocol.BeaconListReply](ctx, c, "beacon_list", nil, opts...)
}

// CreateNetwork makes a network owned by a node; it needs the admin token.
func (c *Client) CreateNetwork(ctx context.Context, r protocol.CreateNetwork, opts ...CallOption) (*protocol.CreateNetworkReply, error) {
	return Call[protocol.CreateNetworkReply](ctx, c, "create_network", &r, opts...)
}

// JoinNetwork makes a node a member of a network.
func (c *Client) JoinNetwork(ctx context.Context, r protocol.JoinNetwork, opts ...CallOption) (*protocol.JoinNetworkReply, error) {
	return Call[protocol.JoinNetworkReply](ctx, c, "join_network", &r, opts...)
}

// LeaveNetwork ends a node's membership.
func (c *Client) LeaveNetwork(ctx context.Context, node uint32, network uint16, opts ...CallOption) (*protocol.LeaveNetworkReply, error) {
	return Call[protocol.LeaveNetworkReply](ctx, c, "leave_network", &protocol.LeaveNetwork{NodeID: node, NetworkID: network}, opts...)
}

// ListNetworks lists all networks.
func (c *Client) ListNetworks(ctx context.Context, opts ...CallOption) (*protocol.ListNetworksReply, error) {
	return Call[protocol.ListNetworksReply](ctx, c, "list_networks", nil, opts...)
}

// GetMemberRole shows the role of a network's member.
func (c *Client) GetMemberRole(ctx context.Context, network uint16, node uint32, opts ...CallOption) (*protocol.GetMemberRoleReply, error) {
	return Call[protocol.GetMemberRoleReply](ctx, c, "get_member_role",
		&protocol.GetMemberRole{NetworkID: network, TargetNodeID: node}, opts...)
}

// SetMemberTags replaces the tags that a network gives to a member; it takes
// a role, like the commands below.
func (c *Client) SetMemberTags(ctx context.Context, r protocol.SetMemberTags, opts ...CallOption) (*protocol.SetMemberTagsReply, error) {
	return Call[protocol.SetMemberTagsReply](ctx, c, "set_member_tags", &r, opts...)
}

// GetMemberTags shows the tags that a network gives to a member, or to all
// when node is 0.
func (c *Client) GetMemberTags(ctx context.Context, network uint16, node uint32, opts ...CallOption) (*protocol.GetMemberTagsReply, error) {
	return Call[protocol.GetMemberTagsReply](ctx, c, "get_member_tags", &protocol.GetMemberTags{NetworkID: network, TargetNodeID: node}, opts...)
}

// SetExprPolicy gives a network an expression policy, as JSON text, or takes it
// away when the text is empty; it takes a role, like the commands below.
func (c *Client) SetExprPolicy(ctx context.Context, r protocol.SetExprPolicy, opts ...CallOption) (*protocol.SetExprPolicyReply, error) {
	return Call[protocol.SetExprPolicyReply](ctx, c, "set_expr_policy", &r, opts...)
}

// GetExprPolicy shows a network's expression policy.
func (c *Client) GetExprPolicy(ctx context.Context, network uint16, opts ...CallOption) (*protocol.GetExprPolicyReply, error) {
	return Call[protocol.GetExprPolicyReply](ctx, c, "get_expr_policy", &protocol.NetworkRequest{NetworkID: network}, opts...)
}

// SubmitBadge attaches the badge of a verified account to a node.
func (c *Client) SubmitBadge(ctx context.Context, node uint32, badge, signature string, opts ...CallOption) (*protocol.SubmitBadgeReply, error) {
	return Call[protocol.SubmitBadgeReply](ctx, c, "submit_badge", &protocol.SubmitBadge{NodeID: node, Badge: badge, BadgeSig: signature}, opts...)
}

// EnrollRecovery says whose account may give a node another key.
func (c *Client) EnrollRecovery(ctx context.Context, node uint32, enrollment, signature string, opts ...CallOption) (*protocol.EnrollRecoveryReply, error) {
	return Call[protocol.EnrollRecoveryReply](ctx, c, "enroll_recovery",
		&protocol.EnrollRecovery{NodeID: node, Enrollment: enrollment, EnrollmentSig: signature}, opts...)
}

// RecoverIdentity gives a node that has lost its key another one.
func (c *Client) RecoverIdentity(ctx context.Context, r protocol.RecoverIdentity, opts ...CallOption) (*protocol.RotateKeyReply, error) {
	return Call[protocol.RotateKeyReply](ctx, c, "recover_identity", &r, opts...)
}

// DeleteNetwork removes a network; it takes the owner's signature, the
// network's token or the admin token, like all commands with a role below.
func (c *Client) DeleteNetwork(ctx context.Context, r protocol.DeleteNetwork, opts ...CallOption) (*protocol.DeleteNetworkReply, error) {
	return Call[protocol.DeleteNetworkReply](ctx, c, "delete_network", &r, opts...)
}

// RenameNetwork gives a network another name.
func (c *Client) RenameNetwork(ctx context.Context, r protocol.RenameNetwork, opts ...CallOption) (*protocol.RenameNetworkReply, error) {
	return Call[protocol.RenameNetworkReply](ctx, c, "rename_network", &r, opts...)
}

// SetNetworkEnterprise switches a network's enterprise features; it needs the admin token.
func (c *Client) SetNetworkEnterprise(ctx context.Context, network uint16, on bool, opts ...CallOption) (*protocol.SetNetworkEnterpriseReply, error) {
	return Call[protocol.SetNetworkEnterpriseReply](ctx, c, "set_network_enterprise",
		&protocol.SetNetworkEnterprise{NetworkID: network, Enterprise: on}, opts...)
}

// InviteToNetwork leaves an invite in a node's inbox, signed by the inviter.
func (c *Client) InviteToNetwork(ctx context.Context, r protocol.InviteToNetwork, opts ...CallOption) (*protocol.InviteToNetworkReply, error) {
	return Call[protocol.InviteToNetworkReply](ctx, c, "invite_to_network", &r, opts...)
}

// PollInvites lists a node's pending invites and takes none away.
func (c *Client) PollInvites(ctx context.Context, node uint32, opts ...CallOption) (*protocol.PollInvitesReply, error) {
	return Call[protocol.PollInvitesReply](ctx, c, "poll_invites", &protocol.NodeRequest{NodeID: node}, opts...)
}

// RespondInvite accepts or rejects an invite.
func (c *Client) RespondInvite(ctx context.Context, node uint32, network uint16, accept bool, opts ...CallOption) (*protocol.RespondInviteReply, error) {
	return Call[protocol.RespondInviteReply](ctx, c, "respond_invite",
		&protocol.RespondInvite{NodeID: node, NetworkID: network, Accept: accept}, opts...)
}

// KickMember removes a member.
func (c *Client) KickMember(ctx context.Context, r protocol.KickMember, opts ...CallOption) (*protocol.KickMemberReply, error) {
	return Call[protocol.KickMemberReply](ctx, c, "kick_member", &r, opts...)
}

// PromoteMember makes a member an admin, for a time or for good.
func (c *Client) PromoteMember(ctx context.Context, r protocol.PromoteMember, opts ...CallOption) (*protocol.MemberRoleReply, error) {
	return Call[protocol.MemberRoleReply](ctx, c, "promote_member", &r, opts...)
}

// DemoteMember makes an admin a member.
func (c *Client) DemoteMember(ctx context.Context, r protocol.DemoteMember, opts ...CallOption) (*protocol.MemberRoleReply, error) {
	return Call[protocol.MemberRoleReply](ctx, c, "demote_member", &r, opts...)
}

// TransferOwnership makes another member the owner; the old one becomes an admin.
func (c *Client) TransferOwnership(ctx context.Context, r protocol.TransferOwnership, opts ...CallOption) (*protocol.TransferOwnershipReply, error) {
	return Call[protocol.TransferOwnershipReply](ctx, c, "transfer_ownership", &r, opts...)
}

// SetNetworkPolicy changes those fields of a network's policy that are not nil.
func (c *Client) SetNetworkPolicy(ctx context.Context, r protocol.SetNetworkPolicy, opts ...CallOption) (*protocol.NetworkPolicyReply, error) {
	return Call[protocol.NetworkPolicyReply](ctx, c, "set_network_policy", &r, opts...)
}

// GetNetworkPolicy shows a network's policy.
func (c *Client) GetNetworkPolicy(ctx context.Context, network uint16, opts ...CallOption) (*protocol.NetworkPolicyReply, error) {
	return Call[protocol.NetworkPolicyReply](ctx, c, "get_network_policy", &protocol.NetworkRequest{NetworkID: network}, opts...)
}

// SetExternalID binds a node to an external identity, "" unbinds it; it needs the admin token.
func (c *Client) SetExternalID(ctx context.Context, node uint32, externalID string, opts ...CallOption) (*protocol.SetExternalIDReply, error) {
	return Call[protocol.SetExternalIDReply](ctx, c, "set_external_id", &protocol.SetExternalID{NodeID: node, ExternalID: externalID}, opts...)
}

// GetIdentity shows a node's external identity; it needs the admin token.
func (c *Client) GetIdentity(ctx context.Context, node uint32, opts ...CallOption) (*protocol.GetIdentityReply, error) {
	return Call[protocol.GetIdentityReply](ctx, c, "get_identity", &protocol.NodeRequest{NodeID: node}, opts...)
}

// ClusterStatus shows what the member that answers knows; it works without a quorum.
func (c *Client) ClusterStatus(ctx context.Context, opts ...CallOption) (*protocol.ClusterStatusReply, error) {
	return Call[protocol.ClusterStatusReply](ctx, c, "cluster_status", nil, opts...)
}

// ClusterMembers lists the members of the cluster.
func (c *Client) ClusterMembers(ctx context.Context, opts ...CallOption) (*protocol.ClusterMembersReply, error) {
	return Call[protocol.ClusterMembersReply](ctx, c, "cluster_members", nil, opts...)
}

// ClusterTransferLeadership hands leadership to a member, "" to any voter.
func (c *Client) ClusterTransferLeadership(ctx context.Context, member string, opts ...CallOption) (*protocol.ClusterChangeReply, error) {
	return Call[protocol.ClusterChangeReply](ctx, c, "cluster_transfer_leadership", &protocol.ClusterTarget{MemberID: member}, opts...)
}

// ClusterJoinToken mints a token that lets one new member in; ttl 0 means an hour.
func (c *Client) ClusterJoinToken(ctx context.Context, nonvoter bool, ttl time.Duration, opts ...CallOption) (*protocol.ClusterJoinTokenReply, error) {
	return Call[protocol.ClusterJoinTokenReply](ctx, c, "cluster_join_token",
		&protocol.ClusterJoinToken{NonVoter: nonvoter, TTLSeconds: uint32(min(max(ttl/time.Second, 0), 1<<31))}, opts...)
}

// ClusterJoinTokenList lists the join tokens that are still good.
func (c *Client) ClusterJoinTokenList(ctx context.Context, opts ...CallOption) (*protocol.ClusterJoinTokenListReply, error) {
	return Call[protocol.ClusterJoinTokenListReply](ctx, c, "cluster_join_token_list", &protocol.ClusterQuery{}, opts...)
}

// ClusterJoinTokenRevoke makes a join token void.
func (c *Client) ClusterJoinTokenRevoke(ctx context.Context, name string, opts ...CallOption) (*protocol.ClusterJoinTokenRevokeReply, error) {
	return Call[protocol.ClusterJoinTokenRevokeReply](ctx, c, "cluster_join_token_revoke", &protocol.ClusterJoinTokenName{Name: name}, opts...)
}

// ClusterRepair gives a quarantined member the log and state of the others.
func (c *Client) ClusterRepair(ctx context.Context, member string, opts ...CallOption) (*protocol.ClusterChangeReply, error) {
	return Call[protocol.ClusterChangeReply](ctx, c, "cluster_repair", &protocol.ClusterTarget{MemberID: member}, opts...)
}

// ClusterPromote makes a non-voting member a voter.
func (c *Client) ClusterPromote(ctx context.Context, member string, opts ...CallOption) (*protocol.ClusterChangeReply, error) {
	return Call[protocol.ClusterChangeReply](ctx, c, "cluster_promote", &protocol.ClusterTarget{MemberID: member}, opts...)
}

// ClusterRemove removes a member; force allows it when the quorum is endangered.
func (c *Client) ClusterRemove(ctx context.Context, member string, force bool, opts ...CallOption) (*protocol.ClusterChangeReply, error) {
	return Call[protocol.ClusterChangeReply](ctx, c, "cluster_remove", &protocol.ClusterTarget{MemberID: member, Force: force}, opts...)
}
