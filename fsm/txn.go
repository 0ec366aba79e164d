// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxTime is the last millisecond of the year 9999: no log time lies behind
// it, so that adding spans to it cannot overflow and every time can be printed.
const maxTime = 253402300799999

// start begins an entry.
func (x *txn) start(index, term uint64, time int64, seed Seed) {
	x.index, x.term, x.seed = index, term, seed
	x.meta.now = max(x.meta.now, min(time, maxTime))
	x.touched = x.touched[:0]
	x.checkpoint = false
}

// finish settles what the commands of an entry left for its end.
func (x *txn) finish(commands int) {
	x.flushSessions()
	x.expireResults(2*commands + 8)
	hash := x.meta.hash()
	x.digest.sub(&x.metaHash)
	x.digest.add(&hash)
	x.metaHash = hash
}

// live finds a node that is live.
func (v *view) live(id uint32) *node {
	if n, ok := v.nodes.get(id); ok && n.live() {
		return n
	}
	return nil
}

// setNode stores a node and keeps its indexes. old is the node's record so
// far, nil for a new id. What the level has no field for is not kept.
func (x *txn) setNode(old, n *node) {
	n.trim(x.meta.level)
	none := node{flags: flagKeyless, state: stateDeregistered}
	if old == nil {
		old = &none
	}
	x.nodes.put(x, n.id, n)
	if old.key != n.key || old.has(flagKeyless) != n.has(flagKeyless) {
		if !old.has(flagKeyless) {
			x.byKey.drop(string(old.key[:]))
		}
		if !n.has(flagKeyless) {
			x.byKey.put(string(n.key[:]), n.id)
		}
	}
	if old.hostname != n.hostname {
		if old.hostname != "" {
			x.byHost.drop(old.hostname)
		}
		if n.hostname != "" {
			x.byHost.put(n.hostname, n.id)
		}
	}
	if old.owner != n.owner {
		if old.owner != "" {
			x.byOwner.drop(ownerKey(old.owner, n.id))
		}
		if n.owner != "" {
			x.byOwner.put(ownerKey(n.owner, n.id), n.id)
		}
	}
	if was, is := old.person(), n.person(); was != is {
		if was != "" {
			x.byPerson.drop(personKey(was, n.id))
		}
		if is != "" {
			x.byPerson.put(personKey(is, n.id), n.id)
		}
	}
	if old.live() != n.live() {
		if n.live() {
			x.liveNodes.put(n.id, nothing{})
		} else {
			x.liveNodes.drop(n.id)
		}
	}
	if old.expires != n.expires || old.announced != n.announced || old.reachable() != n.reachable() {
		if k := nodeDue(old); k != "" {
			x.byDue.drop(k)
		}
		if k := nodeDue(n); k != "" {
			x.byDue.put(k, nothing{})
		}
	}
	if a, b := old.state == stateOffline, n.state == stateOffline; a != b || a && old.offlineAt != n.offlineAt {
		if a {
			x.offline.drop(offlineKey(old))
		}
		if b {
			x.offline.put(offlineKey(n), n.id)
		}
	}
}

// edit stores a changed copy of a node.
func (x *txn) edit(old *node, change func(*node)) *node {
	n := *old
	change(&n)
	x.putNode(old, &n)
	return &n
}

// putNode stores a node that a command changed. Who a node belongs to decides
// about roles and memberships, so a change of that is an event, whatever the
// command was.
func (x *txn) putNode(old, n *node) {
	before := ""
	if old != nil {
		before = old.externalID
	}
	x.setNode(old, n)
	if before != n.externalID {
		x.begin(protocol.EventExternalIDSet).node(n.id).person("old_external_id", before).person("new_external_id", n.externalID).end()
	}
}

// ownerKey orders nodes by owner, then id. The owner's length comes first, so
// that no owner's nodes stand among another's.
func ownerKey(owner string, id uint32) string {
	b := make([]byte, 0, len(owner)+8)
	return string(appendKey32(appendString(b, owner), id))
}

// personKey orders nodes by the match key of who they are bound to, then id.
func personKey(person string, id uint32) string { return ownerKey(person, id) }

// offlineKey orders nodes by when they went offline.
func offlineKey(n *node) uint64 { return uint64(seconds(n.offlineAt))<<32 | uint64(n.id) }

// membership finds a node's membership in a network other than the backbone.
func (v *view) membership(net uint16, id uint32) (membership, bool) {
	return v.memberships.get(membershipKey(net, id))
}

// putMembership stores a membership and keeps its indexes.
func (x *txn) putMembership(net uint16, id uint32, m membership) {
	key := membershipKey(net, id)
	if old, had := x.memberships.get(key); had {
		x.forgetMembership(net, id, old)
	} else {
		size, _ := x.netSize.get(net)
		x.netSize.put(net, size+1)
		x.byNode.put(nodeNetKey(id, net), nothing{})
	}
	x.memberships.put(x, key, m)
	x.byOrder.put(orderKey(net, m.order), id)
	if m.role == roleOwner {
		x.owners.put(net, id)
	}
	for _, k := range memberDues(key, m) {
		x.byDue.put(k, nothing{})
	}
}

// forgetMembership takes a membership out of the indexes that its record decides.
func (x *txn) forgetMembership(net uint16, id uint32, m membership) {
	x.byOrder.drop(orderKey(net, m.order))
	if m.role == roleOwner {
		x.owners.drop(net)
	}
	for _, k := range memberDues(membershipKey(net, id), m) {
		x.byDue.drop(k)
	}
}

// dropMembership removes a membership; see expel for all that goes with it.
func (x *txn) dropMembership(net uint16, id uint32) {
	key := membershipKey(net, id)
	m, had := x.memberships.get(key)
	if !had {
		return
	}
	x.memberships.drop(x, key)
	x.tags.drop(x, key)
	x.forgetMembership(net, id, m)
	x.byNode.drop(nodeNetKey(id, net))
	size, _ := x.netSize.get(net)
	x.netSize.put(net, size-1)
}

// networksOf lists the networks of a node without the backbone, ascending.
func (v *view) networksOf(id uint32) []uint16 {
	var out []uint16
	v.byNode.ascend(nodeNetKey(id, 0), func(k uint64, _ nothing) bool {
		if uint32(k>>16) != id {
			return false
		}
		out = append(out, uint16(k))
		return true
	})
	return out
}

// shareNetwork reports whether two nodes have a network other than the
// backbone in common.
func (v *view) shareNetwork(a, b uint32) bool {
	shared := false
	v.byNode.ascend(nodeNetKey(a, 0), func(k uint64, _ nothing) bool {
		if uint32(k>>16) != a {
			return false
		}
		_, shared = v.byNode.get(nodeNetKey(b, uint16(k)))
		return !shared
	})
	return shared
}

// networkSize counts the members of a network, offline ones included.
func (v *view) networkSize(net uint16) int {
	if net == 0 {
		return v.liveNodes.len()
	}
	size, _ := v.netSize.get(net)
	return size
}

// address is a node's address in a network.
func address(net uint16, id uint32) string {
	return protocol.Address{Network: net, Node: id}.String()
}
