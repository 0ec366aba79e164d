// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// Engine is the member that the gateway serves: what package cluster offers.
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
	// ID of the member.
	ID() string

	Status(ctx context.Context) protocol.ClusterStatusReply
	Members(ctx context.Context) []protocol.ClusterMember
	TransferLeadership(ctx context.Context, memberID string) *protocol.Error
	LeaderID() string
	JoinToken(ctx context.Context, nonvoter bool, ttl time.Duration) (token string, expires time.Time, e *protocol.Error)
	Promote(ctx context.Context, memberID string) *protocol.Error
	Repair(ctx context.Context, memberID string) *protocol.Error
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
	// original registry does.
	UnsignedRoles bool
	// UnsignedIdentity lets an unsigned registration bring the first identity
	// token of a node that exists.
	UnsignedIdentity bool
	// LegacySignatures says what becomes of signatures over challenges, which
	// can be replayed: "" and allow take them, warn also logs who uses them,
	// deny refuses them.
	LegacySignatures Legacy
	// Relay is the address, host:port, that is given for nodes which can only be
	// reached through a relay; "" means a beacon.
	Relay string
	// EndpointStaleness bounds how old stale and bounded answers of resolve and
	// punch may be; 0 sets no limit.
	EndpointStaleness time.Duration
	// MaxRequest is the longest request that the front door reads, as clients
	// are told; 0 means protocol.MaxRequestBytes.
	MaxRequest int
}

// Outside is what the gateway asks of the world outside the member.
type Outside struct {
	// CheckTarget says whether the registry may call an address or write a
	// file; nil allows what is well formed.
	CheckTarget func(protocol.Target) *protocol.Error
	// Webhook asks the identity webhook at a URL who the bearer of a token is.
	Webhook func(ctx context.Context, url string, token protocol.Secret) (externalID string, e *protocol.Error)
	// RefreshKeys has the leader fetch the identity provider's keys and
	// returns when it has; nil when there is nobody to ask.
	RefreshKeys func(ctx context.Context, urgent bool) *protocol.Error
}

// Metrics count what only the gateway sees.
type Metrics interface {
	// UnsignedRole counts commands of nodes that acted by their bare name.
	UnsignedRole(command string)
	// UnsignedIdentity counts registrations that Policy.UnsignedIdentity let through.
	UnsignedIdentity()
	// Verified counts identity tokens by result: verified, rejected, error.
	Verified(result string)
	// Signature counts signatures that were verified, valid or not.
	Signature(valid bool)
	// Legacy counts signatures over challenges, verified or not.
	Legacy(command string)
	// LegacyNode counts by the node that a verified one proved.
	LegacyNode(node uint32)
}

// Config is what a gateway works with; all of it has a default.
type Config struct {
	Policy  Policy
	Outside Outside
	// Metrics is nil when nobody counts.
	Metrics Metrics
	// Verifier has the keys of the verifier of accounts; the default is the public one.
	Verifier *identity.Verifier
	// Guesses slows down sources that try tokens; by default none is exempt.
	Guesses *guess.Guard
	// Exempt are the addresses that no bound per source applies to.
	Exempt share.Ranges
}

// Gateway implements server.Backend.
type Gateway struct {
	engine   Engine
	policy   Policy
	outside  Outside
	metrics  Metrics
	verifier *identity.Verifier
	guesses  *guess.Guard
	log      hclog.Logger

	secrets    secrets
	identities *identities
	legacy     *legacySignatures
	refusals   *refusals
	// backups bounds the backups that are being streamed.
	backups chan struct{}
}

var _ server.Backend = (*Gateway)(nil)

// New makes the gateway of a member.
func New(engine Engine, c Config, log hclog.Logger) *Gateway {
	if c.Guesses == nil {
		c.Guesses = guess.New(guess.Config{Exempt: c.Exempt})
	}
	if c.Verifier == nil {
		c.Verifier = publicVerifier()
	}
	if c.Metrics == nil {
		c.Metrics = uncounted{}
	}
	log = log.Named("gateway")
	return &Gateway{
		engine: engine, policy: c.Policy, outside: c.Outside, metrics: c.Metrics, verifier: c.Verifier, guesses: c.Guesses, log: log,
		secrets:    secrets{engine},
		identities: newIdentities(engine, c, log),
		legacy:     newLegacySignatures(c, log),
		refusals:   newRefusals(engine, c.Guesses),
		backups:    make(chan struct{}, maxBackups),
	}
}

// uncounted are the metrics of a gateway without any.
type uncounted struct{}

func (uncounted) UnsignedRole(string) {}
func (uncounted) UnsignedIdentity()   {}
func (uncounted) Verified(string)     {}
func (uncounted) Signature(bool)      {}
func (uncounted) Legacy(string)       {}
func (uncounted) LegacyNode(uint32)   {}

// Serve answers one request. A source that has tried many wrong tokens waits, or
// is refused, when it presents another one.
func (g *Gateway) Serve(ctx context.Context, conn *server.ConnState, req *protocol.Request) server.Reply {
	kind := presented(req)
	if kind == "" {
		return g.serve(ctx, conn, req)
	}
	if e := g.guesses.Admit(ctx, conn.Source, kind); e != nil {
		return server.Reply{Err: e}
	}
	reply := g.serve(ctx, conn, req)
	if g.guessed(req, kind, reply.Code()) {
		g.guesses.Wrong(conn.Source, kind)
		if kind == guess.Admin && !isNoted(req, reply.Code()) { // else it was noted as a refusal
			g.refusals.note(conn, req, protocol.CodeAdminToken)
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
		root, late := confirmed(ctx, g.engine)
		if late != nil {
			return late
		}
		e = inactive(root.Level(), req)
	}
	if e != nil {
		return e
	}
	return g.legacy.admit(req)
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
