package fsm

import (
	"crypto/subtle"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func decideCreateNetwork(v *view, c *call) (effect, *protocol.Error) {
	r := c.body.(*protocol.CreateNetwork)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	if v.live(r.NodeID) == nil {
		return nil, notRegistered(r.NodeID)
	}
	if v.meta.nextNet == 0 {
		return nil, protocol.Refusef(protocol.CodeLimitReached, "network ID space exhausted (max 65535 networks)")
	}
	if _, taken := v.byName.get(r.Name); taken {
		return nil, protocol.Refusef(protocol.CodeAlreadyExists, "network %s already exists", quote(r.Name))
	}
	return func(x *txn) any {
		id := x.meta.nextNet
		x.meta.nextNet++ // 0 after the last id
		n := &network{
			name: r.Name, rule: parseJoinRule(r.JoinRule), enterprise: r.Enterprise, created: x.meta.now,
			token: r.TokenMAC, admin: r.NetworkAdminTokenMAC,
		}
		x.setNetwork(id, n)
		x.join(id, r.NodeID, roleOwner)
		x.begin(protocol.EventNetworkCreated).network(id).str("name", n.name).str("join_rule", n.rule.String()).
			num("creator_node_id", uint64(r.NodeID)).bool("enterprise", n.enterprise).end()
		return &protocol.CreateNetworkReply{Type: "create_network_ok", NetworkID: id, Name: n.name, Enterprise: n.enterprise}
	}, nil
}

func (x *txn) setNetwork(id uint16, n *network) {
	x.networks.put(x, id, n)
	x.byName.put(n.name, id)
}

func (x *txn) join(net uint16, id uint32, r role) {
	x.meta.joinSeq++
	x.setMember(net, id, member{order: x.meta.joinSeq, role: r})
}

func decideJoinNetwork(v *view, c *call) (effect, *protocol.Error) {
	r := c.body.(*protocol.JoinNetwork)
	node := v.live(r.NodeID)
	if node == nil {
		return nil, notRegistered(r.NodeID)
	}
	if e := v.signedOrAdmin(c, node); e != nil {
		return nil, e
	}
	n, ok := v.networks.get(r.NetworkID)
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
	if _, in := v.member(r.NetworkID, r.NodeID); in {
		return nil, protocol.Refusef(protocol.CodeAlreadyExists, "node %d already in network %d", r.NodeID, r.NetworkID)
	}
	return func(x *txn) any {
		x.join(r.NetworkID, r.NodeID, roleMember)
		x.begin(protocol.EventNetworkJoined).node(r.NodeID).network(r.NetworkID).end()
		return &protocol.JoinNetworkReply{Type: "join_network_ok", NetworkID: r.NetworkID, Address: address(r.NetworkID, r.NodeID)}
	}, nil
}

// sameMAC compares in constant time. The MAC of the empty token is zero, so a
// network created with an empty token is joined with one and nothing else.
func sameMAC(a, b protocol.MAC) bool {
	return subtle.ConstantTimeCompare(a.Sum, b.Sum) == 1 && (a.IsZero() || a.Key == b.Key)
}

func decideLeaveNetwork(v *view, c *call) (effect, *protocol.Error) {
	r := c.body.(*protocol.LeaveNetwork)
	node := v.live(r.NodeID)
	if node == nil {
		return nil, notRegistered(r.NodeID)
	}
	if e := v.signedOrAdmin(c, node); e != nil {
		return nil, e
	}
	n, ok := v.networks.get(r.NetworkID)
	if !ok {
		return nil, noNetwork(r.NetworkID)
	}
	m, in := v.member(r.NetworkID, r.NodeID)
	if n.enterprise && m.role == roleOwner {
		return nil, protocol.Refusef(protocol.CodeConflict, "cannot leave network: owner must transfer ownership first")
	}
	if !in {
		return nil, notMember(r.NodeID, r.NetworkID)
	}
	return func(x *txn) any {
		x.dropMember(r.NetworkID, r.NodeID)
		x.begin(protocol.EventNetworkLeft).node(r.NodeID).network(r.NetworkID).end()
		return &protocol.LeaveNetworkReply{Type: "leave_network_ok", NetworkID: r.NetworkID}
	}, nil
}

func readMemberRole(v *view, c *call) (any, *protocol.Error) {
	r := c.body.(*protocol.GetMemberRole)
	if _, ok := v.networks.get(r.NetworkID); !ok {
		return nil, noNetwork(r.NetworkID)
	}
	m, _ := v.member(r.NetworkID, r.TargetNodeID)
	if m.role == roleNone {
		return nil, notMember(r.TargetNodeID, r.NetworkID)
	}
	return &protocol.GetMemberRoleReply{
		Type: "get_member_role_ok", NetworkID: r.NetworkID, TargetNodeID: r.TargetNodeID, Role: m.role.String(),
	}, nil
}
