// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

func decideDeleteNetwork(v *view, c *call) (effect, *protocol.Error) {
	r := c.body.(*protocol.DeleteNetwork)
	n, e := v.roleGate(c, r.NodeID, r.NetworkID)
	if e != nil {
		return nil, e
	}
	return func(x *txn) any {
		members := x.networkSize(r.NetworkID)
		for _, id := range x.memberIDs(r.NetworkID) {
			x.dropMember(r.NetworkID, id)
		}
		x.dropInvites(x.invitesBy(inviteByNetwork(r.NetworkID, "")))
		x.clearPreAssign(r.NetworkID)
		x.dropPages(r.NetworkID)
		x.docs.drop(x, r.NetworkID)
		x.networks.drop(x, r.NetworkID)
		x.byName.drop(n.name)
		x.netSize.drop(r.NetworkID)
		x.begin(protocol.EventNetworkDeleted).network(r.NetworkID).str("name", n.name).num("members", uint64(members)).
			bool("enterprise", n.enterprise).end()
		return &protocol.DeleteNetworkReply{Type: "delete_network_ok", NetworkID: r.NetworkID}
	}, nil
}

func decideRenameNetwork(v *view, c *call) (effect, *protocol.Error) {
	r := c.body.(*protocol.RenameNetwork)
	if e := v.authorise(c, r.NodeID, r.NetworkID); e != nil {
		return nil, e
	}
	if e := protocol.CheckNetworkName(r.Name); e != nil {
		return nil, afterRole(e)
	}
	n, e := v.gate(c, r.NetworkID)
	if e != nil {
		return nil, e
	}
	if holder, taken := v.byName.get(r.Name); taken && holder != r.NetworkID {
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
func decideSetEnterprise(v *view, c *call) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetNetworkEnterprise)
	if e := v.admin(c); e != nil {
		e.Text = "set_network_enterprise requires admin token"
		return nil, e
	}
	old, e := v.gate(c, r.NetworkID)
	if e != nil {
		return nil, e
	}
	reply := &protocol.SetNetworkEnterpriseReply{Type: "set_network_enterprise_ok", NetworkID: r.NetworkID, Enterprise: r.Enterprise}
	if old.enterprise == r.Enterprise && v.rolesFit(r.NetworkID, old) {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		x.reconfigure(r.NetworkID, func(n *network) { n.enterprise = r.Enterprise })
		x.begin(protocol.EventNetworkEnterprise).network(r.NetworkID).bool("enterprise", r.Enterprise).
			num("members", uint64(x.networkSize(r.NetworkID))).end()
		if r.Enterprise {
			x.initRoles(r.NetworkID)
		} else {
			x.wipeRoles(r.NetworkID)
		}
		return reply
	}, nil
}

// rolesFit reports whether initRoles, or wipeRoles of a network that is no
// enterprise network, would change nothing.
func (v *view) rolesFit(net uint16, n *network) bool {
	fit := true
	v.eachMember(net, func(_ uint32, m member) bool {
		fit = (m.role != roleNone) == n.enterprise && (n.enterprise || m.roleUntil == 0)
		return fit
	})
	_, owned := v.owners.get(net)
	return fit && (owned || !n.enterprise || !n.hadOwner)
}

// initRoles gives every member without a role one, in join order: owner to
// the first when there is none, member to the others. A network that lost its
// owner while it was no enterprise network gets a new one.
func (x *txn) initRoles(net uint16) {
	for _, id := range x.memberIDs(net) {
		if m, _ := x.member(net, id); m.role == roleNone {
			r := roleMember
			if _, owned := x.owners.get(net); !owned {
				r = roleOwner
			}
			x.setRole(net, id, r, 0)
		}
	}
	n, _ := x.networks.get(net)
	if _, owned := x.owners.get(net); !owned && n.hadOwner {
		x.succeed(net, 0)
	}
}

func (x *txn) wipeRoles(net uint16) {
	for _, id := range x.memberIDs(net) {
		x.setRole(net, id, roleNone, 0)
	}
}
