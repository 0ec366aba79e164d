// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"slices"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

const gated = "enterprise feature: requires enterprise network"

// company is an enterprise network with a token, owned by node 1, with admin
// 2 and members 3 and 4; node 5 is outside.
func company(t tester) (*world, uint16) {
	w := newWorld(t)
	for i := range 5 {
		w.register(i)
	}
	r := w.do("create_network", &protocol.CreateNetwork{NodeID: 1, Name: "co", Enterprise: true, NetworkFacts: protocol.NetworkFacts{NetworkAdminTokenMAC: testMAC(9)}}, admin)
	net := r.(*protocol.CreateNetworkReply).NetworkID
	for id := uint32(2); id <= 4; id++ {
		w.join(net, id)
	}
	w.do("promote_member", &protocol.PromoteMember{NodeID: 1, NetworkID: net, TargetNodeID: 2}, as(1))
	return w, net
}

func (w *world) role(net uint16, id uint32) string {
	m, _ := w.m.Root().networks.member(net, id)
	return m.role.String()
}

func tokenOf(b byte) protocol.RoleFacts { return protocol.RoleFacts{NetworkToken: testMAC(b)} }

// roleCommand makes a request of a role command about node 3.
func roleCommand(name string, node uint32, net uint16, facts protocol.RoleFacts) protocol.Body {
	switch name {
	case "promote_member":
		return &protocol.PromoteMember{RoleFacts: facts, NodeID: node, NetworkID: net, TargetNodeID: 3}
	case "demote_member":
		return &protocol.DemoteMember{RoleFacts: facts, NodeID: node, NetworkID: net, TargetNodeID: 2}
	case "kick_member":
		return &protocol.KickMember{RoleFacts: facts, NodeID: node, NetworkID: net, TargetNodeID: 3}
	case "transfer_ownership":
		return &protocol.TransferOwnership{RoleFacts: facts, NodeID: node, NetworkID: net, NewOwnerID: 3}
	case "set_network_policy":
		text := "for the company"
		return &protocol.SetNetworkPolicy{RoleFacts: facts, NodeID: node, NetworkID: net, Description: &text}
	case "set_expr_policy":
		doc := "{}"
		return &protocol.SetExprPolicy{RoleFacts: facts, NodeID: node, NetworkID: net, ExprPolicy: &doc}
	case "set_member_tags":
		return &protocol.SetMemberTags{RoleFacts: facts, NodeID: node, NetworkID: net, TargetNodeID: 3, Tags: []string{"gpu"}}
	case "delete_network":
		return &protocol.DeleteNetwork{RoleFacts: facts, NodeID: node, NetworkID: net}
	}
	return &protocol.RenameNetwork{RoleFacts: facts, NodeID: node, NetworkID: net, Name: "other"}
}

