// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

const day = int64(dayMS)

// hidden is an invite network owned by node 1, with member 2; 3 to 6 are outside.
func hidden(t tester) (*world, uint16) {
	w := newWorld(t)
	for i := range 6 {
		w.register(i)
	}
	r := w.do("create_network", &protocol.CreateNetwork{NodeID: 1, Name: "hid", JoinRule: "invite", Enterprise: true, NetworkFacts: protocol.NetworkFacts{NetworkAdminTokenMAC: testMAC(9)}}, admin)
	net := r.(*protocol.CreateNetworkReply).NetworkID
	w.invite(net, 1, 2, 0)
	w.accept(net, 2)
	return w, net
}

func (w *world) invite(net uint16, by, target, span uint32) *protocol.InviteToNetworkReply {
	w.t.Helper()
	return w.do("invite_to_network", &protocol.InviteToNetwork{InviterID: by, NetworkID: net, TargetNodeID: target, ForSeconds: span}, as(by)).(*protocol.InviteToNetworkReply)
}

func (w *world) accept(net uint16, id uint32) *protocol.RespondInviteReply {
	w.t.Helper()
	return w.do("respond_invite", &protocol.RespondInvite{NodeID: id, NetworkID: net, Accept: true}, as(id)).(*protocol.RespondInviteReply)
}

func (w *world) inbox(id uint32) string {
	w.t.Helper()
	out, _ := json.Marshal(w.do("poll_invites", &protocol.NodeRequest{NodeID: id}, as(id)).(*protocol.PollInvitesReply).Invites)
	return string(out)
}

func TestInviteErrors(t *testing.T) {
	w, net := hidden(t)
	open := w.network("open", 1, "open", true)
	body := func(by, target uint32, net uint16, facts protocol.RoleFacts) protocol.Body {
		return &protocol.InviteToNetwork{RoleFacts: facts, InviterID: by, TargetNodeID: target, NetworkID: net}
	}
	none := protocol.RoleFacts{}
	no := func(b protocol.Body, by who, code, text string) {
		t.Helper()
		w.refused("invite_to_network", b, by, code, text)
	}
	no(body(3, 3, net, none), as(3), protocol.CodeInvalid, "cannot invite yourself")
	no(body(0, 0, net, none), nobody, protocol.CodeInvalid, "cannot invite yourself")
	no(&protocol.InviteToNetwork{InviterID: 1, TargetNodeID: 3, NetworkID: net, ForSeconds: 1 << 31}, as(1), protocol.CodeInvalid, "invalid for_seconds: cannot exceed 10 years")
	no(body(99, 3, net, none), admin, protocol.CodeNotFound, "inviter node 99: node not found")
	no(body(1, 3, net, none), nobody, protocol.CodeSignatureRequired, "signature required for authenticated node")
	no(body(1, 3, net, tokenOf(9)), forged, protocol.CodeSignatureInvalid, "signature verification failed")
	no(body(1, 3, 99, none), as(1), protocol.CodeNotFound, "network 99: network not found")
	no(body(1, 3, 0, none), as(1), protocol.CodeEnterpriseRequired, gated)
	no(body(1, 3, open, none), as(1), protocol.CodeConflict, fmt.Sprintf("network %d is not invite-only (rule: open)", open))
	no(body(3, 4, net, none), as(3), protocol.CodePermissionDenied, "inviter 3 is not a member of network 1")
	no(body(2, 4, net, none), as(2), protocol.CodePermissionDenied, `rbac: inviter 2 has role "member", requires owner or admin`)
	no(body(1, 99, net, none), as(1), protocol.CodeNotFound, "target node 99: node not found")
	no(body(1, 2, net, none), as(1), protocol.CodeAlreadyExists, "node 2 is already a member of network 1")
	w.invite(net, 1, 3, 0)
	if got := w.lastEvent(protocol.EventInviteCreated); got != "node:1 network_id=1 inviter_id=1 target_node_id=3" {
		t.Error(got)
	}
	events := w.m.Root().meta.eventSeq
	if r := w.do("invite_to_network", body(3, 4, net, tokenOf(9)), as(3)); r.(*protocol.InviteToNetworkReply).Status != "" { // the token stands for the role
		t.Errorf("%+v", r)
	}
	if r := w.invite(net, 1, 4, 0); r.Status != "already_invited" || w.m.Root().meta.eventSeq != events+1 {
		t.Errorf("%+v, %d events", r, w.m.Root().meta.eventSeq-events)
	}
	w.m.x.meta.nextNet = 300
	for i := range protocol.MaxInvites - 1 {
		id := uint16(100 + i)
		w.m.x.setNetwork(id, &network{name: fmt.Sprint("n", id), rule: ruleInvite, enterprise: true})
		w.m.x.meta.queueSeq++
		w.m.x.putInvite(queueKey(3, w.m.x.meta.queueSeq), &invite{net: id, inviter: 1, at: w.now})
	}
	w.m.x.setNetwork(250, &network{name: "n250", rule: ruleInvite, enterprise: true})
	w.tick(0)
	no(body(1, 3, 250, none), admin, protocol.CodeLimitReached, "invite inbox full for node 3")
	w.tick(inviteTTL)
	if w.inbox(3) == "[]" {
		t.Error("an invite ends before its time")
	}
	w.tick(1) // what is too old neither fills the inbox nor stands in the way
	if w.inbox(3) != "[]" {
		t.Error("an invite outlives its time")
	}
	w.do("invite_to_network", body(1, 3, 250, none), admin)
	if r := w.invite(net, 1, 3, 0); r.Status != "" {
		t.Errorf("%+v", r)
	}
}

