// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"crypto/subtle"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func decideCreateNetwork(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.CreateNetwork)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	if e := r.Problem(); e != nil {
		return nil, afterRole(e)
	}
	if r.JoinRule == protocol.JoinToken && r.TokenMAC.IsZero() {
		return nil, protocol.Refusef(protocol.CodeInvalid, "token required: a network with join_rule token needs a join token")
	}
	if v.nodes.live(r.NodeID) == nil {
		return nil, notRegistered(r.NodeID)
	}
	if v.meta.nextNet == 0 {
		return nil, protocol.Refusef(protocol.CodeLimitReached, "network ID space exhausted (max 65535 networks)")
	}
	if _, taken := v.networks.byName.Get(r.Name); taken {
		return nil, protocol.Refusef(protocol.CodeAlreadyExists, "network %s already exists", protocol.Quote(r.Name))
	}
	return func(x *txn) any {
		id := x.meta.nextNet
		x.meta.nextNet++ // 0 after the last id
		n := &network{
			name: r.Name, rule: parseJoinRule(r.JoinRule), enterprise: r.Enterprise, created: x.meta.now,
			token: r.TokenMAC, admin: r.NetworkAdminTokenMAC,
			revision: 1, // 0 is that of a network which does not exist
		}
		x.setNetwork(id, n)
		x.meta.joinSeq++
		x.setMembership(id, r.NodeID, membership{order: x.meta.joinSeq, role: roleOwner})
		managed := r.Rules != nil
		w := x.begin(protocol.EventNetworkCreated).network(id).str("name", n.name).str("join_rule", n.rule.String()).
			num("creator_node_id", uint64(r.NodeID)).bool("enterprise", n.enterprise)
		if managed {
			w.bool("managed", true)
		}
		w.end()
		x.setDocs(id, networkDocs{rules: r.Rules})
		if r.ExprPolicy != nil {
			setExprPolicy(x, id, *r.ExprPolicy)
		}
		return &protocol.CreateNetworkReply{Type: "create_network_ok", NetworkID: id, Name: n.name, Enterprise: n.enterprise, Managed: managed}
	}, nil
}

func decideJoinNetwork(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.JoinNetwork)
	node := v.nodes.live(r.NodeID)
	if node == nil {
		return nil, notRegistered(r.NodeID)
	}
	if e := v.signedOrAdmin(c, node); e != nil {
		return nil, e
	}
	n, ok := v.networks.records.Get(r.NetworkID)
	if !ok {
		return nil, noNetwork(r.NetworkID)
	}
	switch n.rule {
	case ruleToken:
		if !sameMAC(n.token, r.TokenMAC) {
			return nil, protocol.Refusef(protocol.CodeTokenInvalid, "invalid token for network %d", r.NetworkID)
		}
	case ruleInvite:
		return nil, protocol.Refusef(protocol.CodePermissionDenied, "invite-only networks require invite_to_network + respond_invite flow")
	}
	if e := v.cluster.identified(n, node); e != nil {
		return nil, e
	}
	if e := roomIn(v, r.NetworkID, n); e != nil {
		return nil, e
	}
	if _, in := v.networks.member(r.NetworkID, r.NodeID); in {
		return nil, protocol.Refusef(protocol.CodeAlreadyExists, "node %d already in network %d", r.NodeID, r.NetworkID)
	}
	return func(x *txn) any {
		got, pre := admit(x, r.NetworkID, node, r.ForSeconds)
		x.begin(protocol.EventNetworkJoined).node(r.NodeID).network(r.NetworkID).preAssigned(got, pre).end()
		reply := &protocol.JoinNetworkReply{Type: "join_network_ok", NetworkID: r.NetworkID, Address: address(r.NetworkID, r.NodeID)}
		if pre != roleNone {
			reply.Role, reply.PreAssignedRole = got.String(), pre.String()
		}
		return reply
	}, nil
}

// sameMAC compares in constant time. The MAC of the empty token is zero, so a
// network created with an empty token is joined with one and nothing else.
func sameMAC(a, b protocol.MAC) bool {
	return subtle.ConstantTimeCompare(a.Sum, b.Sum) == 1 && (a.IsZero() || a.Key == b.Key)
}

func decideLeaveNetwork(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.LeaveNetwork)
	node := v.nodes.live(r.NodeID)
	if node == nil {
		return nil, notRegistered(r.NodeID)
	}
	if e := v.signedOrAdmin(c, node); e != nil {
		return nil, e
	}
	n, ok := v.networks.records.Get(r.NetworkID)
	if !ok {
		return nil, noNetwork(r.NetworkID)
	}
	m, in := v.networks.member(r.NetworkID, r.NodeID)
	if n.enterprise && m.role == roleOwner {
		return nil, protocol.Refusef(protocol.CodeConflict, "cannot leave network: owner must transfer ownership first")
	}
	if !in {
		return nil, notMember(r.NodeID, r.NetworkID)
	}
	return func(x *txn) any {
		expel(x, r.NetworkID, r.NodeID)
		x.begin(protocol.EventNetworkLeft).node(r.NodeID).network(r.NetworkID).end()
		return &protocol.LeaveNetworkReply{Type: "leave_network_ok", NetworkID: r.NetworkID}
	}, nil
}

