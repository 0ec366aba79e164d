// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strings"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Deadlines: what is to happen when log time reaches a moment. They are
// derived from the records they belong to and kept in order of time, so that
// neither the leader nor Apply ever looks at what is not due. The leader says
// how many are due; Apply takes the first of them itself.

// dueKind says what a deadline is about.
type dueKind byte

const (
	dueKeyNotice    dueKind = 1 // of a node's key
	dueMemberNotice dueKind = 2 // of a membership
	dueRoleNotice   dueKind = 3 // of a role
	dueRole         dueKind = 4 // a role ends
	dueMember       dueKind = 5 // a membership ends
	dueInvite       dueKind = 6 // an invite ends
	dueStaged       dueKind = 7 // an upload, or a page of a long reply, was not asked for in time
)

// inviteTTL is the life of an invite.
const inviteTTL = protocol.InviteTTLDays * dayMS

// dueKey orders deadlines by time, then kind, then what they are about.
func dueKey(at int64, kind dueKind, about []byte) string {
	b := table.AppendKey64(make([]byte, 0, 9+len(about)), uint64(max(at, 0)))
	return string(append(append(b, byte(kind)), about...))
}

// nodeDue is the deadline of a node's key, "" for none.
func nodeDue(n *node) string {
	next := n.announced.next()
	if n.expires == 0 || next == 0 || !n.reachable() {
		return ""
	}
	return dueKey(n.expires-int64(next)*dayMS, dueKeyNotice, table.AppendKey32(nil, n.id))
}

// memberDues are the deadlines of a membership.
func memberDues(key uint64, m membership) (keys []string) {
	end := func(at int64, told stage, notice, over dueKind) {
		if at == 0 {
			return
		}
		about := table.AppendKey64(nil, key)
		if next := told.next(); next != 0 {
			keys = append(keys, dueKey(at-int64(next)*dayMS, notice, about))
		}
		keys = append(keys, dueKey(at, over, about))
	}
	end(m.until, m.announced, dueMemberNotice, dueMember)
	end(m.roleUntil, m.roleAnnounced, dueRoleNotice, dueRole)
	return keys
}

// inviteDue is when an invite is older than its life.
func inviteDue(key string, i *invite) string { return dueKey(i.at+inviteTTL+1, dueInvite, []byte(key)) }

func (i *invite) expired(now int64) bool { return now-i.at > inviteTTL }

// dueUpTo counts the deadlines that have come at now, up to a limit.
func (v *view) dueUpTo(now int64, limit int) (n int) {
	end := dueKey(now+1, 0, nil)
	v.due.Ascend("", func(k string, _ nothing) bool {
		if n == limit || strings.Compare(k, end) >= 0 {
			return false
		}
		n++
		return true
	})
	return n
}

// sweepDue carries out the first deadlines that have come.
func sweepDue(x *txn, limit int) {
	for range limit {
		k, _, ok := x.due.First()
		d := table.NewDecoder([]byte(k))
		if at := d.Key64(); !ok || at > uint64(max(x.meta.now, 0)) {
			return
		}
		kind := dueKind(d.Uint8())
		switch kind {
		case dueKeyNotice:
			noticeKey(x, d.Key32())
		case dueInvite:
			expireInvites(x, d.Key32())
		case dueStaged:
			expireStaged(x, string(d.Raw(d.Left())))
		default:
			key := d.Key64()
			dueOfMember(x, kind, uint16(key>>32), uint32(key))
		}
		if _, still := x.due.Get(k); still {
			return // nothing can be done about it now; stop, or this loop never ends
		}
	}
}

func noticeKey(x *txn, id uint32) {
	n, _ := x.nodes.records.Get(id)
	now := stageAt(n.expires, x.meta.now)
	x.edit(n, func(n *node) { n.announced = now })
	if n.expires > x.meta.now {
		x.begin(protocol.EventKeyExpiring).node(id).num("days", uint64(now)).str("expires_at", utc(n.expires)).end()
	}
}

func dueOfMember(x *txn, kind dueKind, net uint16, id uint32) {
	m, _ := x.networks.member(net, id)
	switch kind {
	case dueMemberNotice:
		m.announced = stageAt(m.until, x.meta.now)
		x.setMembership(net, id, m)
		giveNotice(x, protocol.EventMemberExpiring, net, id, m.announced, m.until)
	case dueRoleNotice:
		m.roleAnnounced = stageAt(m.roleUntil, x.meta.now)
		x.setMembership(net, id, m)
		giveNotice(x, protocol.EventRoleExpiring, net, id, m.roleAnnounced, m.roleUntil)
	case dueRole:
		setRole(x, net, id, roleMember, 0)
		x.begin(protocol.EventRoleExpired).network(net).num("target_node_id", uint64(id)).
			str("old_role", m.role.String()).str("new_role", roleMember.String()).end()
	case dueMember:
		expel(x, net, id)
		x.begin(protocol.EventMemberExpired).network(net).num("target_node_id", uint64(id)).str("role", m.role.String()).end()
		if m.role == roleOwner {
			ownerGone(x, net, id)
		}
	}
}

func giveNotice(x *txn, action string, net uint16, id uint32, days stage, end int64) {
	if end > x.meta.now {
		x.begin(action).network(net).num("target_node_id", uint64(id)).num("days", uint64(days)).str("expires_at", utc(end)).end()
	}
}