func TestRespondInvite(t *testing.T) {
	w, net := hidden(t)
	body := func(id uint32, accept bool) protocol.Body {
		return &protocol.RespondInvite{NodeID: id, NetworkID: net, Accept: accept}
	}
	no := func(b protocol.Body, by who, code, text string) {
		t.Helper()
		w.refused("respond_invite", b, by, code, text)
	}
	no(body(99, true), nobody, protocol.CodeNotFound, "node 99: node not found")
	w.invite(net, 1, 3, 0)
	no(body(3, true), nobody, protocol.CodeSignatureRequired, "signature required for authenticated node")
	no(body(3, true), admin, protocol.CodeSignatureRequired, "signature required for authenticated node")
	no(body(4, true), as(4), protocol.CodeNotFound, "no pending invite for node 4 to network 1")
	if got, want := w.inbox(3), fmt.Sprintf(`[{"inviter_id":1,"network_id":1,"timestamp":%d}]`, w.now/1000); got != want {
		t.Errorf("inbox %s, want %s", got, want)
	}
	limit := 2.0
	w.do("set_network_policy", &protocol.SetNetworkPolicy{NodeID: 1, NetworkID: net, MaxMembers: &limit}, as(1))
	no(body(3, true), as(3), protocol.CodeLimitReached, "network membership limit reached")
	limit = 0
	w.do("set_network_policy", &protocol.SetNetworkPolicy{NodeID: 1, NetworkID: net, MaxMembers: &limit}, as(1))
	w.preAssign(net, "carl@x", roleAdmin)
	w.do("set_external_id", &protocol.SetExternalID{NodeID: 3, ExternalID: "CARL@x"}, admin)
	first, again := envelope(w.call("respond_invite", body(3, true), as(3))), envelope(w.call("respond_invite", body(3, true), as(3)))
	rs := w.apply(first, again)
	if rs[0].Err != nil || rs[1].Err == nil || rs[1].Err.Code != protocol.CodeNotFound || w.role(net, 3) != "admin" {
		t.Errorf("two accepts: %+v, role %s", rs, w.role(net, 3))
	}
	if got := w.lastEvent(protocol.EventInviteResponded); got != "node:3 node_id=3 network_id=1 accepted=true role=admin pre_assigned_role=admin" {
		t.Error(got)
	}
	w.invite(net, 3, 4, 0)
	w.do("respond_invite", body(4, false), as(4))
	if w.inbox(4) != "[]" || w.role(net, 4) != "" || w.lastEvent(protocol.EventInviteResponded) != "node:4 node_id=4 network_id=1 accepted=false" {
		t.Errorf("inbox %s, %s", w.inbox(4), w.lastEvent(protocol.EventInviteResponded))
	}
	w.invite(net, 3, 4, 0)
	w.tick(inviteTTL + 1)
	no(body(4, true), as(4), protocol.CodeNotFound, "invite for node 4 to network 1 has expired")
	w.invite(net, 3, 4, 0)
	w.tick(inviteTTL + 1)
	w.sweepAll()
	if n := w.m.Root().networks.invites.Len(); n != 0 || w.lastEvent(protocol.EventInviteExpired) != "system node_id=4 expired_count=1" {
		t.Errorf("%d invites, %s", n, w.lastEvent(protocol.EventInviteExpired))
	}
}

