// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"slices"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Modes of a registration (docs/protocol/nodes.md#register).
const (
	modeExisting       = "existing_identity"
	modeReclaimed      = "reclaimed_identity"
	modeOwnerKeyUpdate = "owner_key_update"
	modeOwnerReclaim   = "owner_reclaim"
	modeNew            = "new_node"
)

func decideRegister(v *view, c *invocation) (effect, *protocol.Error) {
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
	old, mode := v.nodes.registrant(key, r)
	if e := old.registrable(r, mode); e != nil {
		return noteRejected(v, old), e
	}
	if e := provable(v, c, key, r); e != nil {
		return nil, e
	}
	if e := mayIdentify(v, c, r, old, mode); e != nil {
		return nil, e
	}
	if old == nil && v.meta.nextNode == 0 {
		return nil, protocol.Refusef(protocol.CodeLimitReached, "node ID space exhausted")
	}
	return func(x *txn) any { return carryOutRegister(x, r, key, old, mode) }, nil
}

// registrable refuses what a node does not want to be registered by, and what
// its key has left behind: a key that has signed once is not believed unsigned.
func (n *node) registrable(r *protocol.Register, mode string) *protocol.Error {
	byKey := mode == modeExisting || mode == modeReclaimed
	switch {
	case n == nil:
	case n.has(flagSignedRegister) && !(byKey && r.SignedRequest):
		return protocol.Refusef(protocol.CodeSignatureRequired,
			"node %d is registered by signed requests of its key only (require_signed_register): send a signed_request, or have an administrator end this with set_signed_register", n.id)
	case n.has(flagProven) && !(byKey && r.Proven):
		return protocol.Refusef(protocol.CodeSignatureRequired,
			"node %d: unsigned registration cannot modify a signature-verified key. Sign the registration; if the node's program was rolled back to one that cannot, an administrator clears this with: pilotctl node signed-register off --node-id %d --admin-token-file FILE", n.id, n.id)
	}
	return nil
}

// rejectedEvery is how often it is audited of one node that somebody tried to
// register its key without having it.
const rejectedEvery = 60 * 60 * 1000

// noteRejected notes a registration that was refused for want of proof, nil
// when that was noted of the node not long ago.
func noteRejected(v *view, n *node) effect {
	if at, known := v.nodes.rejected.Get(n.id); known && v.meta.now-int64(at) < rejectedEvery {
		return nil
	}
	return func(x *txn) any {
		setRejected(x, n.id)
		x.begin(protocol.EventRatchetRejected).node(n.id).end()
		return nil
	}
}

// mayIdentify decides whether a registration may bind an existing node to the
// person that its identity token names. A token says who the person is, not
// that the node is that person's: whoever has any token could bring it.
func mayIdentify(v *view, c *invocation, r *protocol.Register, old *node, mode string) *protocol.Error {
	if r.ExternalID == "" || old == nil || mode == modeOwnerReclaim || r.Keys.MatchOf(r.ExternalID) == old.person() {
		return nil
	}
	byKey := mode == modeExisting || mode == modeReclaimed
	switch {
	case byKey && r.SignedRequest, v.adminToken(c), old.externalID == "" && r.UnsignedIdentity:
		return nil
	case old.externalID == "":
		return protocol.Refusef(protocol.CodeSignatureRequired,
			"node %d exists already and has no external identity: its first identity_token needs a signed_request, or an administrator: pilotctl identity set-external-id %d EXTERNAL_ID", old.id, old.id)
	}
	return protocol.Refusef(protocol.CodeSignatureRequired,
		"node %d belongs to another external identity: an identity_token that changes it needs a signed_request, or an administrator: pilotctl identity set-external-id %d EXTERNAL_ID", old.id, old.id)
}

