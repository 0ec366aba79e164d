// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const webPolicy = `{"version":1,"rules":[{"name":"web","on":"connect","match":"port == 80","actions":[{"type":"allow"}]}]}`

// A document that no daemon could load is refused wherever it comes in, and
// behind the caller's authority.
func TestUnreadablePolicyIsRefusedOnEveryWayIn(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	net := c.call(map[string]any{"type": "create_network", "node_id": id, "name": "lab", "admin_token": "admin secret"})["network_id"]
	e.catchUp()
	bad := `{"version":1,"rules":[{"name":"web","on":"connect","match":"port ==","actions":[{"type":"allow"}]}]}`
	const why = `expr_policy: rule "web": match cannot be read: unexpected token EOF`
	requests := map[string]map[string]any{
		"set_expr_policy":   {"network_id": net, "expr_policy": bad},
		"create_network":    {"node_id": id, "name": "other", "expr_policy": json.RawMessage(bad)},
		"provision_network": {"blueprint": map[string]any{"name": "third", "expr_policy": json.RawMessage(bad)}},
	}
	proposals := len(e.proposals)
	for name, request := range requests {
		request["type"] = name
		if r := c.call(request); r["code"] == protocol.CodeInvalid || r["type"] != "error" {
			t.Errorf("%s of a stranger: %v", name, r)
		}
		request["admin_token"] = "admin secret"
		want := why
		if name == "provision_network" {
			want = "invalid blueprint: " + why
		}
		if r := c.call(request); r["error"] != want || r["code"] != protocol.CodeInvalid {
			t.Errorf("%s: %v", name, r)
		}
	}
	if len(e.proposals) != proposals {
		t.Errorf("%d were proposed", len(e.proposals)-proposals)
	}
	if r := c.call(map[string]any{"type": "set_expr_policy", "network_id": net, "expr_policy": webPolicy, "admin_token": "admin secret"}); r["type"] != "set_expr_policy_ok" {
		t.Errorf("a good one: %v", r)
	}
}

// A daemon that joins runs the network's policy and rules from the start, also
// when it has to ask twice for the reply.
func TestWhoJoinsHearsRulesAndPolicy(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	net := c.call(map[string]any{"type": "create_network", "node_id": id, "name": "mesh", "admin_token": "admin secret", "expr_policy": webPolicy,
		"rules": `{"links":8,"cycle":"1h","prune":2,"prune_by":"score","fill":2,"fill_how":"random"}`})
	e.catchUp()
	if net["managed"] != true {
		t.Fatal(net)
	}
	other := newClient(t, e, gateway.Config{})
	guest := other.register()
	e.catchUp()
	join := map[string]any{"type": "join_network", "node_id": guest, "network_id": net["network_id"], "request_id": "j",
		"signature": other.sign(fmt.Sprintf("join_network:%d:%.0f", guest, net["network_id"]))}
	for range 2 {
		r := other.call(join)
		rules, _ := r["rules"].(map[string]any)
		policy, _ := r["expr_policy"].(map[string]any)
		if r["type"] != "join_network_ok" || rules["cycle"] != "1h" || policy["version"] != 1.0 {
			t.Errorf("joined: %v", r)
		}
		e.catchUp()
	}
}
