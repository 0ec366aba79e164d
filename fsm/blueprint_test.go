// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func (w *world) provision(b *protocol.Blueprint) *protocol.ProvisionNetworkReply {
	w.t.Helper()
	return w.do("provision_network", &protocol.ProvisionNetwork{Blueprint: b, BlueprintFacts: protocol.BlueprintFacts{JoinTokenMAC: testMAC(3), NetworkAdminTokenMAC: testMAC(9)}}, admin).(*protocol.ProvisionNetworkReply)
}

// plannedActions asks for a dry run.
func (w *world) plannedActions(b *protocol.Blueprint) []string {
	w.t.Helper()
	reply, e := w.m.Root().Plan(w.call("provision_network", &protocol.ProvisionNetwork{Blueprint: b, BlueprintFacts: protocol.BlueprintFacts{JoinTokenMAC: testMAC(3)}}, admin))
	if e != nil {
		w.t.Fatal(e)
	}
	return reply.(*protocol.ProvisionNetworkReply).Actions
}

// fleet is the product page's blueprint.
func fleet() *protocol.Blueprint {
	return &protocol.Blueprint{Name: "prod-fleet", JoinRule: "invite", Enterprise: true,
		Policy: &protocol.BlueprintPolicy{MaxMembers: 100, AllowedPorts: []uint16{7, 80, 443, 1001}, Description: "Production agent fleet"},
		IdentityProvider: &protocol.BlueprintIdentityProvider{Type: "oidc", URL: "https://login.microsoftonline.com/tenant/.well-known/jwks",
			Issuer: "https://login.microsoftonline.com/tenant/v2.0", ClientID: "pilot-prod"},
		Webhooks:    &protocol.BlueprintWebhooks{AuditURL: "https://siem.acme.com/pilot/events"},
		AuditExport: &protocol.BlueprintAuditExport{Format: "splunk_hec", Endpoint: "https://splunk.acme.com:8088/services/collector", Token: "HEC-TOKEN", Index: "pilot_audit", Source: "pilot-registry"},
		Roles:       []protocol.BlueprintRole{{ExternalID: "a@acme.com", Role: "owner"}, {ExternalID: "b@acme.com", Role: "admin"}, {ExternalID: "c@acme.com", Role: "member"}}}
}

var fleetActions = []string{"enabled enterprise features", "applied network policy", "configured oidc identity provider", "configured audit webhook",
	"configured splunk_hec audit export to https://splunk.acme.com:8088/services/collector", "stored 3 RBAC pre-assignments"}

// The sample of the product's page.
func TestProvisionSample(t *testing.T) {
	w := newWorld(t)
	got := w.provision(fleet())
	if want := append([]string{"created network 1 (prod-fleet)"}, fleetActions...); !got.Created || got.NetworkID != 1 || !slices.Equal(got.Actions, want) {
		t.Errorf("%q\nwant %q", got.Actions, want)
	}
	if got := w.lastEvent(protocol.EventNetworkProvisioned); got != "token:root network_id=1 name=prod-fleet enterprise=true actions=7 created=true" {
		t.Error(got)
	}
	if e := w.m.Root().Events(protocol.ClassSecurity, 0, 1000); e[len(e)-1].Details() != "name=prod-fleet, enterprise=true, actions=7" {
		t.Errorf("programs that read the original's text of a provisioned network read %q", e[len(e)-1].Details())
	}
	again := w.provision(fleet())
	if want := append([]string{"found existing network 1 (prod-fleet)"}, slices.Delete(slices.Clone(fleetActions), 0, 1)...); again.Created || again.NetworkID != 1 || !slices.Equal(again.Actions, want) {
		t.Errorf("%q\nwant %q", again.Actions, want)
	}
	if again.Revision != got.Revision {
		t.Errorf("applying it again: revision %d became %d", got.Revision, again.Revision)
	}
	n, _ := w.m.Root().networks.records.Get(1)
	if n.hadOwner || n.rule != ruleInvite || !n.enterprise || !sameMAC(n.admin, testMAC(9)) || !n.token.IsZero() {
		t.Errorf("%+v", n)
	}
	// The listed roles are had on the way in that the blueprint leaves open.
	for i, ext := range []string{"B@acme.com", "a@acme.com"} {
		id := w.register(i)
		w.do("set_external_id", &protocol.SetExternalID{NodeID: id, ExternalID: ext}, admin)
		w.do("invite_to_network", &protocol.InviteToNetwork{RoleFacts: tokenOf(9), InviterID: id%2 + 1, NetworkID: 1, TargetNodeID: id}, func(w *world, c *Call) {
			admin(w, c)
			w.register(9)
			c.Body.(*protocol.InviteToNetwork).InviterID = w.register(9)
			as(w.register(9))(w, c)
		})
		w.accept(1, id)
	}
	if got := w.roles(1); got != "1 admin 3 owner" {
		t.Error(got)
	}
	checkGovernance(t, &w.m.Root().view)
	checkTotals(t, &w.m.Root().view)
}