// decideSetSignedRegister takes an administrator's word also about a node that
// is not live: it may be so because it cannot sign.
func decideSetSignedRegister(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetSignedRegister)
	n, ok := v.nodes.records.Get(r.NodeID)
	if !ok || !n.live() && v.admin(c) != nil {
		return nil, noNode(r.NodeID)
	}
	if e := v.signedOrAdmin(c, n); e != nil {
		return nil, e
	}
	reply := &protocol.SetSignedRegisterReply{Type: "set_signed_register_ok", NodeID: n.id, Required: r.Required}
	// A node cannot take back that it has signed: the next to say so might be
	// somebody else.
	proven := n.has(flagProven) && (r.Required || !v.adminToken(c))
	if n.has(flagSignedRegister) == r.Required && n.has(flagProven) == proven {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		x.edit(n, func(n *node) {
			n.set(flagSignedRegister, r.Required)
			n.set(flagProven, proven)
		})
		x.begin(protocol.EventSignedRegister).node(n.id).bool("enabled", r.Required).end()
		return reply
	}, nil
}

// registrant says whose registration this is: by key, else by owner when
// the operator lets owners reclaim, else nobody's.
func (st *nodeStore) registrant(key protocol.PublicKey, r *protocol.Register) (*node, string) {
	if id, ok := st.byKey.Get(string(key[:])); ok {
		n, _ := st.records.Get(id)
		if n.live() {
			return n, modeExisting
		}
		return n, modeReclaimed
	}
	if r.OwnerReclaim && r.Owner != "" {
		if n := st.ownedBy(r.Owner); n != nil && n.live() {
			return n, modeOwnerKeyUpdate
		} else if n != nil {
			return n, modeOwnerReclaim
		}
	}
	return nil, modeNew
}

// ownedBy finds the node an owner would reclaim: the lowest live id, else the
// lowest id.
func (st *nodeStore) ownedBy(owner string) *node {
	var found *node
	prefix := ownerKey(owner, 0)
	prefix = prefix[:len(prefix)-4]
	st.byOwner.Ascend(prefix, func(k string, id uint32) bool {
		if len(k) != len(prefix)+4 || k[:len(prefix)] != prefix {
			return false
		}
		n, _ := st.records.Get(id)
		if found == nil || n.live() {
			found = n
		}
		return !found.live()
	})
	return found
}

func carryOutRegister(x *txn, r *protocol.Register, key protocol.PublicKey, old *node, mode string) any {
	n := newRegistrant(x, r, key, old, mode)
	x.unmarkKey(key)
	if x.by.actor.Node == 0 && r.Proven {
		x.by.actor.Node = n.id
	}
	if mode == modeOwnerReclaim {
		leaveAll(x, n.id)
		dropHandshakes(x, n.id)
		forgetPairs(x, n.id)
	}
	reply := &protocol.RegisterReply{
		Type: "register_ok", NodeID: n.id, Address: address(0, n.id), PublicKey: r.PublicKey,
		ObservedAddr: r.Endpoint, ProtocolVersion: 1,
	}
	describe(x, n, r, mode, reply)
	if mode != modeExisting || !sameRegistration(old, n) {
		registered(x, old, n, mode)
	}
	if mode == modeNew || r.SignedRequest {
		claimRoles(x, n, r.ClaimedRoles)
	}
	x.markSeen(n.id)
	return reply
}

// describe takes over what a registration says about its node. Without a
// signature that is what programs say that cannot sign: where the node is,
// its version and its hostname.
func describe(x *txn, n *node, r *protocol.Register, mode string, reply *protocol.RegisterReply) {
	n.endpoint, n.lan, n.version = r.Endpoint, r.LANAddrs, r.Version
	if r.Proven || mode == modeNew || mode == modeOwnerReclaim {
		n.set(flagRelayOnly, r.RelayOnly)
	}
	n.set(flagProven, n.has(flagProven) || r.Proven)
	if r.Hostname != "" {
		if reply.HostnameError = protocol.CheckHostname(r.Hostname); reply.HostnameError == "" {
			if holder, taken := x.nodes.byHost.Get(r.Hostname); !taken || holder == n.id {
				n.hostname, reply.Hostname = r.Hostname, r.Hostname
			} else {
				reply.HostnameError = "hostname " + protocol.Quote(r.Hostname) + " already in use"
			}
		}
	}
	if r.ExternalID != "" { // also when the hostname is wrong: the two have nothing to do with each other
		if r.Keys.MatchOf(r.ExternalID) != n.person() {
			n.bind(r.ExternalID, r.Keys)
		}
		reply.ExternalID = n.externalID
	}
}

