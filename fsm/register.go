package fsm

import (
	"slices"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Modes of a registration (core.md 5.1).
const (
	modeExisting       = "existing_identity"
	modeReclaimed      = "reclaimed_identity"
	modeOwnerKeyUpdate = "owner_key_update"
	modeOwnerReclaim   = "owner_reclaim"
	modeNew            = "new_node"
)

func decideRegister(v *view, c *call) (effect, *protocol.Error) {
	r := c.body.(*protocol.Register)
	if c.sigError != nil && c.sigError.Code == protocol.CodeSignatureInvalid {
		return nil, signatureError(c) // a signature that is present has to be right
	}
	key, err := protocol.ParsePublicKey(r.PublicKey)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid public key")
	}
	if len(r.Endpoint) > protocol.MaxTextBytes || len(r.ExternalID) > protocol.MaxTextBytes {
		return nil, protocol.Errorf(protocol.CodeTooLarge, "endpoint or external identity too long (max %d bytes)", protocol.MaxTextBytes)
	}
	old, mode := v.findRegistrant(key, r)
	if e := old.registrable(r, mode); e != nil {
		return nil, e
	}
	if old == nil && v.meta.nextNode == 0 {
		return nil, protocol.Refusef(protocol.CodeLimitReached, "node ID space exhausted")
	}
	return func(x *txn) any { return x.register(r, key, old, mode) }, nil
}

// registrable refuses what a node does not want to be registered by.
func (n *node) registrable(r *protocol.Register, mode string) *protocol.Error {
	if n == nil || !n.has(flagSignedRegister) {
		return nil
	}
	if byKey := mode == modeExisting || mode == modeReclaimed; !byKey || !r.SignedRequest {
		return protocol.Refusef(protocol.CodeSignatureRequired,
			"node %d is registered by signed requests of its key only (require_signed_register): send a signed_request, or have an administrator end this with set_signed_register", n.id)
	}
	return nil
}

// decideSetSignedRegister takes an administrator's word also about a node that
// is not live: it may be so because it cannot sign.
func decideSetSignedRegister(v *view, c *call) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetSignedRegister)
	n, ok := v.nodes.get(r.NodeID)
	if !ok || !n.live() && v.admin(c) != nil {
		return nil, noNode(r.NodeID)
	}
	if e := v.signedOrAdmin(c, n); e != nil {
		return nil, e
	}
	reply := &protocol.SetSignedRegisterReply{Type: "set_signed_register_ok", NodeID: n.id, Required: r.Required}
	if n.has(flagSignedRegister) == r.Required {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		x.edit(n, func(n *node) { n.set(flagSignedRegister, r.Required) })
		x.begin(protocol.EventSignedRegister).node(n.id).bool("enabled", r.Required).end()
		return reply
	}, nil
}

// findRegistrant says whose registration this is: by key, else by owner when
// the operator lets owners reclaim, else nobody's.
func (v *view) findRegistrant(key protocol.PublicKey, r *protocol.Register) (*node, string) {
	if id, ok := v.byKey.get(string(key[:])); ok {
		n, _ := v.nodes.get(id)
		if n.live() {
			return n, modeExisting
		}
		return n, modeReclaimed
	}
	if r.OwnerReclaim && r.Owner != "" {
		if n := v.ownedBy(r.Owner); n != nil && n.live() {
			return n, modeOwnerKeyUpdate
		} else if n != nil {
			return n, modeOwnerReclaim
		}
	}
	return nil, modeNew
}

// ownedBy finds the node an owner would reclaim: the lowest live id, else the
// lowest id.
func (v *view) ownedBy(owner string) *node {
	var found *node
	prefix := ownerKey(owner, 0)
	prefix = prefix[:len(prefix)-4]
	v.byOwner.ascend(prefix, func(k string, id uint32) bool {
		if len(k) != len(prefix)+4 || k[:len(prefix)] != prefix {
			return false
		}
		n, _ := v.nodes.get(id)
		if found == nil || n.live() {
			found = n
		}
		return !found.live()
	})
	return found
}

