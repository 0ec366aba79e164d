// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/protocol"

// claimRoles makes a node's roles those that its identity token gives. They
// say nothing about who is a member, and an owner stays one. Where the node is
// no member yet, the role waits for its external id, as those of directories do.
func claimRoles(x *txn, n *node, roles []protocol.ClaimedRole) {
	for _, claimed := range roles {
		net, ok := x.networks.records.Get(claimed.NetworkID)
		if !ok || !net.enterprise || n.externalID == "" {
			continue
		}
		want := roleMember
		if claimed.Admin {
			want = roleAdmin
		}
		m, in := x.networks.member(claimed.NetworkID, n.id)
		switch {
		case !in:
			claimWaiting(x, claimed.NetworkID, n, want)
		case m.role == roleOwner || m.role == want:
		default:
			giveRole(x, claimed.NetworkID, n.id, want, 0)
			action := protocol.EventMemberDemoted
			if want > m.role {
				action = protocol.EventMemberPromoted
			}
			x.begin(action).network(claimed.NetworkID).num("target_node_id", uint64(n.id)).
				str("old_role", m.role.String()).str("new_role", want.String()).str("reason", "identity_token").end()
		}
	}
}

// claimWaiting changes the role that waits in a network for a node's person.
// That of a member need not wait, unless another does.
func claimWaiting(x *txn, net uint16, n *node, want role) {
	old := x.networks.preAssigned(net, n.person())
	switch {
	case old == nil && want == roleMember:
	case old == nil:
		addPreAssign(x, net, n.externalID, n.person(), want)
	case old.role == roleOwner || old.role == want:
	default:
		p := *old
		p.role = want
		reassign(x, net, &p)
		x.reconfigure(net, func(*network) {})
	}
}
