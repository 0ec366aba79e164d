// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// denied are the codes that say: you may not.
var denied = []string{protocol.CodeSignatureRequired, protocol.CodeSignatureInvalid, protocol.CodeLegacySignature, protocol.CodeAdminToken, protocol.CodeAdminDisabled, protocol.CodePermissionDenied}

// callers of the authorisation matrix.
var callers = []string{"nobody", "wrong signature", "other node", "signer", "admin", "wrong admin token"}

// mayCall computes from the table who may use a command.
func mayCall(row *protocol.Command, caller string) bool {
	switch row.Auth {
	case protocol.AuthSignatureOrAdmin:
		return caller == "signer" && !row.SignedOnly || caller == "admin" // the matrix signs challenges
	case protocol.AuthOpen:
		return true
	case protocol.AuthSignature:
		return caller == "signer"
	case protocol.AuthRole: // the signer owns the network
		return caller == "signer" || caller == "admin"
	case protocol.AuthAdmin:
		return caller == "admin"
	}
	return false
}

// exceptions to the class of a row, with the reason. They are few, and named.
var exceptions = map[string]map[string]bool{
	// A signature over register is optional, but one that is wrong is refused.
	"register": {"wrong signature": false, "other node": false},
	// Listing the backbone needs the admin token (network_id is 0 here).
	"list_nodes": {"nobody": false, "wrong signature": false, "other node": false, "signer": false, "wrong admin token": false},
}

// skipped rows do things to the cluster that a matrix must not do six times over.
var skipped = map[string]string{
	"subscribe_replication":       "turns the connection into a stream; the replication conversations cover its token",
	"cluster_snapshot":            "turns the connection into a stream; TestABackupIsRefused covers its token",
	"enroll_recovery":             "looks at the verifier's statement before the node's signature; TestAccountsRecoverNodes covers both",
	"cluster_transfer_leadership": "moves leadership; TestClusterCommandsNeedTheAdminToken covers its authorisation",
	"cluster_remove":              "removes a member; TestClusterCommandsNeedTheAdminToken covers its authorisation",
}

// request builds a well-formed request of a row for two live nodes.
func request(row *protocol.Command, a, b harness.Agent, network any) (map[string]any, protocol.Body) {
	fields := map[string]any{
		"node_id": a.ID, "requester_id": a.ID, "from_node_id": a.ID, "inviter_id": a.ID, "node_a": a.ID,
		"peer_id": b.ID, "to_node_id": b.ID, "node_b": b.ID, "target_node_id": b.ID,
		"new_owner_id": b.ID, "public_key": a.PublicKey(), "new_public_key": b.PublicKey(), "hostname": fmt.Sprintf("m%d", a.ID), "delta": 1, "polo_score": 1,
		"beacon_id": a.ID, "addr": "192.0.2.1:9001", "name": fmt.Sprintf("net%d", a.ID), "listen_addr": ":4000",
	}
	if row.Name == "resolve" {
		fields["node_id"] = b.ID
	}
	if row.Name == "join_network" || row.Name == "leave_network" {
		fields["network_id"] = 65535
	}
	if network != nil {
		fields["network_id"] = network
	}
	switch row.Name {
	case "audit_sink_put":
		fields["kind"] = "log"
	case "set_setting":
		fields["name"], fields["value"] = protocol.SettingTrustMode, protocol.TrustCompatible
	case "submit_badge":
		fields["badge"], fields["badge_sig"] = "pilotbadge:v1:1:github:1:0:nobody:x", "x"
	case "person_export", "person_forget":
		fields["external_id"] = "nobody@example.org"
	case "audit_replay":
		fields["name"], fields["from_seq"] = "log", 1
	case "set_webhook", "set_identity_webhook":
		fields["url"] = ""
	case "set_idp_config":
		fields["idp_type"], fields["url"] = "", ""
	case "set_audit_export":
		fields["format"], fields["endpoint"] = "", ""
	case "set_network_enterprise":
		fields["enterprise"] = true
	case "set_signed_register":
		fields["require_signed_register"] = false
	case "set_network_policy":
		fields["description"] = "of a matrix"
	}
	if row.RefusesUnknown {
		known := commandFields(row)
		maps.DeleteFunc(fields, func(name string, _ any) bool { _, ok := known[name]; return !ok })
	}
	fields["type"] = row.Name
	parsed, err := protocol.ParseRequest(harness.Frame(fields)[protocol.FrameHeaderBytes:])
	if err != nil {
		panic(err)
	}
	return fields, parsed.Body
}

