// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/cluster/base/spans"
	"github.com/pilotregistry/pilotregistry/cluster/service/jwks"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// maxVerifications bounds the questions to the identity webhook that are
// under way: anyone who may register can cause them.
const maxVerifications = 64

// refreshEvery is the least time, in milliseconds of log time, between two
// questions of this member for newer keys.
const refreshEvery = int64(time.Minute / time.Millisecond)

// rejectedBy begins the texts in which the webhook's refusals come.
const rejectedBy = "identity verification rejected: "

// identities verifies identity tokens before anything is proposed.
type identities struct {
	engine   Engine
	outside  Outside
	metrics  Metrics
	exempt   share.Ranges
	log      hclog.Logger
	slots    slots
	verdicts *verdicts

	mu     sync.Mutex
	source []byte // what keys were read from
	hs256  bool
	keys   *identity.KeySet

	asked  int64         // when newer keys were last asked for
	config uint64        // for which configuration that was
	asking chan struct{} // closed when the question under way is answered
}

func newIdentities(engine Engine, c Config, log hclog.Logger) *identities {
	return &identities{engine: engine, outside: c.Outside, metrics: c.Metrics, exempt: c.Exempt, log: log,
		slots: slots{pool: share.NewPool[share.Source](verifications)}, verdicts: newVerdicts()}
}

// verifyIdentity verifies the identity token of a registration and notes the
// external id. It answers what needs no verification: a repeated request, and
// a registration that is refused anyway.
func (g *Gateway) verifyIdentity(ctx context.Context, conn *server.ConnState, req *protocol.Request, b *protocol.Register) (answer server.Reply, answered bool) {
	b.ExternalID, b.ClaimedRoles = "", nil
	root, e := confirmed(ctx, g.engine)
	if e != nil {
		return server.Reply{Err: e}, true
	}
	v := g.check(ctx, root, conn, req)
	switch {
	case v.replay != nil:
		return g.answer(conn, *v.replay), true
	case v.refusal != nil:
		return g.refuse(conn, req, v.refusal), true
	}
	o := g.identities.worth(ctx, root, conn, b)
	switch {
	case o == nil: // nothing is configured, so the token means nothing
		return server.Reply{}, false
	case o.Err != nil:
		g.metrics.Verified("error")
		return server.Reply{Err: o.Err}, true
	case !o.Verified:
		reason := identity.Clean(o.Reason)
		if !strings.HasPrefix(reason, rejectedBy) {
			reason = "identity verification failed: " + reason
		}
		return server.Reply{Err: protocol.Errorf(protocol.CodeIdentityRejected, "%s", reason)}, true
	}
	b.ExternalID = o.ExternalID
	if o.HasRoles {
		b.ClaimedRoles = claimedRoles(root.RoleMap(), o.Roles)
	}
	return server.Reply{}, false
}

// claimedRoles are the roles that the values of a role claim give: in each
// network that the map names the highest, or that of a member.
func claimedRoles(list []protocol.RoleMapping, values []string) (roles []protocol.ClaimedRole) {
	for _, m := range list {
		i := slices.IndexFunc(roles, func(r protocol.ClaimedRole) bool { return r.NetworkID == m.NetworkID })
		if i < 0 {
			i, roles = len(roles), append(roles, protocol.ClaimedRole{NetworkID: m.NetworkID})
		}
		if m.Role == protocol.RoleAdmin && slices.Contains(values, m.Value) {
			roles[i].Admin = true
		}
	}
	return roles
}

// worth finds out what the token of a registration is worth. The webhook is
// asked once for each key that brings a token, and not again at once for a
// token that it has refused.
func (i *identities) worth(ctx context.Context, root *fsm.Root, conn *server.ConnState, b *protocol.Register) *protocol.TokenOutcome {
	idp, configured := root.IDP()
	asks := root.IdentityWebhook() != "" && !(configured && idp.BuiltIn())
	if asks {
		if subject, known := i.verdicts.verifiedAs(root, b.PublicKey, b.IdentityToken); known {
			return &protocol.TokenOutcome{Verified: true, Subject: subject, ExternalID: subject}
		}
		if reason, known := i.verdicts.rejection(root, b.IdentityToken); known {
			return &protocol.TokenOutcome{Reason: reason}
		}
	}
	_, stage := spans.Begin(ctx, "identity")
	o := i.verify(ctx, root, conn, b.IdentityToken)
	stage.End(nil)
	switch {
	case o == nil:
	case o.Verified:
		i.verdicts.rememberVerified(root, b.PublicKey, b.IdentityToken, o.Subject)
	case o.Err == nil && asks:
		i.verdicts.rememberRejected(root, b.IdentityToken, o.Reason)
	}
	return o
}

