// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"encoding/json"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// band is an enterprise network of three nodes, of which the first made it.
type band struct {
	w       *world
	id      uint16
	a, b, c uint32
}

func newBand(w *world, rule string) *band {
	w.t.Helper()
	n := &band{w: w, a: w.register(1), b: w.register(2), c: w.register(3)}
	o := n.do("create_network", &protocol.CreateNetwork{NodeID: n.a, Name: "band", Enterprise: true, JoinRule: rule})
	var r protocol.CreateNetworkReply
	if err := json.Unmarshal(o.Reply, &r); err != nil {
		w.t.Fatalf("%s: %v", o.Text, err)
	}
	n.id = r.NetworkID
	return n
}

func (n *band) do(command string, body protocol.Body, hows ...how) *history.Op {
	n.w.t.Helper()
	return n.w.write(command, body, append([]how{key("net/band")}, hows...)...)
}

func (n *band) join(node uint32) *history.Op {
	return n.do("join_network", &protocol.JoinNetwork{NodeID: node, NetworkID: n.id})
}

func (n *band) promote(by, node uint32) *history.Op {
	return n.do("promote_member", &protocol.PromoteMember{NodeID: by, NetworkID: n.id, TargetNodeID: node})
}

func (n *band) kick(by, node uint32) *history.Op {
	return n.do("kick_member", &protocol.KickMember{NodeID: by, NetworkID: n.id, TargetNodeID: node})
}

func (n *band) transfer(by, to uint32) *history.Op {
	return n.do("transfer_ownership", &protocol.TransferOwnership{NodeID: by, NetworkID: n.id, NewOwnerID: to})
}

func (n *band) role(node uint32) *history.Op {
	n.w.t.Helper()
	return n.w.read("get_member_role", &protocol.GetMemberRole{NetworkID: n.id, TargetNodeID: node}, key("net/band"))
}

func (n *band) list() *history.Op {
	n.w.t.Helper()
	return n.w.read("list_nodes", &protocol.ListNodes{NetworkID: n.id}, key("net/band"))
}

// A right registry is found right, whatever it refuses.
func TestARightNetworkPasses(t *testing.T) {
	w := newWorld(t)
	n := newBand(w, "")
	n.join(n.b)
	n.join(n.b) // already in
	n.promote(n.b, n.a)
	n.promote(n.a, n.b)
	n.list()
	n.join(n.c)
	n.kick(n.b, n.c)
	n.transfer(n.b, n.c)
	n.transfer(n.a, n.b)
	n.do("leave_network", &protocol.LeaveNetwork{NodeID: n.b, NetworkID: n.id}) // the owner may not
	n.do("demote_member", &protocol.DemoteMember{NodeID: n.b, NetworkID: n.id, TargetNodeID: n.a})
	n.kick(n.a, n.b)
	n.role(n.b)
	n.w.lost("join_network", &protocol.JoinNetwork{NodeID: n.c, NetworkID: n.id}, key("net/band"))
	n.do("delete_network", &protocol.DeleteNetwork{NodeID: n.b, NetworkID: n.id})
	n.list()
	n.role(n.b)
	if r := w.judge(); !r.OK() {
		t.Errorf("%v", r.Violations)
	}
}

// The promises of networks, broken one by one as clients would see it, each
// caught by the search and by the replay.
func TestBrokenNetworksAreCaught(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rule   string
		plant  func(n *band)
		replay []check.Rule
	}{
		{"a member that was removed is still listed", "", func(n *band) {
			n.join(n.b)
			before := n.list().Reply
			n.kick(n.a, n.b)
			n.list().Reply = before
		}, []check.Rule{check.RuleWrongRead}},
		{"an invite lets its node in twice", protocol.JoinInvite, func(n *band) {
			n.do("invite_to_network", &protocol.InviteToNetwork{InviterID: n.a, NetworkID: n.id, TargetNodeID: n.b})
			accept := &protocol.RespondInvite{NodeID: n.b, NetworkID: n.id, Accept: true}
			reply := n.do("respond_invite", accept).Reply
			n.kick(n.a, n.b)
			again := n.do("respond_invite", accept)
			again.Outcome, again.Code, again.Reply, again.Index = history.OK, "", reply, uint64(len(n.w.entries))
		}, []check.Rule{check.RuleLostWrite}},
		{"two owners", "", func(n *band) {
			n.join(n.b)
			n.join(n.c)
			reply := n.transfer(n.a, n.b).Reply
			second := n.transfer(n.a, n.c) // refused: it is not the owner any more
			second.Outcome, second.Code, second.Reply, second.Index = history.OK, "", reply, uint64(len(n.w.entries))
		}, []check.Rule{check.RuleLostWrite}},
		{"an admin that was demoted removes a member", "", func(n *band) {
			n.join(n.b)
			n.join(n.c)
			n.promote(n.a, n.b)
			n.do("demote_member", &protocol.DemoteMember{NodeID: n.a, NetworkID: n.id, TargetNodeID: n.b})
			late := n.kick(n.b, n.c)
			late.Outcome, late.Code, late.Index = history.OK, "", uint64(len(n.w.entries))
			late.Reply = []byte(`{"type":"kick_member_ok"}`)
		}, []check.Rule{check.RuleLostWrite}},
		{"half of a deleted network is still there", "", func(n *band) {
			n.join(n.b)
			before := n.role(n.b).Reply
			n.do("delete_network", &protocol.DeleteNetwork{NodeID: n.a, NetworkID: n.id})
			rest := n.role(n.b)
			rest.Outcome, rest.Code, rest.Reply, rest.Index = history.OK, "", before, uint64(len(n.w.entries))
		}, []check.Rule{check.RuleWrongRead}},
		{"a refusal that was never true", "", func(n *band) {
			refused := n.join(n.b)
			refused.Outcome, refused.Code, refused.Reply, refused.Index = history.Fail, protocol.CodePermissionDenied, nil, 0
		}, []check.Rule{check.RuleAbortedWrite}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.plant(newBand(w, tt.rule))
			history.Sort(w.ops)
			_, found := check.Replay(w.ops, w.log())
			rules := map[check.Rule]bool{}
			for _, v := range found {
				rules[v.Rule] = true
			}
			for _, r := range tt.replay {
				if !rules[r] {
					t.Errorf("the replay does not find %s: %v", r, found)
				}
			}
			_, found = check.Linear(w.ops, check.LinearOptions{})
			want(t, found, check.RuleNotLinearizable)
		})
	}
}