// Invites go with what they hang on.
func TestInvitesVanish(t *testing.T) {
	for name, act := range map[string]func(*world, uint16){
		"inviter kicked": func(w *world, net uint16) {
			w.do("kick_member", &protocol.KickMember{NetworkID: net, TargetNodeID: 2}, admin)
		},
		"inviter leaves": func(w *world, net uint16) {
			w.do("leave_network", &protocol.LeaveNetwork{NetworkID: net, NodeID: 2}, as(2))
		},
		"inviter deregisters": func(w *world, net uint16) { w.do("deregister", &protocol.NodeRequest{NodeID: 2}, as(2)) },
		"target deregisters":  func(w *world, net uint16) { w.do("deregister", &protocol.NodeRequest{NodeID: 3}, as(3)) },
		"the network is gone": func(w *world, net uint16) { w.do("delete_network", &protocol.DeleteNetwork{NetworkID: net}, admin) },
		"membership ends":     func(w *world, net uint16) { w.tick(10 * minute); w.sweepAll() },
	} {
		w, net := hidden(t)
		w.do("kick_member", &protocol.KickMember{NetworkID: net, TargetNodeID: 2}, admin)
		w.invite(net, 1, 2, 300)
		w.accept(net, 2)
		w.do("promote_member", &protocol.PromoteMember{NetworkID: net, TargetNodeID: 2}, admin)
		w.invite(net, 2, 3, 0)
		act(w, net)
		if r := w.m.Root(); r.networks.invites.Len() != 0 || r.networks.byInvite.Len() != 0 || strings.Contains(indexes(&r.view), "due ") && r.networkSize(net) < 2 {
			t.Errorf("%s: %d invites, %d in the index, %d due", name, r.networks.invites.Len(), r.networks.byInvite.Len(), r.due.Len())
		}
	}
}