// Who may use the role commands, each caller against each command.
func TestRoleAuthority(t *testing.T) {
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		if row.Auth != protocol.AuthRole {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			adminsMay := slices.Contains([]string{"kick_member", "set_network_policy", "rename_network", "set_member_tags", "set_expr_policy"}, row.Name)
			want := "[owner]"
			if adminsMay {
				want = "[owner admin]"
			}
			w, net := company(t)
			no := func(node uint32, net uint16, facts protocol.RoleFacts, by who, code, text string) {
				t.Helper()
				w.refused(row.Name, roleCommand(row.Name, node, net, facts), by, code, text)
			}
			none := protocol.RoleFacts{}
			no(1, 99, none, nobody, protocol.CodeNotFound, "network 99: network not found")
			no(1, 99, none, admin, protocol.CodeNotFound, "network 99: network not found")
			no(0, net, none, nobody, protocol.CodeSignatureRequired, "rbac: node_id required for role-based authorization")
			no(0, net, tokenOf(8), nobody, protocol.CodeSignatureRequired, "rbac: node_id required for role-based authorization")
			no(1, net, none, nobody, protocol.CodeSignatureRequired, "signature required for authenticated node")
			no(1, net, none, forged, protocol.CodeSignatureInvalid, "signature verification failed")
			no(1, net, none, badEncoding, protocol.CodeSignatureInvalid, "invalid signature encoding: illegal base64 data at input byte 0")
			no(1, net, none, as(2), protocol.CodeSignatureInvalid, "signature verification failed")
			no(77, net, none, nobody, protocol.CodeNotFound, "node 77: node not found")
			no(5, net, none, as(5), protocol.CodePermissionDenied, fmt.Sprintf("rbac: node 5 has no role in network %d", net))
			no(3, net, none, as(3), protocol.CodePermissionDenied, fmt.Sprintf(`rbac: node 3 has role "member", requires one of %s`, want))
			if !adminsMay {
				no(2, net, none, as(2), protocol.CodePermissionDenied, fmt.Sprintf(`rbac: node 2 has role "admin", requires one of %s`, want))
			}
			allowed := map[string]func(*world){
				"token:root":                         func(w *world) { w.do(row.Name, roleCommand(row.Name, 0, net, none), admin) },
				fmt.Sprintf("token:network:%d", net): func(w *world) { w.do(row.Name, roleCommand(row.Name, 0, net, tokenOf(9)), nobody) },
				"node:1":                             func(w *world) { w.do(row.Name, roleCommand(row.Name, 1, net, none), as(1)) },
				"unsigned:node:1": func(w *world) {
					w.do(row.Name, roleCommand(row.Name, 1, net, protocol.RoleFacts{Unsigned: true}), nobody)
				},
			}
			if adminsMay {
				allowed["node:2"] = func(w *world) { w.do(row.Name, roleCommand(row.Name, 2, net, none), as(2)) }
			}
			for actor, call := range allowed {
				w, _ := company(t)
				before := w.m.Root().meta.eventSeq
				call(w)
				found := false
				for _, e := range w.m.Root().Events(protocol.ClassSecurity, before, 100) {
					found = found || e.Action == row.Events[0] && e.Actor == actor
				}
				if !found {
					t.Errorf("%s did not cause %s by %s", row.Name, row.Events[0], actor)
				}
			}
			// A role is asked for again in the order of the log.
			w, _ = company(t)
			late := envelope(w.call(row.Name, roleCommand(row.Name, 1, net, none), as(1)))
			w.do("rotate_key", &protocol.RotateKey{NodeID: 1, NewPublicKey: testKey(50).String()}, as(1))
			if r := w.apply(late)[0]; r.Err == nil || r.Err.Code != protocol.CodeSignatureInvalid {
				t.Errorf("an old key's signature: %s, %v", r.JSON(), r.Err)
			}
			late = envelope(w.call(row.Name, roleCommand(row.Name, 1, net, none), as(1)))
			w.do("transfer_ownership", &protocol.TransferOwnership{NetworkID: net, NewOwnerID: 4}, admin)
			w.do("demote_member", &protocol.DemoteMember{NetworkID: net, TargetNodeID: 1}, admin)
			if r := w.apply(late)[0]; r.Err == nil || r.Err.Code != protocol.CodePermissionDenied {
				t.Errorf("a former owner: %s, %v", r.JSON(), r.Err)
			}
		})
	}
}

// The gate comes after authority, in every row that asks for it.
func TestEnterpriseGate(t *testing.T) {
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		if row.Auth != protocol.AuthRole {
			continue
		}
		w, net := company(t)
		w.m.x.reconfigure(net, func(n *network) { n.enterprise = false })
		w.tick(0)
		w.refused(row.Name, roleCommand(row.Name, 3, net, protocol.RoleFacts{}), nobody, protocol.CodeSignatureRequired, "signature required for authenticated node")
		for _, by := range []who{admin, as(1)} {
			if !row.Enterprise {
				continue
			}
			w.refused(row.Name, roleCommand(row.Name, 1, net, protocol.RoleFacts{}), by, protocol.CodeEnterpriseRequired, gated)
			if row.Name != "kick_member" {
				w.refused(row.Name, roleCommand(row.Name, 0, 0, protocol.RoleFacts{}), admin, protocol.CodeEnterpriseRequired, gated)
			}
		}
	}
	w, net := company(t)
	w.do("set_network_enterprise", &protocol.SetNetworkEnterprise{NetworkID: net}, admin)
	w.refused("respond_invite", &protocol.RespondInvite{NodeID: 99, NetworkID: net}, nobody, protocol.CodeEnterpriseRequired, gated)
	w.refused("respond_invite", &protocol.RespondInvite{NodeID: 99, NetworkID: 77}, nobody, protocol.CodeNotFound, "network 77: network not found")
	w.refused("invite_to_network", &protocol.InviteToNetwork{InviterID: 1, NetworkID: net, TargetNodeID: 5}, forged, protocol.CodeSignatureInvalid, "signature verification failed")
	w.refused("invite_to_network", &protocol.InviteToNetwork{InviterID: 1, NetworkID: net, TargetNodeID: 5}, as(1), protocol.CodeEnterpriseRequired, gated)
}

