// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/cluster/base/spans"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// verify is authenticate as a stage of a traced request.
func (g *Gateway) verify(ctx context.Context, root *fsm.Root, conn *server.ConnState, req *protocol.Request) (*fsm.Call, *protocol.Error) {
	_, stage := spans.Begin(ctx, "verify")
	call, e := g.authenticate(root, conn, req)
	stage.End(e)
	return call, e
}

// countSignature counts a signature that authenticate verified.
func (g *Gateway) countSignature(req *protocol.Request, c *fsm.Call, refusal *protocol.Error) {
	if req.Signed == nil && req.Signature == "" {
		return
	}
	b, registers := req.Body.(*protocol.Register)
	switch {
	case isInvalid(refusal) || isInvalid(c.SigError):
		g.metrics.Signature(false)
	case c.SigError == nil && c.Actor.Node != 0, registers && refusal == nil && b.Proven:
		g.metrics.Signature(true)
	}
}

func isInvalid(e *protocol.Error) bool { return e != nil && e.Code == protocol.CodeSignatureInvalid }

// authenticate establishes who calls against one root and adds the facts that
// Apply cannot find out. It must be repeated for every root the request is
// decided on. The error is a refusal that no state can lift.
func (g *Gateway) authenticate(root *fsm.Root, conn *server.ConnState, req *protocol.Request) (_ *fsm.Call, refusal *protocol.Error) {
	c := &fsm.Call{Row: req.Command, Body: req.Body, Options: req.Options, Source: conn.Source, Relay: g.policy.Relay}
	if req.Signed != nil {
		c.Options.RequestID = fsm.SignedID(req.Signed.TS, req.RequestID)
	}
	c.SigError = g.signer(root, req, c)
	defer func() { g.countSignature(req, c, refusal) }()
	if e := c.SigError; e != nil && req.Signed != nil && (e.Code == protocol.CodeSignatureInvalid || !e.Stateful) {
		return nil, e // a wrong signed request is not rescued by a token
	}
	c.AdminError = g.admin(root, req, &c.Actor)
	if e := g.resolve(&resolution{root, conn, req, c}); e != nil {
		return nil, e
	}
	if req.RequestID != "" {
		c.Hash = req.Hash()
	}
	return c, nil
}

// signer verifies the signature by the stored key of the node that the
// request names as its signer.
func (g *Gateway) signer(root *fsm.Root, req *protocol.Request, c *fsm.Call) *protocol.Error {
	row := req.Command
	if req.Signed != nil {
		return signedRequest(root, req, c)
	}
	if !row.Signs(req.Body) || row.Signer == "public_key" || openSignedOnly(row) {
		return nil
	}
	return signedBy(root, req, c, req.Signature, protocol.ChallengeText(row, req.Body), protocol.NewerChallengeText(row, req.Body))
}

// signedBy verifies a signature over one of the texts by the key of the node
// that signs, and notes that node as the actor.
func signedBy(root *fsm.Root, req *protocol.Request, c *fsm.Call, signature protocol.Secret, texts ...string) *protocol.Error {
	id := protocol.SignerID(req.Command, req.Body)
	key, gen, keyless, ok := root.NodeKey(id)
	e := protocol.Refusef(protocol.CodeNotFound, "node %d: node not found", id)
	switch {
	case ok && keyless:
		return identity.ErrKeyless()
	case ok:
		e = signedWith(key, signature, texts)
	}
	if e == nil {
		c.Actor.Node, c.Actor.KeyGen = id, gen
		return nil
	}
	if signature == "" {
		return e
	}
	for _, former := range [...]formerKey{rememberedKey, resolvers[req.Command.Name].former} {
		if former == nil {
			continue
		}
		if key, gen, ok = former(root, req, c); ok && signedWith(key, signature, texts) == nil {
			c.Actor.Node, c.Actor.KeyGen = id, gen
			return nil
		}
	}
	return e
}

// signedWith verifies a signature over one of the texts, of which only the
// first is always there. The refusal is that of the first.
func signedWith(key protocol.PublicKey, signature protocol.Secret, texts []string) *protocol.Error {
	first := identity.CheckSignature(key, texts[0], signature)
	for _, text := range texts[1:] {
		if first != nil && text != "" && identity.CheckSignature(key, text, signature) == nil {
			return nil
		}
	}
	return first
}

// admin recognises the admin token. A token that is neither needed nor sent costs nothing.
func (g *Gateway) admin(root *fsm.Root, req *protocol.Request, a *fsm.Actor) *protocol.Error {
	wrong := func() *protocol.Error { return protocol.Refusef(protocol.CodeAdminToken, "invalid admin token") }
	if req.AdminToken == "" && req.Command.Auth != protocol.AuthAdmin {
		return wrong()
	}
	tokens := root.Tokens(fsm.TokenAdmin)
	if len(tokens) == 0 {
		return protocol.Refusef(protocol.CodeAdminDisabled, "network creation is disabled: this cluster has no admin token, so no administrative command is accepted")
	}
	if t := match(g.engine.Keyring(), tokens, cluster.PurposeAdmin, req.AdminToken); t != nil {
		a.Token, a.TokenGen = t.Name, t.Generation
		return nil
	}
	return wrong()
}

// match finds the record of a presented token, in constant time per record.
func match(k *keyring.Keyring, tokens []fsm.TokenRecord, purpose string, token protocol.Secret) *fsm.TokenRecord {
	if token == "" {
		return nil
	}
	var found *fsm.TokenRecord
	for i := range tokens {
		if k.Verify(tokens[i].MAC, purpose, string(token)) {
			found = &tokens[i]
		}
	}
	return found
}