func TestPolicy(t *testing.T) {
	w, net := company(t)
	num := func(f float64) *float64 { return &f }
	ports := func(p ...float64) *[]float64 { return &p }
	set := func(p protocol.SetNetworkPolicy) *protocol.SetNetworkPolicy {
		p.NodeID, p.NetworkID = 1, net
		return &p
	}
	no := func(p protocol.SetNetworkPolicy, code, text string) {
		t.Helper()
		w.refused("set_network_policy", set(p), as(1), code, text)
	}
	for _, bad := range []float64{-1, 1.5, 10001, 1e300} {
		no(protocol.SetNetworkPolicy{MaxMembers: num(bad), AllowedPorts: ports(0)}, protocol.CodeInvalid, "invalid max_members (must be integer 0-10000)")
	}
	no(protocol.SetNetworkPolicy{MaxMembers: num(3), AllowedPorts: ports(0)}, protocol.CodeConflict, "cannot set max_members to 3: network already has 4 members")
	no(protocol.SetNetworkPolicy{AllowedPorts: ports(make([]float64, 101)...)}, protocol.CodeInvalid, "too many allowed_ports (max 100)")
	for _, bad := range []float64{0, -1, 65536, 80.5} {
		no(protocol.SetNetworkPolicy{AllowedPorts: ports(80, bad)}, protocol.CodeInvalid, "invalid port number in allowed_ports (must be integer 1-65535)")
	}
	long, text := strings.Repeat("d", 257), "d"
	no(protocol.SetNetworkPolicy{Description: &long}, protocol.CodeInvalid, "policy description too long (max 256 chars)")
	w.do("set_network_policy", set(protocol.SetNetworkPolicy{MaxMembers: num(4), Description: &text}), as(1))
	r := w.do("set_network_policy", set(protocol.SetNetworkPolicy{AllowedPorts: ports(443, 80, 443)}), as(1)).(*protocol.NetworkPolicyReply)
	if got, _ := json.Marshal(r); !strings.HasPrefix(string(got), `{"allowed_ports":[443,80],"description":"d","max_members":4,"network_id":1,"revision":`) {
		t.Errorf("reply %s", got)
	}
	if got := w.lastEvent(protocol.EventPolicyChanged); got != "node:1 network_id=1 old_max_members=4 new_max_members=4 old_allowed_ports_count=0 new_allowed_ports_count=2" {
		t.Error(got)
	}
	again := w.do("set_network_policy", set(protocol.SetNetworkPolicy{}), as(1)).(*protocol.NetworkPolicyReply)
	if again.Revision != r.Revision || again.MaxMembers != 4 {
		t.Errorf("nothing was asked for: %+v after %+v", again, r)
	}
	w.refused("join_network", &protocol.JoinNetwork{NodeID: 5, NetworkID: net}, as(5), protocol.CodeLimitReached, "network membership limit reached")
	w.refused("join_network", &protocol.JoinNetwork{NodeID: 2, NetworkID: net}, admin, protocol.CodeLimitReached, "network membership limit reached")
	listed := w.do("list_networks", &protocol.ListNetworks{}, nil).(*protocol.ListNetworksReply).Networks[1]
	if listed.MaxMembers != 4 || listed.Description != "d" {
		t.Errorf("listed %+v", listed)
	}
	w.do("set_network_enterprise", &protocol.SetNetworkEnterprise{NetworkID: net}, admin)
	listed = w.do("list_networks", &protocol.ListNetworks{}, nil).(*protocol.ListNetworksReply).Networks[1]
	if listed.MaxMembers != 0 || listed.Description != "" {
		t.Errorf("listed %+v", listed)
	}
	w.refused("join_network", &protocol.JoinNetwork{NodeID: 5, NetworkID: net}, as(5), protocol.CodeLimitReached, "network membership limit reached")
	w.refused("get_network_policy", &protocol.NetworkRequest{NetworkID: 9}, nil, protocol.CodeNotFound, "network 9: network not found")
	if got, _ := json.Marshal(w.do("get_network_policy", &protocol.NetworkRequest{}, nil)); string(got) != `{"allowed_ports":[],"description":"","max_members":0,"network_id":0,"revision":0,"type":"get_network_policy_ok"}` {
		t.Errorf("policy of the backbone %s", got)
	}
}

