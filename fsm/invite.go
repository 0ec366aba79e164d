// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"slices"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// eachInvite visits a node's inbox in order of arrival.
func (st *networkStore) eachInvite(target uint32, f func(key string, i *invite) bool) {
	st.invites.Ascend(queueKey(target, 0), func(k string, i *invite) bool {
		to, _ := splitQueueKey(k)
		return to == target && f(k, i)
	})
}

// inbox lists the keys of a node's invites, to one network or, for 0, to all.
func (st *networkStore) inbox(target uint32, net uint16) (keys []string) {
	st.eachInvite(target, func(k string, i *invite) bool {
		if net == 0 || i.net == net {
			keys = append(keys, k)
		}
		return true
	})
	return keys
}

// invitesBy lists the keys of invites under a prefix of the index.
func (st *networkStore) invitesBy(prefix string) (keys []string) {
	st.byInvite.Ascend(prefix, func(k string, _ nothing) bool {
		if !strings.HasPrefix(k, prefix) {
			return false
		}
		keys = append(keys, k[len(k)-12:])
		return true
	})
	return keys
}

// allInvitesBy lists the keys of the invites that a node sent.
func (st *networkStore) allInvitesBy(inviter uint32) []string {
	prefix := inviteByInviter(inviter, 0, "")
	return st.invitesBy(prefix[:5])
}

// expireInvites empties a node's inbox of what is too old.
func expireInvites(x *txn, target uint32) {
	var keys []string
	x.networks.eachInvite(target, func(k string, i *invite) bool {
		if i.expired(x.meta.now) {
			keys = append(keys, k)
		}
		return true
	})
	x.dropInvites(keys)
	if len(keys) > 0 {
		x.begin(protocol.EventInviteExpired).node(target).num("expired_count", uint64(len(keys))).end()
	}
}

// decideInvite follows docs/protocol/networks.md#invite_to_network.
func decideInvite(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.InviteToNetwork)
	inviter := v.nodes.live(r.InviterID)
	if inviter == nil {
		return nil, protocol.Refusef(protocol.CodeNotFound, "inviter node %d: node not found", r.InviterID)
	}
	if e := v.signedOrAdmin(c, inviter); e != nil {
		return nil, e
	}
	n, e := v.networks.gate(c, r.NetworkID)
	if e != nil {
		return nil, e
	}
	if n.rule != ruleInvite {
		return nil, protocol.Refusef(protocol.CodeConflict, "network %d is not invite-only (rule: %s)", r.NetworkID, n.rule)
	}
	if e := mayInvite(v, c, n, r); e != nil {
		return nil, e
	}
	if v.nodes.live(r.TargetNodeID) == nil {
		return nil, protocol.Refusef(protocol.CodeNotFound, "target node %d: node not found", r.TargetNodeID)
	}
	if _, in := v.networks.member(r.NetworkID, r.TargetNodeID); in {
		return nil, protocol.Refusef(protocol.CodeAlreadyExists, "node %d is already a member of network %d", r.TargetNodeID, r.NetworkID)
	}
	waiting, pending := 0, false
	v.networks.eachInvite(r.TargetNodeID, func(_ string, i *invite) bool {
		if !i.expired(v.meta.now) {
			waiting++
			pending = pending || i.net == r.NetworkID
		}
		return true
	})
	reply := &protocol.InviteToNetworkReply{Type: "invite_to_network_ok", NetworkID: r.NetworkID, TargetNodeID: r.TargetNodeID}
	if pending {
		reply.Status = "already_invited"
		return c.unchanged(reply)
	}
	if waiting >= protocol.MaxInvites {
		return nil, protocol.Refusef(protocol.CodeLimitReached, "invite inbox full for node %d", r.TargetNodeID)
	}
	return func(x *txn) any {
		expireInvites(x, r.TargetNodeID) // what is too old must not stand beside the new one
		x.meta.queueSeq++
		x.putInvite(queueKey(r.TargetNodeID, x.meta.queueSeq), &invite{net: r.NetworkID, inviter: r.InviterID, at: x.meta.now, span: r.ForSeconds})
		x.begin(protocol.EventInviteCreated).network(r.NetworkID).num("inviter_id", uint64(r.InviterID)).
			num("target_node_id", uint64(r.TargetNodeID)).end()
		x.count(CountInvitesSent, 1)
		return reply
	}, nil
}

