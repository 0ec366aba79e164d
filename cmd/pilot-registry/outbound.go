package main

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/gateway"
	"github.com/pilotregistry/pilotregistry/cluster/jwks"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// guard is what stands between the registry and the places it is told to call.
func (c *config) guard() (*identity.URLGuard, error) {
	allow, err := identity.ParseTargets(c.Outbound.AllowTargets)
	if err != nil {
		return nil, fmt.Errorf("outbound.allow_targets: %w", err)
	}
	return &identity.URLGuard{Allow: allow, AllowLoopback: c.Outbound.AllowLoopback}, nil
}

// outbound is what a member calls for identities, all of it through one guard.
type outbound struct {
	guard   *identity.URLGuard
	webhook *identity.Webhook
	keys    *jwks.Duty
}

func newOutbound(c *config, registry prometheus.Registerer) (*outbound, error) {
	guard, err := c.guard()
	if err != nil {
		return nil, err
	}
	fetcher := &identity.Fetcher{Guard: guard, Client: guard.NewHTTPClient(identity.ClientOptions{Timeout: identity.FetchTimeout})}
	out := &outbound{
		guard:   guard,
		webhook: &identity.Webhook{Guard: guard, Client: guard.NewHTTPClient(identity.ClientOptions{Timeout: identity.WebhookTimeout})},
		keys:    jwks.New(fetcher.FetchJWKS),
	}
	return out, registry.Register(out.keys.Collector())
}

// policy lets the front door verify identities.
func (o *outbound) policy(p *gateway.Policy, node *cluster.Node) {
	p.CheckTarget = func(t protocol.Target) *protocol.Error {
		_, e := o.guard.CheckURL(t.Field, t.URL)
		return e
	}
	p.Webhook = o.webhook.Verify
	p.RefreshKeys = func(ctx context.Context) *protocol.Error { return node.Nudge(ctx, jwks.Name) }
}