func TestDeleteAndRename(t *testing.T) {
	w, net := company(t)
	other := w.network("other", 1, "open", false)
	rename := func(name string) *protocol.RenameNetwork {
		return &protocol.RenameNetwork{NodeID: 1, NetworkID: net, Name: name}
	}
	w.refused("rename_network", &protocol.RenameNetwork{Name: "x"}, nobody, protocol.CodeInvalid, "cannot rename the backbone network")
	w.refused("rename_network", rename("backbone"), as(1), protocol.CodeInvalid, `network name "backbone" is reserved`)
	w.refused("rename_network", &protocol.RenameNetwork{NetworkID: 9}, admin, protocol.CodeInvalid, "network name required")
	w.refused("rename_network", rename("other"), as(1), protocol.CodeAlreadyExists, `network "other" already exists`)
	before, _ := w.m.Root().networks.records.Get(net)
	w.do("rename_network", rename("new"), as(1))
	if after, _ := w.m.Root().networks.records.Get(net); after.revision != before.revision+1 || w.lastEvent(protocol.EventNetworkRenamed) != "node:1 network_id=1 old_name=co new_name=new" {
		t.Errorf("revision %d after %d, %s", after.revision, before.revision, w.lastEvent(protocol.EventNetworkRenamed))
	}
	w.do("rename_network", rename("new"), as(1))
	w.do("rename_network", &protocol.RenameNetwork{NodeID: 1, NetworkID: other, Name: "co"}, as(1))
	w.refused("delete_network", &protocol.DeleteNetwork{}, nobody, protocol.CodeInvalid, "cannot delete the backbone network")
	w.preAssign(net, "x", roleAdmin)
	w.do("delete_network", &protocol.DeleteNetwork{NodeID: 1, NetworkID: net}, as(1))
	if got := w.lastEvent(protocol.EventNetworkDeleted); got != "node:1 network_id=1 name=new members=4 enterprise=true" {
		t.Error(got)
	}
	if r := w.m.Root(); r.networks.preAssign.Len()+r.networks.byAssign.Len() != 0 || r.networkSize(net) != 0 || len(r.networks.of(2)) != 0 {
		t.Error("something of the network is left")
	}
	if next := w.network("new", 1, "open", false); next != other+1 {
		t.Errorf("the next network is %d", next)
	}
}

func TestExternalIdentity(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	set := func(id uint32, ext string) *protocol.SetExternalID {
		return &protocol.SetExternalID{NodeID: id, ExternalID: ext}
	}
	w.refused("set_external_id", set(a, "x"), as(a), protocol.CodeAdminToken, "invalid admin token")
	w.refused("set_external_id", set(9, "x"), admin, protocol.CodeNotFound, "node not found")
	w.refused("set_external_id", set(a, strings.Repeat("x", 1025)), admin, protocol.CodeTooLarge, "external_id too long (max 1024 bytes)")
	w.refused("get_identity", &protocol.NodeRequest{NodeID: a}, as(a), protocol.CodeAdminToken, "invalid admin token")
	w.refused("get_identity", &protocol.NodeRequest{NodeID: 9}, admin, protocol.CodeNotFound, "node not found")
	w.do("set_external_id", set(a, "Bob@X"), admin)
	w.do("set_external_id", set(a, "Carl"), admin)
	if got := w.lastEvent(protocol.EventExternalIDSet); got != "token:root node_id=1 old_external_id=Bob@X new_external_id=Carl" {
		t.Error(got)
	}
	if got, _ := json.Marshal(w.do("get_identity", &protocol.NodeRequest{NodeID: a}, admin)); string(got) != `{"external_id":"Carl","node_id":1,"owner":"","type":"get_identity_ok"}` {
		t.Errorf("identity %s", got)
	}
}

