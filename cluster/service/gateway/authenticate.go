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

// Purposes under which network credentials are hashed by the keyring. A token
// of one purpose is never taken for another.
const (
	purposeNetwork      = "network-join"
	purposeNetworkAdmin = "network-admin"
	purposeExportToken  = "blueprint-export-token"
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
	if e := g.facts(root, conn, req, c); e != nil {
		return nil, e
	}
	if req.RequestID != "" {
		c.Hash = req.Hash()
	}
	nameThem(req.Body)
	return c, nil
}

// nameThem adds the forms by which the external ids in a request are compared.
func nameThem(body protocol.Body) {
	if b, ok := body.(protocol.IDBody); ok {
		b.EachID(func(id string, keys *protocol.IDKeys) { *keys = identity.IDKeys(id) })
	}
	if b, ok := body.(protocol.FormsBody); ok {
		b.SetForms(identity.IDForms)
	}
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

// facts resolves what is not deterministic or secret before proposing.
func (g *Gateway) facts(root *fsm.Root, conn *server.ConnState, req *protocol.Request, c *fsm.Call) *protocol.Error {
	checkPolicies(req.Body)
	g.checkStatements(req.Body)
	if b, ok := req.Body.(roleBody); ok {
		return g.roleFacts(root, req, b, c)
	}
	if b, ok := req.Body.(*protocol.ProvisionNetwork); ok {
		if e := g.blueprintSecrets(root, b); e != nil {
			return e
		}
	}
	if e := g.outbound(root, req, c); e != nil {
		return e
	}
	switch b := req.Body.(type) {
	case *protocol.Register:
		return g.registerFacts(root, conn, req, b, c)
	case *protocol.CreateNetwork:
		return g.networkTokens(root, b)
	case *protocol.JoinNetwork:
		b.TokenMAC = protocol.MAC{}
		if version, ok := root.NetworkTokenKey(b.NetworkID); ok {
			return g.mac(version, purposeNetwork, b.Token, &b.TokenMAC)
		}
	case *protocol.BeaconRegister:
		if b.SignedAt = 0; req.Signed != nil {
			b.SignedAt = req.Signed.TS
		}
		return g.access(g.policy.Beacon, c, c.Actor.Node != 0, "auth.beacon")
	case *protocol.UpdatePoloScore, *protocol.SetPoloScore:
		return g.access(g.policy.Polo, c, c.Actor.Node != 0, "auth.polo")
	}
	return nil
}

// roleBody is a request that a network's own admin token authorises.
type roleBody interface {
	protocol.Body
	SetNetworkToken(protocol.MAC)
	PresentedToken() protocol.MAC
	SetUnsigned(bool)
	UnsignedClaim() bool
}

// roleFacts recognises the network's own admin token, and lets a node act by
// its bare name where the operator allows the old form of the role commands.
func (g *Gateway) roleFacts(root *fsm.Root, req *protocol.Request, b roleBody, c *fsm.Call) *protocol.Error {
	b.SetNetworkToken(protocol.MAC{})
	b.SetUnsigned(false)
	stored, has := root.NetworkAdminToken(protocol.NetworkID(req.Command, b))
	if has && req.AdminToken != "" && g.engine.Keyring().Verify(stored, purposeNetworkAdmin, string(req.AdminToken)) {
		b.SetNetworkToken(stored)
		return nil
	}
	if g.policy.UnsignedRoles && req.Command.Auth == protocol.AuthRole && req.Signature == "" && req.Signed == nil && c.Actor.Token == "" {
		b.SetUnsigned(protocol.SignerID(req.Command, b) != 0)
	}
	return nil
}

func (g *Gateway) registerFacts(root *fsm.Root, conn *server.ConnState, req *protocol.Request, b *protocol.Register, c *fsm.Call) *protocol.Error {
	b.Endpoint = protocol.SanitizeEndpoint(conn.Source, b.ListenAddr)
	b.OwnerReclaim, b.UnsignedIdentity = g.policy.OwnerReclaim, g.policy.UnsignedIdentity
	b.Proven, b.SignedRequest = false, false
	if req.Signed != nil {
		if e := g.registerEnvelope(root, req.Signed, b); e != nil {
			return e
		}
		b.Proven, b.SignedRequest = true, true
	}
	if req.Signature != "" {
		key, err := protocol.ParsePublicKey(b.PublicKey)
		if err != nil {
			return protocol.Errorf(protocol.CodeInvalid, "invalid public key: %v", err)
		}
		if e := identity.CheckSignature(key, protocol.ChallengeText(req.Command, b), req.Signature); e != nil {
			e.Stateful = false // the key is in the request itself
			return e
		}
		b.Proven = true
	}
	if b.Proven { // the signature covers listen_addr
		b.Endpoint = signedEndpoint(conn.Source, b.ListenAddr)
	}
	return g.access(g.policy.Register, c, b.Proven, "auth.register")
}

// access applies the operator's switch for a command that is open by default.
func (g *Gateway) access(want Access, c *fsm.Call, signed bool, option string) *protocol.Error {
	switch {
	case want == AccessAdmin && c.Actor.Token == "":
		return protocol.Refusef(protocol.CodePermissionDenied, "%s is set to admin in this cluster: %s required an admin token", option, c.Row.Name)
	case want == AccessSigned && !signed && c.Actor.Token == "":
		return protocol.Refusef(protocol.CodeSignatureRequired, "%s is set to signed in this cluster: a signature or the admin token is required for %s", option, c.Row.Name)
	}
	return nil
}

func (g *Gateway) networkTokens(root *fsm.Root, b *protocol.CreateNetwork) *protocol.Error {
	version := root.ActiveKey()
	b.TokenMAC, b.NetworkAdminTokenMAC = protocol.MAC{}, protocol.MAC{}
	if b.Token != "" { // a token network without a token is refused, for which its MAC has to be missing
		if e := g.mac(version, purposeNetwork, b.Token, &b.TokenMAC); e != nil {
			return e
		}
	}
	if b.NetworkAdminToken != "" {
		return g.mac(version, purposeNetworkAdmin, b.NetworkAdminToken, &b.NetworkAdminTokenMAC)
	}
	return nil
}

// blueprintSecrets turns the secrets of a blueprint into what may be stored
// and logged. The one that has to be sent on is encrypted besides, see outbound.
func (g *Gateway) blueprintSecrets(root *fsm.Root, b *protocol.ProvisionNetwork) *protocol.Error {
	b.JoinTokenMAC, b.NetworkAdminTokenMAC, b.ExportTokenMAC = protocol.MAC{}, protocol.MAC{}, protocol.MAC{}
	if b.Blueprint == nil {
		return nil
	}
	version := root.ActiveKey()
	export := protocol.Secret("")
	if x := b.Blueprint.AuditExport; x != nil {
		export = x.Token
	}
	for _, s := range []struct {
		secret  protocol.Secret
		purpose string
		out     *protocol.MAC
	}{
		{b.Blueprint.JoinToken, purposeNetwork, &b.JoinTokenMAC},
		{b.Blueprint.NetworkAdminToken, purposeNetworkAdmin, &b.NetworkAdminTokenMAC},
		{export, purposeExportToken, &b.ExportTokenMAC},
	} {
		if s.secret == "" {
			continue
		}
		if e := g.mac(version, s.purpose, s.secret, s.out); e != nil {
			return e
		}
	}
	return nil
}

func (g *Gateway) mac(version uint32, purpose string, secret protocol.Secret, out *protocol.MAC) *protocol.Error {
	m, err := g.engine.Keyring().MAC(version, purpose, string(secret))
	if err != nil {
		return protocol.NotAppliedf(protocol.CodeInternal, "this member does not hold version %d of the cluster keyring; ask another member", version)
	}
	*out = m
	return nil
}

// outbound checks the addresses that an administrator tells the registry to
// call, and encrypts the secrets it is to call them with.
func (g *Gateway) outbound(root *fsm.Root, req *protocol.Request, c *fsm.Call) *protocol.Error {
	if b, ok := req.Body.(protocol.TargetBody); ok && c.Actor.Token != "" {
		for _, t := range b.Targets() {
			if e := g.target(t); e != nil {
				return e
			}
		}
	}
	if b, ok := req.Body.(protocol.SealBody); ok {
		for _, f := range b.SealFields() {
			*f.Out = protocol.Sealed{}
			if f.Plain == "" || c.Actor.Token == "" {
				continue
			}
			sealed, err := g.engine.Keyring().Seal(root.ActiveKey(), f.Name, []byte(f.Plain))
			if err != nil {
				return protocol.NotAppliedf(protocol.CodeInternal, "this member does not hold version %d of the cluster keyring; ask another member", root.ActiveKey())
			}
			*f.Out = sealed
		}
	}
	return nil
}

func (g *Gateway) target(t protocol.Target) *protocol.Error {
	if !t.File {
		if e := protocol.CheckURL(t.Field, t.URL); e != nil {
			return e
		}
	}
	if g.policy.CheckTarget == nil {
		return nil
	}
	return g.policy.CheckTarget(t)
}
