// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxTime is the last millisecond of the year 9999: no log time lies beyond
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

// member finds a node's membership in a network other than the backbone.
func (st *networkStore) member(net uint16, id uint32) (membership, bool) {
	return st.memberships.Get(membershipKey(net, id))
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
