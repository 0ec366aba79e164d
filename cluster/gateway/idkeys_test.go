package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/gateway"
)

// A listing with accents written in another way than in the stored id removes
// nobody, a listing without accents neither, and a request that is sent again
// is known by what its sender wrote.
func TestListingInAnotherFormOfAccentsRemovesNobody(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Policy{})
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
		other := newClient(t, e, gateway.Policy{})
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
