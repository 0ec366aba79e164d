// SPDX-License-Identifier: Apache-2.0

package protocol

// handshakeCommands are the rows of commands.go about this subject.
var handshakeCommands = []Command{
	{Code: 39, Name: "request_handshake", Group: GroupHandshake, Page: PageSignature, Auth: AuthSignature, Mode: ModeWrite,
		Challenge: "handshake:{from_node_id}:{to_node_id}", Signer: "from_node_id", Events: []string{EventHandshakeRelayed},
		newBody: body[RequestHandshake](), newReply: reply[RequestHandshakeReply](), Doc: "ask another node for trust"},
	{Code: 40, Name: "poll_handshakes", Group: GroupHandshake, Page: PageSignature, Auth: AuthSignature, Mode: ModeReadThenWrite,
		Challenge: "poll_handshakes:{node_id}", Signer: "node_id", newBody: body[PollHandshakes](), newReply: reply[PollHandshakesReply](),
		Doc: "take the waiting handshake requests and responses"},
	{Code: 41, Name: "respond_handshake", Group: GroupHandshake, Page: PageSignature, Auth: AuthSignature, Mode: ModeWrite,
		Challenge: "respond:{node_id}:{peer_id}", Signer: "node_id", Events: []string{EventHandshakeResponded},
		newBody: body[RespondHandshake](), newReply: reply[RespondHandshakeReply](), Doc: "accept or reject a handshake request"},
}

// RequestHandshake leaves a request in another node's inbox.
type RequestHandshake struct {
	FromNodeID    uint32 `json:"from_node_id"`
	ToNodeID      uint32 `json:"to_node_id"`
	Justification string `json:"justification,omitempty" text:"lines"`
}

// Validate bounds the justification.
func (r *RequestHandshake) Validate() *Error {
	if len(r.Justification) > MaxTextBytes {
		return Errorf(CodeTooLarge, "justification too long (max %d bytes)", MaxTextBytes)
	}
	return nil
}

// PollHandshakes reads and drains a node's two handshake queues.
type PollHandshakes struct {
	NodeID uint32 `json:"node_id"`
	DrainFacts
}

// DrainFacts bound what Apply drains to what was read before proposing.
type DrainFacts struct {
	UpToRequest  uint64 `json:"up_to_request,omitempty"`
	UpToResponse uint64 `json:"up_to_response,omitempty"`
}

// Validate accepts everything.
func (*PollHandshakes) Validate() *Error { return nil }

// RespondHandshake answers a handshake request.
type RespondHandshake struct {
	NodeID uint32 `json:"node_id"`
	PeerID uint32 `json:"peer_id"`
	Accept bool   `json:"accept,omitempty"`
}

// Validate accepts everything.
func (*RespondHandshake) Validate() *Error { return nil }

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
