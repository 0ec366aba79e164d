// SPDX-License-Identifier: Apache-2.0

package protocol

// personCommands are the rows of commands.go about this subject.
var personCommands = []Command{
	{Code: 122, Name: "person_export", Group: GroupIdentity, Auth: AuthAdmin, Mode: ModeRead, Lists: true,
		newBody: body[PersonRequest](), newReply: reply[PersonExportReply](), Doc: "show what is known of a person, by external id"},
	{Code: 123, Name: "person_forget", Group: GroupIdentity, Auth: AuthAdmin, Mode: ModeWrite,
		Events:  []string{EventPersonForgotten, EventNodeDeregistered, EventExternalIDSet, EventOwnerLost, EventOwnershipTransferred},
		newBody: body[PersonRequest](), newReply: reply[PersonForgetReply](), Doc: "erase what is known of a person, by external id"},
}

// PersonRequest names a person by external id, in any form that matches.
type PersonRequest struct {
	ExternalID string `json:"external_id"`
	PersonFacts
}

// Validate bounds the identity.
func (r *PersonRequest) Validate() *Error {
	if r.ExternalID == "" {
		return Errorf(CodeInvalid, "external_id is required")
	}
	if len(r.ExternalID) > MaxTextBytes {
		return Errorf(CodeTooLarge, "external_id too long (max %d bytes)", MaxTextBytes)
	}
	return nil
}

// PersonExportReply answers person_export: what the registry knows of a
// person besides its audit log.
type PersonExportReply struct {
	ExternalID string       `json:"external_id"`
	NextCursor string       `json:"next_cursor,omitempty"`
	Nodes      []PersonNode `json:"nodes"`
	Roles      []PersonRole `json:"roles"`
	Type       string       `json:"type"`
}

// PersonNode is a node that is bound to a person.
type PersonNode struct {
	// Badge and RecoveryProvider are what a verifier of accounts has said.
	Badge            string             `json:"badge,omitempty"`
	CreatedAt        string             `json:"created_at,omitempty"`
	Endpoint         string             `json:"endpoint,omitempty"`
	ExternalID       string             `json:"external_id"`
	Hostname         string             `json:"hostname,omitempty"`
	LANAddrs         []string           `json:"lan_addrs,omitempty"`
	LastSeen         string             `json:"last_seen,omitempty"`
	Memberships      []PersonMembership `json:"memberships"`
	NodeID           uint32             `json:"node_id"`
	Owner            string             `json:"owner,omitempty"`
	PublicKey        string             `json:"public_key,omitempty"`
	RecoveryProvider string             `json:"recovery_provider,omitempty"`
	Tags             []string           `json:"tags,omitempty"`
	Trusts           []uint32           `json:"trusts,omitempty"`
	Version          string             `json:"version,omitempty"`
}

// PersonMembership is a network that a node is a member of.
type PersonMembership struct {
	Network   string `json:"network"`
	NetworkID uint16 `json:"network_id"`
	Role      string `json:"role,omitempty"`
}

// PersonRole is a role that waits in a network for a person's node.
type PersonRole struct {
	ExternalID string `json:"external_id"`
	NetworkID  uint16 `json:"network_id"`
	Role       string `json:"role"`
}

// MaxForgotten is how many nodes one person_forget takes out.
const MaxForgotten = 100

// PersonForgetReply answers person_forget. More is true when the person has
// further nodes: the command has to be sent again.
type PersonForgetReply struct {
	// Events is how many events of the audit log were erased in part.
	Events int    `json:"events"`
	More   bool   `json:"more,omitempty"`
	Nodes  int    `json:"nodes"`
	Roles  int    `json:"roles"`
	Type   string `json:"type"`
}
