// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"slices"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// roomIn refuses another member to a network that is full. The bound holds also
// when the network is no longer an enterprise network.
func roomIn(v *view, net uint16, n *network) *protocol.Error {
	if limit := n.policy.maxMembers; limit > 0 && v.networkSize(net) >= int(limit) {
		return protocol.Refusef(protocol.CodeLimitReached, "network membership limit reached")
	}
	return nil
}

// decideSetPolicy follows docs/protocol/networks.md#set_network_policy. Fields that are
// absent stay as they are.
func decideSetPolicy(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetNetworkPolicy)
	n, e := v.roleGate(c, r.NodeID, r.NetworkID)
	if e != nil {
		return nil, e
	}
	if e := r.Check(); e != nil {
		return nil, afterRole(e)
	}
	p := n.policy
	if r.MaxMembers != nil {
		p.maxMembers = uint32(*r.MaxMembers)
		if size := v.networkSize(r.NetworkID); p.maxMembers > 0 && size > int(p.maxMembers) {
			return nil, protocol.Refusef(protocol.CodeConflict, "cannot set max_members to %d: network already has %d members", p.maxMembers, size)
		}
	}
	if e := r.CheckRest(); e != nil {
		return nil, afterRole(e)
	}
	if r.AllowedPorts != nil {
		p.ports = r.Ports()
	}
	if r.Description != nil {
		p.description = *r.Description
	}
	if p.maxMembers == n.policy.maxMembers && p.description == n.policy.description && slices.Equal(p.ports, n.policy.ports) {
		return c.unchanged(policyReply("set_network_policy_ok", r.NetworkID, n))
	}
	return func(x *txn) any {
		x.reconfigure(r.NetworkID, func(n *network) { n.policy = p })
		x.begin(protocol.EventPolicyChanged).network(r.NetworkID).
			num("old_max_members", uint64(n.policy.maxMembers)).num("new_max_members", uint64(p.maxMembers)).
			num("old_allowed_ports_count", uint64(len(n.policy.ports))).num("new_allowed_ports_count", uint64(len(p.ports))).end()
		x.count(CountPolicyChanges, 1)
		now, _ := x.networks.records.Get(r.NetworkID)
		return policyReply("set_network_policy_ok", r.NetworkID, now)
	}, nil
}

func readPolicyOf(v *view, c *invocation) (any, *protocol.Error) {
	id := c.body.(*protocol.NetworkRequest).NetworkID
	n, ok := v.networks.records.Get(id)
	if !ok {
		return nil, noNetwork(id)
	}
	return policyReply("get_network_policy_ok", id, n), nil
}

func policyReply(reply string, id uint16, n *network) *protocol.NetworkPolicyReply {
	ports := n.policy.ports
	if ports == nil {
		ports = []uint16{}
	}
	return &protocol.NetworkPolicyReply{Type: reply, NetworkID: id, MaxMembers: n.policy.maxMembers, AllowedPorts: ports,
		Description: n.policy.description, Revision: n.revision}
}
