// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"strings"
	"time"
)

// Body is a typed request: the fields of one command without the envelope.
//
// Field tags: `json` names the field in the replicated log and, unless a
// `wire` tag says otherwise, on the wire. `wire:"-"` marks facts that a member
// adds before proposing and that no client can set. Credentials carry
// `json:"-"`, so they cannot enter the log.
type Body interface {
	// Validate checks what can be checked without state, in the protocol's
	// order, and normalises the fields in place. It must be idempotent: it
	// runs at the front door and again in Apply.
	Validate() *Error
}

// Secret is a credential. It prints as [redacted] and encodes as null, so
// that it cannot reach a log, a reply or the replicated log by accident.
type Secret string

// String hides the secret.
func (Secret) String() string { return "[redacted]" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "[redacted]" }

// MarshalJSON hides the secret.
func (Secret) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// MAC is a keyed hash that stands for a credential in the replicated log and
// state: HMAC-SHA256 under version Key of the cluster keyring.
type MAC struct {
	Key uint32 `json:"k"`
	Sum []byte `json:"m"`
}

// IsZero reports whether the MAC stands for no credential.
func (m MAC) IsZero() bool { return len(m.Sum) == 0 }

type noFields struct{}

func (noFields) Validate() *Error { return nil }

// NodeRequest names one node: lookup, deregister, heartbeat, poll_handshakes,
// get_polo_score, get_key_info.
type NodeRequest struct {
	NodeID uint32 `json:"node_id" read:"deferred"`
	// RequesterID is who signs a lookup, which it need not.
	RequesterID uint32 `json:"requester_id,omitempty"`
}

// Validate accepts everything: an id that cannot be read has become 0.
func (*NodeRequest) Validate() *Error { return nil }

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

	// Endpoint is the sanitised endpoint: the TCP source address with the port of ListenAddr.
	Endpoint string `json:"endpoint" wire:"-"`
	// Proven is true when the request was signed with the key it registers.
	Proven bool `json:"proven,omitempty" wire:"-"`
	// SignedRequest is true when that signature was of a signed request.
	SignedRequest bool `json:"signed_request,omitempty" wire:"-"`
	// OwnerReclaim carries the operator's compat.owner_reclaim switch.
	OwnerReclaim bool `json:"owner_reclaim,omitempty" wire:"-"`
	// UnsignedIdentity carries compat.unsigned_identity.
	UnsignedIdentity bool `json:"unsigned_identity,omitempty" wire:"-"`
	// ExternalID is the verified external identity, empty when none was verified.
	ExternalID string `json:"external_id,omitempty" wire:"-"`
	Keys       IDKeys `json:"keys,omitzero" wire:"-"`
	// ClaimedRoles are the roles that the verified token gives in networks.
	ClaimedRoles []ClaimedRole `json:"claimed_roles,omitempty" wire:"-"`
}

