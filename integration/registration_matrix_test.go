// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"slices"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Who may register a key that is known: every proof against every kind of
// node, through a member that did not make the node.
func TestRegistrationMatrix(t *testing.T) {
	c := sharedCluster(t)
	wires := dialAll(t, c)
	cluster, _ := call(t, wires[0], map[string]any{"type": "cluster_id"})["cluster_id"].(string)
	listen := ":4001"
	register := func(a harness.Agent) map[string]any {
		return map[string]any{"type": "register", "public_key": a.PublicKey(), "listen_addr": listen}
	}
	signed := func(by harness.Agent, fields map[string]any) map[string]any {
		by.ID = 0
		if fields["type"] != "register" {
			by.ID = fields["node_id"].(uint32)
		}
		return envelope(t, by, cluster, time.Now(), fields)
	}
	kinds := map[string]func(harness.Agent){
		"never signed": func(harness.Agent) {},
		"registered over the challenge": func(a harness.Agent) {
			f := register(a)
			f["signature"] = a.Sign("register:" + listen + ":" + a.PublicKey())
			ok(t, wires[0], f)
		},
		"acted by a signed request": func(a harness.Agent) {
			ok(t, wires[0], signed(a, map[string]any{"type": "set_tags", "node_id": a.ID, "tags": []string{"x"}}))
		},
		"takes signed requests only": func(a harness.Agent) {
			ok(t, wires[0], signed(a, map[string]any{"type": "set_signed_register", "node_id": a.ID, "require_signed_register": true}))
		},
		"cleared by an administrator": func(a harness.Agent) {
			ok(t, wires[0], signed(a, register(a)))
			ok(t, wires[0], map[string]any{"type": "set_signed_register", "node_id": a.ID, "require_signed_register": false, "admin_token": c.AdminToken})
		},
	}
	proofs := map[string]func(a, other harness.Agent) map[string]any{
		"none": func(a, _ harness.Agent) map[string]any { return register(a) },
		"a signature of something else": func(a, _ harness.Agent) map[string]any {
			f := register(a)
			f["signature"] = a.Sign("something else")
			return f
		},
		"the challenge": func(a, _ harness.Agent) map[string]any {
			f := register(a)
			f["signature"] = a.Sign("register:" + listen + ":" + a.PublicKey())
			return f
		},
		"another's signed request": func(a, other harness.Agent) map[string]any { return signed(other, register(a)) },
		"a signed request":         func(a, _ harness.Agent) map[string]any { return signed(a, register(a)) },
		"the admin token": func(a, _ harness.Agent) map[string]any {
			f := register(a)
			f["admin_token"] = c.AdminToken
			return f
		},
	}
	for kind, make := range kinds {
		for proof, request := range proofs {
			a, err := wires[0].Register()
			if err != nil {
				t.Fatal(err)
			}
			other, err := wires[0].Register()
			if err != nil {
				t.Fatal(err)
			}
			make(a)
			want := false
			switch proof {
			case "a signed request":
				want = true
			case "the challenge":
				want = kind != "takes signed requests only"
			case "none", "the admin token":
				want = kind == "never signed" || kind == "cleared by an administrator"
			}
			reply := call(t, wires[len(wires)-1], request(a, other))
			code, _ := reply["code"].(string)
			if got := reply["type"] == "register_ok"; got != want || !got && !slices.Contains(denied, code) {
				t.Errorf("%s, %s: %v, want allowed %t", kind, proof, reply, want)
			}
			if code != "" && code == protocol.CodeSignatureRequired && reply["error"] == "" {
				t.Errorf("%s, %s: no reason", kind, proof)
			}
		}
	}
}

func ok(t *testing.T, w *harness.Wire, fields map[string]any) {
	t.Helper()
	if r := call(t, w, fields); r["type"] == "error" {
		t.Fatal(r)
	}
}
