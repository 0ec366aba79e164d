// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func blueprint(change func(b map[string]any)) map[string]any {
	b := map[string]any{"name": "lab", "join_rule": "token", "join_token": "hush-join", "network_admin_token": "hush-admin", "enterprise": true,
		"audit_export": map[string]any{"format": "splunk_hec", "endpoint": "http://127.0.0.1:8088", "token": "hush-export"}}
	change(b)
	return map[string]any{"type": "provision_network", "blueprint": b, "admin_token": "admin secret"}
}

// The secrets of a blueprint do what they are for, and are not in the log.
func TestBlueprintSecrets(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	request := blueprint(func(map[string]any) {})
	request["request_id"] = "once"
	made := c.call(request)
	if made["type"] != "provision_network_ok" {
		t.Fatal(made)
	}
	if again := c.call(request); again["replayed"] != true || again["created"] != true { // though the token is encrypted again each time
		t.Errorf("sent again: %v", again)
	}
	node := c.register()
	for token, want := range map[string]string{"hush": protocol.CodeTokenInvalid, "hush-join": ""} {
		reply := c.call(map[string]any{"type": "join_network", "node_id": node, "network_id": made["network_id"], "token": token, "admin_token": "admin secret"})
		if code, _ := reply["code"].(string); code != want {
			t.Errorf("token %s: %v", token, reply)
		}
	}
	if r := c.call(map[string]any{"type": "rename_network", "network_id": made["network_id"], "name": "lab2", "admin_token": "hush-admin"}); r["type"] != "rename_network_ok" {
		t.Errorf("the network's token: %v", r)
	}
	var stored protocol.SealField
	for _, env := range e.proposals {
		if strings.Contains(string(env.Body), "hush") {
			t.Errorf("the log would hold a secret: %s", env.Body)
		}
		if env.Code == protocol.Must("provision_network").Code {
			body := &protocol.ProvisionNetwork{}
			decode(t, env.Body, body)
			stored = body.SealFields()[0]
		}
	}
	if plain, err := e.keys.Unseal(*stored.Out, stored.Name); err != nil || string(plain) != "hush-export" {
		t.Errorf("%q %v", plain, err)
	}
	if len(e.machine.Root().Events(protocol.ClassSecurity, 0, 100)) == 0 {
		t.Error("no events")
	}
}

// A dry run is a read: of a member that lags it shows what is acknowledged,
// and nothing is proposed.
func TestDryRunIsARead(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	lags := e.shown
	c.call(blueprint(func(map[string]any) {}))
	e.shown = lags
	proposals := len(e.proposals)
	request := blueprint(func(map[string]any) {})
	request["dry_run"] = true
	request["request_id"] = "once"
	if r := c.call(request); r["dry_run"] != true || r["created"] != false || r["index"] == nil {
		t.Errorf("%v", r)
	}
	if len(e.proposals) != proposals {
		t.Error("a dry run was proposed")
	}
	if r := c.call(map[string]any{"type": "directory_sync", "dry_run": true, "network_id": 1, "entries": []any{map[string]any{"external_id": "x", "role": "admin"}}}); r["code"] != protocol.CodeAdminToken {
		t.Errorf("without the admin token: %v", r)
	}
	if r := c.call(map[string]any{"type": "directory_sync", "dry_run": true, "network_id": 1, "admin_token": "admin secret", "entries": []any{map[string]any{"external_id": "x", "role": "admin"}}}); r["unmapped"] != 1.0 {
		t.Errorf("%v", r)
	}
}

// Addresses are refused where the request comes in, behind everything else
// that is wrong with the blueprint, and only for those who may send one.
func TestBlueprintAddresses(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{Outside: gateway.Outside{CheckTarget: func(target protocol.Target) *protocol.Error {
		if strings.Contains(target.URL, "127.0.0.1") || target.File {
			return protocol.Errorf(protocol.CodeInvalid, "%s: not here", target.Field)
		}
		return nil
	}}})
	webhook := func(url string) func(map[string]any) {
		return func(b map[string]any) {
			delete(b, "audit_export")
			b["webhooks"] = map[string]any{"audit_url": url}
		}
	}
	both := func(b map[string]any) { webhook("ftp://x")(b); b["roles"] = []any{map[string]any{}} }
	for want, change := range map[string]func(map[string]any){
		`invalid blueprint: webhooks.audit_url: URL must use http or https scheme, got "ftp"`: webhook("ftp://x"),
		"invalid blueprint: role entry: external_id is required":                              both,
		"invalid blueprint: audit_export.endpoint: not here":                                  func(map[string]any) {},
	} {
		if r := c.call(blueprint(change)); r["error"] != want {
			t.Errorf("%v, want %s", r, want)
		}
	}
	for want, request := range map[string]map[string]any{
		"endpoint: not here":  {"type": "audit_sink_put", "name": "archive", "kind": "export", "format": "file", "endpoint": "/tmp/x"},
		"endpoint: not here ": {"type": "set_audit_export", "format": "file", "endpoint": "/tmp/x"},
	} {
		request["admin_token"] = "admin secret"
		if r := c.call(request); r["error"] != strings.TrimSpace(want) {
			t.Errorf("%v: %v, want %s", request["type"], r, want)
		}
	}
	anonymous := blueprint(webhook("ftp://x"))
	delete(anonymous, "admin_token")
	if r := c.call(anonymous); r["code"] != protocol.CodeAdminToken {
		t.Errorf("%v", r)
	}
	for _, env := range e.proposals {
		if env.Code < fsm.InternalBase {
			t.Errorf("proposed: %s", env.Body)
		}
	}
}

func decode(t *testing.T, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}
