// SPDX-License-Identifier: Apache-2.0

package protocol

// poloCommands are the rows of commands.go about this subject.
var poloCommands = []Command{
	{Code: 57, Name: "update_polo_score", Group: GroupPolo, Page: PageOpen, Auth: AuthOpen, Mode: ModeWrite,
		Challenge: "update_polo_score:{requester_id}:{node_id}", Signer: "requester_id", Optional: true, SignedOnly: true, Events: []string{EventPoloUpdated}, newBody: body[UpdatePoloScore](), newReply: reply[PoloScoreReply](), Doc: "add to a node's polo score"},
	{Code: 58, Name: "set_polo_score", Group: GroupPolo, Page: PageOpen, Auth: AuthOpen, Mode: ModeWrite,
		Challenge: "set_polo_score:{requester_id}:{node_id}", Signer: "requester_id", Optional: true, SignedOnly: true, Events: []string{EventPoloSet}, newBody: body[SetPoloScore](), newReply: reply[PoloScoreReply](), Doc: "set a node's polo score"},
	{Code: 59, Name: "get_polo_score", Group: GroupPolo, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead,
		newBody: body[NodeRequest](), newReply: reply[PoloScoreReply](), Doc: "show a node's polo score"},
}

// UpdatePoloScore adds to a node's score. RequesterID names the node that signs
// the request, where it is signed.
type UpdatePoloScore struct {
	NodeID      uint32   `json:"node_id"`
	RequesterID uint32   `json:"requester_id,omitempty"`
	Delta       *float64 `json:"delta"`
}

// Validate follows docs/protocol/nodes.md#update_polo_score.
func (r *UpdatePoloScore) Validate() *Error {
	if r.Delta == nil {
		return Errorf(CodeInvalid, "update_polo_score requires delta field")
	}
	if *r.Delta < -MaxPoloScore || *r.Delta > MaxPoloScore {
		return Errorf(CodeInvalid, "polo score delta out of range (max %d)", MaxPoloScore)
	}
	return nil
}

// SetPoloScore sets a node's score. RequesterID is as in UpdatePoloScore.
type SetPoloScore struct {
	NodeID      uint32   `json:"node_id"`
	RequesterID uint32   `json:"requester_id,omitempty"`
	PoloScore   *float64 `json:"polo_score"`
}

// Validate follows docs/protocol/nodes.md#set_polo_score.
func (r *SetPoloScore) Validate() *Error {
	if r.PoloScore == nil {
		return Errorf(CodeInvalid, "set_polo_score requires polo_score field")
	}
	if *r.PoloScore < -MaxPoloScore || *r.PoloScore > MaxPoloScore {
		return Errorf(CodeInvalid, "polo score out of range (max %d)", MaxPoloScore)
	}
	return nil
}

// PoloScoreReply answers update_, set_ and get_polo_score.
type PoloScoreReply struct {
	Address   string `json:"address"`
	NodeID    uint32 `json:"node_id"`
	PoloScore int64  `json:"polo_score"`
	Type      string `json:"type"`
}
