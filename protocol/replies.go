// SPDX-License-Identifier: Apache-2.0

package protocol

import "encoding/json"

// Replies, one type per command. Fields stand in alphabetical order of their
// wire names, as replies on the wire do. Times are Unix seconds or RFC 3339
// strings in UTC with second resolution, as each field says.

// RegisterReply answers register.
type RegisterReply struct {
	Address         string `json:"address"`
	ExternalID      string `json:"external_id,omitempty"`
	Hostname        string `json:"hostname,omitempty"`
	HostnameError   string `json:"hostname_error,omitempty"`
	NetworkID       uint16 `json:"network_id"`
	NodeID          uint32 `json:"node_id"`
	ObservedAddr    string `json:"observed_addr"`
	ProtocolVersion int    `json:"protocol_version"`
	PublicKey       string `json:"public_key"`
	Type            string `json:"type"`
}

// RotateKeyReply answers rotate_key.
type RotateKeyReply struct {
	Address   string `json:"address"`
	NodeID    uint32 `json:"node_id"`
	PublicKey string `json:"public_key"`
	Type      string `json:"type"`
}

// EmptyReply answers commands that say nothing but their type.
type EmptyReply struct {
	Type string `json:"type"`
}

// LookupReply answers lookup. RealAddr and Endpoint, which is the same, are
// present only for public nodes. VerifiedAt is RFC 3339 in UTC.
type LookupReply struct {
	LookupNext
	Address              string   `json:"address"`
	Badge                string   `json:"badge,omitempty"`
	BadgeSig             string   `json:"badge_sig,omitempty"`
	Endpoint             string   `json:"endpoint,omitempty"`
	ExternalID           string   `json:"external_id,omitempty"`
	Hostname             string   `json:"hostname,omitempty"`
	KeyGeneration        int64    `json:"key_generation"`
	LastSeenUnix         int64    `json:"last_seen_unix"`
	Networks             []uint16 `json:"networks"`
	NodeID               uint32   `json:"node_id"`
	PoloScore            int64    `json:"polo_score"`
	Public               bool     `json:"public"`
	PublicKey            string   `json:"public_key"`
	RealAddr             string   `json:"real_addr,omitempty"`
	RelayOnly            bool     `json:"relay_only,omitempty"`
	Tags                 []string `json:"tags,omitempty"`
	TaskExec             bool     `json:"task_exec,omitempty"`
	Type                 string   `json:"type"`
	VerificationProvider string   `json:"verification_provider,omitempty"`
	Verified             bool     `json:"verified,omitempty"`
	VerifiedAt           string   `json:"verified_at,omitempty"`
	Version              string   `json:"version,omitempty"`
}

// ResolveReply answers resolve. KeyAgeDays is nil when the age is unknown.
type ResolveReply struct {
	KeyAgeDays *int64   `json:"key_age_days,omitempty"`
	LANAddrs   []string `json:"lan_addrs,omitempty"`
	NodeID     uint32   `json:"node_id"`
	RealAddr   string   `json:"real_addr"`
	RelayOnly  bool     `json:"relay_only,omitempty"`
	Type       string   `json:"type"`
}

// ListedNode is an entry of list_nodes. A member that is not live has only
// address, node_id, offline and role.
type ListedNode struct {
	Address              string   `json:"address"`
	Badge                string   `json:"badge,omitempty"`
	BadgeSig             string   `json:"badge_sig,omitempty"`
	ExternalID           string   `json:"external_id,omitempty"`
	Hostname             string   `json:"hostname,omitempty"`
	LastSeen             string   `json:"last_seen,omitempty"`
	MemberTags           []string `json:"member_tags,omitempty"`
	NodeID               uint32   `json:"node_id"`
	Offline              bool     `json:"offline,omitempty"`
	PoloScore            *int64   `json:"polo_score,omitempty"`
	Public               *bool    `json:"public,omitempty"`
	RealAddr             string   `json:"real_addr,omitempty"`
	Role                 string   `json:"role,omitempty"`
	Tags                 []string `json:"tags,omitempty"`
	TaskExec             bool     `json:"task_exec,omitempty"`
	VerificationProvider string   `json:"verification_provider,omitempty"`
	Verified             bool     `json:"verified,omitempty"`
	VerifiedAt           string   `json:"verified_at,omitempty"`
	Version              string   `json:"version,omitempty"`
}

// ListNodesReply answers list_nodes. NextCursor is set when a limit was asked
// for and more nodes follow.
type ListNodesReply struct {
	NextCursor string       `json:"next_cursor,omitempty"`
	Nodes      []ListedNode `json:"nodes"`
	Type       string       `json:"type"`
}

// HeartbeatReply answers heartbeat. Time is in Unix seconds.
type HeartbeatReply struct {
	KeyExpiryWarning bool   `json:"key_expiry_warning,omitempty"`
	Time             int64  `json:"time"`
	Type             string `json:"type"`
}

