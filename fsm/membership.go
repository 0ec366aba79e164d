// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// What follows is the one place where memberships, roles and ownership
// change. Its promise for enterprise networks: never two owners, and never
// none while there are members once there was one.

// roleOf is the role a node has at this moment: none when its membership is
// over, member when its role is, even if no sweep has come by yet.
func (v *view) roleOf(net uint16, id uint32) role {
	m, _ := v.networks.member(net, id)
	switch {
	case m.until != 0 && m.until <= v.meta.now:
		return roleNone
	case m.roleUntil != 0 && m.roleUntil <= v.meta.now:
		return roleMember
	}
	return m.role
}

// eachMember visits a network's memberships in join order.
func (st *networkStore) eachMember(net uint16, f func(id uint32, m membership) bool) {
	st.byOrder.Ascend(orderKey(net, 0), func(k uint64, id uint32) bool {
		m, _ := st.member(net, id)
		return uint16(k>>48) == net && f(id, m)
	})
}

// memberIDs lists a network's members in join order, for those who change
// the memberships they visit.
func (st *networkStore) memberIDs(net uint16) []uint32 {
	var ids []uint32
	st.eachMember(net, func(id uint32, _ membership) bool {
		ids = append(ids, id)
		return true
	})
	return ids
}

// reconfigure changes a network's configuration.
func (x *txn) reconfigure(net uint16, change func(*network)) {
	old, ok := x.networks.records.Get(net)
	if !ok {
		return
	}
	n := *old
	change(&n)
	n.revision++
	x.setNetwork(net, &n)
}

// noteOwner keeps the network's memory of having had an owner.
func noteOwner(x *txn, net uint16, had bool) {
	if old, ok := x.networks.records.Get(net); ok && old.hadOwner != had {
		n := *old
		n.hadOwner = had
		x.setNetwork(net, &n)
	}
}

// setMembership stores a membership. A network that gets an owner remembers it.
func (x *txn) setMembership(net uint16, id uint32, m membership) {
	x.putMembership(net, id, m)
	if m.role == roleOwner {
		noteOwner(x, net, true)
	}
}

// setRole gives a member another role, until a time or for good (0).
func setRole(x *txn, net uint16, id uint32, r role, until int64) {
	if giveRole(x, net, id, r, until) {
		x.reconfigure(net, func(*network) {})
	}
}

// giveRole is setRole for those who change many roles and count them as one
// revision of the network.
func giveRole(x *txn, net uint16, id uint32, r role, until int64) bool {
	m, in := x.networks.member(net, id)
	if !in {
		return false
	}
	m.role, m.roleUntil, m.roleAnnounced = r, until, x.announcedAt(until)
	x.setMembership(net, id, m)
	return true
}

// announcedAt is the stage of notice that an end set now has passed already:
// a caller that sets a short life knows that it is short.
func (v *view) announcedAt(end int64) stage {
	if end == 0 {
		return 0
	}
	return stageAt(end, v.meta.now)
}

// after is the time a number of seconds from now, 0 for 0.
func (v *view) after(seconds uint32) int64 {
	if seconds == 0 {
		return 0
	}
	return v.meta.now + int64(seconds)*1000
}

// admit makes a node a member: every way in ends here. The role that waits
// for its external id applies; pre is that role, none when none waits. Of two
// owners the second becomes an admin.
func admit(x *txn, net uint16, n *node, span uint32) (got, pre role) {
	got = roleMember
	if p := x.networks.preAssigned(net, n.person()); p != nil {
		got, pre = p.role, p.role
		if _, owned := x.networks.owners.Get(net); owned && got == roleOwner {
			got = roleAdmin
		}
		x.count(CountPreAssigned, 1)
	}
	until := x.after(span)
	x.meta.joinSeq++
	x.setMembership(net, n.id, membership{order: x.meta.joinSeq, role: got, until: until, announced: x.announcedAt(until)})
	return got, pre
}

// expel ends a membership, with the invites to and from the node for the
// network. Who calls it answers for the ownership, see ownerGone.
func expel(x *txn, net uint16, id uint32) {
	x.dropMembership(net, id)
	if x.networkSize(net) == 0 {
		noteOwner(x, net, false)
	}
	x.dropInvites(x.networks.inbox(id, net))
	x.dropInvites(x.networks.invitesBy(inviteByInviter(id, net, "")))
}

// ownerGone notes that a network lost its owner, and lets an enterprise
// network's senior admin, else its senior member, succeed.
func ownerGone(x *txn, net uint16, former uint32) {
	if x.networkSize(net) == 0 {
		return
	}
	x.begin(protocol.EventOwnerLost).network(net).num("former_owner", uint64(former)).end()
	if n, ok := x.networks.records.Get(net); ok && n.enterprise {
		succeed(x, net, former)
	}
}

func succeed(x *txn, net uint16, former uint32) {
	heir, best := x.networks.heir(net, x.roleOf)
	if best == roleNone {
		return
	}
	setRole(x, net, heir, roleOwner, 0)
	x.begin(protocol.EventOwnershipTransferred).network(net).num("old_owner", uint64(former)).
		num("new_owner", uint64(heir)).str("new_owner_old_role", best.String()).end()
}

// heir is who owns a network when its owner is gone, with its role until
// then: the senior admin, else the senior member. roleAt says which roles the
// members have, or will have; roleGone of one that will be gone.
func (st *networkStore) heir(net uint16, roleAt func(net uint16, id uint32) role) (heir uint32, best role) {
	st.eachMember(net, func(id uint32, _ membership) bool {
		r := roleAt(net, id)
		if r = max(r, roleMember); r != roleGone && r > best {
			heir, best = id, r
		}
		return best < roleAdmin
	})
	return heir, best
}

// roleGone stands for the role of one who will be no member any more.
const roleGone role = 0xff

// preAssigned finds the role that waits in a network for a person, whose match
// key is given.
func (st *networkStore) preAssigned(net uint16, person string) *preAssign {
	if person == "" {
		return nil
	}
	key, ok := st.byAssign.Get(preAssignIndex(net, person))
	if !ok {
		return nil
	}
	p, _ := st.preAssign.Get(key)
	return p
}

// addPreAssign appends a role for an external id, whose match key is person,
// to a network's list. An
// entry that is there already wins.
func addPreAssign(x *txn, net uint16, externalID, person string, r role) (added bool) {
	p := &preAssign{external: externalID, key: person, role: r}
	if _, taken := x.networks.byAssign.Get(preAssignIndex(net, p.key)); taken {
		return false
	}
	x.meta.queueSeq++
	putPreAssign(x, preAssignKey(net, x.meta.queueSeq), p)
	x.reconfigure(net, func(*network) {})
	return true
}

// eachPreAssign visits a network's pre-assignments in order.
func (st *networkStore) eachPreAssign(net uint16, f func(key string, p *preAssign) bool) {
	st.preAssign.Ascend(preAssignKey(net, 0), func(k string, p *preAssign) bool {
		return networkOfKey(k) == net && f(k, p)
	})
}

// clearPreAssign empties a network's list.
func clearPreAssign(x *txn, net uint16) {
	var keys []string
	x.networks.eachPreAssign(net, func(k string, _ *preAssign) bool {
		keys = append(keys, k)
		return true
	})
	for _, k := range keys {
		dropPreAssign(x, k)
	}
	if len(keys) > 0 {
		x.reconfigure(net, func(*network) {})
	}
}
