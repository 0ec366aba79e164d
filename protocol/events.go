// SPDX-License-Identifier: Apache-2.0

package protocol

// EventClass is a retention class of the event log. Each class has its own
// hash chain and its own bounds, so that cheap commands cannot flush security events.
type EventClass uint8

// Event classes; the numbers are kept in the log.
const (
	ClassSecurity EventClass = 1
	ClassActivity EventClass = 2
)

// String names the class.
func (c EventClass) String() string {
	switch c {
	case ClassSecurity:
		return "security"
	case ClassActivity:
		return "activity"
	}
	return "unknown"
}

// Audit actions.
const (
	EventNodeRegistered        = "node.registered"
	EventNodeReRegistered      = "node.re_registered"
	EventNodeDeregistered      = "node.deregistered"
	EventNodeReaped            = "node.reaped"
	EventNodeReleased          = "node.released"
	EventNetworkCreated        = "network.created"
	EventNetworkProvisioned    = "network.provisioned"
	EventNetworkJoined         = "network.joined"
	EventNetworkLeft           = "network.left"
	EventNetworkDeleted        = "network.deleted"
	EventNetworkRenamed        = "network.renamed"
	EventNetworkEnterprise     = "network.enterprise_changed"
	EventOwnershipTransferred  = "network.ownership_transferred"
	EventOwnerLost             = "network.owner_lost"
	EventPolicyChanged         = "network.policy_changed"
	EventMemberPromoted        = "member.promoted"
	EventMemberDemoted         = "member.demoted"
	EventMemberKicked          = "member.kicked"
	EventMemberExpiring        = "member.expiring"
	EventMemberExpired         = "member.expired"
	EventRoleExpiring          = "member.role_expiring"
	EventRoleExpired           = "member.role_expired"
	EventRatchetRejected       = "node.register_ratchet_rejected"
	EventBadgeSubmitted        = "identity.badge_submitted"
	EventRecoveryEnrolled      = "identity.recovery_enrolled"
	EventNodeRecovered         = "node.recovered"
	EventExprPolicySet         = "network.expr_policy_set"
	EventExprPolicyCleared     = "network.expr_policy_cleared"
	EventMemberTagsChanged     = "member_tags.changed"
	EventInviteCreated         = "invite.created"
	EventInviteResponded       = "invite.responded"
	EventInviteExpired         = "invite.expired_cleanup"
	EventTrustCreated          = "trust.created"
	EventTrustRevoked          = "trust.revoked"
	EventTrustOffered          = "trust.offered"
	EventSettingChanged        = "setting.changed"
	EventHandshakeRelayed      = "handshake.relayed"
	EventHandshakeResponded    = "handshake.responded"
	EventVisibilityChanged     = "visibility.changed"
	EventHostnameChanged       = "hostname.changed"
	EventTagsChanged           = "tags.changed"
	EventTaskExecChanged       = "task_exec.changed"
	EventSignedRegister        = "node.signed_register_changed"
	EventKeyRotated            = "key.rotated"
	EventKeyExpirySet          = "key.expiry_set"
	EventKeyExpiryCleared      = "key.expiry_cleared"
	EventKeyExpiring           = "key.expiring"
	EventHeartbeatBlocked      = "key.expired_heartbeat_blocked"
	EventPoloUpdated           = "polo_score.updated"
	EventPoloSet               = "polo_score.set"
	EventExternalIDSet         = "identity.external_id_set"
	EventPersonForgotten       = "person.forgotten"
	EventIDPConfigured         = "idp.configured"
	EventAuditExportConfigured = "audit_export.configured"
	EventDirectorySynced       = "directory.synced"
	EventBeaconRegistered      = "beacon.registered"
	EventClusterTokenSeeded    = "cluster.token_seeded"
	EventClusterTokenRevoked   = "cluster.token_revoked"
	EventMemberJoined          = "cluster.member_joined"
	EventClusterMemberPromoted = "cluster.member_promoted"
	EventMemberRemoved         = "cluster.member_removed"
	EventFeatureLevelRaised    = "cluster.feature_level_raised"
	EventLeadershipTransferred = "cluster.leadership_transferred"
	EventKeyringRotated        = "cluster.keyring_rotated"
	EventClusterRestored       = "cluster.restored"
	EventClusterImported       = "cluster.imported"
	EventClusterRecovered      = "cluster.recovered"
	EventAuditNote             = "audit.note"
	EventWebhookConfigured     = "webhook.configured"
	EventIdentityWebhook       = "identity_webhook.configured"
	EventIDPKeysChanged        = "idp.keys_changed"
	EventSinkConfigured        = "audit_sink.configured"
	EventSinkDeleted           = "audit_sink.deleted"
	EventAuditReplayed         = "audit.replayed"
	EventAuditGap              = "audit.gap"
	EventDLQRetried            = "dlq.retried"
	EventDLQDropped            = "dlq.dropped"
)

