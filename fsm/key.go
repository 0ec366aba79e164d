// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// keyAge is the age of a node's key in whole days since it was rotated or
// made, nil when neither is known.
func keyAge(v *view, n *node) *int64 {
	since := n.rotated
	if since == 0 {
		since = n.created
	}
	if since == 0 {
		return nil
	}
	days := (v.meta.now - since) / dayMS
	return &days
}

func readKeyInfo(v *view, c *invocation) (any, *protocol.Error) {
	id := c.body.(*protocol.NodeRequest).NodeID
	n := v.nodes.live(id)
	if n == nil {
		return nil, noNode(id)
	}
	reply := &protocol.GetKeyInfoReply{
		Type: "get_key_info_ok", NodeID: id, RotateCount: int64(n.rotates), KeyAgeDays: keyAge(v, n),
		CreatedAt: time.Time{}.Format(time.RFC3339),
	}
	if n.created != 0 {
		reply.CreatedAt = utc(n.created)
	}
	if n.rotated != 0 {
		reply.RotatedAt = utc(n.rotated)
	}
	if n.expires != 0 {
		reply.ExpiresAt = utc(n.expires)
	}
	return reply, nil
}

// decideRotateKey follows docs/protocol/nodes.md#rotate_key. There is no admin substitute for the
// signature by the old key.
func decideRotateKey(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.RotateKey)
	if c.sigError != nil && c.sigError.Code == protocol.CodeSignatureRequired {
		return nil, protocol.Refusef(protocol.CodeSignatureRequired, "rotate_key requires a valid signature")
	}
	n := v.nodes.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	key, err := protocol.ParsePublicKey(r.NewPublicKey)
	reply := &protocol.RotateKeyReply{Type: "rotate_key_ok", NodeID: n.id, Address: address(0, n.id), PublicKey: r.NewPublicKey}
	switch {
	case err == nil && replacedBy(v, c, n, key):
		return c.unchanged(reply)
	case !v.signedBy(c, n):
		return nil, signatureError(c)
	case err != nil:
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid new_public_key")
	}
	if e := freeKey(v, n, key); e != nil {
		return nil, e
	}
	return func(x *txn) any {
		x.edit(n, func(n *node) { n.replaceKey(key, x.meta.now) })
		x.markSeen(n.id)
		x.begin(protocol.EventKeyRotated).node(n.id).end()
		x.count(CountKeyRotations, 1)
		return reply
	}, nil
}

// replaceKey gives a node another key and remembers the one before.
func (n *node) replaceKey(key protocol.PublicKey, now int64) {
	former := n.key
	n.change(func(s *standing) { s.former = former })
	n.key, n.keyGen = key, n.keyGen+1
	n.rotated, n.rotates = now, n.rotates+1
}

// replacedFor is how long a key that was replaced may hear so again: longer
// than clients try to send a request whose reply was lost.
const replacedFor = 10 * 60 * 1000

// replacedBy reports whether the key that a node had just before asks once more
// for what it has got already.
func replacedBy(v *view, c *invocation, n *node, key protocol.PublicKey) bool {
	return c.actor.Node == n.id && c.actor.KeyGen+1 == n.keyGen && n.formerKeyCounts(v.meta.now) && key == n.key
}

func (n *node) formerKeyCounts(now int64) bool {
	return n.rare().former != (protocol.PublicKey{}) && now-n.rotated <= replacedFor
}

// ReplacedKey is the key that a node had just before the given one, while that
// may still ask for it again; ok is false otherwise.
func (r *Root) ReplacedKey(id uint32, now protocol.PublicKey) (former protocol.PublicKey, gen uint32, ok bool) {
	n := r.nodes.live(id)
	if n == nil || n.has(flagKeyless) || n.key != now || !n.formerKeyCounts(r.meta.now) {
		return former, 0, false
	}
	return n.rare().former, n.keyGen - 1, true
}

func decideSetKeyExpiry(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetKeyExpiry)
	at, set, e := r.Time()
	if e != nil {
		return nil, e
	}
	if set && at.UnixMilli() < v.meta.now {
		return nil, protocol.Refusef(protocol.CodeInvalid, "expires_at must be in the future")
	}
	if set && at.UnixMilli() > v.meta.now+protocol.MaxKeyExpiryDays*dayMS {
		return nil, protocol.Refusef(protocol.CodeInvalid, "invalid expires_at: cannot exceed 10 years")
	}
	n := v.nodes.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	if e := v.signedOrAdmin(c, n); e != nil {
		return nil, e
	}
	if !v.networks.inEnterprise(n.id) {
		return nil, protocol.Refusef(protocol.CodeEnterpriseRequired, "enterprise feature: key expiry requires enterprise network membership")
	}
	reply := &protocol.SetKeyExpiryReply{Type: "set_key_expiry_ok", NodeID: n.id}
	expires, action := int64(0), protocol.EventKeyExpiryCleared
	if set {
		expires, action = at.UnixMilli(), protocol.EventKeyExpirySet
		reply.ExpiresAt = at.Format(time.RFC3339)
	}
	if n.expires == expires {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		x.edit(n, func(n *node) { n.expires, n.announced = expires, x.announcedAt(expires) })
		w := x.begin(action).node(n.id)
		if set {
			w.str("expires_at", utc(expires))
		}
		if n.expires != 0 {
			w.str("old_expires_at", utc(n.expires))
		}
		w.end()
		return reply
	}, nil
}

// inEnterprise reports whether a node is in an enterprise network.
func (st *networkStore) inEnterprise(id uint32) bool {
	for _, net := range st.of(id) {
		if n, ok := st.records.Get(net); ok && n.enterprise {
			return true
		}
	}
	return false
}
