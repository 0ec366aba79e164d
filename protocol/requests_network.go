// SPDX-License-Identifier: Apache-2.0

package protocol

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

	TokenMAC             MAC `json:"token_mac,omitzero" wire:"-"`
	NetworkAdminTokenMAC MAC `json:"network_admin_token_mac,omitzero" wire:"-"`
}

// Join rules.
const (
	JoinOpen   = "open"
	JoinToken  = "token"
	JoinInvite = "invite"
)

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

	TokenMAC MAC `json:"token_mac,omitzero" wire:"-"`
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

// GetMemberRole asks for a member's role.
type GetMemberRole struct {
	NetworkID    uint16 `json:"network_id"`
	TargetNodeID uint32 `json:"target_node_id"`
}

// Validate accepts everything.
func (*GetMemberRole) Validate() *Error { return nil }

// NetworkRequest names one network: get_network_policy.
type NetworkRequest struct {
	NetworkID uint16 `json:"network_id"`
}

// Validate accepts everything.
func (*NetworkRequest) Validate() *Error { return nil }

// RoleFacts is part of the requests that a network's own admin token
// authorises. NetworkToken is the MAC of the presented token, made at the
// front door under the keyring version of the network's token.
type RoleFacts struct {
	NetworkToken MAC `json:"network_token,omitzero" wire:"-"`
	// Unsigned says that the operator lets node_id act without a signature.
	Unsigned bool `json:"unsigned,omitempty" wire:"-"`
}

// SetUnsigned lets the node that the request names act without a signature.
func (f *RoleFacts) SetUnsigned(on bool) { f.Unsigned = on }

// UnsignedClaim reports whether the named node acts without a signature.
func (f *RoleFacts) UnsignedClaim() bool { return f.Unsigned }

// SetNetworkToken notes the MAC of the presented token.
func (f *RoleFacts) SetNetworkToken(m MAC) { f.NetworkToken = m }

// PresentedToken is the MAC of the presented token, zero for none.
func (f *RoleFacts) PresentedToken() MAC { return f.NetworkToken }

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