func TestRoleCommands(t *testing.T) {
	w, net := company(t)
	promote := func(id uint32) *protocol.PromoteMember {
		return &protocol.PromoteMember{NetworkID: net, TargetNodeID: id}
	}
	demote := func(id uint32) *protocol.DemoteMember {
		return &protocol.DemoteMember{NetworkID: net, TargetNodeID: id}
	}
	kick := func(id uint32) *protocol.KickMember { return &protocol.KickMember{NetworkID: net, TargetNodeID: id} }
	transfer := func(id uint32) *protocol.TransferOwnership {
		return &protocol.TransferOwnership{NetworkID: net, NewOwnerID: id}
	}
	outside := fmt.Sprintf("node 5 is not a member of network %d", net)
	w.refused("promote_member", promote(5), admin, protocol.CodeNotFound, outside)
	w.refused("promote_member", promote(1), admin, protocol.CodeConflict, "cannot promote the owner")
	w.refused("promote_member", promote(2), admin, protocol.CodeAlreadyExists, "node 2 is already an admin")
	w.refused("demote_member", demote(5), admin, protocol.CodeNotFound, outside)
	w.refused("demote_member", demote(1), admin, protocol.CodeConflict, "cannot demote the owner")
	w.refused("demote_member", demote(3), admin, protocol.CodeAlreadyExists, "node 3 is already a member")
	w.refused("kick_member", &protocol.KickMember{TargetNodeID: 3}, admin, protocol.CodeInvalid, "cannot kick from the backbone network")
	w.refused("kick_member", kick(5), admin, protocol.CodeNotFound, outside)
	w.refused("kick_member", kick(1), admin, protocol.CodeConflict, "cannot kick the network owner")
	w.refused("transfer_ownership", transfer(0), admin, protocol.CodeInvalid, "new_owner_id is required")
	w.refused("transfer_ownership", transfer(1), admin, protocol.CodeAlreadyExists, "node 1 is already the owner")
	w.refused("transfer_ownership", transfer(5), admin, protocol.CodeNotFound, outside)

	w.do("demote_member", demote(2), admin)
	w.do("promote_member", promote(3), admin)
	w.do("kick_member", kick(4), admin)
	w.do("transfer_ownership", transfer(3), admin)
	for action, want := range map[string]string{
		protocol.EventMemberDemoted:        "token:root network_id=1 target_node_id=2 old_role=admin new_role=member",
		protocol.EventMemberPromoted:       "token:root network_id=1 target_node_id=3 old_role=member new_role=admin",
		protocol.EventMemberKicked:         "token:root network_id=1 target_node_id=4 role=member",
		protocol.EventOwnershipTransferred: "token:root network_id=1 old_owner=1 new_owner=3 new_owner_old_role=admin",
	} {
		if got := w.lastEvent(action); got != want {
			t.Errorf("%s: %s, want %s", action, got, want)
		}
	}
	if w.role(net, 1) != "admin" || w.role(net, 2) != "member" || w.role(net, 3) != "owner" || w.role(net, 4) != "" {
		t.Errorf("roles %s %s %s %s", w.role(net, 1), w.role(net, 2), w.role(net, 3), w.role(net, 4))
	}
	w.join(net, 4) // no ban
	checkGovernance(t, &w.m.Root().view)
	checkTotals(t, &w.m.Root().view)
	checkSinks(t, &w.m.Root().view)
}