// registered stores what a registration made of a node, with its events.
func registered(x *txn, old, n *node, mode string) {
	action := protocol.EventNodeReRegistered
	if mode == modeNew {
		action = protocol.EventNodeRegistered
	}
	x.begin(action).node(n.id).str("mode", mode).end()
	x.count(CountRegistrations, 1)
	if old != nil && old.hostname != n.hostname {
		x.begin(protocol.EventHostnameChanged).node(n.id).person("old_hostname", old.hostname).person("new_hostname", n.hostname).end()
	}
	x.putNode(old, n)
}

// newRegistrant prepares the record of the node that registers.
func newRegistrant(x *txn, r *protocol.Register, key protocol.PublicKey, old *node, mode string) *node {
	if mode == modeNew {
		n := &node{id: x.meta.nextNode, key: key, keyGen: 1, state: stateLive, owner: r.Owner, created: x.meta.now}
		x.meta.nextNode++ // 0 after the last id
		return n
	}
	n := *old
	switch mode {
	case modeExisting:
		if r.Owner != "" && r.SignedRequest {
			n.owner = r.Owner
		}
		return &n
	case modeOwnerKeyUpdate:
		n.key, n.keyGen, n.standing = key, n.keyGen+1, nil
		n.set(flagKeyless, false)
		return &n
	case modeReclaimed:
		if old.state == stateDeregistered {
			n.created, n.rotated, n.rotates = x.meta.now, 0, 0
		}
		if r.Owner != "" && r.SignedRequest {
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

func decideDeregister(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.NodeRequest)
	n, ok := v.nodes.records.Get(r.NodeID)
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
		deregister(x, n)
		return deregistered(x)
	}, nil
}

func deregistered(*txn) any { return &protocol.EmptyReply{Type: "deregister_ok"} }

// deregister takes a node out, with its memberships and its trust. Its id, key
// binding, owner and key expiry stay.
func deregister(x *txn, n *node) {
	nets := leaveAll(x, n.id)
	if n.live() {
		nets++ // the backbone
	}
	x.begin(protocol.EventNodeDeregistered).node(n.id).num("networks", uint64(nets)).end()
	x.count(CountDeregistrations, 1)
	dropHandshakes(x, n.id)
	forgetPairs(x, n.id)
	dropNotes(x, n.id)
	x.putNode(n, &node{
		id: n.id, key: n.key, keyGen: n.keyGen, state: stateDeregistered, flags: n.flags & (flagKeyless | flagSignedRegister | flagProven),
		owner: n.owner, created: n.created, rotated: n.rotated, rotates: n.rotates, expires: n.expires, announced: n.announced, standing: n.standing,
	})
}

// leaveAll ends all memberships of a node and says how many there were, and
// takes back the invites it got and sent. A network that loses its owner while
// others remain is noted, and an enterprise network gets another.
func leaveAll(x *txn, id uint32) int {
	nets := x.networks.of(id)
	for _, net := range nets {
		m, _ := x.networks.member(net, id)
		expel(x, net, id)
		if m.role == roleOwner {
			ownerGone(x, net, id)
		}
	}
	x.dropInvites(x.networks.inbox(id, 0))
	x.dropInvites(x.networks.allInvitesBy(id))
	return len(nets)
}
