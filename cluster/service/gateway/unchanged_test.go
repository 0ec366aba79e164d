// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Daemons repeat what they have said: it is answered after a confirm round, and
// nothing is proposed.
func TestUnchangedWriteIsARead(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	say := func(host string) map[string]any {
		return c.call(map[string]any{"type": "set_hostname", "node_id": id, "hostname": host, "signature": c.sign(fmt.Sprintf("set_hostname:%d", id))})
	}
	say("alpha")
	e.catchUp()
	proposals, rounds := len(e.proposals), e.rounds
	for range 5 {
		if r := say("alpha"); r["type"] != "set_hostname_ok" || r["hostname"] != "alpha" || r["index"] == nil {
			t.Errorf("reply %v", r)
		}
	}
	if len(e.proposals) != proposals || e.rounds != rounds+5 {
		t.Errorf("%d proposals and %d rounds for five repetitions", len(e.proposals)-proposals, e.rounds-rounds)
	}
	// A member that lags may not take an older value for unchanged.
	lags := e.shown
	say("beta")
	e.shown = lags
	if r := say("alpha"); r["type"] != "set_hostname_ok" || len(e.proposals) != proposals+2 {
		t.Errorf("reply %v, %d proposals", r, len(e.proposals)-proposals)
	}
}

// A copy of a request that changed nothing, and was answered, arrives late: it
// must not undo what came in between.
func TestLateCopyOfAnUnchangedWriteUndoesNothing(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	say := func(request, host string) map[string]any {
		return c.call(map[string]any{"type": "set_hostname", "node_id": id, "hostname": host, "request_id": request, "signature": c.sign(fmt.Sprintf("set_hostname:%d", id))})
	}
	say("r-1", "alpha")
	events := e.machine.Root().Chain(protocol.ClassActivity)
	if r := say("r-2", "alpha"); r["type"] != "set_hostname_ok" {
		t.Fatal(r)
	}
	if e.machine.Root().Chain(protocol.ClassActivity) != events {
		t.Error("what changed nothing is an event")
	}
	say("r-3", "beta")
	if r := say("r-2", "alpha"); r["replayed"] != true {
		t.Errorf("the copy: %v", r)
	}
	if r := c.call(map[string]any{"type": "lookup", "node_id": id}); r["hostname"] != "beta" {
		t.Errorf("the copy was carried out: %v", r)
	}
}

// A node is deregistered; the same request, sent again, is answered and
// remembered. A copy that comes when the node is back does nothing.
func TestLateCopyOfADeregistrationTakesNobodyOut(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	leave := func(request string) map[string]any {
		return c.call(map[string]any{"type": "deregister", "node_id": id, "request_id": request, "signature": c.sign(fmt.Sprintf("deregister:%d", id))})
	}
	lookup := func() any { return c.call(map[string]any{"type": "lookup", "node_id": id})["type"] }
	for _, request := range []string{"d-1", "d-2"} {
		if r := leave(request); r["type"] != "deregister_ok" {
			t.Fatal(r)
		}
		lookup() // from here on the member knows that the node is gone
	}
	if back := c.register(); back != id {
		t.Fatalf("registered again as node %d, not %d", back, id)
	}
	lookup()
	if r := leave("d-2"); r["type"] != "deregister_ok" || r["replayed"] != true {
		t.Errorf("the copy: %v", r)
	}
	if r := lookup(); r != "lookup_ok" {
		t.Errorf("the copy took the node out: %v", r)
	}
}

// Strangers cannot fill the memory of request ids, nor the log, with
// deregistrations of nodes that are not there.
func TestStrangersDeregisterIsNeitherProposedNorRemembered(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	proposals := len(e.proposals)
	for i := range 5 {
		if r := c.call(map[string]any{"type": "deregister", "node_id": 999999, "request_id": fmt.Sprint(i)}); r["type"] != "deregister_ok" {
			t.Errorf("reply %v", r)
		}
	}
	if len(e.proposals) != proposals {
		t.Errorf("%d were proposed", len(e.proposals)-proposals)
	}
}

// closedPolicy leaves nothing to strangers.
var closedPolicy = gateway.Config{Policy: gateway.Policy{Register: gateway.AccessAdmin, Polo: gateway.AccessAdmin, Beacon: gateway.AccessAdmin, LegacySignatures: gateway.LegacyDeny}}

