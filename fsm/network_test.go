// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestCreateNetwork(t *testing.T) {
	w := emptyWorld(t)
	w.internal(KindClusterInit, ClusterInit{ClusterID: "c", Level: 1})
	a := w.register(1)
	body := func(name string) *protocol.CreateNetwork { return &protocol.CreateNetwork{NodeID: a, Name: name} }
	w.refused("create_network", body("lab"), nobody, protocol.CodeAdminDisabled, "network creation is disabled")
	w.internal(KindPutToken, PutToken{Kind: TokenReplication, Name: "r", MAC: testMAC(1)})
	w.refused("create_network", body("lab"), nobody, protocol.CodeAdminDisabled, "network creation is disabled")
	w.internal(KindPutToken, PutToken{Kind: TokenAdmin, Name: "root", MAC: testMAC(1)})
	w.refused("create_network", body("lab"), nobody, protocol.CodeAdminToken, "invalid admin token")
	w.refused("create_network", body("lab"), as(a), protocol.CodeAdminToken, "invalid admin token")
	w.refused("create_network", &protocol.CreateNetwork{NodeID: 99, Name: "lab"}, nobody, protocol.CodeAdminToken, "invalid admin token")
	for name, text := range map[string]string{
		"": "network name required", "backbone": `network name "backbone" is reserved`, strings.Repeat("n", 64): "network name too long (max 63 chars)",
		"-a": "network name must be lowercase alphanumeric with hyphens, start/end with alphanumeric",
	} {
		w.refused("create_network", body(name), admin, protocol.CodeInvalid, text)
	}
	w.refused("create_network", &protocol.CreateNetwork{NodeID: a, Name: "x", JoinRule: "invite"}, admin, protocol.CodeEnterpriseRequired,
		"enterprise feature: invite-only networks require the enterprise flag")
	r := w.do("create_network", &protocol.CreateNetwork{NodeID: a, Name: "lab", Enterprise: true}, admin).(*protocol.CreateNetworkReply)
	if r.NetworkID != 1 || r.Name != "lab" || !r.Enterprise {
		t.Errorf("reply %+v", r)
	}
	if got := w.lastEvent(protocol.EventNetworkCreated); got != "token:root network_id=1 name=lab join_rule=open creator_node_id=1 enterprise=true" {
		t.Errorf("event %q", got)
	}
	w.refused("create_network", body("lab"), admin, protocol.CodeAlreadyExists, `network "lab" already exists`)
	role := w.do("get_member_role", &protocol.GetMemberRole{NetworkID: 1, TargetNodeID: a}, nil).(*protocol.GetMemberRoleReply)
	if role.Role != "owner" {
		t.Errorf("role %+v", role)
	}
	w.m.x.meta.nextNet = 0
	w.tick(0)
	w.refused("create_network", body("more"), admin, protocol.CodeLimitReached, "network ID space exhausted (max 65535 networks)")
}

func TestJoinAndLeave(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	net := w.network("lab", a, "open", true)
	join := func(id uint32, net uint16) *protocol.JoinNetwork {
		return &protocol.JoinNetwork{NodeID: id, NetworkID: net}
	}
	leave := func(id uint32, net uint16) *protocol.LeaveNetwork {
		return &protocol.LeaveNetwork{NodeID: id, NetworkID: net}
	}
	w.refused("join_network", join(b, 0), as(b), protocol.CodeInvalid, "cannot join the backbone network")
	w.refused("join_network", join(b, net), nobody, protocol.CodeSignatureRequired, "signature required for authenticated node")
	w.refused("join_network", join(b, 99), nobody, protocol.CodeSignatureRequired, "signature required for authenticated node")
	w.refused("join_network", join(b, 99), as(b), protocol.CodeNotFound, "network 99: network not found")
	r := w.do("join_network", join(b, net), admin).(*protocol.JoinNetworkReply)
	if r.Address != "1:0001.0000.0002" || w.lastEvent(protocol.EventNetworkJoined) != "token:root node_id=2 network_id=1" {
		t.Errorf("reply %+v, event %q", r, w.lastEvent(protocol.EventNetworkJoined))
	}
	w.refused("join_network", join(b, net), as(b), protocol.CodeAlreadyExists, "node 2 already in network 1")

	w.refused("leave_network", leave(b, 0), as(b), protocol.CodeInvalid, "cannot leave the backbone network")
	w.refused("leave_network", leave(b, 99), as(b), protocol.CodeNotFound, "network 99: network not found")
	w.refused("leave_network", leave(b, net), forged, protocol.CodeSignatureInvalid, "signature verification failed")
	w.refused("leave_network", leave(a, net), as(a), protocol.CodeConflict, "cannot leave network: owner must transfer ownership first")
	w.do("leave_network", leave(b, net), as(b))
	if got := w.lastEvent(protocol.EventNetworkLeft); got != "node:2 node_id=2 network_id=1" {
		t.Errorf("event %q", got)
	}
	w.refused("leave_network", leave(b, net), as(b), protocol.CodeNotFound, "node 2 is not a member of network 1")
	w.refused("get_member_role", &protocol.GetMemberRole{NetworkID: net, TargetNodeID: b}, nil, protocol.CodeNotFound, "node 2 is not a member of network 1")
	w.refused("get_member_role", &protocol.GetMemberRole{NetworkID: 0, TargetNodeID: b}, nil, protocol.CodeNotFound, "node 2 is not a member of network 0")
	w.refused("get_member_role", &protocol.GetMemberRole{NetworkID: 9, TargetNodeID: b}, nil, protocol.CodeNotFound, "network 9: network not found")

	plain := w.network("plain", a, "open", false)
	w.do("leave_network", leave(a, plain), as(a)) // the owner of an ordinary network may
	w.do("join_network", join(a, plain), as(a))
	if got := w.do("get_member_role", &protocol.GetMemberRole{NetworkID: plain, TargetNodeID: a}, nil).(*protocol.GetMemberRoleReply); got.Role != "member" {
		t.Errorf("role %s", got.Role)
	}
	invite := w.network("invite", a, "invite", true)
	w.refused("join_network", join(b, invite), admin, protocol.CodePermissionDenied, "invite-only networks require invite_to_network + respond_invite flow")
}

