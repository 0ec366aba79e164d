// SPDX-License-Identifier: Apache-2.0

package protocol

// registerCommands are the rows of commands.go about this subject.
var registerCommands = []Command{
	{Code: 45, Name: "register", Group: GroupNode, Page: PageOpen, Auth: AuthOpen, Mode: ModeWrite, Rate: RateRegistration,
		Challenge: "register:{listen_addr}:{public_key}", Signer: "public_key", Events: []string{EventNodeRegistered, EventNodeReRegistered, EventRatchetRejected, EventExternalIDSet, EventHostnameChanged, EventOwnerLost, EventOwnershipTransferred},
		newBody: body[Register](), newReply: reply[RegisterReply](), Doc: "register a public key and an endpoint"},
	{Code: 97, Name: "set_signed_register", Group: GroupNode, Auth: AuthSignatureOrAdmin, Mode: ModeWrite,
		Challenge: "set_signed_register:{node_id}", Signer: "node_id", SignedOnly: true, Events: []string{EventSignedRegister},
		newBody: body[SetSignedRegister](), newReply: reply[SetSignedRegisterReply](), Doc: "say whether a node's key is registered by signed requests only"},
}

// EachID visits the verified id.
func (r *Register) EachID(visit func(string, *IDKeys)) { visit(r.ExternalID, &r.Keys) }

// Register asks for a node id for a public key.
type Register struct {
	PublicKey     string   `json:"public_key" text:"-"`
	ListenAddr    string   `json:"listen_addr,omitempty" read:"lenient"`
	Owner         string   `json:"owner,omitempty"`
	Hostname      string   `json:"hostname,omitempty" text:"-"`
	LANAddrs      []string `json:"lan_addrs,omitempty" read:"lenient"`
	Version       string   `json:"version,omitempty"`
	RelayOnly     bool     `json:"relay_only,omitempty"`
	IdentityToken Secret   `json:"-" wire:"identity_token"`

	RegisterFacts
}

// RegisterFacts are what the member that was asked finds out about a registration.
type RegisterFacts struct {
	// Endpoint is the sanitised endpoint: the TCP source address with the port of ListenAddr.
	Endpoint string `json:"endpoint"`
	// Proven is true when the request was signed with the key it registers.
	Proven bool `json:"proven,omitempty"`
	// SignedRequest is true when that signature was of a signed request.
	SignedRequest bool `json:"signed_request,omitempty"`
	// OwnerReclaim carries the operator's compat.owner_reclaim switch.
	OwnerReclaim bool `json:"owner_reclaim,omitempty"`
	// UnsignedIdentity carries compat.unsigned_identity.
	UnsignedIdentity bool `json:"unsigned_identity,omitempty"`
	// ExternalID is the verified external identity, empty when none was verified.
	ExternalID string `json:"external_id,omitempty"`
	Keys       IDKeys `json:"keys,omitzero"`
	// ClaimedRoles are the roles that the verified token gives in networks.
	ClaimedRoles []ClaimedRole `json:"claimed_roles,omitempty"`
}

// Validate follows docs/protocol/nodes.md#register; a bad hostname is not an error here.
func (r *Register) Validate() *Error {
	if r.PublicKey == "" {
		return Errorf(CodeInvalid, "registration requires public_key")
	}
	if _, err := ParsePublicKey(r.PublicKey); err != nil {
		return Errorf(CodeInvalid, "invalid public key: %v", err)
	}
	if len(r.Owner) > MaxTextBytes {
		return Errorf(CodeTooLarge, "owner too long (max %d bytes)", MaxTextBytes)
	}
	if len(r.Version) > MaxTextBytes {
		return Errorf(CodeTooLarge, "version too long (max %d bytes)", MaxTextBytes)
	}
	lan := r.LANAddrs[:0:0]
	for _, a := range r.LANAddrs {
		if a != "" && len(a) <= 256 && len(lan) < MaxLANAddresses {
			lan = append(lan, a)
		}
	}
	r.LANAddrs = lan
	return nil
}

// ClaimedRole is a role that an identity token gives.
type ClaimedRole struct {
	NetworkID uint16 `json:"network_id"`
	Admin     bool   `json:"admin,omitempty"`
}

// SetSignedRegister says whether registrations of a node's key have to be
// signed requests. Otherwise anybody
// who knows a public key can register it with another endpoint, because
// registrations are open by default.
type SetSignedRegister struct {
	NodeID   uint32 `json:"node_id"`
	Required bool   `json:"require_signed_register,omitempty" read:"main"`
}

// Validate accepts everything.
func (*SetSignedRegister) Validate() *Error { return nil }

// Replies, one type per command. Fields stand in alphabetical order of their
// wire names, as replies on the wire do. Times are Unix seconds or RFC 3339
// strings in UTC with second resolution, as each field says.

// RegisterReply answers register.
type RegisterReply struct {
	Address         string `json:"address"`
	ExternalID      string `json:"external_id,omitempty"`
	Hostname        string `json:"hostname,omitempty"`
	HostnameError   string `json:"hostname_error,omitempty"`
	NetworkID       uint16 `json:"network_id"`
	NodeID          uint32 `json:"node_id"`
	ObservedAddr    string `json:"observed_addr"`
	ProtocolVersion int    `json:"protocol_version"`
	PublicKey       string `json:"public_key"`
	Type            string `json:"type"`
}

// SetSignedRegisterReply answers set_signed_register.
type SetSignedRegisterReply struct {
	NodeID   uint32 `json:"node_id"`
	Required bool   `json:"require_signed_register"`
	Type     string `json:"type"`
}