// PunchReply answers punch.
type PunchReply struct {
	NodeA     uint32 `json:"node_a"`
	NodeAAddr string `json:"node_a_addr"`
	NodeB     uint32 `json:"node_b"`
	NodeBAddr string `json:"node_b_addr"`
	Type      string `json:"type"`
}

// SetHostnameReply answers set_hostname.
type SetHostnameReply struct {
	Hostname string `json:"hostname"`
	NodeID   uint32 `json:"node_id"`
	Type     string `json:"type"`
}

// ResolveHostnameReply answers resolve_hostname.
type ResolveHostnameReply struct {
	Address      string `json:"address"`
	Hostname     string `json:"hostname"`
	LastSeenUnix int64  `json:"last_seen_unix"`
	NodeID       uint32 `json:"node_id"`
	Public       bool   `json:"public"`
	Type         string `json:"type"`
}

// SetTagsReply answers set_tags; Tags is null when none are left.
type SetTagsReply struct {
	NodeID uint32   `json:"node_id"`
	Tags   []string `json:"tags"`
	Type   string   `json:"type"`
}

// SetTaskExecReply answers set_task_exec.
type SetTaskExecReply struct {
	NodeID   uint32 `json:"node_id"`
	TaskExec bool   `json:"task_exec"`
	Type     string `json:"type"`
}

// SetSignedRegisterReply answers set_signed_register.
type SetSignedRegisterReply struct {
	NodeID   uint32 `json:"node_id"`
	Required bool   `json:"require_signed_register"`
	Type     string `json:"type"`
}

// SetVisibilityReply answers set_visibility; Visibility is public or private.
type SetVisibilityReply struct {
	NodeID     uint32 `json:"node_id"`
	Type       string `json:"type"`
	Visibility string `json:"visibility"`
}

// CheckTrustReply answers check_trust.
type CheckTrustReply struct {
	Trusted bool   `json:"trusted"`
	Type    string `json:"type"`
}

// RequestHandshakeReply answers request_handshake.
type RequestHandshakeReply struct {
	Status string `json:"status"`
	Type   string `json:"type"`
}

// HandshakeRequest is a request waiting in an inbox. Timestamp is in Unix seconds.
type HandshakeRequest struct {
	FromNodeID    uint32 `json:"from_node_id"`
	Justification string `json:"justification"`
	Timestamp     int64  `json:"timestamp"`
}

// HandshakeResponse is an answer waiting for its reader. Timestamp is in Unix seconds.
type HandshakeResponse struct {
	Accept     bool   `json:"accept"`
	FromNodeID uint32 `json:"from_node_id"`
	Timestamp  int64  `json:"timestamp"`
}

// PollHandshakesReply answers poll_handshakes; both lists are oldest first
// and never null. More says that entries were left for the next poll.
type PollHandshakesReply struct {
	More      bool                `json:"more,omitempty"`
	Requests  []HandshakeRequest  `json:"requests"`
	Responses []HandshakeResponse `json:"responses"`
	Type      string              `json:"type"`
}

// RespondHandshakeReply answers respond_handshake.
type RespondHandshakeReply struct {
	Accept bool   `json:"accept"`
	PeerID uint32 `json:"peer_id"`
	Type   string `json:"type"`
}

// PoloScoreReply answers update_, set_ and get_polo_score.
type PoloScoreReply struct {
	Address   string `json:"address"`
	NodeID    uint32 `json:"node_id"`
	PoloScore int64  `json:"polo_score"`
	Type      string `json:"type"`
}

// BeaconRegisterReply answers beacon_register.
type BeaconRegisterReply struct {
	BeaconID uint32 `json:"beacon_id"`
	Type     string `json:"type"`
}

// Beacon is an entry of beacon_list.
type Beacon struct {
	Addr string `json:"addr"`
	ID   uint32 `json:"id"`
}

