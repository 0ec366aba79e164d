// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// Purposes under which network credentials are hashed by the keyring. A token
// of one purpose is never taken for another.
const (
	purposeNetwork      = cluster.PurposeNetwork
	purposeNetworkAdmin = cluster.PurposeNetworkAdmin
	purposeExportToken  = "blueprint-export-token"
)

// resolver says what a member has to find out for a command before it is
// decided: what Apply cannot find out, and what must not reach the log.
type resolver struct {
	// role: the network's own admin token counts, or the bare name of a node
	// where the operator allows that.
	role bool
	// calls: the registry is told to call addresses, which are checked.
	calls bool
	// seals: secrets that the registry needs again are encrypted.
	seals bool
	// names: the external ids get the forms by which they are compared.
	names bool
	// former finds the key that its sender has no longer, because the command
	// took it away and is sent again.
	former formerKey
	// noted: its refusals are noted although anybody may send it.
	noted bool
	// leaves: sent by a stranger without effect, it need not be remembered.
	leaves bool
	// facts resolves what only this command has.
	facts func(*Gateway, *resolution) *protocol.Error
}

// resolution is a request while its facts are resolved on one root.
type resolution struct {
	root *fsm.Root
	conn *server.ConnState
	req  *protocol.Request
	call *fsm.Call
}

// resolve adds to a call what its command's resolver finds out. Every fact is
// set as a whole, so it may be done again on another root.
func (g *Gateway) resolve(r *resolution) *protocol.Error {
	row := resolvers[r.req.Command.Name]
	if row.role {
		g.resolveRole(r)
	}
	if row.facts != nil {
		if e := row.facts(g, r); e != nil {
			return e
		}
	}
	if row.calls { // what else is wrong with a blueprint is told first, and needs its facts
		if e := g.checkTargets(r); e != nil {
			return e
		}
	}
	if row.seals {
		if e := g.secrets.seal(r); e != nil {
			return e
		}
	}
	if row.names {
		nameIDs(r.req.Body)
	}
	return nil
}

// resolveRole recognises the network's own admin token, and lets a node act by
// its bare name where the operator allows the old form of the role commands.
func (g *Gateway) resolveRole(r *resolution) {
	req, b := r.req, r.req.Body.(protocol.RoleBody)
	stored, has := r.root.NetworkAdminToken(protocol.NetworkID(req.Command, b))
	var f protocol.RoleFacts
	switch {
	case has && req.AdminToken != "" && g.engine.Keyring().Verify(stored, purposeNetworkAdmin, string(req.AdminToken)):
		f.NetworkToken = stored
	case g.policy.UnsignedRoles && req.Command.Auth == protocol.AuthRole && req.Signature == "" && req.Signed == nil && r.call.Actor.Token == "":
		f.Unsigned = protocol.SignerID(req.Command, b) != 0
	}
	*b.Role() = f
}

// checkTargets checks the addresses that an administrator tells the registry to call.
func (g *Gateway) checkTargets(r *resolution) *protocol.Error {
	if r.call.Actor.Token == "" {
		return nil
	}
	for _, t := range r.req.Body.(protocol.TargetBody).Targets() {
		if e := g.target(t); e != nil {
			return e
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
	if g.outside.CheckTarget == nil {
		return nil
	}
	return g.outside.CheckTarget(t)
}

// secrets turns secrets into what may be in the log.
type secrets struct{ engine Engine }

// seal encrypts the secrets that an administrator gives the registry to send on.
func (s secrets) seal(r *resolution) *protocol.Error {
	for _, f := range r.req.Body.(protocol.SealBody).SealFields() {
		var sealed protocol.Sealed
		if f.Plain != "" && r.call.Actor.Token != "" {
			var err error
			if sealed, err = s.engine.Keyring().Seal(r.root.ActiveKey(), f.Name, []byte(f.Plain)); err != nil {
				return lacksKey(r.root.ActiveKey())
			}
		}
		*f.Out = sealed
	}
	return nil
}

func lacksKey(version uint32) *protocol.Error {
	return protocol.NotAppliedf(protocol.CodeInternal, "this member does not hold version %d of the cluster keyring; ask another member", version)
}

// mac is what stands for a secret in the log.
func (s secrets) mac(version uint32, purpose string, secret protocol.Secret) (protocol.MAC, *protocol.Error) {
	m, err := s.engine.Keyring().MAC(version, purpose, string(secret))
	if err != nil {
		return protocol.MAC{}, lacksKey(version)
	}
	return m, nil
}

// newMAC is mac for a secret that is set; one that is not set has no MAC.
func (s secrets) newMAC(root *fsm.Root, purpose string, secret protocol.Secret) (protocol.MAC, *protocol.Error) {
	if secret == "" {
		return protocol.MAC{}, nil
	}
	return s.mac(root.ActiveKey(), purpose, secret)
}

// nameIDs adds the forms by which the external ids in a request are compared.
func nameIDs(body protocol.Body) {
	if b, ok := body.(protocol.IDBody); ok {
		b.EachID(func(id string, keys *protocol.IDKeys) { *keys = identity.IDKeys(id) })
	}
	if b, ok := body.(protocol.FormsBody); ok {
		b.SetForms(identity.IDForms)
	}
}

// access applies the operator's switch for a command that is open by default.
func access(want Access, c *fsm.Call, signed bool, option string) *protocol.Error {
	switch {
	case want == AccessAdmin && c.Actor.Token == "":
		return protocol.Refusef(protocol.CodePermissionDenied, "%s is set to admin in this cluster: %s requires the admin token", option, c.Row.Name)
	case want == AccessSigned && !signed && c.Actor.Token == "":
		return protocol.Refusef(protocol.CodeSignatureRequired, "%s is set to signed in this cluster: a signature or the admin token is required for %s", option, c.Row.Name)
	}
	return nil
}