// Events is the one list of audit actions and their retention classes.
var Events = map[string]EventClass{
	EventNodeRegistered: ClassActivity, EventNodeReRegistered: ClassActivity, EventNodeDeregistered: ClassSecurity,
	EventNodeReaped: ClassActivity, EventNodeReleased: ClassActivity, EventSignedRegister: ClassSecurity,
	EventNetworkCreated: ClassSecurity, EventNetworkProvisioned: ClassSecurity, EventNetworkJoined: ClassSecurity, EventNetworkLeft: ClassSecurity,
	EventNetworkDeleted: ClassSecurity, EventNetworkRenamed: ClassSecurity, EventNetworkEnterprise: ClassSecurity,
	EventOwnershipTransferred: ClassSecurity, EventOwnerLost: ClassSecurity, EventPolicyChanged: ClassSecurity,
	EventMemberPromoted: ClassSecurity, EventMemberDemoted: ClassSecurity, EventMemberKicked: ClassSecurity,
	EventMemberExpiring: ClassSecurity, EventMemberExpired: ClassSecurity, EventRoleExpiring: ClassSecurity, EventRoleExpired: ClassSecurity,
	EventRatchetRejected: ClassSecurity, EventBadgeSubmitted: ClassSecurity, EventRecoveryEnrolled: ClassSecurity, EventNodeRecovered: ClassSecurity,
	EventMemberTagsChanged: ClassSecurity, EventExprPolicySet: ClassSecurity, EventExprPolicyCleared: ClassSecurity,
	EventInviteCreated: ClassSecurity, EventInviteResponded: ClassSecurity, EventInviteExpired: ClassActivity,
	EventTrustCreated: ClassSecurity, EventTrustRevoked: ClassSecurity,
	EventTrustOffered: ClassActivity, EventSettingChanged: ClassSecurity,
	EventHandshakeRelayed: ClassActivity, EventHandshakeResponded: ClassActivity,
	EventVisibilityChanged: ClassActivity, EventHostnameChanged: ClassActivity, EventTagsChanged: ClassActivity, EventTaskExecChanged: ClassActivity,
	EventKeyRotated: ClassSecurity, EventKeyExpirySet: ClassSecurity, EventKeyExpiryCleared: ClassSecurity, EventHeartbeatBlocked: ClassActivity,
	EventKeyExpiring: ClassSecurity,
	EventPoloUpdated: ClassActivity, EventPoloSet: ClassActivity,
	EventExternalIDSet: ClassSecurity, EventPersonForgotten: ClassSecurity, EventIDPConfigured: ClassSecurity, EventAuditExportConfigured: ClassSecurity,
	EventDirectorySynced: ClassSecurity, EventBeaconRegistered: ClassActivity,
	EventClusterTokenSeeded: ClassSecurity, EventClusterTokenRevoked: ClassSecurity, EventMemberJoined: ClassSecurity, EventClusterMemberPromoted: ClassSecurity, EventMemberRemoved: ClassSecurity,
	EventFeatureLevelRaised: ClassSecurity, EventLeadershipTransferred: ClassSecurity, EventKeyringRotated: ClassSecurity,
	EventClusterRestored: ClassSecurity, EventClusterImported: ClassSecurity, EventClusterRecovered: ClassSecurity,
	EventAuditNote:         ClassSecurity,
	EventWebhookConfigured: ClassSecurity, EventIdentityWebhook: ClassSecurity, EventIDPKeysChanged: ClassSecurity,
	EventSinkConfigured: ClassSecurity, EventSinkDeleted: ClassSecurity, EventAuditReplayed: ClassSecurity, EventAuditGap: ClassSecurity,
	EventDLQRetried: ClassSecurity, EventDLQDropped: ClassSecurity,
}
