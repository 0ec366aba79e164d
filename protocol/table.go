// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"reflect"
	"sort"
)

// Code identifies a command in the replicated log and on peer connections.
// Codes are never reused and never change.
type Code uint16

// Group is the room a command belongs to.
type Group string

// Groups of commands.
const (
	GroupNode        Group = "node"
	GroupTrust       Group = "trust"
	GroupHandshake   Group = "handshake"
	GroupPolo        Group = "polo"
	GroupBeacon      Group = "beacon"
	GroupKey         Group = "key"
	GroupNetwork     Group = "network"
	GroupInvite      Group = "invite"
	GroupMember      Group = "member"
	GroupPolicy      Group = "policy"
	GroupIdentity    Group = "identity"
	GroupDirectory   Group = "directory"
	GroupBlueprint   Group = "blueprint"
	GroupAudit       Group = "audit"
	GroupWebhook     Group = "webhook"
	GroupReplication Group = "replication"
	GroupCluster     Group = "cluster"
)

// Auth is what a command asks of its caller.
type Auth string

// Auth classes.
const (
	// AuthOpen asks for nothing. A signature that is present may still be verified.
	AuthOpen Auth = "open"
	// AuthSignature asks for the signer's signature; only a keyless signer may use the admin token.
	AuthSignature Auth = "signature"
	// AuthSignatureOrAdmin takes the signature first and lets a right admin token rescue a wrong one.
	AuthSignatureOrAdmin Auth = "signature_or_admin"
	// AuthRole takes the admin token, the network's token or the signature of a member with a fitting role.
	AuthRole Auth = "role"
	// AuthAdmin asks for the admin token.
	AuthAdmin Auth = "admin"
	// AuthReplication asks for the replication token.
	AuthReplication Auth = "replication"
)

// PageClass is the heading under which the list of features has a command.
type PageClass string

// Classes of the list of features; commands that came later have none.
const (
	PageAdmin               PageClass = "admin"
	PageSignatureEnterprise PageClass = "signature+enterprise"
	PageSignatureOrAdmin    PageClass = "signature-or-admin"
	PageSignature           PageClass = "signature"
	PageOpen                PageClass = "open"
	PageReplication         PageClass = "replication"
)

// Mode says how a command reaches the state.
type Mode string

// Modes.
const (
	// ModeWrite goes through consensus.
	ModeWrite Mode = "write"
	// ModeRead is served by the member that was asked.
	ModeRead Mode = "read"
	// ModeReadThenWrite is a read that goes through consensus only when there is something to take away.
	ModeReadThenWrite Mode = "read_then_write"
	// ModeStream turns the connection into a one-way stream.
	ModeStream Mode = "stream"
	// ModeLocal is answered from what this member knows, without a quorum.
	ModeLocal Mode = "local"
	// ModeCluster changes the cluster itself and is carried out by the leader outside the state machine.
	ModeCluster Mode = "cluster"
)

// Level is a read level.
type Level string

// Read levels, docs/consistency.md#reads.
const (
	Linearizable Level = "linearizable"
	Bounded      Level = "bounded"
	Stale        Level = "stale"
)

// RateClass names a rate limit bucket.
type RateClass string

// Rate classes; RateNone is not limited.
const (
	RateNone         RateClass = ""
	RateRegistration RateClass = "registration"
	RateResolve      RateClass = "resolve"
	RateQuery        RateClass = "query"
	RateHeartbeat    RateClass = "heartbeat"
	RateBeacon       RateClass = "beacon"
)

