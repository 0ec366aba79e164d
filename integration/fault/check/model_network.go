// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxTribe bounds the nodes of one network, so that a state is a small array.
const maxTribe = 6

// Ranks of the model: what a node is in the network.
const (
	rankNone   = 0
	rankMember = 1
	rankAdmin  = 2
	rankOwner  = 3
)

var ranks = map[string]uint8{"": rankNone, "member": rankMember, "admin": rankAdmin, "owner": rankOwner}

// tribe is an enterprise network as the model knows it.
type tribe struct {
	alive, inviteOnly bool
	rank              [maxTribe]uint8
	invited           [maxTribe]bool
}

func (t tribe) String() string {
	if !t.alive {
		return "gone"
	}
	return fmt.Sprintf("ranks %v invited %v", t.rank, t.invited)
}

// tribeInput is a request: who acts, and on whom.
type tribeInput struct {
	command       string
	actor, target int
	flag          bool // accept, or invite-only
}

type tribeOutput struct {
	known, refused bool
	alive          bool // of list_nodes
	rank           [maxTribe]uint8
}

// networkModel: a network has members with ranks and invites that wait.
// Whether a command succeeds depends on nothing but that: a member that was
// demoted or removed commands nothing any more, one invite lets its node in
// once, ownership is handed over and never doubled or lost, and a network that
// is deleted is gone with everything in it.
func networkModel() Model {
	return Model{Kind: KindNetwork, Doc: "members, roles and invites of one enterprise network", convert: convertNetwork, needsAlive: true, spec: porcupine.Model{
		Init: func() any { return tribe{} },
		Step: func(state, input, output any) (bool, any) {
			return stepNetwork(state.(tribe), input.(tribeInput), output.(tribeOutput))
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
		DescribeState:     func(state any) string { return state.(tribe).String() },
	}}
}

func stepNetwork(s tribe, in tribeInput, out tribeOutput) (bool, any) {
	switch in.command {
	case "get_member_role":
		return out.rank[in.target] == s.rank[in.target], s
	case "list_nodes":
		return out.alive == s.alive && out.rank == s.rank, s
	}
	next, done := s.apply(in)
	if out.known && out.refused == done {
		return false, s
	}
	if done {
		s = next
	}
	return true, s
}

// apply is what a command makes of a network; done is false when it is refused.
func (t tribe) apply(in tribeInput) (next tribe, done bool) {
	if in.command == "create_network" {
		fresh := tribe{alive: true, inviteOnly: in.flag}
		fresh.rank[in.actor] = rankOwner
		return fresh, !t.alive
	}
	if !t.alive {
		return t, false
	}
	actor, target := t.rank[in.actor], t.rank[in.target]
	switch in.command {
	case "join_network":
		done = !t.inviteOnly && actor == rankNone
		t.rank[in.actor] = rankMember
	case "leave_network":
		done = actor == rankMember || actor == rankAdmin
		t.rank[in.actor] = rankNone
	case "invite_to_network":
		done = t.inviteOnly && actor >= rankAdmin && target == rankNone
		t.invited[in.target] = true
	case "respond_invite":
		done = t.invited[in.actor]
		t.invited[in.actor] = false
		if in.flag {
			t.rank[in.actor] = rankMember
		}
	case "promote_member":
		done = actor == rankOwner && target == rankMember
		t.rank[in.target] = rankAdmin
	case "demote_member":
		done = actor == rankOwner && target == rankAdmin
		t.rank[in.target] = rankMember
	case "kick_member":
		done = actor >= rankAdmin && (target == rankMember || target == rankAdmin)
		t.rank[in.target] = rankNone
	case "transfer_ownership":
		done = actor == rankOwner && target != rankNone && in.actor != in.target
		t.rank[in.actor], t.rank[in.target] = rankAdmin, rankOwner
	case "delete_network":
		done = actor == rankOwner
		t = tribe{}
	}
	return t, done
}

// actor is the node that a request about a network comes from.
func (d *decoded) actor() uint32 { return max(d.NodeID, d.InviterID) }

// target is the node that it is about.
func (d *decoded) target() uint32 { return max(d.TargetNodeID, d.NewOwnerID) }

func convertNetwork(ops []*history.Op) ([]porcupine.Operation, error) {
	numbers := map[uint32]int{0: 0}
	for _, op := range ops {
		args, _, err := decodeBoth(op)
		if err != nil {
			return nil, err
		}
		numbers[args.actor()], numbers[args.target()] = 0, 0
	}
	delete(numbers, 0)
	if len(numbers) > maxTribe {
		return nil, fmt.Errorf("%d nodes in one network", len(numbers))
	}
	for i, id := range slices.Sorted(maps.Keys(numbers)) {
		numbers[id] = i
	}
	var out []porcupine.Operation
	names := clients{}
	for _, op := range ops {
		if !counts(op) && !refusedByNetwork(op) {
			continue
		}
		p, err := convertNetworkOp(op, interval(op, names), numbers)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// refusedByNetwork reports whether the refusal is an answer of the model.
func refusedByNetwork(op *history.Op) bool {
	if op.Outcome != history.Fail || !op.Writes() && !linearizable(op) {
		return false
	}
	switch op.Code {
	case protocol.CodeNotFound, protocol.CodeAlreadyExists, protocol.CodeConflict, protocol.CodePermissionDenied:
		return true
	}
	return false
}

func convertNetworkOp(op *history.Op, p porcupine.Operation, numbers map[uint32]int) (porcupine.Operation, error) {
	args, reply, err := decodeBoth(op)
	if err != nil {
		return p, err
	}
	out := tribeOutput{known: op.Outcome != history.Unknown, refused: op.Outcome == history.Fail, alive: op.Outcome == history.OK}
	in := tribeInput{command: op.Command, actor: numbers[args.actor()], target: numbers[args.target()], flag: args.Accept || args.JoinRule == protocol.JoinInvite}
	switch {
	case op.Command == "get_member_role":
		out.rank[in.target] = ranks[reply.Role]
	case op.Command == "list_nodes":
		for _, n := range reply.Nodes {
			at, ours := numbers[n.NodeID]
			if !ours {
				return p, fmt.Errorf("operation %d lists node %d, which nobody brought into the network", op.ID, n.NodeID)
			}
			out.rank[at] = ranks[n.Role]
		}
	case op.Outcome == history.OK && !strings.HasPrefix(reply.Type, op.Command):
		return p, fmt.Errorf("operation %d: %s was answered %s", op.ID, op.Command, reply.Type)
	}
	p.Input, p.Output = in, out
	return p, nil
}
