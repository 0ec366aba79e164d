package protocol

func body[T any, P interface {
	*T
	Body
}]() func() Body {
	return func() Body { return P(new(T)) }
}

func reply[T any]() func() any { return func() any { return new(T) } }

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

// Commands is the one table of wire commands. Rows are append-only. The first
// sixty are the surface of the original registry, in the order of the feature
// page's classes; the others are our own.
var Commands = []Command{
	// Administration.
	{Code: 1, Name: "create_network", Group: GroupNetwork, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite, Since: 1, Built: true,
		Events: []string{EventNetworkCreated}, newBody: body[CreateNetwork](), newReply: reply[CreateNetworkReply](),
		Doc: "create a network owned by a node"},
	{Code: 2, Name: "set_network_enterprise", Group: GroupNetwork, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite, Since: 2, Built: true,
		Events: []string{EventNetworkEnterprise, EventOwnershipTransferred}, newBody: body[SetNetworkEnterprise](), newReply: reply[SetNetworkEnterpriseReply](),
		Doc: "switch a network's enterprise features on or off"},
	{Code: 3, Name: "get_audit_log", Group: GroupAudit, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, Lists: true, Since: 1,
		Doc: "read the audit log, newest first"},
	{Code: 4, Name: "set_webhook", Group: GroupWebhook, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite, Since: 1, Doc: "set or clear the audit webhook"},
	{Code: 5, Name: "get_webhook", Group: GroupWebhook, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, Since: 1, Doc: "show the audit webhook"},
	{Code: 6, Name: "get_webhook_dlq", Group: GroupWebhook, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, Lists: true, Since: 1,
		Doc: "list webhook deliveries that failed for good"},
	{Code: 7, Name: "set_identity_webhook", Group: GroupIdentity, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite, Since: 1,
		Doc: "set or clear the webhook that verifies identity tokens"},
	{Code: 8, Name: "set_external_id", Group: GroupIdentity, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite, Since: 2, Built: true,
		Events: []string{EventExternalIDSet}, newBody: body[SetExternalID](), newReply: reply[SetExternalIDReply](),
		Doc: "bind a node to an external identity"},
	{Code: 9, Name: "get_identity", Group: GroupIdentity, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, Since: 2, Built: true, newBody: body[NodeRequest](), newReply: reply[GetIdentityReply](),
		Doc: "show a node's external identity"},
	{Code: 10, Name: "provision_network", Group: GroupBlueprint, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite, Plans: true, Since: 2, Built: true,
		Events: []string{EventNetworkProvisioned, EventOwnershipTransferred}, newBody: body[ProvisionNetwork](), newReply: reply[ProvisionNetworkReply](),
		Doc: "apply a blueprint"},
	{Code: 11, Name: "set_audit_export", Group: GroupAudit, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite, Since: 1,
		Events: []string{EventAuditExportConfigured}, Doc: "configure the audit export"},
	{Code: 12, Name: "get_audit_export", Group: GroupAudit, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, Since: 1, Doc: "show the audit export and its counters"},
	{Code: 13, Name: "set_idp_config", Group: GroupIdentity, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite, Since: 1,
		Events: []string{EventIDPConfigured}, Doc: "configure the identity provider"},
	{Code: 14, Name: "get_idp_config", Group: GroupIdentity, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, Since: 1, Doc: "show the identity provider"},
	{Code: 15, Name: "get_provision_status", Group: GroupBlueprint, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, Lists: true, Since: 2, Built: true,
		newBody: body[GetProvisionStatus](), newReply: reply[ProvisionStatusReply](), Doc: "summarise what is provisioned"},
	{Code: 16, Name: "directory_sync", Group: GroupDirectory, Page: PageAdmin, Auth: AuthAdmin, Enterprise: true, Mode: ModeWrite, Plans: true, Since: 2, Built: true,
		Events:  []string{EventDirectorySynced, EventMemberKicked, EventMemberPromoted, EventMemberDemoted, EventOwnershipTransferred, EventOwnerLost, EventHostnameChanged},
		newBody: body[DirectorySync](), newReply: reply[DirectorySyncReply](), Doc: "apply a directory listing to a network"},
	{Code: 17, Name: "directory_status", Group: GroupDirectory, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, Since: 2, Built: true,
		newBody: body[NetworkRequest](), newReply: reply[DirectoryStatusReply](), Doc: "show how a network relates to its directory"},
	{Code: 18, Name: "validate_token", Group: GroupIdentity, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, Since: 1, Doc: "validate an identity token"},

	// Signature and enterprise network.
	{Code: 19, Name: "invite_to_network", Group: GroupInvite, Page: PageSignatureEnterprise, Auth: AuthSignatureOrAdmin, Roles: rolesAdmin, Enterprise: true, Mode: ModeWrite, Since: 2, Built: true,
		Challenge: "invite:{inviter_id}:{network_id}:{target_node_id}", Signer: "inviter_id", Events: []string{EventInviteCreated, EventInviteExpired}, newBody: body[InviteToNetwork](), newReply: reply[InviteToNetworkReply](),
		Doc: "invite a node to a network"},
	{Code: 20, Name: "respond_invite", Group: GroupInvite, Page: PageSignatureEnterprise, Auth: AuthSignature, Enterprise: true, Mode: ModeWrite, Since: 2, Built: true,
		Challenge: "respond_invite:{node_id}:{network_id}", Signer: "node_id", Events: []string{EventInviteResponded}, newBody: body[RespondInvite](), newReply: reply[RespondInviteReply](),
		Doc: "accept or reject an invite"},
	{Code: 21, Name: "kick_member", Group: GroupMember, Page: PageSignatureEnterprise, Auth: AuthRole, Roles: rolesAdmin, Enterprise: true, Mode: ModeWrite, Since: 2, Built: true,
		Challenge: "kick_member:{node_id}:{network_id}:{target_node_id}", Signer: "node_id", Events: []string{EventMemberKicked}, newBody: body[KickMember](), newReply: reply[KickMemberReply](),
		Doc: "remove a member"},
	{Code: 22, Name: "promote_member", Group: GroupMember, Page: PageSignatureEnterprise, Auth: AuthRole, Roles: rolesOwner, Enterprise: true, Mode: ModeWrite, Since: 2, Built: true,
		Challenge: "promote_member:{node_id}:{network_id}:{target_node_id}", Signer: "node_id", Events: []string{EventMemberPromoted}, newBody: body[PromoteMember](), newReply: reply[MemberRoleReply](),
		Doc: "make a member an admin"},
	{Code: 23, Name: "demote_member", Group: GroupMember, Page: PageSignatureEnterprise, Auth: AuthRole, Roles: rolesOwner, Enterprise: true, Mode: ModeWrite, Since: 2, Built: true,
		Challenge: "demote_member:{node_id}:{network_id}:{target_node_id}", Signer: "node_id", Events: []string{EventMemberDemoted}, newBody: body[DemoteMember](), newReply: reply[MemberRoleReply](),
		Doc: "make an admin a member"},
	{Code: 24, Name: "transfer_ownership", Group: GroupMember, Page: PageSignatureEnterprise, Auth: AuthRole, Roles: rolesOwner, Enterprise: true, Mode: ModeWrite, Since: 2, Built: true,
		Challenge: "transfer_ownership:{node_id}:{network_id}:{new_owner_id}", Signer: "node_id", Events: []string{EventOwnershipTransferred}, newBody: body[TransferOwnership](), newReply: reply[TransferOwnershipReply](),
		Doc: "hand a network to another member"},
	{Code: 25, Name: "set_network_policy", Group: GroupPolicy, Page: PageSignatureEnterprise, Auth: AuthRole, Roles: rolesAdmin, Enterprise: true, Mode: ModeWrite, Since: 2, Built: true,
		Challenge: "set_network_policy:{node_id}:{network_id}:{policy_sha256}", Signer: "node_id", Events: []string{EventPolicyChanged}, newBody: body[SetNetworkPolicy](), newReply: reply[NetworkPolicyReply](),
		Doc: "change a network's policy"},
	{Code: 26, Name: "set_key_expiry", Group: GroupKey, Page: PageSignatureEnterprise, Auth: AuthSignatureOrAdmin, Enterprise: true, Mode: ModeWrite, Since: 1, Built: true,
		Challenge: "set_key_expiry:{node_id}", Signer: "node_id", Events: []string{EventKeyExpirySet, EventKeyExpiryCleared},
		newBody: body[SetKeyExpiry](), newReply: reply[SetKeyExpiryReply](), Doc: "set or clear the day a node's key expires"},

	// Signature or admin token.
	{Code: 27, Name: "join_network", Group: GroupNetwork, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite, Since: 1, Built: true,
		Challenge: "join_network:{node_id}:{network_id}", Signer: "node_id", Events: []string{EventNetworkJoined},
		newBody: body[JoinNetwork](), newReply: reply[JoinNetworkReply](), Doc: "join a network"},
	{Code: 28, Name: "leave_network", Group: GroupNetwork, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite, Since: 1, Built: true,
		Challenge: "leave_network:{node_id}:{network_id}", Signer: "node_id", Events: []string{EventNetworkLeft},
		newBody: body[LeaveNetwork](), newReply: reply[LeaveNetworkReply](), Doc: "leave a network"},
	{Code: 29, Name: "delete_network", Group: GroupNetwork, Page: PageSignatureOrAdmin, Auth: AuthRole, Roles: rolesOwner, Mode: ModeWrite, Since: 2, Built: true,
		Challenge: "delete_network:{node_id}:{network_id}", Signer: "node_id", Events: []string{EventNetworkDeleted}, newBody: body[DeleteNetwork](), newReply: reply[DeleteNetworkReply](),
		Doc: "delete a network"},
	{Code: 30, Name: "rename_network", Group: GroupNetwork, Page: PageSignatureOrAdmin, Auth: AuthRole, Roles: rolesAdmin, Mode: ModeWrite, Since: 2, Built: true,
		Challenge: "rename_network:{node_id}:{network_id}:{name}", Signer: "node_id", Events: []string{EventNetworkRenamed}, newBody: body[RenameNetwork](), newReply: reply[RenameNetworkReply](),
		Doc: "rename a network"},
	{Code: 31, Name: "resolve", Group: GroupNode, Page: PageSignatureOrAdmin, Auth: AuthSignature, Mode: ModeRead, Rate: RateResolve, Since: 1, Built: true,
		Challenge: "resolve:{requester_id}:{node_id}", Signer: "requester_id", newBody: body[Resolve](), newReply: reply[ResolveReply](),
		Doc: "ask for a node's endpoints"},
	{Code: 32, Name: "deregister", Group: GroupNode, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite, Since: 1, Built: true,
		Challenge: "deregister:{node_id}", Signer: "node_id", Events: []string{EventNodeDeregistered, EventOwnerLost, EventOwnershipTransferred},
		newBody: body[NodeRequest](), newReply: reply[EmptyReply](), Doc: "take a node out of the registry"},
	{Code: 33, Name: "set_visibility", Group: GroupNode, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite, Since: 1, Built: true,
		Challenge: "set_visibility:{node_id}", Signer: "node_id", Events: []string{EventVisibilityChanged},
		newBody: body[SetVisibility](), newReply: reply[SetVisibilityReply](), Doc: "make a node public or private"},
	{Code: 34, Name: "set_hostname", Group: GroupNode, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite, Since: 1, Built: true,
		Challenge: "set_hostname:{node_id}", Signer: "node_id", Events: []string{EventHostnameChanged},
		newBody: body[SetHostname](), newReply: reply[SetHostnameReply](), Doc: "set or clear a node's hostname"},
	{Code: 35, Name: "set_tags", Group: GroupNode, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite, Since: 1, Built: true,
		Challenge: "set_tags:{node_id}", Signer: "node_id", Events: []string{EventTagsChanged},
		newBody: body[SetTags](), newReply: reply[SetTagsReply](), Doc: "replace a node's tags"},
	{Code: 36, Name: "set_task_exec", Group: GroupNode, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite, Since: 1, Built: true,
		Challenge: "set_task_exec:{node_id}", Signer: "node_id", Events: []string{EventTaskExecChanged},
		newBody: body[SetTaskExec](), newReply: reply[SetTaskExecReply](), Doc: "say whether a node executes tasks"},

	// Signature.
	{Code: 37, Name: "report_trust", Group: GroupTrust, Page: PageSignature, Auth: AuthSignature, Mode: ModeWrite, Since: 1, Built: true,
		Challenge: "report_trust:{node_id}:{peer_id}", Signer: "node_id", Events: []string{EventTrustCreated},
		newBody: body[Trust](), newReply: reply[EmptyReply](), Doc: "make a pair of nodes trust each other"},
	{Code: 38, Name: "revoke_trust", Group: GroupTrust, Page: PageSignature, Auth: AuthSignature, Mode: ModeWrite, Since: 1, Built: true,
		Challenge: "revoke_trust:{node_id}:{peer_id}", Signer: "node_id", Events: []string{EventTrustRevoked},
		newBody: body[Trust](), newReply: reply[EmptyReply](), Doc: "end the trust between a pair of nodes"},
	{Code: 39, Name: "request_handshake", Group: GroupHandshake, Page: PageSignature, Auth: AuthSignature, Mode: ModeWrite, Since: 1, Built: true,
		Challenge: "handshake:{from_node_id}:{to_node_id}", Signer: "from_node_id", Events: []string{EventHandshakeRelayed},
		newBody: body[RequestHandshake](), newReply: reply[RequestHandshakeReply](), Doc: "ask another node for trust"},
	{Code: 40, Name: "poll_handshakes", Group: GroupHandshake, Page: PageSignature, Auth: AuthSignature, Mode: ModeReadThenWrite, Since: 1, Built: true,
		Challenge: "poll_handshakes:{node_id}", Signer: "node_id", newBody: body[PollHandshakes](), newReply: reply[PollHandshakesReply](),
		Doc: "take the waiting handshake requests and responses"},
	{Code: 41, Name: "respond_handshake", Group: GroupHandshake, Page: PageSignature, Auth: AuthSignature, Mode: ModeWrite, Since: 1, Built: true,
		Challenge: "respond:{node_id}:{peer_id}", Signer: "node_id", Events: []string{EventHandshakeResponded},
		newBody: body[RespondHandshake](), newReply: reply[RespondHandshakeReply](), Doc: "accept or reject a handshake request"},
	{Code: 42, Name: "heartbeat", Group: GroupNode, Page: PageSignature, Auth: AuthSignature, Mode: ModeWrite, Rate: RateHeartbeat, Soft: true, Since: 1, Built: true,
		Challenge: "heartbeat:{node_id}", Signer: "node_id", Events: []string{EventHeartbeatBlocked},
		newBody: body[NodeRequest](), newReply: reply[HeartbeatReply](), Doc: "say that a node is alive"},
	{Code: 43, Name: "punch", Group: GroupNode, Page: PageSignature, Auth: AuthSignature, Mode: ModeRead, Since: 1, Built: true,
		Challenge: "punch:{node_a}:{node_b}", Signer: "requester_id", newBody: body[Punch](), newReply: reply[PunchReply](),
		Doc: "ask for the endpoints of two nodes that want to meet"},
	{Code: 44, Name: "rotate_key", Group: GroupKey, Page: PageSignature, Auth: AuthSignature, Mode: ModeWrite, Since: 1, Built: true,
		Challenge: "rotate:{node_id}", Signer: "node_id", Events: []string{EventKeyRotated},
		newBody: body[RotateKey](), newReply: reply[RotateKeyReply](), Doc: "replace a node's key"},

	// Open.
	{Code: 45, Name: "register", Group: GroupNode, Page: PageOpen, Auth: AuthOpen, Mode: ModeWrite, Rate: RateRegistration, Since: 1, Built: true,
		Challenge: "register:{listen_addr}:{public_key}", Signer: "public_key", Events: []string{EventNodeRegistered, EventNodeReRegistered, EventOwnerLost, EventOwnershipTransferred},
		newBody: body[Register](), newReply: reply[RegisterReply](), Doc: "register a public key and an endpoint"},
	{Code: 46, Name: "lookup", Group: GroupNode, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Rate: RateQuery, Since: 1, Built: true,
		newBody: body[NodeRequest](), newReply: reply[LookupReply](), Doc: "look up a node by id"},
	{Code: 47, Name: "list_networks", Group: GroupNetwork, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Lists: true, Since: 1, Built: true,
		newBody: body[ListNetworks](), newReply: reply[ListNetworksReply](), Doc: "list all networks"},
	{Code: 48, Name: "list_nodes", Group: GroupNode, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Rate: RateQuery, Lists: true, Since: 1, Built: true,
		newBody: body[ListNodes](), newReply: reply[ListNodesReply](), Doc: "list a network's members, or all nodes with the admin token"},
	{Code: 49, Name: "check_trust", Group: GroupTrust, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Since: 1, Built: true,
		newBody: body[Trust](), newReply: reply[CheckTrustReply](), Doc: "ask whether two nodes trust each other"},
	{Code: 50, Name: "resolve_hostname", Group: GroupNode, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Rate: RateQuery, Since: 1, Built: true,
		newBody: body[ResolveHostname](), newReply: reply[ResolveHostnameReply](), Doc: "find a node by hostname"},
	{Code: 51, Name: "beacon_register", Group: GroupBeacon, Page: PageOpen, Auth: AuthOpen, Mode: ModeWrite, Soft: true, Since: 1, Built: true,
		Events: []string{EventBeaconRegistered}, newBody: body[BeaconRegister](), newReply: reply[BeaconRegisterReply](), Doc: "announce a beacon"},
	{Code: 52, Name: "beacon_list", Group: GroupBeacon, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Since: 1, Built: true,
		newBody: body[BeaconList](), newReply: reply[BeaconListReply](), Doc: "list the live beacons"},
	{Code: 53, Name: "get_member_role", Group: GroupMember, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Since: 1, Built: true,
		newBody: body[GetMemberRole](), newReply: reply[GetMemberRoleReply](), Doc: "show a member's role"},
	{Code: 54, Name: "get_network_policy", Group: GroupPolicy, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Since: 2, Built: true, newBody: body[NetworkRequest](), newReply: reply[NetworkPolicyReply](),
		Doc: "show a network's policy"},
	{Code: 55, Name: "get_key_info", Group: GroupKey, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Since: 1, Built: true,
		newBody: body[NodeRequest](), newReply: reply[GetKeyInfoReply](), Doc: "show the age and expiry of a node's key"},
	{Code: 56, Name: "poll_invites", Group: GroupInvite, Page: PageOpen, Auth: AuthSignature, Mode: ModeRead, Since: 2, Built: true,
		Challenge: "poll_invites:{node_id}", Signer: "node_id", newBody: body[NodeRequest](), newReply: reply[PollInvitesReply](),
		Doc: "list a node's pending invites"},
	{Code: 57, Name: "update_polo_score", Group: GroupPolo, Page: PageOpen, Auth: AuthOpen, Mode: ModeWrite, Since: 1, Built: true,
		Events: []string{EventPoloUpdated}, newBody: body[UpdatePoloScore](), newReply: reply[PoloScoreReply](), Doc: "add to a node's polo score"},
	{Code: 58, Name: "set_polo_score", Group: GroupPolo, Page: PageOpen, Auth: AuthOpen, Mode: ModeWrite, Since: 1, Built: true,
		Events: []string{EventPoloSet}, newBody: body[SetPoloScore](), newReply: reply[PoloScoreReply](), Doc: "set a node's polo score"},
	{Code: 59, Name: "get_polo_score", Group: GroupPolo, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Since: 1, Built: true,
		newBody: body[NodeRequest](), newReply: reply[PoloScoreReply](), Doc: "show a node's polo score"},

	// Replication.
	{Code: 60, Name: "subscribe_replication", Group: GroupReplication, Page: PageReplication, Auth: AuthReplication, Mode: ModeStream, Since: 1, Built: true,
		newBody: body[SubscribeReplication](), Doc: "stream the registry's state"},

	// Our own.
	{Code: 61, Name: "cluster_status", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeLocal, Since: 1, Built: true,
		newBody: body[ClusterQuery](), newReply: reply[ClusterStatusReply](), Doc: "show what the asked member knows of the cluster"},
	{Code: 62, Name: "cluster_members", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeLocal, Since: 1, Built: true,
		newBody: body[ClusterQuery](), newReply: reply[ClusterMembersReply](), Doc: "list the members of the cluster"},
	{Code: 63, Name: "cluster_transfer_leadership", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeCluster, Since: 1, Built: true,
		newBody: body[ClusterTarget](), newReply: reply[ClusterChangeReply](), Doc: "hand leadership to another voter"},
	{Code: 64, Name: "cluster_join_token", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeCluster, Since: 1, Built: true,
		newBody: body[ClusterJoinToken](), newReply: reply[ClusterJoinTokenReply](), Doc: "mint a token that lets one new member in"},
	{Code: 65, Name: "cluster_promote", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeCluster, Since: 1, Built: true,
		newBody: body[ClusterTarget](), newReply: reply[ClusterChangeReply](), Doc: "make a non-voting member a voter"},
	{Code: 66, Name: "cluster_remove", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeCluster, Since: 1, Built: true,
		newBody: body[ClusterTarget](), newReply: reply[ClusterChangeReply](), Doc: "remove a member from the cluster"},
}