// What becomes of a network whose owner goes, in each way it can.
func TestOwnerInvariants(t *testing.T) {
	t.Run("leaving is refused", func(t *testing.T) {
		w, net := company(t)
		for _, by := range []who{as(1), admin} {
			w.refused("leave_network", &protocol.LeaveNetwork{NodeID: 1, NetworkID: net}, by, protocol.CodeConflict, "cannot leave network: owner must transfer ownership first")
		}
	})
	t.Run("deregistering", func(t *testing.T) {
		w, net := company(t)
		w.do("deregister", &protocol.NodeRequest{NodeID: 1}, as(1))
		if w.role(net, 2) != "owner" || w.lastEvent(protocol.EventOwnerLost) != "node:1 network_id=1 former_owner=1" ||
			w.lastEvent(protocol.EventOwnershipTransferred) != "node:1 network_id=1 old_owner=1 new_owner=2 new_owner_old_role=admin" {
			t.Errorf("role %s, %s, %s", w.role(net, 2), w.lastEvent(protocol.EventOwnerLost), w.lastEvent(protocol.EventOwnershipTransferred))
		}
		w.do("deregister", &protocol.NodeRequest{NodeID: 2}, as(2))
		if w.role(net, 3) != "owner" { // no admin is left: the senior member
			t.Errorf("role %s", w.role(net, 3))
		}
		w.do("deregister", &protocol.NodeRequest{NodeID: 4}, as(4))
		w.do("deregister", &protocol.NodeRequest{NodeID: 3}, as(3))
		w.join(net, 5) // who comes to an empty network does not own it
		if w.role(net, 5) != "member" {
			t.Errorf("role %s", w.role(net, 5))
		}
		w.refused("transfer_ownership", &protocol.TransferOwnership{NetworkID: net, NewOwnerID: 5}, admin, protocol.CodeConflict, "network 1 has no owner")
		checkGovernance(t, &w.m.Root().view)
		checkTotals(t, &w.m.Root().view)
		checkSinks(t, &w.m.Root().view)
	})
	t.Run("toggling", func(t *testing.T) {
		w, net := company(t)
		toggle := func(on bool) {
			w.do("set_network_enterprise", &protocol.SetNetworkEnterprise{NetworkID: net, Enterprise: on}, admin)
		}
		toggle(false)
		if w.role(net, 1) != "" || w.lastEvent(protocol.EventNetworkEnterprise) != "token:root network_id=1 enterprise=false members=4" {
			t.Errorf("role %s, %s", w.role(net, 1), w.lastEvent(protocol.EventNetworkEnterprise))
		}
		w.do("leave_network", &protocol.LeaveNetwork{NodeID: 1, NetworkID: net}, as(1))
		w.join(net, 1)
		toggle(true)
		if w.role(net, 2) != "owner" || w.role(net, 1) != "member" || w.role(net, 3) != "member" {
			t.Errorf("roles %s %s %s", w.role(net, 1), w.role(net, 2), w.role(net, 3))
		}
		w.m.x.reconfigure(net, func(n *network) { n.enterprise = false })
		w.tick(0)
		w.do("leave_network", &protocol.LeaveNetwork{NodeID: 2, NetworkID: net}, as(2))
		toggle(true) // everybody has a role and nobody owns it
		if w.role(net, 3) != "owner" || w.lastEvent(protocol.EventOwnershipTransferred) != "token:root network_id=1 old_owner=0 new_owner=3 new_owner_old_role=member" {
			t.Errorf("role %s, %s", w.role(net, 3), w.lastEvent(protocol.EventOwnershipTransferred))
		}
		w.refused("set_network_enterprise", &protocol.SetNetworkEnterprise{NetworkID: net}, as(3), protocol.CodeAdminToken, "set_network_enterprise requires admin token")
		w.refused("set_network_enterprise", &protocol.SetNetworkEnterprise{}, nobody, protocol.CodeInvalid, "cannot set enterprise on the backbone network")
		w.refused("set_network_enterprise", &protocol.SetNetworkEnterprise{NetworkID: 9}, admin, protocol.CodeNotFound, "network 9: network not found")
	})
	t.Run("pre-assigned owner", func(t *testing.T) {
		w, net := company(t)
		w.preAssign(net, "Eve@X", roleOwner)
		w.do("set_external_id", &protocol.SetExternalID{NodeID: 5, ExternalID: "eve@x"}, admin)
		r := w.do("join_network", &protocol.JoinNetwork{NodeID: 5, NetworkID: net}, as(5)).(*protocol.JoinNetworkReply)
		if r.Role != "admin" || r.PreAssignedRole != "owner" || w.role(net, 5) != "admin" ||
			w.lastEvent(protocol.EventNetworkJoined) != "node:5 node_id=5 network_id=1 role=admin pre_assigned_role=owner" {
			t.Errorf("reply %+v, %s", r, w.lastEvent(protocol.EventNetworkJoined))
		}
		for _, id := range []uint32{5, 2, 3, 4, 1} {
			w.do("deregister", &protocol.NodeRequest{NodeID: id}, as(id))
		}
		id := w.register(60)
		w.do("set_external_id", &protocol.SetExternalID{NodeID: id, ExternalID: "EVE@x"}, admin)
		w.join(net, id)
		if w.role(net, id) != "owner" {
			t.Errorf("role %s", w.role(net, id))
		}
	})
}