// Memberships and roles that end: announced once per stage, then over.
func TestExpiry(t *testing.T) {
	w, net := company(t)
	w.do("join_network", &protocol.JoinNetwork{NodeID: 5, NetworkID: net, ForSeconds: uint32(40 * day / 1000)}, admin)
	r := w.do("promote_member", &protocol.PromoteMember{NodeID: 1, NetworkID: net, TargetNodeID: 5, ForSeconds: uint32(5 * day / 1000)}, as(1)).(*protocol.MemberRoleReply)
	if r.ExpiresAt != utc(w.now+5*day) || !strings.HasSuffix(w.lastEvent(protocol.EventMemberPromoted), "new_role=admin expires_at="+r.ExpiresAt) {
		t.Errorf("reply %+v, %s", r, w.lastEvent(protocol.EventMemberPromoted))
	}
	w.do("set_key_expiry", &protocol.SetKeyExpiry{NodeID: 5, ExpiresAt: utc(w.now + 31*day)}, as(5))
	keep := func() {
		for id := uint32(1); id <= 5; id++ {
			w.apply(envelope(w.call("heartbeat", &protocol.NodeRequest{NodeID: id}, as(id))))
		}
	}
	seen := func() string {
		return fmt.Sprint(w.countEvents(protocol.EventKeyExpiring), w.countEvents(protocol.EventMemberExpiring), w.countEvents(protocol.EventRoleExpiring), w.countEvents(protocol.EventRoleExpired), w.countEvents(protocol.EventMemberExpired))
	}
	start := w.now
	for _, step := range []struct {
		after      int64
		want, role string
	}{
		{day, "1 0 0 0 0", "admin"}, {4*day - 1, "1 0 0 0 0", "admin"}, {4 * day, "1 0 1 0 0", "admin"}, {5 * day, "1 0 1 1 0", "member"},
		{10 * day, "1 1 1 1 0", "member"}, {24 * day, "2 1 1 1 0", "member"}, {33 * day, "2 2 1 1 0", "member"}, {39 * day, "2 3 1 1 0", "member"},
		{40*day - 1, "2 3 1 1 0", "member"}, {40 * day, "2 3 1 1 1", ""},
	} {
		w.tick(start + step.after - w.now)
		keep()
		w.sweepAll()
		w.sweepAll() // once is enough
		if seen() != step.want || w.role(net, 5) != step.role {
			t.Errorf("after %d ms: %s %q, want %s %q", step.after, seen(), w.role(net, 5), step.want, step.role)
		}
	}
	for action, want := range map[string]string{
		protocol.EventKeyExpiring:    "system node_id=5 days=7 expires_at=" + utc(start+31*day),
		protocol.EventMemberExpiring: "system network_id=1 target_node_id=5 days=1 expires_at=" + utc(start+40*day),
		protocol.EventRoleExpired:    "system network_id=1 target_node_id=5 old_role=admin new_role=member",
		protocol.EventMemberExpired:  "system network_id=1 target_node_id=5 role=member",
	} {
		if got := w.lastEvent(action); got != want {
			t.Errorf("%s: %s, want %s", action, got, want)
		}
	}
}

// What has ended gives no authority, even before a sweep says so; a role may
// be given again with another end.
func TestWhatHasEndedDoesNotCount(t *testing.T) {
	w, net := company(t)
	kick := &protocol.KickMember{NodeID: 3, NetworkID: net, TargetNodeID: 4}
	promote := func(span uint32) {
		w.do("promote_member", &protocol.PromoteMember{NodeID: 1, NetworkID: net, TargetNodeID: 3, ForSeconds: span}, as(1))
	}
	promote(60)
	promote(120)
	w.tick(119 * aSecond)
	if w.role(net, 3) != "admin" {
		t.Error("the role did not last")
	}
	w.tick(aSecond)
	w.refused("kick_member", kick, as(3), protocol.CodePermissionDenied, `rbac: node 3 has role "member", requires one of [owner admin]`)
	promote(0)
	w.tick(400 * day)
	w.do("kick_member", kick, as(3))
	w.do("join_network", &protocol.JoinNetwork{NodeID: 4, NetworkID: net, ForSeconds: 60}, as(4))
	w.do("transfer_ownership", &protocol.TransferOwnership{NetworkID: net, NewOwnerID: 4}, admin)
	w.tick(minute)
	w.refused("rename_network", &protocol.RenameNetwork{NodeID: 4, NetworkID: net, Name: "x"}, as(4), protocol.CodePermissionDenied, "rbac: node 4 has no role in network 1")
	w.sweepAll()
	if w.role(net, 1) != "owner" || w.role(net, 4) != "" || w.lastEvent(protocol.EventOwnerLost) != "system network_id=1 former_owner=4" {
		t.Errorf("roles %s %s, %s", w.role(net, 1), w.role(net, 4), w.lastEvent(protocol.EventOwnerLost))
	}
	checkGovernance(t, &w.m.Root().view)
	checkTotals(t, &w.m.Root().view)
	checkSinks(t, &w.m.Root().view)
}
