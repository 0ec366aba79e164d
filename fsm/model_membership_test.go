// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
	"pgregory.net/rapid"
)

var modelCommands = []string{"join_network", "leave_network", "invite_to_network", "respond_invite", "set_network_enterprise", "delete_network", "promote_member",
	"demote_member", "kick_member", "transfer_ownership", "set_network_policy", "deregister", "create_network", "set_external_id",
	"directory_sync", "provision_network", "directory_sync", "promote_member", "join_network", "invite_to_network", "respond_invite", "create_network", "join_network", "promote_member", "demote_member"}

func (c *govCall) body() protocol.Body {
	facts, limit := protocol.RoleFacts{}, float64(c.n)
	if c.token {
		facts = tokenOf(9)
	}
	switch c.command {
	case "join_network":
		return &protocol.JoinNetwork{NodeID: c.node, NetworkID: c.net, ForSeconds: c.span}
	case "leave_network":
		return &protocol.LeaveNetwork{NodeID: c.node, NetworkID: c.net}
	case "respond_invite":
		return &protocol.RespondInvite{NodeID: c.node, NetworkID: c.net, Accept: c.flag}
	case "set_network_enterprise":
		return &protocol.SetNetworkEnterprise{NetworkID: c.net, Enterprise: c.flag}
	case "invite_to_network":
		return &protocol.InviteToNetwork{RoleFacts: facts, InviterID: c.node, NetworkID: c.net, TargetNodeID: c.target, ForSeconds: c.span}
	case "promote_member":
		return &protocol.PromoteMember{RoleFacts: facts, NodeID: c.node, NetworkID: c.net, TargetNodeID: c.target, ForSeconds: c.span}
	case "demote_member":
		return &protocol.DemoteMember{RoleFacts: facts, NodeID: c.node, NetworkID: c.net, TargetNodeID: c.target}
	case "kick_member":
		return &protocol.KickMember{RoleFacts: facts, NodeID: c.node, NetworkID: c.net, TargetNodeID: c.target}
	case "transfer_ownership":
		return &protocol.TransferOwnership{RoleFacts: facts, NodeID: c.node, NetworkID: c.net, NewOwnerID: c.target}
	case "set_network_policy":
		return &protocol.SetNetworkPolicy{RoleFacts: facts, NodeID: c.node, NetworkID: c.net, MaxMembers: &limit}
	case "delete_network":
		return &protocol.DeleteNetwork{RoleFacts: facts, NodeID: c.node, NetworkID: c.net}
	case "create_network":
		return &protocol.CreateNetwork{NodeID: c.node, Name: fmt.Sprint("n", c.n), JoinRule: []string{"open", "invite"}[c.n%2], Enterprise: c.flag, NetworkFacts: protocol.NetworkFacts{NetworkAdminTokenMAC: testMAC(9)}}
	case "directory_sync":
		return &protocol.DirectorySync{NetworkID: c.net, Entries: c.people, RemoveUnlisted: c.flag}
	case "provision_network":
		b := &protocol.Blueprint{Name: fmt.Sprint("n", c.n), JoinRule: []string{"open", "invite"}[c.n%2], Enterprise: c.flag}
		for _, p := range c.people {
			b.Roles = append(b.Roles, protocol.BlueprintRole{ExternalID: p.ExternalID, Role: p.Role})
		}
		return &protocol.ProvisionNetwork{Blueprint: b, BlueprintFacts: protocol.BlueprintFacts{NetworkAdminTokenMAC: testMAC(9)}}
	case "set_external_id":
		return &protocol.SetExternalID{NodeID: c.node, ExternalID: []string{"", "Ann@X", "bob@x"}[c.n%3]}
	}
	return &protocol.NodeRequest{NodeID: c.node}
}

// caller has the admin token, a signature, both or neither.
func (c *govCall) caller(w *world, call *Call) {
	nobody(w, call)
	if c.admin {
		admin(w, call)
	}
	if c.signed {
		as(c.node)(w, call)
	}
}