// as adds a caller's credentials.
func as(caller string, row *protocol.Command, fields map[string]any, body protocol.Body, c *harness.Cluster, signer, other harness.Agent) {
	challenge := protocol.ChallengeText(row, body)
	switch caller {
	case "wrong signature":
		fields["signature"] = signer.Sign("something else")
	case "other node":
		fields["signature"] = other.Sign(challenge)
	case "signer":
		fields["signature"] = signer.Sign(challenge)
	case "admin":
		fields["admin_token"] = c.AdminToken
	case "wrong admin token":
		fields["admin_token"] = c.AdminToken + "x"
	}
}

// Every command × every caller, the expectation computed from the table.
func TestAuthorisationMatrix(t *testing.T) {
	c := sharedCluster(t)
	w, err := harness.Dial(c.Addrs()[1])
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		if _, skip := skipped[row.Name]; skip {
			continue
		}
		for _, caller := range callers {
			var nodes [3]harness.Agent
			for n := range nodes {
				if nodes[n], err = w.Register(); err != nil {
					t.Fatal(err)
				}
			}
			var network any
			if row.Auth == protocol.AuthRole || row.Enterprise || row.Name == "set_network_enterprise" {
				network = company(t, w, c.AdminToken, nodes[0], nodes[1])
			}
			fields, body := request(row, nodes[0], nodes[1], network)
			if row.Name == "resolve" || row.Name == "punch" { // visible, so that only authority decides
				makePublic(t, w, nodes[0], nodes[1])
			}
			as(caller, row, fields, body, c, nodes[0], nodes[2])
			reply, err := w.Call(fields)
			if err != nil {
				t.Fatalf("%s as %s: %v", row.Name, caller, err)
			}
			code, _ := reply["code"].(string)
			want, exception := exceptions[row.Name][caller]
			if !exception {
				want = mayCall(row, caller)
			}
			if got := !slices.Contains(denied, code); got != want {
				t.Errorf("%s as %s: allowed %t, want %t: %v", row.Name, caller, got, want, reply)
			}
		}
	}
}

// company makes an enterprise network with an owner and a member.
func company(t *testing.T, w *harness.Wire, token string, owner, member harness.Agent) any {
	t.Helper()
	net, err := w.Call(map[string]any{"type": "create_network", "node_id": owner.ID, "name": fmt.Sprintf("co%d", owner.ID), "enterprise": true, "admin_token": token})
	if err != nil || net["type"] != "create_network_ok" {
		t.Fatalf("create_network: %v, %v", net, err)
	}
	id := net["network_id"]
	joined, err := w.Call(map[string]any{"type": "join_network", "node_id": member.ID, "network_id": id, "signature": member.Sign(fmt.Sprintf("join_network:%d:%.0f", member.ID, id))})
	if err != nil || joined["type"] != "join_network_ok" {
		t.Fatalf("join_network: %v, %v", joined, err)
	}
	return id
}

func makePublic(t *testing.T, w *harness.Wire, agents ...harness.Agent) {
	t.Helper()
	for _, a := range agents {
		reply, err := w.Call(map[string]any{"type": "set_visibility", "node_id": a.ID, "public": true, "signature": a.Sign(fmt.Sprintf("set_visibility:%d", a.ID))})
		if err != nil || reply["type"] != "set_visibility_ok" {
			t.Fatalf("set_visibility: %v, %v", reply, err)
		}
	}
}

func TestClusterCommandsNeedTheAdminToken(t *testing.T) {
	c := sharedCluster(t)
	w, err := harness.Dial(c.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, name := range []string{"cluster_transfer_leadership", "cluster_remove", "cluster_promote", "cluster_repair", "cluster_join_token"} {
		for _, token := range []string{"", "wrong"} {
			reply, err := w.Call(map[string]any{"type": name, "member_id": "nobody", "admin_token": token})
			if err != nil || reply["code"] != protocol.CodeAdminToken {
				t.Errorf("%s with token %q: %v, %v", name, token, reply, err)
			}
		}
	}
}