// Command is a row of the table.
type Command struct {
	Code  Code
	Name  string
	Group Group
	Page  PageClass
	Auth  Auth
	// Enterprise marks commands that work only in enterprise networks.
	Enterprise bool
	// Roles are the roles in the network of which a signer needs one, the
	// highest first; empty when the role does not matter.
	Roles []string
	Mode  Mode
	Rate  RateClass
	// Challenge is the text that is signed, with {field} for fields of the
	// request. Empty when the command is never signed.
	Challenge string
	// NewerChallenge is what newer clients sign instead, empty for most commands.
	NewerChallenge string
	// Signer is the request field that names the signing node. It is
	// "public_key" when the key itself is in the request.
	Signer string
	// SignedOnly marks commands that a signature over their challenge does not
	// prove, because it could be replayed: they are sent as signed requests.
	SignedOnly bool
	// Optional marks open commands that may be signed: a request that names the signer has
	// to sign, and may see more.
	Optional bool
	// Endpoints marks reads whose replies hold what only the trusted may see, so
	// that an operator may bound how old they are.
	Endpoints bool
	// Soft commands are idempotent and frequent; their request ids are not remembered.
	Soft bool
	// RefusesUnknown marks commands that refuse fields they do not have: what an
	// administrator misspells would be a setting that is lost.
	RefusesUnknown bool
	// Lists marks commands that understand limit and cursor.
	Lists bool
	// Plans marks writes that understand dry_run: they say what they would
	// change and change nothing. Their requests may carry if_revision.
	Plans bool
	// Events are the audit actions the command can cause.
	Events []string
	// Feature is the feature that the command belongs to, by its name in
	// [Features]; none for what the first level has.
	Feature string
	// Doc is one line for help texts and docs/commands.md.
	Doc string

	newBody  func() Body
	newReply func() any
	plan     *plan
}

// New returns an empty typed request.
func (c *Command) New() Body {
	if c.newBody == nil {
		return noFields{}
	}
	return c.newBody()
}

// NewReply returns an empty typed reply, for decoding.
func (c *Command) NewReply() any {
	if c.newReply == nil {
		return &map[string]any{}
	}
	return c.newReply()
}

// ReplyType is the `type` of a successful reply.
func (c *Command) ReplyType() string {
	switch c.Name {
	case "get_webhook_dlq":
		return "webhook_dlq_ok"
	case "subscribe_replication":
		return "replication_snapshot"
	}
	return c.Name + "_ok"
}

// Signs reports whether a request of the command is signed.
func (c *Command) Signs(b Body) bool {
	return c.Challenge != "" && (!c.Optional || SignerID(c, b) != 0)
}

// Level is the feature level from which the command may be used.
func (c *Command) Level() uint32 { return FeatureLevel(c.Feature) }

// Writes reports whether the command can change replicated state.
func (c *Command) Writes() bool { return c.Mode == ModeWrite || c.Mode == ModeReadThenWrite }

// AuditExempt reports whether the command is accepted while a required audit
// sink is behind: what it takes to mend that, and signs of life.
func (c *Command) AuditExempt() bool {
	return c.Soft || c.Group == GroupAudit || c.Group == GroupWebhook || c.Group == GroupCluster || c.Name == "set_idp_config" || c.Name == "set_identity_webhook"
}

var (
	byName = map[string]*Command{}
	byCode = map[Code]*Command{}
)

func init() {
	for i := range Commands {
		c := &Commands[i]
		if byName[c.Name] != nil || byCode[c.Code] != nil {
			panic("protocol: command " + c.Name + ": name or code used twice")
		}
		byName[c.Name], byCode[c.Code] = c, c
		c.plan = planFor(reflect.TypeOf(c.New()))
	}
}

// ByName finds a row by its wire name, or nil.
func ByName(name string) *Command { return byName[name] }

// ByCode finds a row by its code, or nil.
func ByCode(code Code) *Command { return byCode[code] }

// Must finds a row that is known to exist.
func Must(name string) *Command {
	c := byName[name]
	if c == nil {
		panic("protocol: no command " + name)
	}
	return c
}

// CommandNames lists all wire names, sorted.
func CommandNames() []string {
	names := make([]string, 0, len(Commands))
	for i := range Commands {
		names = append(names, Commands[i].Name)
	}
	sort.Strings(names)
	return names
}
