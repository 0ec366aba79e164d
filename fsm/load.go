// SPDX-License-Identifier: Apache-2.0

package fsm

func fitsNode(x *txn, id uint32, n *node) bool {
	if id == 0 || x.meta.nextNode != 0 && id >= x.meta.nextNode {
		return false
	}
	n.id = id
	if x.nodes.byKey.Holds(string(n.key[:])) && !n.has(flagKeyless) {
		return false
	}
	return !x.nodes.byHost.Holds(n.hostname)
}

func fitsNetwork(x *txn, id uint16, n *network) bool {
	return !x.networks.byName.Holds(n.name) && (x.meta.nextNet == 0 || id < x.meta.nextNet)
}

func fitsMembership(x *txn, k uint64, m membership) bool {
	net := uint16(k >> 32)
	return k>>48 == 0 && !x.networks.byOrder.Holds(orderKey(net, m.order)) && (m.role != roleOwner || !x.networks.owners.Holds(net))
}

func fitsPreAssign(x *txn, k string, p *preAssign) bool {
	return !x.networks.byAssign.Holds(preAssignIndex(networkOfKey(k), p.key))
}

// fitsSinkTotals comes after what it has to fit to.
func fitsSinkTotals(x *txn, name string, t sinkTotals) bool {
	if x.audit.sinks.Holds(name) != (t.gone == 0) {
		return false
	}
	cur, ok := x.audit.cursors.Get(name)
	return !ok || cur.before.delivered <= t.delivered && cur.before.failed <= t.failed && cur.before.dropped <= t.dropped
}

// consistent checks what the decoders of single records cannot see.
func (x *txn) consistent() error {
	switch {
	case x.nodes.seen.Len() != x.nodes.liveIDs.Len():
		return damaged("%d nodes are live and %d have a last sign of life", x.nodes.liveIDs.Len(), x.nodes.seen.Len())
	case x.meta.clusterID != "" && !x.networks.records.Holds(0):
		return damaged("it has no backbone network")
	}
	for i := range x.audit.events {
		if uint64(x.audit.events[i].Len()) != x.meta.chains[i].Count {
			return damaged("events are missing")
		}
	}
	if x.audit.sinks.Len() != x.audit.cursors.Len() {
		return damaged("%d sinks have %d positions", x.audit.sinks.Len(), x.audit.cursors.Len())
	}
	return nil
}
