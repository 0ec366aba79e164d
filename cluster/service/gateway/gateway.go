// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// Engine is the member behind the gateway: what package cluster offers.
type Engine interface {
	Propose(ctx context.Context, env fsm.Envelope) (fsm.Result, *protocol.Error)
	ReadIndex(ctx context.Context) (uint64, *protocol.Error)
	WaitApplied(ctx context.Context, index uint64) *protocol.Error
	FreshWithin(d time.Duration) bool
	// DataAge is how old the newest applied entry is, by this member's clock.
	DataAge() time.Duration
	Root() *fsm.Root
	Keyring() *keyring.Keyring
	Quarantined() (reason string, yes bool)

	Status(ctx context.Context) protocol.ClusterStatusReply
	Members(ctx context.Context) []protocol.ClusterMember
	TransferLeadership(ctx context.Context, memberID string) *protocol.Error
	LeaderID() string
	JoinToken(ctx context.Context, nonvoter bool, ttl time.Duration) (token string, expires time.Time, err *protocol.Error)
	Promote(ctx context.Context, memberID string) *protocol.Error
	Remove(ctx context.Context, memberID string, force bool) *protocol.Error
}

// Access says who may use a command that the protocol leaves open.
type Access string

// Access values.
const (
	AccessOpen   Access = "open"
	AccessSigned Access = "signed"
	AccessAdmin  Access = "admin"
)

// Policy are the operator's switches, docs/configuration.md. The zero value
// is the default.
type Policy struct {
	// OwnerReclaim lets a new key take over the node id of a known owner name,
	// as the original registry does.
	OwnerReclaim bool
	// Register, Polo and Beacon close what the protocol leaves open; "" means open.
	Register Access
	Polo     Access
	Beacon   Access
	// UnsignedRoles lets a node act by its bare name in role commands, as the
	// original registry does; OnUnsigned, when set, counts such commands.
	UnsignedRoles bool
	OnUnsigned    func(command string)
	// UnsignedIdentity lets an unsigned registration bring the first identity
	// token of a node that exists; OnUnsignedIdentity, when set, counts those.
	UnsignedIdentity   bool
	OnUnsignedIdentity func()
	// LegacySignatures says what becomes of signatures over challenges, which
	// can be replayed: "" and allow take them, warn also logs who uses them,
	// deny refuses them. OnLegacy, when set, counts them, verified or not;
	// OnLegacyNode counts by the node that a verified one proved.
	LegacySignatures Legacy
	OnLegacy         func(command string)
	OnLegacyNode     func(node uint32)
	// Relay is the address, host:port, that is given for nodes which can only be
	// reached through a relay; "" means a beacon.
	Relay string
	// EndpointStaleness bounds how old stale and bounded answers of resolve and
	// punch may be; 0 sets no limit.
	EndpointStaleness time.Duration
	// MaxRequest is the longest request that the front door reads, as clients
	// are told; 0 means protocol.MaxRequestBytes.
	MaxRequest int
	// CheckTarget, when set, says whether the registry may call an address or write a file.
	CheckTarget func(protocol.Target) *protocol.Error
	// Webhook asks the identity webhook at a URL who the bearer of a token is.
	Webhook func(ctx context.Context, url string, token protocol.Secret) (externalID string, e *protocol.Error)
	// RefreshKeys has the leader fetch the identity provider's keys and
	// returns when it has; nil when there is nobody to ask.
	RefreshKeys func(ctx context.Context, urgent bool) *protocol.Error
	// Verifier has the keys of the verifier of accounts; the default is the public one.
	Verifier *identity.Verifier
	// Guesses slows down who tries tokens; the default slows down everybody.
	Guesses *guess.Guard
	// Exempt are the addresses that no bound per source applies to.
	Exempt share.Ranges
	// OnVerified, when set, counts tokens by what became of them: verified, rejected, error.
	OnVerified func(result string)
}

// Gateway implements server.Backend.
type Gateway struct {
	engine Engine
	policy Policy
	log    hclog.Logger
	ids    *identities

	legacyUsers *lru.Cache[uint32, int64]

	refused refusals
}

var _ server.Backend = (*Gateway)(nil)

// New makes the gateway of a member.
func New(engine Engine, policy Policy, log hclog.Logger) *Gateway {
	if policy.Guesses == nil {
		policy.Guesses = guess.New(guess.Config{Exempt: policy.Exempt})
	}
	if policy.Verifier == nil {
		policy.Verifier = publicVerifier()
	}
	return &Gateway{engine: engine, policy: policy, log: log.Named("gateway"), ids: newIdentities(), refused: refusals{notes: share.NewNotes()}, legacyUsers: newLegacyUsers()}
}

// Serve answers one request. Who has tried many wrong tokens waits, or is not
// heard, when another token comes along.
func (g *Gateway) Serve(ctx context.Context, conn *server.ConnState, req *protocol.Request) server.Reply {
	kind := presented(req)
	if kind == "" {
		return g.serve(ctx, conn, req)
	}
	if e := g.policy.Guesses.Admit(ctx, conn.Source, kind); e != nil {
		return server.Reply{Err: e}
	}
	reply := g.serve(ctx, conn, req)
	if g.guessed(req, kind, reply.Code()) {
		g.policy.Guesses.Wrong(conn.Source, kind)
		if kind == guess.Admin && !isNoted(req, reply.Code()) { // else it was noted as a refusal
			g.note(conn, req, protocol.CodeAdminToken)
		}
	}
	return reply
}

func (g *Gateway) serve(ctx context.Context, conn *server.ConnState, req *protocol.Request) server.Reply {
	if e := g.refuseClosed(ctx, req); e != nil {
		return server.Reply{Err: e}
	}
	if req.DryRun {
		return g.plan(ctx, conn, req)
	}
	switch req.Command.Mode {
	case protocol.ModeWrite:
		return g.write(ctx, conn, req)
	case protocol.ModeRead, protocol.ModeReadThenWrite:
		return g.read(ctx, conn, req)
	case protocol.ModeLocal, protocol.ModeCluster:
		return g.cluster(ctx, conn, req)
	}
	return server.Reply{Err: protocol.Errorf(protocol.CodeInternal, "%s cannot be answered here", req.Type)}
}

// refuseClosed refuses what this member must not answer now, or what the operator closed.
func (g *Gateway) refuseClosed(ctx context.Context, req *protocol.Request) *protocol.Error {
	row := req.Command
	if reason, yes := g.engine.Quarantined(); yes && row.Mode != protocol.ModeLocal {
		return protocol.NotAppliedf(protocol.CodeQuarantined, "this member is quarantined (%s); ask another member", reason)
	}
	e := inactive(g.engine.Root().Level(), req)
	if e != nil {
		// This member may only not know yet: it has just started, or lags.
		root, late := g.confirmed(ctx)
		if late != nil {
			return late
		}
		e = inactive(root.Level(), req)
	}
	if e != nil {
		return e
	}
	return g.legacy(req)
}

// inactive refuses what a feature level does not have yet.
func inactive(level uint32, req *protocol.Request) *protocol.Error {
	row := req.Command
	switch {
	case row.Level() > level && row.Mode != protocol.ModeLocal && level != 0:
		return protocol.NotAppliedf(protocol.CodeFeatureNotActive, "%s becomes available when all members are upgraded and the feature level is %d", row.Name, row.Level())
	}
	return nil
}
