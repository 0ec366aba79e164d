// SPDX-License-Identifier: Apache-2.0

package protocol

import "strings"

// memberTagsCommands are the rows of commands.go about this subject.
var memberTagsCommands = []Command{
	{Code: 130, Name: "set_member_tags", Group: GroupMember, Auth: AuthRole, Roles: rolesAdmin, Mode: ModeWrite,
		Challenge: "set_member_tags:{node_id}:{network_id}:{target_node_id}:{tags}", Signer: "node_id", Events: []string{EventMemberTagsChanged},
		newBody: body[SetMemberTags](), newReply: reply[SetMemberTagsReply](), Doc: "set the tags that a network gives to a member"},
	{Code: 131, Name: "get_member_tags", Group: GroupMember, Auth: AuthOpen, Mode: ModeRead,
		newBody: body[GetMemberTags](), newReply: reply[GetMemberTagsReply](), Doc: "show the tags that a network gives to its members"},
}

// SetMemberTags replaces the tags that a network gives to one of its members.
type SetMemberTags struct {
	RoleFacts
	NodeID       uint32   `json:"node_id,omitempty"`
	NetworkID    uint16   `json:"network_id"`
	TargetNodeID uint32   `json:"target_node_id"`
	Tags         []string `json:"tags,omitempty"`
}

// ChallengeField writes the tags as a signature covers them: with commas in between.
func (r *SetMemberTags) ChallengeField(name string) (string, bool) {
	return strings.Join(r.Tags, ","), name == "tags"
}

// Validate accepts everything: the tags are looked at after the caller's role, see Check.
func (*SetMemberTags) Validate() *Error { return nil }

// Check refuses tags that a member cannot have. Unlike a node's own they are
// taken as they are: no # is stripped, and no repetition is dropped.
func (r *SetMemberTags) Check() *Error {
	if len(r.Tags) > MaxMemberTags {
		return Errorf(CodeInvalid, "too many member tags (max %d)", MaxMemberTags)
	}
	return CheckTags(r.Tags)
}

// MaxMemberTags is how many tags a network can give to a member.
const MaxMemberTags = 10

// GetMemberTags asks for the tags of one member, or of all when TargetNodeID is 0.
type GetMemberTags struct {
	NetworkID    uint16 `json:"network_id"`
	TargetNodeID uint32 `json:"target_node_id,omitempty"`
}

// Validate accepts everything.
func (*GetMemberTags) Validate() *Error { return nil }

// SetMemberTagsReply answers set_member_tags.
type SetMemberTagsReply struct {
	NetworkID    uint16   `json:"network_id"`
	Tags         []string `json:"tags"`
	TargetNodeID uint32   `json:"target_node_id"`
	Type         string   `json:"type"`
}

// GetMemberTagsReply answers get_member_tags: Tags for one member, also when
// it is none, Members by node id for all.
type GetMemberTagsReply struct {
	Members      map[string][]string `json:"members,omitzero"`
	NetworkID    uint16              `json:"network_id"`
	Tags         []string            `json:"tags,omitzero"`
	TargetNodeID uint32              `json:"target_node_id,omitempty"`
	Type         string              `json:"type"`
}