// BeaconListReply answers beacon_list, ascending by id.
type BeaconListReply struct {
	Beacons []Beacon `json:"beacons"`
	Type    string   `json:"type"`
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

// CreateNetworkReply answers create_network.
type CreateNetworkReply struct {
	Enterprise bool   `json:"enterprise"`
	Managed    bool   `json:"managed,omitempty"`
	Name       string `json:"name"`
	NetworkID  uint16 `json:"network_id"`
	Type       string `json:"type"`
}

// JoinNetworkReply answers join_network. PreAssignedRole is set when the
// network has a role waiting for the node's external id, and Role is then the
// role it got: admin instead of owner when the network has an owner.
//
// ExprPolicy and Rules are what the network has of them. They are added by the
// member that answers, from its state: remembered replies are without them.
type JoinNetworkReply struct {
	Address         string          `json:"address"`
	ExprPolicy      json.RawMessage `json:"expr_policy,omitempty"`
	NetworkID       uint16          `json:"network_id"`
	PreAssignedRole string          `json:"pre_assigned_role,omitempty"`
	Role            string          `json:"role,omitempty"`
	Rules           *NetworkRules   `json:"rules,omitempty"`
	Type            string          `json:"type"`
}

// ListedNetwork is an entry of list_networks. Created is in Unix seconds,
// Members a count.
type ListedNetwork struct {
	Created     int64  `json:"created"`
	Description string `json:"description,omitempty"`
	Enterprise  bool   `json:"enterprise"`
	// HasExprPolicy says to ask with get_expr_policy.
	HasExprPolicy bool          `json:"has_expr_policy,omitempty"`
	ID            uint16        `json:"id"`
	JoinRule      string        `json:"join_rule"`
	Managed       bool          `json:"managed,omitempty"`
	MaxMembers    int64         `json:"max_members,omitempty"`
	Members       int           `json:"members"`
	Name          string        `json:"name"`
	Rules         *NetworkRules `json:"rules,omitempty"`
}

// ListNetworksReply answers list_networks, ascending by id.
type ListNetworksReply struct {
	Networks   []ListedNetwork `json:"networks"`
	NextCursor string          `json:"next_cursor,omitempty"`
	Type       string          `json:"type"`
}

// GetMemberRoleReply answers get_member_role.
type GetMemberRoleReply struct {
	NetworkID    uint16 `json:"network_id"`
	Role         string `json:"role"`
	TargetNodeID uint32 `json:"target_node_id"`
	Type         string `json:"type"`
}

// ClusterMember is an entry of cluster_members.
type ClusterMember struct {
	Address       string `json:"address"`
	AppliedIndex  uint64 `json:"applied_index,omitempty"`
	ID            string `json:"id"`
	LastContactMS *int64 `json:"last_contact_ms,omitempty"`
	LevelMax      uint32 `json:"level_max,omitempty"`
	LevelMin      uint32 `json:"level_min,omitempty"`
	// LogTimeOffsetMS is set for the leader: log time minus the median of the voters' clocks.
	LogTimeOffsetMS *int64 `json:"log_time_offset_ms,omitempty"`
	Problem         string `json:"problem,omitempty"`
	Reachable       bool   `json:"reachable"`
	Role            string `json:"role"`
	Suffrage        string `json:"suffrage"`
	Version         string `json:"version,omitempty"`
	Wire            string `json:"wire,omitempty"`
}

// ClusterMembersReply answers cluster_members. Role is leader or follower,
// Suffrage voter or nonvoter.
type ClusterMembersReply struct {
	Members []ClusterMember `json:"members"`
	Type    string          `json:"type"`
}

// ClusterStatusReply answers cluster_status from the local state of the
// member that was asked; it works without a quorum.
type ClusterStatusReply struct {
	AppliedIndex uint64 `json:"applied_index"`
	ClusterID    string `json:"cluster_id"`
	CommitIndex  uint64 `json:"commit_index"`
	Digest       string `json:"digest"`
	FeatureLevel uint32 `json:"feature_level"`
	LastLogIndex uint64 `json:"last_log_index"`
	LeaderID     string `json:"leader_id,omitempty"`
	LogTime      string `json:"log_time"`
	// LogTimeOffsetMS is log time minus the median of the voters' clocks, as
	// the leader says; absent when no leader answers.
	LogTimeOffsetMS *int64          `json:"log_time_offset_ms,omitempty"`
	MemberID        string          `json:"member_id"`
	Members         []ClusterMember `json:"members"`
	Next            string          `json:"next,omitempty"`
	// NextSteps are what to do about each of the problems; Next is the first.
	NextSteps []string `json:"next_steps,omitempty"`
	Nodes     int      `json:"nodes"`
	Problems  []string `json:"problems,omitempty"`
	Ready     bool     `json:"ready"`
	State     string   `json:"state"`
	Term      uint64   `json:"term"`
	Type      string   `json:"type"`
	Version   string   `json:"version"`
}

// ClusterJoinTokenReply answers cluster_join_token. Name is the token's name,
// by which it can be revoked; it is no secret.
type ClusterJoinTokenReply struct {
	ExpiresAt string `json:"expires_at"`
	JoinToken string `json:"join_token"`
	Name      string `json:"name"`
	Type      string `json:"type"`
}

// JoinTokenInfo is what is told of a join token. UsedBy is the member that has
// used it and not announced itself yet.
type JoinTokenInfo struct {
	ExpiresAt string `json:"expires_at"`
	Name      string `json:"name"`
	NonVoter  bool   `json:"nonvoter"`
	UsedBy    string `json:"used_by,omitempty"`
}

// ClusterJoinTokenListReply answers cluster_join_token_list, by name.
type ClusterJoinTokenListReply struct {
	JoinTokens []JoinTokenInfo `json:"join_tokens"`
	Type       string          `json:"type"`
}

// ClusterJoinTokenRevokeReply answers cluster_join_token_revoke.
type ClusterJoinTokenRevokeReply struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// ClusterChangeReply answers commands that change leadership or membership.
type ClusterChangeReply struct {
	LeaderID string `json:"leader_id,omitempty"`
	MemberID string `json:"member_id,omitempty"`
	Type     string `json:"type"`
}
