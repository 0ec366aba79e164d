// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

func decidePromote(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.PromoteMember)
	if _, e := v.roleGate(c, r.NodeID, r.NetworkID); e != nil {
		return nil, e
	}
	m, _ := v.networks.member(r.NetworkID, r.TargetNodeID)
	switch {
	case m.role == roleNone:
		return nil, notMember(r.TargetNodeID, r.NetworkID)
	case m.role == roleOwner:
		return nil, protocol.Refusef(protocol.CodeConflict, "cannot promote the owner")
	case m.role == roleAdmin && m.roleUntil == 0 && r.ForSeconds == 0: // else it changes when the role ends
		return nil, protocol.Refusef(protocol.CodeAlreadyExists, "node %d is already an admin", r.TargetNodeID)
	}
	return func(x *txn) any {
		until := x.after(r.ForSeconds)
		setRole(x, r.NetworkID, r.TargetNodeID, roleAdmin, until)
		w := x.begin(protocol.EventMemberPromoted).network(r.NetworkID).num("target_node_id", uint64(r.TargetNodeID)).
			str("old_role", m.role.String()).str("new_role", roleAdmin.String())
		if until != 0 {
			w.str("expires_at", utc(until))
		}
		w.end()
		x.count(CountPromotions, 1)
		return &protocol.MemberRoleReply{Type: "promote_member_ok", NetworkID: r.NetworkID, TargetNodeID: r.TargetNodeID,
			Role: roleAdmin.String(), ExpiresAt: utcOrNone(until)}
	}, nil
}

func decideDemote(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.DemoteMember)
	if _, e := v.roleGate(c, r.NodeID, r.NetworkID); e != nil {
		return nil, e
	}
	m, _ := v.networks.member(r.NetworkID, r.TargetNodeID)
	switch m.role {
	case roleNone:
		return nil, notMember(r.TargetNodeID, r.NetworkID)
	case roleOwner:
		return nil, protocol.Refusef(protocol.CodeConflict, "cannot demote the owner")
	case roleMember:
		return nil, protocol.Refusef(protocol.CodeAlreadyExists, "node %d is already a member", r.TargetNodeID)
	}
	return func(x *txn) any {
		setRole(x, r.NetworkID, r.TargetNodeID, roleMember, 0)
		x.begin(protocol.EventMemberDemoted).network(r.NetworkID).num("target_node_id", uint64(r.TargetNodeID)).
			str("old_role", m.role.String()).str("new_role", roleMember.String()).end()
		x.count(CountDemotions, 1)
		return &protocol.MemberRoleReply{Type: "demote_member_ok", NetworkID: r.NetworkID, TargetNodeID: r.TargetNodeID, Role: roleMember.String()}
	}, nil
}

func decideKick(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.KickMember)
	if _, e := v.roleGate(c, r.NodeID, r.NetworkID); e != nil {
		return nil, e
	}
	m, in := v.networks.member(r.NetworkID, r.TargetNodeID)
	if m.role == roleOwner {
		return nil, protocol.Refusef(protocol.CodeConflict, "cannot kick the network owner")
	}
	if !in {
		return nil, notMember(r.TargetNodeID, r.NetworkID)
	}
	return func(x *txn) any {
		expel(x, r.NetworkID, r.TargetNodeID)
		x.begin(protocol.EventMemberKicked).network(r.NetworkID).num("target_node_id", uint64(r.TargetNodeID)).str("role", m.role.String()).end()
		x.count(CountKicks, 1)
		return &protocol.KickMemberReply{Type: "kick_member_ok", NetworkID: r.NetworkID, TargetNodeID: r.TargetNodeID}
	}, nil
}

func decideTransfer(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.TransferOwnership)
	if _, e := v.roleGate(c, r.NodeID, r.NetworkID); e != nil {
		return nil, e
	}
	owner, owned := v.networks.owners.Get(r.NetworkID)
	m, _ := v.networks.member(r.NetworkID, r.NewOwnerID)
	switch {
	case !owned:
		return nil, protocol.Refusef(protocol.CodeConflict, "network %d has no owner", r.NetworkID)
	case owner == r.NewOwnerID:
		return nil, protocol.Refusef(protocol.CodeAlreadyExists, "node %d is already the owner", r.NewOwnerID)
	case m.role == roleNone:
		return nil, notMember(r.NewOwnerID, r.NetworkID)
	}
	return func(x *txn) any {
		setRole(x, r.NetworkID, owner, roleAdmin, 0)
		setRole(x, r.NetworkID, r.NewOwnerID, roleOwner, 0)
		x.begin(protocol.EventOwnershipTransferred).network(r.NetworkID).num("old_owner", uint64(owner)).
			num("new_owner", uint64(r.NewOwnerID)).str("new_owner_old_role", m.role.String()).end()
		x.count(CountTransfers, 1)
		return &protocol.TransferOwnershipReply{Type: "transfer_ownership_ok", NetworkID: r.NetworkID, OldOwner: owner, NewOwner: r.NewOwnerID}
	}, nil
}

func readMemberRole(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.GetMemberRole)
	if _, ok := v.networks.records.Get(r.NetworkID); !ok {
		return nil, noNetwork(r.NetworkID)
	}
	m, _ := v.networks.member(r.NetworkID, r.TargetNodeID)
	if m.role == roleNone {
		return nil, notMember(r.TargetNodeID, r.NetworkID)
	}
	return &protocol.GetMemberRoleReply{
		Type: "get_member_role_ok", NetworkID: r.NetworkID, TargetNodeID: r.TargetNodeID, Role: m.role.String(),
	}, nil
}
