// SPDX-License-Identifier: Apache-2.0

package protocol

import "encoding/json"

// networkCommands are the rows of commands.go about this subject.
var networkCommands = []Command{
	{Code: 1, Name: "create_network", Group: GroupNetwork, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite, RefusesUnknown: true,
		Events: []string{EventNetworkCreated, EventExprPolicySet}, newBody: body[CreateNetwork](), newReply: reply[CreateNetworkReply](),
		Doc: "create a network owned by a node"},
	{Code: 2, Name: "set_network_enterprise", Group: GroupNetwork, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite,
		Events: []string{EventNetworkEnterprise, EventOwnershipTransferred}, newBody: body[SetNetworkEnterprise](), newReply: reply[SetNetworkEnterpriseReply](),
		Doc: "switch a network's enterprise features on or off"},
	{Code: 27, Name: "join_network", Group: GroupNetwork, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite,
		Challenge: "join_network:{node_id}:{network_id}", Signer: "node_id", Events: []string{EventNetworkJoined},
		newBody: body[JoinNetwork](), newReply: reply[JoinNetworkReply](), Doc: "join a network"},
	{Code: 28, Name: "leave_network", Group: GroupNetwork, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite,
		Challenge: "leave_network:{node_id}:{network_id}", Signer: "node_id", Events: []string{EventNetworkLeft},
		newBody: body[LeaveNetwork](), newReply: reply[LeaveNetworkReply](), Doc: "leave a network"},
	{Code: 29, Name: "delete_network", Group: GroupNetwork, Page: PageSignatureOrAdmin, Auth: AuthRole, Roles: rolesOwner, Mode: ModeWrite,
		Challenge: "delete_network:{node_id}:{network_id}", Signer: "node_id", Events: []string{EventNetworkDeleted}, newBody: body[DeleteNetwork](), newReply: reply[DeleteNetworkReply](),
		Doc: "delete a network"},
	{Code: 30, Name: "rename_network", Group: GroupNetwork, Page: PageSignatureOrAdmin, Auth: AuthRole, Roles: rolesAdmin, Mode: ModeWrite,
		Challenge: "rename_network:{node_id}:{network_id}:{name}", Signer: "node_id", Events: []string{EventNetworkRenamed}, newBody: body[RenameNetwork](), newReply: reply[RenameNetworkReply](),
		Doc: "rename a network"},
	{Code: 47, Name: "list_networks", Group: GroupNetwork, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Lists: true,
		newBody: body[ListNetworks](), newReply: reply[ListNetworksReply](), Doc: "list all networks"},
}

// Join rules.
const (
	JoinOpen   = "open"
	JoinToken  = "token"
	JoinInvite = "invite"
)

// CreateNetwork makes a network; the node becomes its owner.
type CreateNetwork struct {
	NodeID            uint32 `json:"node_id"`
	Name              string `json:"name" read:"deferred"`
	JoinRule          string `json:"join_rule,omitempty"`
	Enterprise        bool   `json:"enterprise,omitempty" read:"deferred"`
	Token             Secret `json:"-" wire:"token"`
	NetworkAdminToken Secret `json:"-" wire:"network_admin_token"`

	// Rules make a managed network; ExprPolicy is the text of an expression policy.
	Rules      *NetworkRules `json:"rules,omitempty"`
	ExprPolicy *string       `json:"expr_policy,omitempty" text:"-"`
	DoorProblem
	// unreadable says what is wrong with rules that were sent.
	unreadable *Error

	NetworkFacts
}

// NetworkFacts stand for the tokens of a new network.
type NetworkFacts struct {
	TokenMAC             MAC `json:"token_mac,omitzero"`
	NetworkAdminTokenMAC MAC `json:"network_admin_token_mac,omitzero"`
}

func (r *CreateNetwork) decodeField(_ *reader, name string, raw any) bool {
	switch name {
	case "rules":
		r.Rules, r.unreadable = readRules(raw)
	case "expr_policy":
		r.ExprPolicy = documentText(raw)
		switch {
		case r.ExprPolicy == nil && raw != nil:
			r.unreadable = Errorf(CodeInvalid, "expr_policy: invalid JSON: want an object, or one as text")
		case r.ExprPolicy != nil && *r.ExprPolicy == "":
			r.ExprPolicy = nil
		}
	default:
		return false
	}
	return true
}