func decideDeleteNetwork(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.DeleteNetwork)
	n, e := v.roleGate(c, r.NodeID, r.NetworkID)
	if e != nil {
		return nil, e
	}
	return func(x *txn) any {
		members := x.networkSize(r.NetworkID)
		for _, id := range x.networks.memberIDs(r.NetworkID) {
			x.dropMembership(r.NetworkID, id)
		}
		x.dropInvites(x.networks.invitesBy(inviteByNetwork(r.NetworkID, "")))
		clearPreAssign(x, r.NetworkID)
		dropPages(x, r.NetworkID)
		dropNetwork(x, r.NetworkID)
		x.begin(protocol.EventNetworkDeleted).network(r.NetworkID).str("name", n.name).num("members", uint64(members)).
			bool("enterprise", n.enterprise).end()
		return &protocol.DeleteNetworkReply{Type: "delete_network_ok", NetworkID: r.NetworkID}
	}, nil
}

func decideRenameNetwork(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.RenameNetwork)
	if e := v.authorise(c, r.NodeID, r.NetworkID); e != nil {
		return nil, e
	}
	if e := protocol.CheckNetworkName(r.Name); e != nil {
		return nil, afterRole(e)
	}
	n, e := v.networks.gate(c, r.NetworkID)
	if e != nil {
		return nil, e
	}
	if holder, taken := v.networks.byName.Get(r.Name); taken && holder != r.NetworkID {
		return nil, protocol.Refusef(protocol.CodeAlreadyExists, "network %s already exists", protocol.Quote(r.Name))
	}
	reply := &protocol.RenameNetworkReply{Type: "rename_network_ok", NetworkID: r.NetworkID, Name: r.Name}
	if n.name == r.Name {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		x.reconfigure(r.NetworkID, func(n *network) { n.name = r.Name })
		x.begin(protocol.EventNetworkRenamed).network(r.NetworkID).str("old_name", n.name).str("new_name", r.Name).end()
		return reply
	}, nil
}

// decideSetEnterprise follows docs/protocol/networks.md#set_network_enterprise.
func decideSetEnterprise(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetNetworkEnterprise)
	if e := v.admin(c); e != nil {
		e.Text = "set_network_enterprise requires admin token"
		return nil, e
	}
	old, e := v.networks.gate(c, r.NetworkID)
	if e != nil {
		return nil, e
	}
	reply := &protocol.SetNetworkEnterpriseReply{Type: "set_network_enterprise_ok", NetworkID: r.NetworkID, Enterprise: r.Enterprise}
	if old.enterprise == r.Enterprise && v.networks.rolesFit(r.NetworkID, old) {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		x.reconfigure(r.NetworkID, func(n *network) { n.enterprise = r.Enterprise })
		x.begin(protocol.EventNetworkEnterprise).network(r.NetworkID).bool("enterprise", r.Enterprise).
			num("members", uint64(x.networkSize(r.NetworkID))).end()
		if r.Enterprise {
			initRoles(x, r.NetworkID)
		} else {
			wipeRoles(x, r.NetworkID)
		}
		return reply
	}, nil
}

// rolesFit reports whether initRoles, or wipeRoles of a network that is no
// enterprise network, would change nothing.
func (st *networkStore) rolesFit(net uint16, n *network) bool {
	fit := true
	st.eachMember(net, func(_ uint32, m membership) bool {
		fit = (m.role != roleNone) == n.enterprise && (n.enterprise || m.roleUntil == 0)
		return fit
	})
	_, owned := st.owners.Get(net)
	return fit && (owned || !n.enterprise || !n.hadOwner)
}

// initRoles gives every member without a role one, in join order: owner to
// the first when there is none, member to the others. A network that lost its
// owner while it was no enterprise network gets a new one.
func initRoles(x *txn, net uint16) {
	for _, id := range x.networks.memberIDs(net) {
		if m, _ := x.networks.member(net, id); m.role == roleNone {
			r := roleMember
			if _, owned := x.networks.owners.Get(net); !owned {
				r = roleOwner
			}
			setRole(x, net, id, r, 0)
		}
	}
	n, _ := x.networks.records.Get(net)
	if _, owned := x.networks.owners.Get(net); !owned && n.hadOwner {
		succeed(x, net, 0)
	}
}

func wipeRoles(x *txn, net uint16) {
	for _, id := range x.networks.memberIDs(net) {
		setRole(x, net, id, roleNone, 0)
	}
}
