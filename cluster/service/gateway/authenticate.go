// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// authenticate establishes who calls against one root and adds the facts that
// Apply cannot find out. It must be repeated for every root the request is
// decided on. The error is a refusal that no state can lift.
func (g *Gateway) authenticate(root *fsm.Root, conn *server.ConnState, req *protocol.Request) (*fsm.Call, *protocol.Error) {
	c := &fsm.Call{Row: req.Command, Body: req.Body, Options: req.Options, Source: conn.Source, Relay: g.policy.Relay}
	if req.Signed != nil {
		c.Options.RequestID = fsm.SignedID(req.Signed.TS, req.RequestID)
	}
	c.SigError = g.signer(root, req, c)
	if e := c.SigError; e != nil && req.Signed != nil && (e.Code == protocol.CodeSignatureInvalid || !e.Stateful) {
		return nil, e // an envelope that is wrong is not rescued by a token
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
		return g.envelope(root, req, c)
	}
	if !row.Signs(req.Body) || row.Signer == "public_key" || openSignedOnly(row) {
		return nil
	}
	id := protocol.SignerID(row, req.Body)
	e := signedBy(root, c, id, protocol.ChallengeText(row, req.Body), req.Signature)
	newer := protocol.NewerChallengeText(row, req.Body)
	if e != nil && newer != "" && signedBy(root, c, id, newer, req.Signature) == nil {
		e = nil
	}
	if e != nil && signedByReplaced(root, c, req, newer) {
		e = nil
	}
	return e
}

// signedByReplaced recognises the key that a node has just replaced, when that
// asks once more for what it has got, because it has not heard so.
func signedByReplaced(root *fsm.Root, c *fsm.Call, req *protocol.Request, newer string) bool {
	r, ok := req.Body.(*protocol.RotateKey)
	if !ok || req.Signature == "" {
		return false
	}
	now, err := protocol.ParsePublicKey(r.NewPublicKey)
	if err != nil {
		return false
	}
	former, gen, ok := root.ReplacedKey(r.NodeID, now)
	if !ok || identity.CheckSignature(former, newer, req.Signature) != nil &&
		identity.CheckSignature(former, protocol.ChallengeText(req.Command, r), req.Signature) != nil {
		return false
	}
	c.Actor.Node, c.Actor.KeyGen = r.NodeID, gen
	return true
}

// signedBy verifies a signature by the key of a node and notes the node as the
// actor. A request that took the node's key away, as rotate_key does, is
// still known by that key when it comes again.
func signedBy(root *fsm.Root, c *fsm.Call, id uint32, text string, signature protocol.Secret) *protocol.Error {
	key, gen, keyless, ok := root.NodeKey(id)
	e := protocol.Refusef(protocol.CodeNotFound, "node %d: node not found", id)
	switch {
	case ok && keyless:
		return identity.ErrKeyless()
	case ok:
		e = identity.CheckSignature(key, text, signature)
	}
	if e != nil && c.Options.RequestID != "" && signature != "" {
		var former bool
		if key, gen, former = root.FormerKey(c.Row, id, c.Options.RequestID); former && identity.CheckSignature(key, text, signature) == nil {
			e = nil
		}
	}
	if e != nil && c.Row.Name == "deregister" && signature != "" {
		// Sent again after it has had its effect. Its sender is no stranger, so
		// the request is remembered: a copy that is still on its way would take
		// the node out again after it has come back.
		var gone bool
		if key, gen, gone = root.GoneKey(id); gone && identity.CheckSignature(key, text, signature) == nil {
			e = nil
		}
	}
	if e == nil {
		c.Actor.Node, c.Actor.KeyGen = id, gen
	}
	return e
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