// verify finds out what a token is worth in the configured way: by the
// provider's keys, or by asking the webhook. nil when no way is configured.
func (i *identities) verify(ctx context.Context, root *fsm.Root, conn *server.ConnState, token protocol.Secret) *protocol.TokenOutcome {
	idp, configured := root.IDP()
	var o *protocol.TokenOutcome
	switch hook := root.IdentityWebhook(); {
	case configured && idp.BuiltIn():
		o = i.byKeys(ctx, root, token)
	case hook != "":
		o = i.askWebhook(ctx, conn, hook, token)
	default:
		return nil
	}
	switch {
	case o.Verified:
		i.metrics.Verified("verified")
	case o.Err == nil:
		i.metrics.Verified("rejected")
	}
	return o
}

// askWebhook puts the question to the identity webhook.
func (i *identities) askWebhook(ctx context.Context, conn *server.ConnState, url string, token protocol.Secret) *protocol.TokenOutcome {
	if i.outside.Webhook == nil {
		return &protocol.TokenOutcome{Err: protocol.NotAppliedf(protocol.CodeIdentityFailed, "this member cannot ask the identity webhook; ask another member")}
	}
	source := share.OfText(conn.Source)
	limit, done := i.slots.take(source, i.exempt.HasText(conn.Source))
	if limit != share.Within {
		whose := ""
		if limit != share.WholeTotal {
			whose = " for " + source.String()
		}
		return &protocol.TokenOutcome{Err: protocol.NotAppliedf(protocol.CodeOverloaded, "too many identity verifications are under way%s; try again shortly", whose)}
	}
	defer done()
	id, e := i.outside.Webhook(ctx, url, token)
	switch {
	case e == nil:
		return &protocol.TokenOutcome{Verified: true, Subject: id, ExternalID: id}
	case e.Code == protocol.CodeIdentityRejected:
		return &protocol.TokenOutcome{Reason: e.Text}
	}
	return &protocol.TokenOutcome{Err: e}
}

// byKeys judges a token by the replicated keys. A key that is not known yet
// may be new: the leader is asked for newer ones, once, and the token is
// judged again.
func (i *identities) byKeys(ctx context.Context, root *fsm.Root, token protocol.Secret) *protocol.TokenOutcome {
	v, e := i.byKeysOf(root, token)
	if e != nil && (e.Code == protocol.CodeJWKSKey || e.Code == protocol.CodeJWKS) {
		if newer := i.newerKeys(ctx, root); newer != nil {
			v, e = i.byKeysOf(newer, token)
		}
	}
	if e != nil {
		return &protocol.TokenOutcome{Err: e}
	}
	return &protocol.TokenOutcome{Verified: v.Verified, Subject: v.Subject, Issuer: v.Issuer, Reason: v.Reason,
		ExternalID: v.ExternalID, Roles: v.Roles, HasRoles: v.HasRoles}
}

func (i *identities) byKeysOf(root *fsm.Root, token protocol.Secret) (identity.Verdict, *protocol.Error) {
	idp, _ := root.IDP()
	keys, e := i.keySet(root, idp)
	if e != nil {
		return identity.Verdict{}, e
	}
	return identity.Validate(provider(root, idp), token, keys, time.UnixMilli(root.Now()))
}

// ExplainToken says what came of each check of an identity token, to an
// administrator. Without a provider whose tokens the registry reads itself
// there are no checks to tell of.
func (g *Gateway) ExplainToken(token protocol.Secret) []identity.Step {
	root := g.engine.Root()
	idp, configured := root.IDP()
	if !configured || !idp.BuiltIn() {
		return nil
	}
	keys, e := g.identities.keySet(root, idp)
	if e != nil {
		keys = nil // what is wrong with them is on the page of the provider
	}
	return identity.Explain(provider(root, idp), token, keys, time.UnixMilli(root.Now()))
}