// Validate follows docs/protocol/networks.md#create_network, and refuses
// join rules that nobody could ever satisfy.
func (r *CreateNetwork) Validate() *Error {
	switch {
	case r.unreadable != nil:
		return r.unreadable
	case r.ExprPolicy != nil && len(*r.ExprPolicy) > MaxExprPolicyBytes:
		return Errorf(CodeTooLarge, "expr_policy: too long: %d bytes (max %d)", len(*r.ExprPolicy), MaxExprPolicyBytes)
	}
	if r.Rules != nil {
		if e := r.Rules.bounded(); e != nil {
			return e
		}
	}
	if r.JoinRule == "" {
		r.JoinRule = JoinOpen
	}
	if e := CheckNetworkName(r.Name); e != nil {
		return e
	}
	switch r.JoinRule {
	case JoinOpen, JoinToken:
	case JoinInvite:
		if !r.Enterprise {
			return Errorf(CodeEnterpriseRequired, "enterprise feature: invite-only networks require the enterprise flag")
		}
	default:
		return Errorf(CodeInvalid, "invalid join_rule: want open, token or invite")
	}
	return nil
}

// JoinNetwork makes a node a member of a network.
type JoinNetwork struct {
	NodeID    uint32 `json:"node_id"`
	NetworkID uint16 `json:"network_id" read:"deferred"`
	Token     Secret `json:"-" wire:"token" read:"deferred"`
	InviterID uint32 `json:"inviter_id,omitempty"`
	// ForSeconds is how long the membership lasts, 0 for good.
	ForSeconds uint32 `json:"for_seconds,omitempty"`

	JoinFacts
}

// JoinFacts stand for the token that a node joins with.
type JoinFacts struct {
	TokenMAC MAC `json:"token_mac,omitzero"`
}

// Validate follows docs/protocol/networks.md#join_network.
func (r *JoinNetwork) Validate() *Error {
	if r.NetworkID == 0 {
		return Errorf(CodeInvalid, "cannot join the backbone network")
	}
	return checkSpan(r.ForSeconds)
}

// LeaveNetwork ends a node's membership.
type LeaveNetwork struct {
	NodeID    uint32 `json:"node_id"`
	NetworkID uint16 `json:"network_id"`
}

// Validate follows docs/protocol/networks.md#leave_network.
func (r *LeaveNetwork) Validate() *Error {
	if r.NetworkID == 0 {
		return Errorf(CodeInvalid, "cannot leave the backbone network")
	}
	return nil
}

// ListNetworks lists all networks.
type ListNetworks struct{ noFields }

// NetworkRequest names one network: get_network_policy.
type NetworkRequest struct {
	NetworkID uint16 `json:"network_id"`
}

// Validate accepts everything.
func (*NetworkRequest) Validate() *Error { return nil }

// DeleteNetwork removes a network; NodeID is who acts when no token does.
type DeleteNetwork struct {
	RoleFacts
	NodeID    uint32 `json:"node_id,omitempty"`
	NetworkID uint16 `json:"network_id"`
}

// Validate follows docs/protocol/networks.md#delete_network.
func (r *DeleteNetwork) Validate() *Error {
	if r.NetworkID == 0 {
		return Errorf(CodeInvalid, "cannot delete the backbone network")
	}
	return nil
}

// RenameNetwork gives a network another name.
type RenameNetwork struct {
	RoleFacts
	NodeID    uint32 `json:"node_id,omitempty"`
	NetworkID uint16 `json:"network_id"`
	Name      string `json:"name"`
}

// Validate follows docs/protocol/networks.md#rename_network; the name is looked at after
// the caller's role.
func (r *RenameNetwork) Validate() *Error {
	if r.NetworkID == 0 {
		return Errorf(CodeInvalid, "cannot rename the backbone network")
	}
	return nil
}

// SetNetworkEnterprise switches enterprise features on or off.
type SetNetworkEnterprise struct {
	NetworkID  uint16 `json:"network_id"`
	Enterprise bool   `json:"enterprise,omitempty" read:"main"`
}

// Validate follows docs/protocol/networks.md#set_network_enterprise.
func (r *SetNetworkEnterprise) Validate() *Error {
	if r.NetworkID == 0 {
		return Errorf(CodeInvalid, "cannot set enterprise on the backbone network")
	}
	return nil
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

// LeaveNetworkReply answers leave_network.
type LeaveNetworkReply struct {
	NetworkID uint16 `json:"network_id"`
	Type      string `json:"type"`
}

// DeleteNetworkReply answers delete_network.
type DeleteNetworkReply struct {
	NetworkID uint16 `json:"network_id"`
	Type      string `json:"type"`
}

// RenameNetworkReply answers rename_network.
type RenameNetworkReply struct {
	Name      string `json:"name"`
	NetworkID uint16 `json:"network_id"`
	Type      string `json:"type"`
}

// SetNetworkEnterpriseReply answers set_network_enterprise.
type SetNetworkEnterpriseReply struct {
	Enterprise bool   `json:"enterprise"`
	NetworkID  uint16 `json:"network_id"`
	Type       string `json:"type"`
}

// SecretMACs are those of the join token and of the network's admin token.
func (r *CreateNetwork) SecretMACs() []MAC { return []MAC{r.TokenMAC, r.NetworkAdminTokenMAC} }

// SecretMACs is that of the join token.
func (r *JoinNetwork) SecretMACs() []MAC { return []MAC{r.TokenMAC} }
