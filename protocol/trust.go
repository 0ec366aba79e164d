// SPDX-License-Identifier: Apache-2.0

package protocol

// trustCommands are the rows of commands.go about this subject.
var trustCommands = []Command{
	{Code: 37, Name: "report_trust", Group: GroupTrust, Page: PageSignature, Auth: AuthSignature, Mode: ModeWrite,
		Challenge: "report_trust:{node_id}:{peer_id}", Signer: "node_id", Events: []string{EventTrustCreated, EventTrustOffered},
		newBody: body[Trust](), newReply: reply[EmptyReply](), Doc: "make a pair of nodes trust each other"},
	{Code: 38, Name: "revoke_trust", Group: GroupTrust, Page: PageSignature, Auth: AuthSignature, Mode: ModeWrite,
		Challenge: "revoke_trust:{node_id}:{peer_id}", Signer: "node_id", Events: []string{EventTrustRevoked},
		newBody: body[Trust](), newReply: reply[EmptyReply](), Doc: "end the trust between a pair of nodes"},
	{Code: 49, Name: "check_trust", Group: GroupTrust, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead,
		newBody: body[Trust](), newReply: reply[CheckTrustReply](), Doc: "ask whether two nodes trust each other"},
}

// Trust names a pair of nodes: report_trust, revoke_trust, check_trust.
type Trust struct {
	NodeID uint32 `json:"node_id"`
	PeerID uint32 `json:"peer_id"`
}

// Validate accepts everything.
func (*Trust) Validate() *Error { return nil }

// CheckTrustReply answers check_trust.
type CheckTrustReply struct {
	Trusted bool   `json:"trusted"`
	Type    string `json:"type"`
}
