// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
)

// A listing with accents written in another way than in the stored id removes
// nobody, a listing without accents neither, and a request that is sent again
// is known by what its sender wrote.
func TestListingInAnotherFormOfAccentsRemovesNobody(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	admin := func(fields map[string]any) map[string]any {
		t.Helper()
		fields["admin_token"] = "admin secret"
		r := c.call(fields)
		if r["type"] == "error" {
			t.Fatalf("%v: %v", fields, r)
		}
		return r
	}
	net := admin(map[string]any{"type": "create_network", "node_id": id, "name": "lab", "enterprise": true})["network_id"]
	for i := range 3 {
		other := newClient(t, e, gateway.Config{})
		node := other.register()
		admin(map[string]any{"type": "set_external_id", "node_id": node, "external_id": []string{"mu\u0308ller@x", " b@x", "c@x"}[i]})
		admin(map[string]any{"type": "join_network", "node_id": node, "network_id": net})
	}
	sync := map[string]any{"type": "directory_sync", "network_id": net, "remove_unlisted": true, "request_id": "again",
		"entries": []any{map[string]any{"external_id": "M\u00fcller@x"}, map[string]any{"external_id": "B@x "}, map[string]any{"external_id": "c@x"}}}
	if r := admin(sync); r["mapped"] != 3.0 || r["disabled"] != 0.0 || r["warnings"] != nil {
		t.Errorf("%v", r)
	}
	if r := admin(sync); r["replayed"] != true {
		t.Errorf("%v", r)
	}
	plain := map[string]any{"type": "directory_sync", "network_id": net, "remove_unlisted": true,
		"entries": []any{map[string]any{"external_id": "muller@x"}, map[string]any{"external_id": "b@x"}, map[string]any{"external_id": "c@x"}}}
	if r := admin(plain); r["near_misses"] != 1.0 || r["disabled"] != 0.0 {
		t.Errorf("%v", r)
	}
	last := e.proposals[len(e.proposals)-1]
	if !strings.Contains(string(last.Body), `"external_id":"muller@x"`) || !json.Valid(last.Body) {
		t.Errorf("%s", last.Body)
	}
}

// What a node was bound to before it went is in events alone, written in
// another form of the accents than the administrator types.
func TestAPersonIsForgottenInEveryFormOfTheAccents(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	const composed, decomposed = "zo\u00eb@example.org", "zoe\u0308@example.org"
	for _, f := range []map[string]any{
		{"type": "set_external_id", "node_id": id, "external_id": decomposed, "admin_token": "admin secret"},
		{"type": "deregister", "node_id": id, "admin_token": "admin secret"},
	} {
		if r := c.call(f); r["type"] == "error" {
			t.Fatal(r)
		}
	}
	if r := c.call(map[string]any{"type": "get_audit_log", "external_id": composed, "admin_token": "admin secret"}); len(r["entries"].([]any)) == 0 {
		t.Error("the log does not find the person")
	}
	if r := c.call(map[string]any{"type": "person_forget", "external_id": composed, "admin_token": "admin secret"}); r["events"] == 0.0 {
		t.Error(r)
	}
	if r := c.call(map[string]any{"type": "get_audit_log", "limit": 100, "admin_token": "admin secret"}); strings.Contains(fmt.Sprint(r), decomposed) {
		t.Error("the log still names the person")
	}
}