// someNet is a network that exists, or now and then none.
func (g *govModel) someNet(pick func(int) int) uint16 {
	var ids []uint16
	for id := range g.nets {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if len(ids) == 0 || pick(19) == 0 {
		return 999
	}
	return ids[pick(len(ids)-1)]
}

// modelSteps times rapid's default of 100 checks is what one run walks.
const modelSteps = 300

func TestGovernanceModel(t *testing.T) {
	allowed, refused := map[string]int{}, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		g := &govModel{now: w.now, nodes: map[uint32]bool{}, ext: map[uint32]string{}, nets: map[uint16]*modelNet{}, invites: map[uint32][]modelInvite{}}
		for i := range 7 {
			g.nodes[w.register(i)] = true
		}
		// rapid prefers small numbers, which would hardly ever get anywhere:
		// it draws the seed, and a failure is reproduced, not shrunk.
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		pick := func(hi int) int { return rng.IntN(hi + 1) }
		for range modelSteps {
			switch pick(19) {
			case 0: // time passes
				w.now += []int64{aSecond, aSecond, minute, hour, hour, hour, 2 * day, 31 * day}[pick(7)]
				g.now = w.now
				w.internal(KindTick, struct{}{})
			case 1:
				w.internal(KindSweep, Sweep{Term: 1, Due: 1 << 20})
				g.expire()
			case 2: // a node comes back
				for i := range 7 {
					if id := uint32(i + 1); !g.nodes[id] {
						w.register(i)
						g.nodes[id] = true
						break
					}
				}
			case 3: // a role waits for somebody, as a blueprint will say it
				net, r := g.someNet(pick), role(1+pick(2))
				if n := g.nets[net]; n != nil {
					ext := []string{"ANN@x", "Bob@x"}[pick(1)]
					if _, there := n.pre[strings.ToLower(ext)]; !there {
						n.pre[strings.ToLower(ext)] = r
					}
					w.preAssign(net, ext, r)
				}
			default:
				c := &govCall{command: modelCommands[pick(len(modelCommands)-1)], node: uint32(1 + pick(6)), target: uint32(1 + pick(6)),
					net: g.someNet(pick), admin: pick(2) == 0, token: pick(4) == 0, signed: pick(3) > 0,
					span: []uint32{0, 0, 60, 3 * 24 * 3600}[pick(3)], flag: pick(5) > 0, n: pick(9)}
				if n := g.nets[c.net]; n != nil && n.owner() != nil && pick(2) > 0 && protocol.Must(c.command).Enterprise && c.command != "respond_invite" {
					c.node = n.owner().id
				}
				if n := g.nets[c.net]; n != nil && len(n.members) > 0 && pick(3) > 0 && protocol.Must(c.command).Auth == protocol.AuthRole {
					c.target = n.members[pick(len(n.members)-1)].id
				}
				if list := g.invites[c.node]; c.command == "respond_invite" && len(list) > 0 && pick(3) > 0 {
					c.net = list[pick(len(list)-1)].net
				}
				if (c.command == "delete_network" || c.command == "deregister") && pick(7) > 0 {
					continue // else nothing lives long enough
				}
				if c.command == "directory_sync" || c.command == "provision_network" {
					for range pick(3) {
						c.people = append(c.people, protocol.DirectoryEntry{ExternalID: []string{"ANN@x", "bob@x", "Bob@X"}[pick(2)],
							Role: []string{"owner", "admin", "member", "owner", "", "king"}[pick(5)], Disabled: pick(4) == 0})
					}
				}
				if c.command == "create_network" || c.command == "provision_network" {
					c.net = w.m.Root().meta.nextNet
					if len(g.nets) >= 4 { // few networks, so that they meet
						continue
					}
				}
				_, e := w.try(c.command, c.body(), c.caller)
				before := g.String()
				want := g.act(c)
				if (e == nil) != want {
					rt.Fatalf("%+v: the machine says %v, the model allows it: %v\n%s", c, e, want, before)
				}
				if want {
					allowed[c.command]++
				} else {
					refused++
				}
			}
			if got, want := governanceOf(w.m.Root()), g.String(); got != want {
				rt.Fatalf("the machine has\n%sand the model\n%s", got, want)
			}
			checkGovernance(rt, &w.m.Root().view)
			checkTotals(rt, &w.m.Root().view)
			checkSinks(rt, &w.m.Root().view)
		}
	})
	t.Logf("carried out %v, refused %d", allowed, refused)
	enough := 15
	if testing.Short() { // rapid then makes fewer checks
		enough = 1
	}
	for _, command := range modelCommands {
		if !t.Failed() && allowed[command] < enough {
			t.Errorf("%s was carried out only %d times: the test has become toothless", command, allowed[command])
		}
	}
}