// mayInvite asks for the role of an owner or admin, or a token.
func mayInvite(v *view, c *invocation, n *network, r *protocol.InviteToNetwork) *protocol.Error {
	if v.adminToken(c) || networkToken(c, n) {
		return nil
	}
	if _, in := v.networks.member(r.NetworkID, r.InviterID); !in {
		return protocol.Refusef(protocol.CodePermissionDenied, "inviter %d is not a member of network %d", r.InviterID, r.NetworkID)
	}
	if role := v.roleOf(r.NetworkID, r.InviterID); !slices.Contains(c.row.Roles, role.String()) {
		return protocol.Refusef(protocol.CodePermissionDenied, `rbac: inviter %d has role "%s", requires owner or admin`, r.InviterID, role)
	}
	return nil
}

// readInvites shows an inbox. It takes nothing away: what is too old is
// passed over here and removed by a sweep.
func readInvites(v *view, c *invocation) (any, *protocol.Error) {
	id := c.body.(*protocol.NodeRequest).NodeID
	if e := v.pollable(c, id); e != nil {
		return nil, e
	}
	reply := &protocol.PollInvitesReply{Type: "poll_invites_ok", Invites: []protocol.Invite{}}
	v.networks.eachInvite(id, func(_ string, i *invite) bool {
		if !i.expired(v.meta.now) {
			reply.Invites = append(reply.Invites, protocol.Invite{NetworkID: i.net, InviterID: i.inviter, Timestamp: i.at / 1000})
		}
		return true
	})
	return reply, nil
}

// decideRespondInvite follows docs/protocol/networks.md#respond_invite: the gate comes
// before everything else.
func decideRespondInvite(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.RespondInvite)
	network, e := v.networks.gate(c, r.NetworkID)
	if e != nil {
		return nil, e
	}
	n := v.nodes.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	if e := v.signed(c, n); e != nil {
		return nil, e
	}
	keys := v.networks.inbox(r.NodeID, r.NetworkID)
	if len(keys) == 0 {
		return nil, protocol.Refusef(protocol.CodeNotFound, "no pending invite for node %d to network %d", r.NodeID, r.NetworkID)
	}
	found, _ := v.networks.invites.Get(keys[len(keys)-1])
	if found.expired(v.meta.now) {
		return nil, protocol.Refusef(protocol.CodeNotFound, "invite for node %d to network %d has expired", r.NodeID, r.NetworkID)
	}
	if r.Accept {
		if e := v.cluster.identified(network, n); e != nil {
			return nil, e
		}
		if e := roomIn(v, r.NetworkID, network); e != nil {
			return nil, e
		}
		if _, in := v.networks.member(r.NetworkID, r.NodeID); in {
			return nil, protocol.Refusef(protocol.CodeAlreadyExists, "node %d is already a member of network %d", r.NodeID, r.NetworkID)
		}
	}
	return func(x *txn) any {
		x.dropInvites(keys)
		reply := &protocol.RespondInviteReply{Type: "respond_invite_ok", Accepted: r.Accept, NetworkID: r.NetworkID}
		answer := CountInvitesRejected
		var got, pre role
		if r.Accept {
			answer = CountInvitesAccepted
			got, pre = admit(x, r.NetworkID, n, found.span)
			if pre != roleNone {
				reply.Role, reply.PreAssignedRole = got.String(), pre.String()
			}
		}
		w := x.begin(protocol.EventInviteResponded).node(r.NodeID).network(r.NetworkID).bool("accepted", r.Accept)
		w.preAssigned(got, pre).end()
		x.count(answer, 1)
		return reply
	}, nil
}

// preAssigned notes the role that a pre-assignment gave.
func (w *eventWriter) preAssigned(got, pre role) *eventWriter {
	if pre != roleNone {
		w.str("role", got.String()).str("pre_assigned_role", pre.String())
	}
	return w
}