// provider is what tokens are checked against.
func provider(root *fsm.Root, idp protocol.IDP) identity.Provider {
	p := identity.Provider{Issuer: idp.Issuer, ClientID: idp.ClientID, AllowHS256: !idp.RefuseHS256, ExternalIDClaim: idp.ExternalIDClaim, RoleClaim: idp.RoleClaim}
	if _, fetched, ok := root.JWKS(); ok {
		p.Fetched = time.UnixMilli(fetched)
	}
	return p
}

// keySet reads the replicated keys; nil when there are none yet. They are
// read once for all tokens.
func (i *identities) keySet(root *fsm.Root, idp protocol.IDP) (*identity.KeySet, *protocol.Error) {
	doc, fetched, ok := root.JWKS()
	of := root.KeyStatus()
	switch {
	case !ok && of.Failed != "":
		return nil, protocol.NotAppliedf(protocol.CodeJWKS, "JWKS: the identity provider's keys cannot be had since %s: %s; an administrator sees more with: pilotctl idp show",
			time.UnixMilli(of.Failing).UTC().Format(time.RFC3339), of.Failed)
	case !ok:
		return nil, nil
	case root.Now()-fetched > jwks.MaxAge.Milliseconds():
		return nil, protocol.NotAppliedf(protocol.CodeJWKS, "JWKS: the identity provider's keys could not be fetched for %s and are used no longer: %s", jwks.MaxAge, of.Failed)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.source) == len(doc) && &i.source[0] == &doc[0] && i.hs256 != idp.RefuseHS256 {
		return i.keys, nil
	}
	keys, err := jwks.Decode(doc, i.engine.Keyring(), !idp.RefuseHS256, of.LeftOut)
	if err != nil {
		return nil, protocol.NotAppliedf(protocol.CodeJWKS, "JWKS: %v", err)
	}
	i.source, i.hs256, i.keys = doc, !idp.RefuseHS256, keys
	return keys, nil
}

// fetchAgain has the keys fetched at once when the provider is configured as it
// is already: an administrator who does that has a reason.
func (i *identities) fetchAgain(ctx context.Context, root *fsm.Root, body protocol.Body) {
	r, is := body.(*protocol.SetIDPConfig)
	if !is || i.outside.RefreshKeys == nil {
		return
	}
	now, _ := root.IDP()
	if then := r.IDP(); !then.BuiltIn() || then.URL != now.URL || then.Issuer != now.Issuer || then.RefuseHS256 != now.RefuseHS256 {
		return // a change of these is a fetch anyway
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), identity.FetchTimeout+time.Second)
		defer cancel()
		if e := i.outside.RefreshKeys(ctx, true); e != nil {
			i.log.Debug("the identity provider's keys could not be fetched again", "error", e.Text)
		}
	}()
}

// newerKeys has the leader fetch the keys, at most once a minute; everybody
// who needs them in the meantime waits for the same fetch. It returns the
// state with whatever keys there are then, nil when nobody was asked.
func (i *identities) newerKeys(ctx context.Context, root *fsm.Root) *fsm.Root {
	if i.outside.RefreshKeys == nil {
		return nil
	}
	i.mu.Lock()
	running := i.asking
	first := running == nil
	if first {
		if i.asked != 0 && root.Now()-i.asked < refreshEvery && i.config == root.ConfigRevision() {
			i.mu.Unlock()
			return nil
		}
		running = make(chan struct{})
		i.asking, i.asked, i.config = running, root.Now(), root.ConfigRevision()
	}
	i.mu.Unlock()
	if first {
		// The fetch is for all who wait, so it does not end with the first one's request.
		go func() {
			defer close(running)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), identity.FetchTimeout+time.Second)
			defer cancel()
			if e := i.outside.RefreshKeys(ctx, false); e != nil {
				i.log.Debug("the identity provider's keys are not newer", "error", e.Text)
			}
			i.mu.Lock()
			i.asking = nil
			i.mu.Unlock()
		}()
	}
	select {
	case <-running:
	case <-ctx.Done():
		return nil
	}
	newer, e := confirmed(ctx, i.engine)
	if e != nil {
		return nil
	}
	return newer
}
