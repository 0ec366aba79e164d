// SPDX-License-Identifier: Apache-2.0

package protocol

// nodeCommands are the rows of commands.go about this subject.
var nodeCommands = []Command{
	{Code: 31, Name: "resolve", Group: GroupNode, Page: PageSignatureOrAdmin, Auth: AuthSignature, Mode: ModeRead, Endpoints: true, Rate: RateResolve,
		Challenge: "resolve:{requester_id}:{node_id}", Signer: "requester_id", newBody: body[Resolve](), newReply: reply[ResolveReply](),
		Doc: "ask for a node's endpoints"},
	{Code: 32, Name: "deregister", Group: GroupNode, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite,
		Challenge: "deregister:{node_id}", Signer: "node_id", Events: []string{EventNodeDeregistered, EventExternalIDSet, EventOwnerLost, EventOwnershipTransferred},
		newBody: body[NodeRequest](), newReply: reply[EmptyReply](), Doc: "take a node out of the registry"},
	{Code: 33, Name: "set_visibility", Group: GroupNode, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite,
		Challenge: "set_visibility:{node_id}", Signer: "node_id", Events: []string{EventVisibilityChanged},
		newBody: body[SetVisibility](), newReply: reply[SetVisibilityReply](), Doc: "make a node public or private"},
	{Code: 34, Name: "set_hostname", Group: GroupNode, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite,
		Challenge: "set_hostname:{node_id}", Signer: "node_id", Events: []string{EventHostnameChanged},
		newBody: body[SetHostname](), newReply: reply[SetHostnameReply](), Doc: "set or clear a node's hostname"},
	{Code: 35, Name: "set_tags", Group: GroupNode, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite,
		Challenge: "set_tags:{node_id}", Signer: "node_id", Events: []string{EventTagsChanged},
		newBody: body[SetTags](), newReply: reply[SetTagsReply](), Doc: "replace a node's tags"},
	{Code: 36, Name: "set_task_exec", Group: GroupNode, Page: PageSignatureOrAdmin, Auth: AuthSignatureOrAdmin, Mode: ModeWrite,
		Challenge: "set_task_exec:{node_id}", Signer: "node_id", Events: []string{EventTaskExecChanged},
		newBody: body[SetTaskExec](), newReply: reply[SetTaskExecReply](), Doc: "say whether a node executes tasks"},
	{Code: 42, Name: "heartbeat", Group: GroupNode, Page: PageSignature, Auth: AuthSignature, Mode: ModeWrite, Rate: RateHeartbeat, Soft: true,
		Challenge: "heartbeat:{node_id}", Signer: "node_id", Events: []string{EventHeartbeatBlocked},
		newBody: body[NodeRequest](), newReply: reply[HeartbeatReply](), Doc: "say that a node is alive"},
	{Code: 43, Name: "punch", Group: GroupNode, Page: PageSignature, Auth: AuthSignature, Mode: ModeRead, Endpoints: true,
		Challenge: "punch:{node_a}:{node_b}", Signer: "requester_id", newBody: body[Punch](), newReply: reply[PunchReply](),
		Doc: "ask for the endpoints of two nodes that want to meet"},
	{Code: 46, Name: "lookup", Group: GroupNode, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Rate: RateQuery,
		Challenge: "lookup:{requester_id}:{node_id}", Signer: "requester_id", Optional: true, newBody: body[NodeRequest](), newReply: reply[LookupReply](), Doc: "look up a node by id"},
	{Code: 48, Name: "list_nodes", Group: GroupNode, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Rate: RateQuery, Lists: true,
		Challenge: "list_nodes:{requester_id}:{network_id}", Signer: "requester_id", Optional: true, newBody: body[ListNodes](), newReply: reply[ListNodesReply](), Doc: "list a network's members, or all nodes with the admin token"},
	{Code: 50, Name: "resolve_hostname", Group: GroupNode, Page: PageOpen, Auth: AuthOpen, Mode: ModeRead, Rate: RateQuery,
		newBody: body[ResolveHostname](), newReply: reply[ResolveHostnameReply](), Doc: "find a node by hostname"},
}

// NodeRequest names one node: lookup, deregister, heartbeat, poll_handshakes,
// get_polo_score, get_key_info.
type NodeRequest struct {
	NodeID uint32 `json:"node_id" read:"deferred"`
	// RequesterID is the node that signs a lookup; a lookup need not be signed.
	RequesterID uint32 `json:"requester_id,omitempty"`
}

// Validate accepts everything: an id that cannot be read has become 0.
func (*NodeRequest) Validate() *Error { return nil }

// Resolve asks for a node's endpoints.
type Resolve struct {
	NodeID      uint32 `json:"node_id"`
	RequesterID uint32 `json:"requester_id"`
}

// Validate accepts everything.
func (*Resolve) Validate() *Error { return nil }

// ListNodes lists the members of a network; network 0 needs the admin token.
type ListNodes struct {
	NetworkID uint16 `json:"network_id"`
	// RequesterID is the node that signs; a signature is not needed.
	RequesterID uint32 `json:"requester_id,omitempty"`
}

// Validate accepts everything.
func (*ListNodes) Validate() *Error { return nil }

// Punch asks for the endpoints of two nodes that want to meet.
type Punch struct {
	RequesterID uint32 `json:"requester_id"`
	NodeA       uint32 `json:"node_a"`
	NodeB       uint32 `json:"node_b"`
}

// Validate accepts everything.
func (*Punch) Validate() *Error { return nil }

// SetHostname names a node; an empty name clears it.
type SetHostname struct {
	NodeID   uint32 `json:"node_id"`
	Hostname string `json:"hostname,omitempty"`
}

// Validate follows docs/protocol/nodes.md#set_hostname.
func (r *SetHostname) Validate() *Error {
	if r.Hostname == "" {
		return nil
	}
	if text := CheckHostname(r.Hostname); text != "" {
		return Errorf(CodeInvalid, "invalid hostname: %s", text)
	}
	return nil
}

// ResolveHostname finds a node by its name.
type ResolveHostname struct {
	Hostname    string `json:"hostname" read:"deferred"`
	RequesterID uint32 `json:"requester_id"`
}

// Validate follows docs/protocol/nodes.md#resolve_hostname.
func (r *ResolveHostname) Validate() *Error {
	if r.Hostname == "" {
		return Errorf(CodeInvalid, "hostname required")
	}
	return nil
}

// SetTags replaces a node's tags.
type SetTags struct {
	NodeID uint32   `json:"node_id"`
	Tags   []string `json:"tags,omitempty"`
}

// Validate follows docs/protocol/nodes.md#set_tags. A # is stripped only once even though
// Validate runs twice, because a tag that still begins with one is refused.
func (r *SetTags) Validate() *Error {
	r.Tags = NormalizeTags(r.Tags)
	return CheckTags(r.Tags)
}

// SetTaskExec says whether a node executes tasks.
type SetTaskExec struct {
	NodeID  uint32 `json:"node_id"`
	Enabled bool   `json:"enabled,omitempty"`
}

// Validate accepts everything.
func (*SetTaskExec) Validate() *Error { return nil }

// SetVisibility makes a node public or private.
type SetVisibility struct {
	NodeID uint32 `json:"node_id"`
	Public bool   `json:"public,omitempty"`
}

// Validate accepts everything.
func (*SetVisibility) Validate() *Error { return nil }

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

// SetVisibilityReply answers set_visibility; Visibility is public or private.
type SetVisibilityReply struct {
	NodeID     uint32 `json:"node_id"`
	Type       string `json:"type"`
	Visibility string `json:"visibility"`
}