func (x *txn) register(r *protocol.Register, key protocol.PublicKey, old *node, mode string) any {
	n := x.registrant(r, key, old, mode)
	if x.actor.Node == 0 && r.Proven {
		x.actor.Node = n.id
	}
	if mode == modeOwnerReclaim {
		x.leaveAll(n.id)
	}
	n.endpoint, n.lan, n.version = r.Endpoint, r.LANAddrs, r.Version
	n.set(flagRelayOnly, r.RelayOnly)

	reply := &protocol.RegisterReply{
		Type: "register_ok", NodeID: n.id, Address: address(0, n.id), PublicKey: r.PublicKey,
		ObservedAddr: r.Endpoint, ProtocolVersion: 1,
	}
	if r.Hostname != "" {
		if reply.HostnameError = protocol.CheckHostname(r.Hostname); reply.HostnameError == "" {
			// A name that another node holds is passed over in silence.
			if holder, taken := x.byHost.get(r.Hostname); !taken || holder == n.id {
				n.hostname, reply.Hostname = r.Hostname, r.Hostname
			}
		}
	}
	if r.ExternalID != "" { // also when the hostname is wrong: the two have nothing to do with each other
		n.externalID, reply.ExternalID = r.ExternalID, r.ExternalID
	}
	if mode != modeExisting || !sameRegistration(old, n) {
		x.setNode(old, n)
		action := protocol.EventNodeReRegistered
		if mode == modeNew {
			action = protocol.EventNodeRegistered
		}
		x.begin(action).node(n.id).str("mode", mode).end()
	}
	x.sign(n.id)
	return reply
}

// registrant prepares the record of the node that registers.
func (x *txn) registrant(r *protocol.Register, key protocol.PublicKey, old *node, mode string) *node {
	if mode == modeNew {
		n := &node{id: x.meta.nextNode, key: key, keyGen: 1, state: stateLive, owner: r.Owner, created: x.meta.now}
		x.meta.nextNode++ // 0 after the last id
		return n
	}
	n := *old
	switch mode {
	case modeExisting:
		if n.owner == "" {
			n.owner = r.Owner
		}
		return &n
	case modeOwnerKeyUpdate:
		n.key, n.keyGen = key, n.keyGen+1
		n.set(flagKeyless, false)
		return &n
	case modeReclaimed:
		if old.state == stateDeregistered {
			n.created, n.rotated, n.rotates = x.meta.now, 0, 0
			n.owner = r.Owner
		} else if r.Owner != "" {
			n.owner = r.Owner
		}
	case modeOwnerReclaim:
		// A new record under an old id: nothing but the owner and the day
		// the key has to end carries over.
		n = node{id: old.id, key: key, keyGen: old.keyGen + 1, owner: old.owner, created: x.meta.now, expires: old.expires, announced: old.announced}
	}
	n.state, n.offlineAt = stateLive, 0
	return &n
}

// sameRegistration reports whether a repeated registration changed anything
// besides the time of the last sign of life.
func sameRegistration(a, b *node) bool {
	return a.owner == b.owner && a.endpoint == b.endpoint && a.hostname == b.hostname && a.externalID == b.externalID &&
		a.version == b.version && a.flags == b.flags && slices.Equal(a.lan, b.lan)
}

func decideDeregister(v *view, c *call) (effect, *protocol.Error) {
	r := c.body.(*protocol.NodeRequest)
	n, ok := v.nodes.get(r.NodeID)
	if !ok || !n.reachable() {
		return c.unchanged(deregistered(nil))
	}
	if e := v.signedOrAdmin(c, n); e != nil {
		if !n.live() {
			// To others the node is not there, and there is nothing to do.
			return c.unchanged(deregistered(nil))
		}
		return nil, e
	}
	return func(x *txn) any {
		x.deregister(n)
		return deregistered(x)
	}, nil
}

func deregistered(*txn) any { return &protocol.EmptyReply{Type: "deregister_ok"} }

// deregister takes a node out. Its id, key binding, owner and key expiry stay.
func (x *txn) deregister(n *node) {
	nets := x.leaveAll(n.id)
	if n.live() {
		nets++ // the backbone
	}
	x.begin(protocol.EventNodeDeregistered).node(n.id).num("networks", uint64(nets)).end()
	x.seen.drop(x, n.id)
	x.blocked.drop(x, n.id)
	x.setNode(n, &node{
		id: n.id, key: n.key, keyGen: n.keyGen, state: stateDeregistered, flags: n.flags & (flagKeyless | flagSignedRegister),
		owner: n.owner, created: n.created, rotated: n.rotated, rotates: n.rotates, expires: n.expires, announced: n.announced,
	})
}

// leaveAll ends all memberships of a node and says how many there were, and
// takes back the invites it got and sent. A network that loses its owner while
// others remain is noted, and an enterprise network gets another.
func (x *txn) leaveAll(id uint32) int {
	nets := x.networksOf(id)
	for _, net := range nets {
		m, _ := x.member(net, id)
		x.expel(net, id)
		if m.role == roleOwner {
			x.ownerGone(net, id)
		}
	}
	x.dropInvites(x.inbox(id, 0))
	x.dropInvites(x.allInvitesBy(id))
	return len(nets)
}