func TestTokenNetworks(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	create := func(name string, mac protocol.MAC) uint16 {
		return w.do("create_network", &protocol.CreateNetwork{NodeID: a, Name: name, JoinRule: "token", NetworkFacts: protocol.NetworkFacts{TokenMAC: mac}}, admin).(*protocol.CreateNetworkReply).NetworkID
	}
	net := create("locked", testMAC(3))
	if v, ok := w.m.Root().NetworkTokenKey(net); !ok || v != 1 {
		t.Error("the network's token has no key version")
	}
	text := fmt.Sprintf("invalid token for network %d", net)
	otherKey := testMAC(3)
	otherKey.Key = 2
	for _, mac := range []protocol.MAC{{}, testMAC(4), otherKey, {Key: 1, Sum: testMAC(3).Sum[:31]}} {
		w.refused("join_network", &protocol.JoinNetwork{NodeID: b, NetworkID: net, JoinFacts: protocol.JoinFacts{TokenMAC: mac}}, as(b), protocol.CodeTokenInvalid, text)
		w.refused("join_network", &protocol.JoinNetwork{NodeID: b, NetworkID: net, JoinFacts: protocol.JoinFacts{TokenMAC: mac}}, admin, protocol.CodeTokenInvalid, text)
	}
	w.do("join_network", &protocol.JoinNetwork{NodeID: b, NetworkID: net, JoinFacts: protocol.JoinFacts{TokenMAC: testMAC(3)}}, as(b))

	w.refused("create_network", &protocol.CreateNetwork{NodeID: a, Name: "empty", JoinRule: "token"}, admin, protocol.CodeInvalid,
		"token required: a network with join_rule token needs a join token")
}

func TestListNetworks(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	w.network("one", a, "open", false)
	w.do("create_network", &protocol.CreateNetwork{NodeID: a, Name: "two", JoinRule: "token", Enterprise: true, NetworkFacts: protocol.NetworkFacts{TokenMAC: testMAC(1)}}, admin)
	w.join(1, b)
	got, _ := json.Marshal(w.do("list_networks", &protocol.ListNetworks{}, nil))
	want := fmt.Sprintf(`{"networks":[{"created":%[1]d,"enterprise":false,"id":0,"join_rule":"open","members":2,"name":"backbone"},`+
		`{"created":%[1]d,"enterprise":false,"id":1,"join_rule":"open","members":2,"name":"one"},`+
		`{"created":%[1]d,"enterprise":true,"id":2,"join_rule":"token","members":1,"name":"two"}],"type":"list_networks_ok"}`, startTime/1000)
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	c := w.call("list_networks", &protocol.ListNetworks{}, nil)
	c.Options.Limit = 2
	page, _ := w.m.Root().Read(c)
	first := page.Reply.(*protocol.ListNetworksReply)
	c.Options.Cursor = first.NextCursor
	page, _ = w.m.Root().Read(c)
	second := page.Reply.(*protocol.ListNetworksReply)
	if len(first.Networks) != 2 || len(second.Networks) != 1 || second.Networks[0].ID != 2 || second.NextCursor != "" {
		t.Errorf("pages %+v, %+v", first, second)
	}
}

