// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
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
	expireResults(x, 2*commands+8)
	hash := x.meta.hash()
	x.w.Digest.Sub(&x.metaHash)
	x.w.Digest.Add(&hash)
	x.metaHash = hash
}

// live finds a node that is live.
func (st *nodeStore) live(id uint32) *node {
	if n, ok := st.records.Get(id); ok && n.live() {
		return n
	}
	return nil
}

// setNode stores a node. What the level has no field for is not kept.
func (x *txn) setNode(n *node) {
	n.trim(x.meta.level)
	nodeTable.put(x, n.id, n)
}

// blankNode is the record of an id that has none yet.
var blankNode = node{flags: flagKeyless, state: stateDeregistered}

// reindexNode keeps the indexes when a node's record becomes another one.
func reindexNode(x *txn, id uint32, old, n *node) {
	if old.key != n.key || old.has(flagKeyless) != n.has(flagKeyless) {
		rekey(x, &x.nodes.byKey, old.keyOrNone(), n.keyOrNone(), id)
	}
	rekey(x, &x.nodes.byHost, old.hostname, n.hostname, id)
	if old.owner != n.owner {
		rekey(x, &x.nodes.byOwner, ownerKey(old.owner, id), ownerKey(n.owner, id), id)
	}
	if was, is := old.person(), n.person(); was != is {
		rekey(x, &x.nodes.byPerson, personKey(was, id), personKey(is, id), id)
	}
	if old.live() != n.live() {
		if n.live() {
			x.nodes.liveIDs.Put(&x.w, id, nothing{})
		} else {
			x.nodes.liveIDs.Drop(&x.w, id)
		}
	}
	if old.expires != n.expires || old.announced != n.announced || old.reachable() != n.reachable() {
		rekey(x, &x.due, nodeDue(old), nodeDue(n), nothing{})
	}
	rekey(x, &x.nodes.offline, offlineKey(old), offlineKey(n), id)
}

// keyOrNone is the node's key in the index of keys.
func (n *node) keyOrNone() string {
	if n.has(flagKeyless) {
		return ""
	}
	return string(n.key[:])
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
	x.setNode(n)
	if before != n.externalID {
		x.begin(protocol.EventExternalIDSet).node(n.id).person("old_external_id", before).person("new_external_id", n.externalID).end()
	}
}

// ownerKey orders nodes by owner, then id; it is empty for no owner. The
// owner's length comes first, so that no owner's nodes stand among another's.
func ownerKey(owner string, id uint32) string {
	if owner == "" {
		return ""
	}
	b := make([]byte, 0, len(owner)+8)
	return string(table.AppendKey32(table.AppendString(b, owner), id))
}

// personKey orders nodes by the match key of who they are bound to, then id.
func personKey(person string, id uint32) string { return ownerKey(person, id) }

// offlineKey orders offline nodes by when they went offline; it is 0 for others.
func offlineKey(n *node) uint64 {
	if n.state != stateOffline {
		return 0
	}
	return uint64(seconds(n.offlineAt))<<32 | uint64(n.id)
}

// member finds a node's membership in a network other than the backbone.
func (st *networkStore) member(net uint16, id uint32) (membership, bool) {
	return st.memberships.Get(membershipKey(net, id))
}

// enterMembership keeps the indexes when a membership begins.
func enterMembership(x *txn, key uint64, m membership) {
	net, id := uint16(key>>32), uint32(key)
	size, _ := x.networks.sizes.Get(net)
	x.networks.sizes.Put(&x.w, net, size+1)
	x.networks.byNode.Put(&x.w, nodeNetKey(id, net), nothing{})
	x.networks.byOrder.Put(&x.w, orderKey(net, m.order), id)
	if m.role == roleOwner {
		x.networks.owners.Put(&x.w, net, id)
	}
	for _, k := range memberDues(key, m) {
		x.due.Put(&x.w, k, nothing{})
	}
}

// leaveMembership keeps the indexes when a membership ends.
func leaveMembership(x *txn, key uint64, m membership) {
	net, id := uint16(key>>32), uint32(key)
	if size, _ := x.networks.sizes.Get(net); size > 1 {
		x.networks.sizes.Put(&x.w, net, size-1)
	} else {
		x.networks.sizes.Drop(&x.w, net)
	}
	x.networks.byNode.Drop(&x.w, nodeNetKey(id, net))
	x.networks.byOrder.Drop(&x.w, orderKey(net, m.order))
	if m.role == roleOwner {
		x.networks.owners.Drop(&x.w, net)
	}
	for _, k := range memberDues(key, m) {
		x.due.Drop(&x.w, k)
	}
}

// putMembership stores a membership.
func (x *txn) putMembership(net uint16, id uint32, m membership) {
	membershipTable.put(x, membershipKey(net, id), m)
}

// dropMembership removes a membership; see expel for all that goes with it.
func (x *txn) dropMembership(net uint16, id uint32) {
	memberTagsTable.drop(x, membershipKey(net, id))
	membershipTable.drop(x, membershipKey(net, id))
}

// of lists the networks of a node without the backbone, ascending.
func (st *networkStore) of(id uint32) []uint16 {
	var out []uint16
	st.byNode.Ascend(nodeNetKey(id, 0), func(k uint64, _ nothing) bool {
		if uint32(k>>16) != id {
			return false
		}
		out = append(out, uint16(k))
		return true
	})
	return out
}

// shared reports whether two nodes have a network other than the
// backbone in common.
func (st *networkStore) shared(a, b uint32) bool {
	shared := false
	st.byNode.Ascend(nodeNetKey(a, 0), func(k uint64, _ nothing) bool {
		if uint32(k>>16) != a {
			return false
		}
		_, shared = st.byNode.Get(nodeNetKey(b, uint16(k)))
		return !shared
	})
	return shared
}

// networkSize counts the members of a network, offline ones included.
func (v *view) networkSize(net uint16) int {
	if net == 0 {
		return v.nodes.liveIDs.Len()
	}
	size, _ := v.networks.sizes.Get(net)
	return size
}

// address is a node's address in a network.
func address(net uint16, id uint32) string {
	return protocol.Address{Network: net, Node: id}.String()
}
