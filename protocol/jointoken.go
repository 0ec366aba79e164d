// SPDX-License-Identifier: Apache-2.0

package protocol

// joinTokenCommands are the rows of commands.go about this subject.
var joinTokenCommands = []Command{
	{Code: 64, Name: "cluster_join_token", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeCluster,
		newBody: body[ClusterJoinToken](), newReply: reply[ClusterJoinTokenReply](), Doc: "mint a token that lets one new member in"},
	{Code: 110, Name: "cluster_join_token_list", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeRead,
		newBody: body[ClusterQuery](), newReply: reply[ClusterJoinTokenListReply](), Doc: "list the join tokens that are still good"},
	{Code: 111, Name: "cluster_join_token_revoke", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeWrite, Events: []string{EventClusterTokenRevoked},
		newBody: body[ClusterJoinTokenName](), newReply: reply[ClusterJoinTokenRevokeReply](), Doc: "make a join token void"},
}

// ClusterJoinTokenName names a join token.
type ClusterJoinTokenName struct {
	Name string `json:"name"`
}

// Validate asks for the name.
func (r *ClusterJoinTokenName) Validate() *Error {
	if r.Name == "" {
		return Errorf(CodeInvalid, "name is required")
	}
	return nil
}

// ClusterJoinToken asks for a token that lets one new member in.
type ClusterJoinToken struct {
	NonVoter   bool   `json:"nonvoter,omitempty"`
	TTLSeconds uint32 `json:"ttl_seconds,omitempty"`
}

// Validate applies the default lifetime of one hour and bounds it to a week.
func (r *ClusterJoinToken) Validate() *Error {
	if r.TTLSeconds == 0 {
		r.TTLSeconds = 3600
	}
	if r.TTLSeconds > 7*24*3600 {
		return Errorf(CodeInvalid, "invalid ttl_seconds: a join token lives at most a week (604800)")
	}
	return nil
}

// ClusterJoinTokenReply answers cluster_join_token. Name is the token's name,
// by which it can be revoked; it is not a secret.
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
