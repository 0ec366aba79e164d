// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// endpoint is something local that the registry may call.
func endpoint(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	t.Cleanup(s.Close)
	return s.URL
}

// TestPageExamples sends the product page's blueprint and directory listing as
// they stand there, with local addresses, through a member that follows.
func TestPageExamples(t *testing.T) {
	c := harness.Start(t, harness.Options{})
	w := throughFollower(t, c)
	call := func(request string) map[string]any {
		t.Helper()
		var fields map[string]any
		if err := json.Unmarshal([]byte(request), &fields); err != nil {
			t.Fatal(err)
		}
		fields["admin_token"] = c.AdminToken
		reply, err := w.Call(fields)
		if err != nil || reply["type"] == "error" {
			t.Fatalf("%v: %v %v", fields["type"], reply, err)
		}
		return reply
	}
	local := strings.NewReplacer("https://login.microsoftonline.com", endpoint(t), "https://siem.acme.com", endpoint(t), "https://splunk.acme.com:8088", endpoint(t))
	blueprint := local.Replace(`{"type":"provision_network","blueprint":{
		"name": "prod-fleet", "join_rule": "invite", "enterprise": true,
		"policy": {"max_members": 100, "allowed_ports": [7, 80, 443, 1001], "description": "Production agent fleet"},
		"identity_provider": {"type": "oidc", "url": "https://login.microsoftonline.com/tenant/.well-known/jwks",
			"issuer": "https://login.microsoftonline.com/tenant/v2.0", "client_id": "pilot-prod"},
		"webhooks": {"audit_url": "https://siem.acme.com/pilot/events"},
		"audit_export": {"format": "splunk_hec", "endpoint": "https://splunk.acme.com:8088/services/collector", "token": "HEC-TOKEN",
			"index": "pilot_audit", "source": "pilot-registry"},
		"roles": [{"external_id": "alice@acme.com", "role": "owner"}, {"external_id": "bob@acme.com", "role": "admin"}, {"external_id": "carol@acme.com", "role": "member"}]}}`)
	planned := call(strings.Replace(blueprint, "{", `{"dry_run":true,`, 1))
	made := call(blueprint)
	want := local.Replace(fmt.Sprintf("created network %v (prod-fleet)|enabled enterprise features|applied network policy|configured oidc identity provider|"+
		"configured audit webhook|configured splunk_hec audit export to https://splunk.acme.com:8088/services/collector|stored 3 RBAC pre-assignments", made["network_id"]))
	for _, reply := range []map[string]any{planned, made} {
		if got := texts(reply["actions"]); got != want || reply["created"] != true || reply["name"] != "prod-fleet" {
			t.Errorf("%v\nwant %s", reply, want)
		}
	}
	if again := call(blueprint); again["created"] != false || !strings.HasPrefix(texts(again["actions"]), "found existing network ") {
		t.Errorf("%v", again)
	}
	net := call(`{"type":"create_network","name":"acme","join_rule":"open","enterprise":true,"node_id":` + fmt.Sprint(agent(t, w).ID) + `}`)["network_id"]
	var ids []any
	for _, person := range []string{"alice@acme.com", "bob@acme.com", "charlie@acme.com"} {
		a := agent(t, w)
		ids = append(ids, a.ID)
		call(fmt.Sprintf(`{"type":"set_external_id","node_id":%d,"external_id":%q}`, a.ID, person))
		call(fmt.Sprintf(`{"type":"join_network","node_id":%d,"network_id":%v,"signature":%q}`, a.ID, net, a.Sign(fmt.Sprintf("join_network:%d:%v", a.ID, net))))
	}
	synced := call(fmt.Sprintf(`{"type":"directory_sync","network_id":%v,"remove_unlisted":true,"entries":[
		{"external_id": "alice@acme.com", "role": "admin", "display_name": "Alice"},
		{"external_id": "bob@acme.com", "role": "member"},
		{"external_id": "charlie@acme.com", "disabled": true}]}`, net))
	if got, want := texts(synced["actions"]), fmt.Sprintf("role alice@acme.com: member → admin (node %v)|disabled charlie@acme.com (node %v)", ids[0], ids[2]); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for key, want := range map[string]float64{"mapped": 2, "unmapped": 0, "updated": 1, "disabled": 1} {
		if synced[key] != want {
			t.Errorf("%s is %v, want %v", key, synced[key], want)
		}
	}
	status := call(fmt.Sprintf(`{"type":"directory_status","network_id":%v}`, net))
	if status["total"] != 3.0 || status["mapped"] != 2.0 || status["unmapped"] != 1.0 || status["last_sync"] == nil {
		t.Errorf("%v", status)
	}
}

// throughFollower connects to a member that does not lead.
func throughFollower(t *testing.T, c *harness.Cluster) *harness.Wire {
	t.Helper()
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range ready.Nodes {
		if n.ID != ready.Leader {
			w, err := harness.Dial(n.Wire)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { w.Close() })
			return w
		}
	}
	t.Fatal("nobody follows")
	return nil
}

func texts(list any) string {
	var out []string
	items, _ := list.([]any)
	for _, i := range items {
		out = append(out, fmt.Sprint(i))
	}
	return strings.Join(out, "|")
}

func agent(t *testing.T, w *harness.Wire) harness.Agent {
	t.Helper()
	a, err := w.Register()
	if err != nil {
		t.Fatal(err)
	}
	return a
}
