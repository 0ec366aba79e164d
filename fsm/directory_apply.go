// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// carryOut makes a plan true. It runs on the state the plan was made from.
func carryOut(x *txn, p *syncPlan) any {
	if p.newOwner != 0 && p.owner != 0 {
		giveRole(x, p.net, p.owner, roleAdmin, 0) // never two owners, not for a moment
	}
	changed := len(p.pre) > 0
	for i := range p.steps {
		s := &p.steps[i]
		changed = changed || s.to != roleGone
		carryOutStep(x, p, s)
	}
	for i := range p.pre {
		reassign(x, p.net, &p.pre[i])
	}
	for _, h := range p.hosts {
		n, _ := x.nodes.records.Get(h.id)
		x.edit(n, func(n *node) { n.hostname = h.name })
		x.begin(protocol.EventHostnameChanged).node(h.id).person("old_hostname", "").person("new_hostname", h.name).end()
	}
	r := &p.reply
	noteSync(x, p.net, changed, syncStatus{at: x.meta.now, mapped: r.Mapped, updated: r.Updated, disabled: r.Disabled, unmapped: r.Unmapped})
	x.begin(protocol.EventDirectorySynced).network(p.net).num("mapped", uint64(r.Mapped)).num("updated", uint64(r.Updated)).
		num("disabled", uint64(r.Disabled)).num("unmapped", uint64(r.Unmapped)).end()
	if p.ownerGone {
		ownerGone(x, p.net, p.owner)
	}
	pages := paginate(p.actions, p.warnings)
	r.Actions, r.Warnings = pages[0].actions, pages[0].warnings
	r.NextCursor = keepPages(x, p.net, pages[1:])
	n, _ := x.networks.records.Get(p.net)
	r.Revision = n.revision
	return r
}

func carryOutStep(x *txn, p *syncPlan, s *syncStep) {
	if s.to == roleGone {
		expel(x, p.net, s.id)
		x.begin(protocol.EventMemberKicked).network(p.net).num("target_node_id", uint64(s.id)).str("role", s.from.String()).str("reason", s.why).end()
		return
	}
	giveRole(x, p.net, s.id, s.to, 0)
	if s.id == p.newOwner {
		x.begin(protocol.EventOwnershipTransferred).network(p.net).num("old_owner", uint64(p.owner)).
			num("new_owner", uint64(s.id)).str("new_owner_old_role", s.from.String()).end()
		return
	}
	action := protocol.EventMemberDemoted
	if s.to > s.from {
		action = protocol.EventMemberPromoted
	}
	x.begin(action).network(p.net).num("target_node_id", uint64(s.id)).
		str("old_role", s.from.String()).str("new_role", s.to.String()).end()
}

// reassign changes the role that waits for an external id, begins or ends its
// waiting.
func reassign(x *txn, net uint16, p *preAssign) {
	key, there := x.networks.byAssign.Get(preAssignIndex(net, p.key))
	switch {
	case p.role == roleNone:
		if there {
			dropPreAssign(x, key)
		}
		return
	case !there:
		x.meta.queueSeq++
		key = preAssignKey(net, x.meta.queueSeq)
	}
	putPreAssign(x, key, p)
}

// noteSync notes what a sync did; it counts as one revision when it changed
// roles or pre-assignments.
func noteSync(x *txn, net uint16, changed bool, s syncStatus) {
	old, _ := x.networks.records.Get(net)
	n := *old
	n.sync = s
	if changed {
		n.revision++
	}
	x.setNetwork(net, &n)
}