func TestListNodes(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	net := w.network("lab", b, "open", false)
	w.join(net, a)
	w.do("set_visibility", &protocol.SetVisibility{NodeID: a, Public: true}, as(a))
	w.do("set_hostname", &protocol.SetHostname{NodeID: a, Hostname: "alpha"}, as(a))
	denied := "listing backbone nodes is not permitted (use lookup with a specific node_id)"
	w.refused("list_nodes", &protocol.ListNodes{}, nil, protocol.CodePermissionDenied, denied)
	w.refused("list_nodes", &protocol.ListNodes{}, as(a), protocol.CodePermissionDenied, denied)
	w.refused("list_nodes", &protocol.ListNodes{NetworkID: 9}, nil, protocol.CodeNotFound, "network 9: network not found")

	seen := utc(w.now)
	got, _ := json.Marshal(w.do("list_nodes", &protocol.ListNodes{NetworkID: net}, nil))
	want := `{"nodes":[{"address":"1:0001.0000.0002","last_seen":"` + seen + `","node_id":2,"polo_score":0,"public":false,"role":"owner"},` +
		`{"address":"1:0001.0000.0001","hostname":"alpha","last_seen":"` + seen + `","node_id":1,"polo_score":0,"public":true,"real_addr":"198.51.100.1:1","role":"member"}],"type":"list_nodes_ok"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	w.goOffline(b)
	w.beat(a)
	all := w.do("list_nodes", &protocol.ListNodes{}, admin).(*protocol.ListNodesReply)
	if len(all.Nodes) != 1 || all.Nodes[0].NodeID != a || all.Nodes[0].Role != "" || all.Nodes[0].Address != "0:0000.0000.0001" {
		t.Errorf("backbone %+v", all)
	}
	w.do("leave_network", &protocol.LeaveNetwork{NodeID: a, NetworkID: net}, as(a))
	w.register(2)
	w.do("leave_network", &protocol.LeaveNetwork{NodeID: b, NetworkID: net}, as(b))
	if got, _ := json.Marshal(w.do("list_nodes", &protocol.ListNodes{NetworkID: net}, nil)); string(got) != `{"nodes":[],"type":"list_nodes_ok"}` {
		t.Errorf("an empty list is %s", got)
	}
}

// Pages are stable while the list changes: who stays is listed exactly once.
func TestListPages(t *testing.T) {
	w := newWorld(t)
	const n = 250
	for i := range n {
		w.register(i)
	}
	net := w.network("lab", n, "open", false)
	for id := uint32(n - 1); id > 0; id-- {
		w.join(net, id)
	}
	for _, list := range []uint16{net, 0} {
		seen := map[uint32]int{}
		cursor := ""
		for round := 0; ; round++ {
			c := w.call("list_nodes", &protocol.ListNodes{NetworkID: list}, admin)
			c.Options.Limit, c.Options.Cursor = 40, cursor
			r, e := w.m.Root().Read(c)
			if e != nil {
				t.Fatal(e)
			}
			reply := r.Reply.(*protocol.ListNodesReply)
			for _, node := range reply.Nodes {
				seen[node.NodeID]++
			}
			if cursor = reply.NextCursor; cursor == "" {
				break
			}
			if len(reply.Nodes) != 40 {
				t.Fatalf("a page of %d", len(reply.Nodes))
			}
			// Meanwhile somebody listed leaves, and somebody comes.
			gone := reply.Nodes[0].NodeID
			w.do("deregister", &protocol.NodeRequest{NodeID: gone}, as(gone))
			id := w.register(1000 + int(list)*1000 + round)
			w.join(net, id)
		}
		for id := uint32(1); id <= n; id++ {
			if times := seen[id]; times > 1 || times == 0 && w.m.Root().nodes.live(id) != nil {
				t.Errorf("list %d: node %d is listed %d times", list, id, times)
			}
		}
	}
	c := w.call("list_nodes", &protocol.ListNodes{NetworkID: net}, nil)
	for _, bad := range []string{"x", "!", makeCursor(cursorNodes, 0, 1), makeCursor(cursorNetworks, net, 1)} {
		c.Options.Cursor = bad
		if _, e := w.m.Root().Read(c); e == nil || e.Code != protocol.CodeInvalid {
			t.Errorf("cursor %q: %v", bad, e)
		}
	}
}

func TestListTooLarge(t *testing.T) {
	w := newWorld(t)
	tags := make([]string, protocol.MaxTags)
	for i := range tags {
		tags[i] = fmt.Sprintf("%d-%s", i, strings.Repeat("t", 30))
	}
	for i := range 16_000 {
		id := w.m.x.meta.nextNode
		w.m.x.meta.nextNode++
		w.m.x.setNode(&node{id: id, key: testKey(i), keyGen: 1, state: stateLive, tags: tags})
		w.m.x.markSeen(id)
	}
	w.tick(0)
	w.refused("list_nodes", &protocol.ListNodes{}, admin, protocol.CodeTooLarge,
		"the list is too large for one reply (over 8 MiB): ask for pages with limit and cursor")
	c := w.call("list_nodes", &protocol.ListNodes{}, admin)
	c.Options.Limit = 1 << 20
	total := 0
	for {
		r, e := w.m.Root().Read(c)
		if e != nil {
			t.Fatal(e)
		}
		reply := r.Reply.(*protocol.ListNodesReply)
		if b, _ := json.Marshal(reply); len(b) > maxListBytes {
			t.Errorf("a page of %d bytes", len(b))
		}
		total += len(reply.Nodes)
		if c.Options.Cursor = reply.NextCursor; c.Options.Cursor == "" {
			break
		}
	}
	if total != 16_000 {
		t.Errorf("%d nodes in pages", total)
	}
}

func TestReadsBeforeTheClusterExists(t *testing.T) {
	w := emptyWorld(t)
	w.tick(0)
	w.refused("list_networks", &protocol.ListNetworks{}, nil, protocol.CodeFeatureNotActive, "list_networks is not active: the cluster is not initialised yet; try again shortly")
	w.refused("register", &protocol.Register{PublicKey: testKey(1).String()}, nil, protocol.CodeFeatureNotActive, "register is not active: the cluster is not initialised yet; try again shortly")
}

func TestFeatureLevelGate(t *testing.T) {
	known := protocol.Features
	protocol.Features = append(slices.Clone(known), protocol.Feature{Name: "later", Level: 3})
	t.Cleanup(func() { protocol.Features = known })
	v := &newTxn().view
	v.meta.level = 1
	row := *protocol.Must("register")
	row.Feature = "later"
	e := v.active(&row)
	if e == nil || e.Code != protocol.CodeFeatureNotActive || !e.Stateful ||
		e.Text != "register needs feature level 3 and the cluster is at 1; upgrade every member first" {
		t.Errorf("got %v", e)
	}
}

func TestReplicationDocument(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	w.do("create_network", &protocol.CreateNetwork{NodeID: a, Name: "lab", JoinRule: "token", NetworkFacts: protocol.NetworkFacts{TokenMAC: testMAC(0xaa), NetworkAdminTokenMAC: testMAC(0xbb)}}, admin)
	w.do("report_trust", &protocol.Trust{NodeID: b, PeerID: a}, as(b))
	w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: a, ToNodeID: b, Justification: "j"}, as(a))
	w.do("respond_handshake", &protocol.RespondHandshake{NodeID: a, PeerID: b}, as(a))
	w.goOffline(b)
	raw, err := json.Marshal(map[string]any{"type": "replication_snapshot", "snapshot": w.m.Root().ReplicationDocument()})
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Snapshot map[string]any `json:"snapshot"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	d := doc.Snapshot
	if d["version"] != 1.0 || d["next_node"] != 3.0 || len(d["nodes"].(map[string]any)) != 1 || len(d["pub_key_idx"].(map[string]any)) != 2 {
		t.Errorf("document %s", raw)
	}
	if !reflect.DeepEqual(d["trust_pairs"], []any{"1:2"}) || len(d["handshake_inbox"].(map[string]any)["2"].([]any)) != 1 || len(d["handshake_responses"].(map[string]any)["2"].([]any)) != 1 {
		t.Errorf("document %s", raw)
	}
	lab := d["networks"].(map[string]any)["1"].(map[string]any)
	if lab["token"] != nil || lab["admin_token"] != nil || lab["join_rule"] != "token" || !reflect.DeepEqual(lab["member_roles"], map[string]any{"1": "owner"}) {
		t.Errorf("network %v", lab)
	}
	audit := d["audit_log"].([]any)
	last := audit[len(audit)-1].(map[string]any)
	if last["action"] != "node.reaped" || last["node_id"] != 2.0 || !strings.HasPrefix(last["details"].(string), "reason=stale_heartbeat, last_seen_ago=4m0s, networks=1") {
		t.Errorf("audit %v", last)
	}
	sum := fmt.Sprintf(`,"checksum":"%s"}`, d["checksum"])
	if !strings.Contains(string(raw), sum) {
		t.Error("the checksum is not the last field")
	}
}
