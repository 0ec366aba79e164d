// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Who a node belongs to is shown to whom the setting says, in lookup and in
// the members of a network.
func TestAnExternalIDIsShownToWhomTheSettingSays(t *testing.T) {
	e := newEngine(t)
	alice := newClient(t, e, gateway.Config{})
	bob, eve := alice.stranger(), alice.stranger()
	a, b, x := alice.register(), bob.register(), eve.register()
	must := func(f map[string]any) map[string]any {
		t.Helper()
		r := alice.call(f)
		if r["type"] == "error" {
			t.Fatal(r)
		}
		return r
	}
	must(map[string]any{"type": "set_external_id", "node_id": a, "external_id": "alice@corp", "admin_token": "admin secret"})
	net := must(map[string]any{"type": "create_network", "node_id": a, "name": "lab", "join_rule": "open", "admin_token": "admin secret"})["network_id"]
	must(map[string]any{"type": "join_network", "node_id": b, "network_id": net, "admin_token": "admin secret"})
	lookup := func(c *client, as uint32, signer *client) string {
		f := map[string]any{"type": "lookup", "node_id": a}
		if as != 0 {
			f["requester_id"] = as
		}
		if signer != nil {
			f["signature"] = signer.sign(fmt.Sprintf("lookup:%d:%d", as, a))
		}
		return fmt.Sprint(c.call(f)["external_id"])
	}
	list := func(c *client, as uint32, signer *client) string {
		f := map[string]any{"type": "list_nodes", "network_id": net}
		if as != 0 {
			f["requester_id"] = as
		}
		if signer != nil {
			f["signature"] = signer.sign(fmt.Sprintf("list_nodes:%d:%.0f", as, net))
		}
		return fmt.Sprint(c.call(f)["nodes"].([]any)[0].(map[string]any)["external_id"])
	}
	for mode, shown := range map[string]struct{ all, member bool }{protocol.ShownOpen: {true, true}, protocol.ShownMembers: {false, true}, protocol.ShownAdmin: {false, false}} {
		must(map[string]any{"type": "set_setting", "name": protocol.SettingExternalID, "value": mode, "admin_token": "admin secret"})
		e.catchUp()
		for _, ask := range []func(*client, uint32, *client) string{lookup, list} {
			for who, got := range map[string]struct {
				saw  string
				want bool
			}{
				"nobody":                        {ask(eve, 0, nil), shown.all},
				"another node":                  {ask(eve, x, eve), shown.all},
				"who only names a member":       {ask(eve, b, nil), shown.all},
				"who signs for a member, badly": {ask(eve, b, eve), shown.all},
				"a member":                      {ask(bob, b, bob), shown.member},
				"the node":                      {ask(alice, a, alice), shown.member},
			} {
				if (got.saw == "alice@corp") != got.want {
					t.Errorf("%s: %s saw %s", mode, who, got.saw)
				}
			}
		}
		if r := bob.send(bob.seal(b, map[string]any{"type": "lookup", "node_id": a, "requester_id": b}, nil)); (r["external_id"] == "alice@corp") != shown.member {
			t.Errorf("%s: a signed request of a member saw %v", mode, r)
		}
		if r := must(map[string]any{"type": "lookup", "node_id": a, "admin_token": "admin secret"}); r["external_id"] != "alice@corp" {
			t.Errorf("%s: an administrator saw %v", mode, r)
		}
	}
}