// What a dry run lists is what would change.
func TestProvisionPlans(t *testing.T) {
	w := newWorld(t)
	b := fleet()
	b.IdentityProvider, b.Webhooks, b.AuditExport = nil, nil, nil
	if got := w.plannedActions(b); len(got) != 4 || got[0] != "created network 1 (prod-fleet)" {
		t.Errorf("%q", got)
	}
	w.provision(b)
	found := "found existing network 1 (prod-fleet)"
	for _, c := range []struct {
		change func(*protocol.Blueprint)
		want   []string
	}{
		{func(*protocol.Blueprint) {}, []string{found}},
		{func(b *protocol.Blueprint) { b.Policy.MaxMembers = 0 }, []string{found}}, // keeps it
		{func(b *protocol.Blueprint) { b.Policy = nil; b.Roles = nil; b.Enterprise = false; b.JoinRule = "" }, []string{found}},
		{func(b *protocol.Blueprint) { b.Policy.MaxMembers = 7 }, []string{found, "applied network policy"}},
		{func(b *protocol.Blueprint) { b.Roles = b.Roles[:2] }, []string{found, "stored 2 RBAC pre-assignments"}},
		{func(b *protocol.Blueprint) { b.Roles[0].Role = "admin" }, []string{found, "stored 3 RBAC pre-assignments"}},
		{func(b *protocol.Blueprint) {
			b.Roles = append(b.Roles, protocol.BlueprintRole{ExternalID: "A@ACME.com", Role: "member"})
		}, []string{found}}, // the first counts
	} {
		b := fleet()
		b.IdentityProvider, b.Webhooks, b.AuditExport = nil, nil, nil
		c.change(b)
		if got := w.plannedActions(b); !slices.Equal(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// A blueprint does not change who may join, and says so.
func TestProvisionKeeps(t *testing.T) {
	w := newWorld(t)
	w.provision(&protocol.Blueprint{Name: "a", JoinRule: "token", JoinToken: "x"})
	r := &protocol.ProvisionNetwork{Blueprint: &protocol.Blueprint{Name: "a", JoinRule: "token", JoinToken: "y"}, BlueprintFacts: protocol.BlueprintFacts{JoinTokenMAC: testMAC(4), NetworkAdminTokenMAC: testMAC(5)}}
	got := w.do("provision_network", r, admin).(*protocol.ProvisionNetworkReply)
	if !slices.Equal(got.Warnings, []string{"the network exists and its join_token stays what it is", "the network exists and its network_admin_token stays what it is"}) {
		t.Errorf("%q", got.Warnings)
	}
	if got := w.provision(&protocol.Blueprint{Name: "a", JoinRule: "open"}); !slices.Equal(got.Warnings, []string{"the network exists and its join_rule stays token, not open"}) {
		t.Errorf("%q", got.Warnings)
	}
	n, _ := w.m.Root().networks.records.Get(1)
	if n.rule != ruleToken || !sameMAC(n.token, testMAC(3)) || !sameMAC(n.admin, testMAC(9)) {
		t.Errorf("%+v", n)
	}
}

func TestProvisionErrors(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.register(i)
	}
	net := w.network("full", 1, "open", true)
	w.join(net, 2)
	w.join(net, 3)
	no := func(r *protocol.ProvisionNetwork, by who, code, text string) {
		t.Helper()
		w.refused("provision_network", r, by, code, text)
	}
	of := func(b *protocol.Blueprint) *protocol.ProvisionNetwork {
		return &protocol.ProvisionNetwork{Blueprint: b}
	}
	no(of(nil), nobody, protocol.CodeAdminToken, "invalid admin token")
	no(of(nil), admin, protocol.CodeInvalid, "blueprint is required")
	no(of(&protocol.Blueprint{Name: "x", JoinRule: "token", JoinToken: "t"}), admin, protocol.CodeInvalid, "invalid blueprint: join_token is required when join_rule is token")
	no(of(&protocol.Blueprint{Name: "backbone", Enterprise: true}), admin, protocol.CodeInvalid, `provision network: network name "backbone" is reserved`)
	no(of(&protocol.Blueprint{Name: "full", Policy: &protocol.BlueprintPolicy{MaxMembers: 2}}), admin, protocol.CodeConflict, "cannot set max_members to 2: network already has 3 members")
	seven, zero := uint64(7), uint64(0)
	no(&protocol.ProvisionNetwork{Blueprint: &protocol.Blueprint{Name: "full"}, IfRevision: &seven}, admin, protocol.CodeConflict,
		"network full is at revision 1 and the request was made for revision 7; look at it again and plan anew")
	no(&protocol.ProvisionNetwork{Blueprint: &protocol.Blueprint{Name: "full"}, IfRevision: &zero}, admin, protocol.CodeConflict,
		"network full is at revision 1 and the request was made for revision 0; look at it again and plan anew")
	no(&protocol.ProvisionNetwork{Blueprint: &protocol.Blueprint{Name: "new"}, IfRevision: &seven}, admin, protocol.CodeConflict,
		"network new is at revision 0 and the request was made for revision 7; look at it again and plan anew")
	w.do("provision_network", &protocol.ProvisionNetwork{Blueprint: &protocol.Blueprint{Name: "new"}, IfRevision: &zero}, admin)
	w.m.x.meta.nextNet = 0
	w.tick(0)
	no(of(&protocol.Blueprint{Name: "more"}), admin, protocol.CodeLimitReached, "provision network: network ID space exhausted (max 65535 networks)")
	w.refused("get_provision_status", &protocol.GetProvisionStatus{}, as(1), protocol.CodeAdminToken, "invalid admin token")
}

// Making an enterprise network of another gives its members roles.
func TestProvisionUpgrades(t *testing.T) {
	w := newWorld(t)
	w.register(1)
	w.register(2)
	net := w.network("lab", 1, "open", true)
	w.join(net, 2)
	w.do("set_network_enterprise", &protocol.SetNetworkEnterprise{NetworkID: net}, admin)
	if got := w.roles(net); got != "1  2 " {
		t.Errorf("%q", got)
	}
	got := w.provision(&protocol.Blueprint{Name: "lab", Enterprise: true})
	if !slices.Equal(got.Actions, []string{"found existing network 1 (lab)", "enabled enterprise features"}) || w.roles(net) != "1 owner 2 member" {
		t.Errorf("%q %s", got.Actions, w.roles(net))
	}
	w.do("set_external_id", &protocol.SetExternalID{NodeID: 2, ExternalID: "b"}, admin)
	w.sync(listingOf(net, "b admin")) // which once ended the process
	checkGovernance(t, &w.m.Root().view)
	checkTotals(t, &w.m.Root().view)
}

func TestProvisionInParts(t *testing.T) {
	w := newWorld(t)
	part := func(n uint32, roles ...string) *protocol.ProvisionNetwork {
		b := &protocol.Blueprint{Name: "a", JoinRule: "token", JoinToken: "secret"}
		for _, r := range roles {
			b.Roles = append(b.Roles, protocol.BlueprintRole{ExternalID: r, Role: "admin"})
		}
		return &protocol.ProvisionNetwork{Blueprint: b, BlueprintFacts: protocol.BlueprintFacts{JoinTokenMAC: testMAC(3)}, UploadID: "u", Part: n, Parts: 3}
	}
	w.do("provision_network", part(2, "c"), admin)
	w.do("provision_network", part(3), admin)
	if w.m.Root().networks.records.Len() != 1 {
		t.Error("a part was applied")
	}
	got := w.do("provision_network", part(1, "a", "b"), admin).(*protocol.ProvisionNetworkReply)
	if !slices.Equal(got.Actions, []string{"created network 1 (a)", "stored 3 RBAC pre-assignments"}) {
		t.Errorf("%q", got.Actions)
	}
	status := w.do("get_provision_status", &protocol.GetProvisionStatus{Details: true}, admin).(*protocol.ProvisionStatusReply)
	if want := []protocol.BlueprintRole{{ExternalID: "a", Role: "admin"}, {ExternalID: "b", Role: "admin"}, {ExternalID: "c", Role: "admin"}}; !reflect.DeepEqual(status.Networks[0].Roles, want) {
		t.Errorf("%+v", status.Networks[0])
	}
	if n, bytes := w.stagedLeft(); n != 0 || bytes != 0 {
		t.Errorf("%d records, %d bytes are left", n, bytes)
	}
}

func TestProvisionStatus(t *testing.T) {
	w := newWorld(t)
	status := func(cursor string, limit int) *protocol.ProvisionStatusReply {
		c := w.call("get_provision_status", &protocol.GetProvisionStatus{}, admin)
		c.Options.Cursor, c.Options.Limit = cursor, limit
		r, e := w.m.Root().Read(c)
		if e != nil {
			t.Fatal(e)
		}
		return r.Reply.(*protocol.ProvisionStatusReply)
	}
	if got := string(render(status("", 0))); got != `{"config_revision":1,"networks":[],"type":"get_provision_status_ok"}` {
		t.Error(got)
	}
	b := fleet()
	b.IdentityProvider, b.Webhooks, b.AuditExport = nil, nil, nil
	w.provision(b)
	w.provision(&protocol.Blueprint{Name: "plain"})
	if got, want := string(render(status("", 0))), `{"config_revision":1,"networks":[{"allowed_ports":[7,80,443,1001],"enterprise":true,"join_rule":"invite",`+
		`"max_members":100,"members":0,"name":"prod-fleet","network_id":1,"rbac_pre_assignments":3,"revision":4},`+
		`{"enterprise":false,"join_rule":"open","members":0,"name":"plain","network_id":2,"revision":1}],"type":"get_provision_status_ok"}`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	one := status("", 1)
	if two := status(one.NextCursor, 1); len(one.Networks) != 1 || len(two.Networks) != 1 || two.Networks[0].Name != "plain" || two.NextCursor != "" {
		t.Errorf("%+v %+v", one, two)
	}
}

// Nothing secret is in the log, in replies, events or the state.
func TestProvisionKeepsSecrets(t *testing.T) {
	w := newWorld(t)
	b := fleet()
	b.JoinToken, b.NetworkAdminToken, b.AuditExport.Token = "hush-1", "hush-2", "hush-3"
	env := envelope(w.call("provision_network", &protocol.ProvisionNetwork{Blueprint: b, BlueprintFacts: protocol.BlueprintFacts{NetworkAdminTokenMAC: testMAC(9)}}, admin))
	r := w.apply(env)[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	all := string(env.Body) + string(r.JSON()) + fmt.Sprint(w.m.Root().Events(protocol.ClassSecurity, 0, 1000))
	_ = w.m.Root().eachRecord(func(rec []byte) error {
		all += string(rec)
		return nil
	})
	if strings.Contains(all, "hush") {
		t.Error("a secret is there")
	}
}

// What a blueprint says about the whole registry is what the commands for it
// would have set, and is left alone when it is that already.
func TestProvisionGlobal(t *testing.T) {
	w := newWorld(t)
	b := fleet()
	b.Webhooks.IdentityURL = "https://id.acme.com"
	r := &protocol.ProvisionNetwork{Blueprint: b, BlueprintFacts: protocol.BlueprintFacts{ExportToken: protocol.Sealed{Key: 1, Nonce: []byte{1}, Ciphertext: []byte{2}}, ExportTokenMAC: testMAC(7)}}
	w.do("provision_network", r, admin)
	root := w.m.Root()
	if idp, ok := root.IDP(); !ok || idp.Type != "oidc" || idp.ClientID != "pilot-prod" || root.IdentityWebhook() != "https://id.acme.com" {
		t.Errorf("%+v %s", idp, root.IdentityWebhook())
	}
	export, _ := root.audit.sinks.Get(protocol.SinkNameExport)
	hook, _ := root.audit.sinks.Get(protocol.SinkNameWebhook)
	if export.Format != "splunk_hec" || export.Index != "pilot_audit" || export.Source != "pilot-registry" || export.secret.IsZero() || hook.Endpoint != "https://siem.acme.com/pilot/events" {
		t.Errorf("%+v %+v", export, hook)
	}
	status := w.do("get_provision_status", &protocol.GetProvisionStatus{}, admin).(*protocol.ProvisionStatusReply)
	if status.AuditExport != "splunk_hec" || status.IDPType != "oidc" || !status.WebhookEnabled {
		t.Errorf("%+v", status)
	}
	plan := func(change func(*protocol.ProvisionNetwork)) *protocol.ProvisionNetworkReply {
		next := fleet()
		next.Webhooks.IdentityURL = "https://id.acme.com"
		r := &protocol.ProvisionNetwork{Blueprint: next}
		change(r)
		reply, e := w.m.Root().Plan(w.call("provision_network", r, admin))
		if e != nil {
			t.Fatal(e)
		}
		return reply.(*protocol.ProvisionNetworkReply)
	}
	for want, change := range map[string]func(*protocol.ProvisionNetwork){
		"":                                  func(*protocol.ProvisionNetwork) {},
		"configured oidc identity provider": func(r *protocol.ProvisionNetwork) { r.Blueprint.IdentityProvider.Issuer = "x" },
		"configured audit webhook":          func(r *protocol.ProvisionNetwork) { r.Blueprint.Webhooks.AuditURL = "https://x" },
		"configured identity webhook":       func(r *protocol.ProvisionNetwork) { r.Blueprint.Webhooks.IdentityURL = "https://x" },
		"configured splunk_hec audit export to https://splunk.acme.com:8088/services/collector": func(r *protocol.ProvisionNetwork) { r.Blueprint.AuditExport.Index = "x" },
	} {
		if got := strings.Join(plan(change).Actions[1:], ","); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	other := func(n *protocol.ProvisionNetwork) { n.ExportToken, n.ExportTokenMAC = r.ExportToken, testMAC(8) }
	if got := plan(other); len(got.Actions) != 2 {
		t.Errorf("another token: %+v", got)
	}
	r.ExportToken = protocol.Sealed{}
	r.ExportTokenMAC = protocol.MAC{}
	r.Blueprint.AuditExport.Index = "other"
	w.do("provision_network", r, admin)
	if again, _ := w.m.Root().audit.sinks.Get(protocol.SinkNameExport); again.secret.IsZero() || again.Index != "other" || !sameMAC(again.token, testMAC(7)) {
		t.Errorf("%+v", again)
	}
	now, stale := w.m.Root().ConfigRevision(), w.m.Root().ConfigRevision()-1
	r.IfConfigRevision = &stale
	w.refused("provision_network", r, admin, protocol.CodeConflict, fmt.Sprintf("the registry-wide configuration is at revision %d and the request was made for revision %d; look at it again and plan anew", now, stale))
	r.IfConfigRevision = &now
	if reply := w.do("provision_network", r, admin).(*protocol.ProvisionNetworkReply); reply.ConfigRevision != now {
		t.Errorf("%+v", reply)
	}
	r.IfConfigRevision = nil
	// What a blueprint cannot say stays.
	w.do("audit_sink_put", &protocol.AuditSinkPut{Name: protocol.SinkNameExport, Kind: protocol.SinkExport, Format: "json", Endpoint: "https://x", Required: true, Actions: []string{"member.*"}}, admin)
	w.do("provision_network", r, admin)
	if again, _ := w.m.Root().audit.sinks.Get(protocol.SinkNameExport); !again.Required || len(again.Actions) != 1 || again.Format != "splunk_hec" {
		t.Errorf("%+v", again)
	}
}

// What a blueprint says about the whole registry is one step with the rest,
// and the same blueprint again changes nothing.
func TestBlueprintConfiguresTheRegistry(t *testing.T) {
	w := newWorld(t)
	r := &protocol.ProvisionNetwork{Blueprint: fleet(), BlueprintFacts: protocol.BlueprintFacts{ExportToken: protocol.Sealed{Key: 1, Ciphertext: []byte{1}}, ExportTokenMAC: testMAC(7)}}
	first := w.do("provision_network", r, admin).(*protocol.ProvisionNetworkReply)
	want := []string{"created network 1 (prod-fleet)", "enabled enterprise features", "applied network policy", "configured oidc identity provider",
		"configured audit webhook", "configured splunk_hec audit export to https://splunk.acme.com:8088/services/collector", "stored 3 RBAC pre-assignments"}
	if !slices.Equal(first.Actions, want) || !first.Created {
		t.Fatalf("%q", first.Actions)
	}
	root := w.m.Root()
	if idp, ok := root.IDP(); !ok || idp.Type != "oidc" || idp.ClientID != "pilot-prod" || root.IdentityWebhook() != "" {
		t.Errorf("%+v", idp)
	}
	if s := w.sink(protocol.SinkNameExport); s.Format != "splunk_hec" || s.Index != "pilot_audit" || s.Secret.IsZero() {
		t.Errorf("%+v", s)
	}
	gens := []uint64{w.sink(protocol.SinkNameExport).Gen, w.sink(protocol.SinkNameWebhook).Gen, root.ConfigRevision()}
	r.ExportToken = protocol.Sealed{Key: 1, Ciphertext: []byte{2}} // the same token, encrypted again
	again := w.do("provision_network", r, admin).(*protocol.ProvisionNetworkReply)
	if want[0] = "found existing network 1 (prod-fleet)"; !slices.Equal(again.Actions, append(want[:1:1], want[2:]...)) || again.Created {
		t.Errorf("%q", again.Actions)
	}
	if now := []uint64{w.sink(protocol.SinkNameExport).Gen, w.sink(protocol.SinkNameWebhook).Gen, w.m.Root().ConfigRevision()}; !slices.Equal(now, gens) {
		t.Errorf("nothing changed, and %v became %v", gens, now)
	}
	c := w.call("provision_network", r, admin)
	c.Options.DryRun = true
	if plan, e := w.m.Root().Plan(c); e != nil || len(plan.(*protocol.ProvisionNetworkReply).Actions) != 1 {
		t.Errorf("the plan is %+v, %v", plan, e)
	}
	stale := first.ConfigRevision - 1
	r.IfConfigRevision = &stale
	w.refused("provision_network", r, admin, protocol.CodeConflict, "the registry-wide configuration is at revision 4 and the request was made for revision 3; look at it again and plan anew")
	status := w.do("get_provision_status", &protocol.GetProvisionStatus{}, admin).(*protocol.ProvisionStatusReply)
	if status.IDPType != "oidc" || status.AuditExport != "splunk_hec" || !status.WebhookEnabled || status.ConfigRevision != 4 {
		t.Errorf("%+v", status)
	}
}