// Where the operator has closed what can be closed, nothing that a stranger
// sends reaches the log, whatever command it is and whoever it names.
func TestNothingOfAStrangerIsProposedWhenAllIsClosed(t *testing.T) {
	e := newEngine(t)
	owner := newClient(t, e, gateway.Config{})
	a, b := owner.register(), newClient(t, e, gateway.Config{}).register()
	owner.call(map[string]any{"type": "create_network", "node_id": a, "name": "firm", "join_rule": "invite", "enterprise": true, "admin_token": "admin secret"})
	e.catchUp()
	stranger := newClient(t, e, closedPolicy)
	proposals := len(e.proposals)
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		if !row.Writes() {
			continue
		}
		for _, id := range []uint32{a, 999999} {
			for _, requestID := range []string{"", fmt.Sprint(row.Name, id)} {
				fields := map[string]any{"type": row.Name, "public_key": stranger.public(), "new_public_key": stranger.public(), "listen_addr": ":1",
					"node_id": id, "peer_id": b, "from_node_id": id, "to_node_id": b, "inviter_id": id, "target_node_id": b, "new_owner_id": b,
					"network_id": 1, "hostname": "h", "tags": []string{"t"}, "public": true, "enabled": true, "required": true, "delta": 1, "polo_score": 9,
					"beacon_id": 1, "addr": "b:1", "name": "n", "expires_at": "never", "external_id": "x", "url": "https://x.example/", "accept": true,
					"format": "json", "endpoint": "https://x.example/", "kind": "log", "from_seq": 1, "sink": "log", "entries": []any{map[string]any{"external_id": "x"}},
					"blueprint": map[string]any{"name": "n", "join_rule": "open"}, "request_id": requestID}
				if requestID == "" {
					delete(fields, "request_id")
				}
				raw, err := json.Marshal(fields)
				if err != nil {
					t.Fatal(err)
				}
				req, err := protocol.ParseRequest(raw)
				if err != nil {
					t.Fatal(err)
				}
				if req.Malformed != nil || req.Body.Validate() != nil {
					continue // refused before it comes to the gateway
				}
				stranger.g.Serve(t.Context(), stranger.conn, req)
				if n := len(e.proposals); n != proposals {
					t.Errorf("%s of node %d was proposed", row.Name, id)
					proposals = n
				}
			}
		}
	}
}

func TestBeaconsCanBeClosed(t *testing.T) {
	e := newEngine(t)
	owner := newClient(t, e, gateway.Config{})
	id := owner.register()
	e.catchUp()
	for access, want := range map[gateway.Access][3]string{ // plain, signed, with the admin token
		gateway.AccessOpen:   {"", "", ""},
		gateway.AccessSigned: {protocol.CodeSignatureRequired, "", ""},
		gateway.AccessAdmin:  {protocol.CodePermissionDenied, protocol.CodePermissionDenied, ""},
	} {
		owner.g = newClient(t, e, gateway.Config{Policy: gateway.Policy{Beacon: access}}).g
		beacon := func(n int) map[string]any {
			return map[string]any{"type": "beacon_register", "beacon_id": n, "addr": "b:1"}
		}
		signed, token := beacon(2), beacon(3)
		signed["node_id"], token["admin_token"] = id, "admin secret"
		for i, r := range []map[string]any{owner.call(beacon(1)), owner.send(owner.seal(id, signed, nil)), owner.call(token)} {
			if code, _ := r["code"].(string); code != want[i] {
				t.Errorf("auth.beacon %s, case %d: %v", access, i, r)
			}
		}
	}
}

// Where scores are closed, whoever names no node that has signed changes none.
func TestScoresCanBeClosed(t *testing.T) {
	e := newEngine(t)
	owner := newClient(t, e, gateway.Config{})
	id := owner.register()
	e.catchUp()
	for access, want := range map[gateway.Access][4]string{ // plain, with a node's bare name, signed, with the admin token
		gateway.AccessOpen:   {"", "", "", ""},
		gateway.AccessSigned: {protocol.CodeSignatureRequired, protocol.CodeSignatureRequired, "", ""},
		gateway.AccessAdmin:  {protocol.CodePermissionDenied, protocol.CodePermissionDenied, protocol.CodePermissionDenied, ""},
	} {
		owner.g = newClient(t, e, gateway.Config{Policy: gateway.Policy{Polo: access}}).g
		for _, fields := range []map[string]any{{"type": "update_polo_score", "delta": 1}, {"type": "set_polo_score", "polo_score": 5}} {
			with := func(key string, value any) map[string]any {
				out := map[string]any{"node_id": id, key: value}
				maps.Copy(out, fields)
				return out
			}
			for i, r := range []map[string]any{owner.call(with("signature", owner.sign("x"))), owner.call(with("requester_id", id)),
				owner.send(owner.seal(id, with("requester_id", id), nil)), owner.call(with("admin_token", "admin secret"))} {
				if code, _ := r["code"].(string); code != want[i] {
					t.Errorf("auth.polo %s, %s, case %d: %v", access, fields["type"], i, r)
				}
			}
			if access == gateway.AccessSigned {
				if r := owner.send(owner.seal(id, with("requester_id", id+1), nil)); r["code"] != protocol.CodeSignatureInvalid {
					t.Errorf("%s in the name of another node: %v", fields["type"], r)
				}
			}
		}
	}
}
