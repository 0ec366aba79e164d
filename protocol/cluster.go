// SPDX-License-Identifier: Apache-2.0

package protocol

import "strings"

// clusterCommands are the rows of commands.go about this subject.
var clusterCommands = []Command{
	{Code: 61, Name: "cluster_status", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeLocal,
		newBody: body[ClusterQuery](), newReply: reply[ClusterStatusReply](), Doc: "show what the asked member knows of the cluster"},
	{Code: 62, Name: "cluster_members", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeLocal,
		newBody: body[ClusterQuery](), newReply: reply[ClusterMembersReply](), Doc: "list the members of the cluster"},
	{Code: 63, Name: "cluster_transfer_leadership", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeCluster,
		Events: []string{EventLeadershipTransferred}, newBody: body[ClusterTarget](), newReply: reply[ClusterChangeReply](), Doc: "hand leadership to another voter"},
	{Code: 65, Name: "cluster_promote", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeCluster,
		Events: []string{EventClusterMemberPromoted}, newBody: body[ClusterTarget](), newReply: reply[ClusterChangeReply](), Doc: "make a non-voting member a voter"},
	{Code: 66, Name: "cluster_remove", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeCluster,
		newBody: body[ClusterTarget](), newReply: reply[ClusterChangeReply](), Doc: "remove a member from the cluster"},
	{Code: 138, Name: "cluster_repair", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeCluster,
		newBody: body[ClusterTarget](), newReply: reply[ClusterChangeReply](), Doc: "give a quarantined member the log and state of the others"},
	{Code: 137, Name: "cluster_snapshot", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeStream,
		newBody: body[ClusterSnapshot](), newReply: reply[ClusterSnapshotReply](), Doc: "stream the whole state, as a backup"},
	{Code: 96, Name: "cluster_id", Group: GroupCluster, Auth: AuthOpen, Mode: ModeLocal,
		newBody: body[ClusterID](), newReply: reply[ClusterIDReply](), Doc: "show which cluster this is and whether it takes signed requests"},
}

// ClusterQuery asks about the cluster: cluster_status, cluster_members.
type ClusterQuery struct{ noFields }

// ClusterTarget names a member: cluster_transfer_leadership (may be empty:
// any), cluster_promote, cluster_remove, cluster_repair.
type ClusterTarget struct {
	MemberID string `json:"member_id,omitempty"`
	// Force allows cluster_remove of a member whose removal endangers the quorum.
	Force bool `json:"force,omitempty"`
}

// Validate bounds the id.
func (r *ClusterTarget) Validate() *Error {
	r.MemberID = strings.TrimSpace(r.MemberID)
	if len(r.MemberID) > 64 {
		return Errorf(CodeInvalid, "invalid member_id: longer than 64 bytes")
	}
	return nil
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

// ClusterCertificate is when a certificate ends: that of a member (member), of
// the cluster's CA (ca), or of a listener (wire, ops). MemberID is empty when
// all members have the same.
type ClusterCertificate struct {
	Certificate string `json:"certificate"`
	Ends        string `json:"ends"`
	MemberID    string `json:"member_id,omitempty"`
}

// ClusterStatusReply answers cluster_status from the local state of the
// member that was asked; it works without a quorum.
type ClusterStatusReply struct {
	AppliedIndex uint64 `json:"applied_index"`
	// Certificates are those of the members that answer, the next end first.
	Certificates []ClusterCertificate `json:"certificates,omitempty"`

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

// ClusterChangeReply answers commands that change leadership or membership.
type ClusterChangeReply struct {
	LeaderID string `json:"leader_id,omitempty"`
	MemberID string `json:"member_id,omitempty"`
	Type     string `json:"type"`
}