// ClaimedRole is a role that an identity token gives.
type ClaimedRole struct {
	NetworkID uint16 `json:"network_id"`
	Admin     bool   `json:"admin,omitempty"`
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

// RotateKey replaces a node's key; the signature is by the old one.
type RotateKey struct {
	NodeID       uint32 `json:"node_id"`
	NewPublicKey string `json:"new_public_key" text:"-"`
}

// Validate follows docs/protocol/nodes.md#rotate_key.
func (r *RotateKey) Validate() *Error {
	if r.NewPublicKey == "" {
		return Errorf(CodeInvalid, "rotate_key requires new_public_key")
	}
	if _, err := ParsePublicKey(r.NewPublicKey); err != nil {
		return Errorf(CodeInvalid, "invalid new_public_key: %v", err)
	}
	return nil
}

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
	// RequesterID is who signs, which nobody need.
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

// SetSignedRegister says whether registrations of a node's key have to be
// signed requests. Without, who knows a public key can register it with an
// endpoint of his own, because registrations are open by default.
type SetSignedRegister struct {
	NodeID   uint32 `json:"node_id"`
	Required bool   `json:"require_signed_register,omitempty" read:"main"`
}

// Validate accepts everything.
func (*SetSignedRegister) Validate() *Error { return nil }

// SetVisibility makes a node public or private.
type SetVisibility struct {
	NodeID uint32 `json:"node_id"`
	Public bool   `json:"public,omitempty"`
}

// Validate accepts everything.
func (*SetVisibility) Validate() *Error { return nil }

// Trust names a pair of nodes: report_trust, revoke_trust, check_trust.
type Trust struct {
	NodeID uint32 `json:"node_id"`
	PeerID uint32 `json:"peer_id"`
}

// Validate accepts everything.
func (*Trust) Validate() *Error { return nil }

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

// PollHandshakes reads and drains a node's two handshake queues. UpToRequest
// and UpToResponse bound what Apply drains to what was read before proposing.
type PollHandshakes struct {
	NodeID       uint32 `json:"node_id"`
	UpToRequest  uint64 `json:"up_to_request,omitempty" wire:"-"`
	UpToResponse uint64 `json:"up_to_response,omitempty" wire:"-"`
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

// BeaconRegister announces or refreshes a beacon.
// NodeID names the node that signs the request, where it is signed.
type BeaconRegister struct {
	BeaconID uint32 `json:"beacon_id" read:"deferred"`
	Addr     string `json:"addr" read:"deferred"`
	NodeID   uint32 `json:"node_id,omitempty"`
	// SignedAt is the time (Unix milliseconds) of the signed request it came in, else 0.
	SignedAt int64 `json:"signed_at,omitempty" wire:"-"`
}

// Validate follows docs/protocol/nodes.md#beacon_register.
func (r *BeaconRegister) Validate() *Error {
	switch {
	case r.BeaconID == 0:
		return Errorf(CodeInvalid, "beacon_id required")
	case r.Addr == "":
		return Errorf(CodeInvalid, "addr required")
	case len(r.Addr) > MaxBeaconAddrBytes:
		return Errorf(CodeTooLarge, "addr too long (max %d bytes)", MaxBeaconAddrBytes)
	case !IsHostPort(r.Addr):
		return Errorf(CodeInvalid, "invalid addr: want host:port, with a host name or an IP address (IPv6 in brackets) and a port from 1 to 65535")
	}
	return nil
}

// BeaconList lists the live beacons.
type BeaconList struct{ noFields }

// SetKeyExpiry sets (RFC 3339) or clears ("" or "never") the day a key ends.
type SetKeyExpiry struct {
	NodeID    uint32 `json:"node_id"`
	ExpiresAt string `json:"expires_at,omitempty"`
}

// Validate follows docs/protocol/nodes.md#set_key_expiry.
func (r *SetKeyExpiry) Validate() *Error {
	_, _, err := r.Time()
	return err
}

// Time returns the parsed expiry, whole seconds; set is false when the
// request clears the expiry.
func (r *SetKeyExpiry) Time() (at time.Time, set bool, e *Error) {
	if r.ExpiresAt == "" || r.ExpiresAt == "never" {
		return time.Time{}, false, nil
	}
	at, ok := ParseTime(r.ExpiresAt)
	if !ok {
		return time.Time{}, false, Errorf(CodeInvalid, "invalid expires_at: parsing %s: want RFC 3339 (as in 2027-01-31T10:00:00Z) or never", Quote(r.ExpiresAt))
	}
	return at.Truncate(time.Second), true, nil
}

// SubscribeReplication opens the one-way stream of snapshots.
type SubscribeReplication struct {
	Token  Secret `json:"-" wire:"token" read:"deferred"`
	Deltas bool   `json:"deltas,omitempty"`
}

// Validate accepts everything: the token is compared later.
func (*SubscribeReplication) Validate() *Error { return nil }

// ClusterQuery asks about the cluster: cluster_status, cluster_members.
type ClusterQuery struct{ noFields }

// ClusterTarget names a member: cluster_transfer_leadership (may be empty:
// any), cluster_promote, cluster_remove.
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

// ClusterJoinTokenName names a join token.
type ClusterJoinTokenName struct {
	Name string `json:"name"`
}

// Validate asks for the name.
func (r *ClusterJoinTokenName) Validate() *Error {
	if r.Name == "" {
		return Errorf(CodeInvalid, "name is required")
	}
	return nil
}

// ClusterJoinToken asks for a token that lets one new member in.
type ClusterJoinToken struct {
	NonVoter   bool   `json:"nonvoter,omitempty"`
	TTLSeconds uint32 `json:"ttl_seconds,omitempty"`
}

// Validate applies the default lifetime of one hour and bounds it to a week.
func (r *ClusterJoinToken) Validate() *Error {
	if r.TTLSeconds == 0 {
		r.TTLSeconds = 3600
	}
	if r.TTLSeconds > 7*24*3600 {
		return Errorf(CodeInvalid, "invalid ttl_seconds: a join token lives at most a week (604800)")
	}
	return nil
}
