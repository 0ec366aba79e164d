// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// tribe is an enterprise network and the nodes that come and go in it. The
// first of them made it.
type tribe struct {
	key   string
	id    uint16
	nodes []node
}

const (
	tribeNodes  = 4
	tribeBudget = 250
)

// share is how many of a hundred operations are of a command.
type share struct {
	percent int
	command string
}

// tribes are W5 to W8 and W14: one kind of key, and mixes of commands that each
// press one promise: who is a member, that an invite counts once, that there is
// one owner, that a network goes as a whole, that a revoked role is worth nothing.
type tribes struct {
	name       string
	inviteOnly bool
	mix        []share
	pool       *pool[tribe]
}

func newMembers() Workload {
	return &tribes{name: "w5-members", mix: []share{{30, "join_network"}, {20, "leave_network"}, {30, "list_nodes"}, {20, "get_member_role"}}}
}

func newInvites() Workload {
	return &tribes{name: "w6-invites", inviteOnly: true, mix: []share{{20, "invite_to_network"}, {30, "respond_invite"}, {10, "kick_member"},
		{5, "join_network"}, {15, "get_member_role"}, {20, "list_nodes"}}}
}

func newOwners() Workload {
	return &tribes{name: "w7-owners", mix: []share{{25, "transfer_ownership"}, {10, "promote_member"}, {10, "demote_member"}, {5, "kick_member"},
		{12, "join_network"}, {5, "leave_network"}, {18, "get_member_role"}, {15, "list_nodes"}}}
}

func newTogether() Workload {
	return &tribes{name: "w8-together", mix: []share{{35, "join_network"}, {5, "leave_network"}, {5, "promote_member"}, {6, "delete_network"},
		{24, "get_member_role"}, {25, "list_nodes"}}}
}

func newRevoked() Workload {
	return &tribes{name: "w14-revoked", mix: []share{{20, "promote_member"}, {20, "demote_member"}, {20, "kick_member"}, {20, "join_network"}, {20, "get_member_role"}}}
}

func (w *tribes) Name() string { return w.name }
func (w *tribes) Weight() int  { return 2 }

func (w *tribes) Models() []check.Model { return models(check.KindNetwork, check.KindLife) }

func (w *tribes) Setup(ctx context.Context, env *Env) error {
	w.pool = newPool(2, tribeBudget, w.newTribe)
	c := NewClient(env, w.name+"-setup")
	defer c.Close()
	return w.pool.fill(ctx, c)
}

// newTribe registers nodes and has the first of them make a network.
func (w *tribes) newTribe(ctx context.Context, c *Client) (tribe, bool) {
	var t tribe
	for range tribeNodes {
		n, ok := c.newNode(ctx, w.name)
		if !ok {
			return t, false
		}
		t.nodes = append(t.nodes, n)
	}
	name := fmt.Sprintf("n-%s-%d", c.env.Run, t.nodes[0].id)
	t.key = check.KindNetwork + "/" + name
	body := &protocol.CreateNetwork{NodeID: t.nodes[0].id, Name: name, Enterprise: true}
	if w.inviteOnly {
		body.JoinRule = protocol.JoinInvite
	}
	op := c.Do(ctx, Request{Workload: w.name, Key: t.key, Command: "create_network", Body: body, Admin: true, Identified: true, Resend: 2})
	t.id = networkID(op)
	return t, t.id != 0
}

// networkID is the network that a reply names, 0 when there is none.
func networkID(op history.Op) uint16 {
	var reply struct {
		NetworkID uint16 `json:"network_id"`
	}
	if op.Outcome != history.OK || json.Unmarshal(op.Reply, &reply) != nil {
		return 0
	}
	return reply.NetworkID
}

func (w *tribes) Step(ctx context.Context, c *Client) {
	s, ok := w.pool.take(ctx, c)
	if !ok {
		return
	}
	command, at := "", c.rng.IntN(100)
	for _, m := range w.mix {
		if at < m.percent {
			command = m.command
			break
		}
		at -= m.percent
	}
	t := s.value
	actor, target := t.nodes[c.rng.IntN(tribeNodes)], t.nodes[c.rng.IntN(tribeNodes)]
	if (command == "invite_to_network" || command == "delete_network" || w.name == "w14-revoked" && command != "kick_member") && c.chance(80) {
		actor = t.nodes[0] // who may
	}
	if command == "join_network" && c.chance(80) {
		actor = t.nodes[1+c.rng.IntN(tribeNodes-1)] // one that is not a member from the beginning
	}
	r := t.request(w.name, command, actor, target, c)
	if r.Signer != nil {
		r = c.writing(r)
	} else {
		r = c.reading(r)
	}
	op := c.Do(ctx, r)
	w.pool.note(s, op)
	if command == "delete_network" && op.Outcome != history.Fail {
		for _, read := range []string{"list_nodes", "get_member_role", "get_member_role"} {
			w.pool.note(s, c.Do(ctx, c.reading(t.request(w.name, read, actor, t.nodes[c.rng.IntN(tribeNodes)], c))))
		}
	}
}

// request makes one of the commands of a mix.
func (t tribe) request(workload, command string, actor, target node, c *Client) Request {
	r := Request{Workload: workload, Key: t.key, Command: command, Signer: actor.key}
	switch command {
	case "join_network":
		r.Body = &protocol.JoinNetwork{NodeID: actor.id, NetworkID: t.id}
	case "leave_network":
		r.Body = &protocol.LeaveNetwork{NodeID: actor.id, NetworkID: t.id}
	case "invite_to_network":
		if target.id == actor.id { // refused without a look at the state
			target = t.other(actor)
		}
		r.Body = &protocol.InviteToNetwork{InviterID: actor.id, NetworkID: t.id, TargetNodeID: target.id}
	case "respond_invite":
		r.Body = &protocol.RespondInvite{NodeID: actor.id, NetworkID: t.id, Accept: c.chance(85)}
	case "promote_member":
		r.Body = &protocol.PromoteMember{NodeID: actor.id, NetworkID: t.id, TargetNodeID: target.id}
	case "demote_member":
		r.Body = &protocol.DemoteMember{NodeID: actor.id, NetworkID: t.id, TargetNodeID: target.id}
	case "kick_member":
		r.Body = &protocol.KickMember{NodeID: actor.id, NetworkID: t.id, TargetNodeID: target.id}
	case "transfer_ownership":
		r.Body = &protocol.TransferOwnership{NodeID: actor.id, NetworkID: t.id, NewOwnerID: target.id}
	case "delete_network":
		r.Body = &protocol.DeleteNetwork{NodeID: actor.id, NetworkID: t.id}
	case "list_nodes":
		r.Body, r.Signer = &protocol.ListNodes{NetworkID: t.id}, nil
	default:
		r.Body, r.Signer = &protocol.GetMemberRole{NetworkID: t.id, TargetNodeID: target.id}, nil
	}
	return r
}

func (w *tribes) Final(ctx context.Context, env *Env) error {
	var reads []Request
	for _, t := range w.pool.recent() {
		reads = append(reads, t.request(w.name, "list_nodes", t.nodes[0], t.nodes[0], nil))
		for _, n := range t.nodes {
			reads = append(reads, t.request(w.name, "get_member_role", n, n, nil))
		}
	}
	return readEverywhere(ctx, env, w.name, reads)
}

// other is a node that is not n.
func (t tribe) other(n node) node {
	for _, o := range t.nodes {
		if o.id != n.id {
			return o
		}
	}
	return n
}
