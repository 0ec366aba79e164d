// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// TestChallenges holds the text that each command signs.
func TestChallenges(t *testing.T) {
	t.Parallel()
	const key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	tests := []struct {
		command   string
		request   string
		challenge string
		signer    uint32
	}{
		{"register", `"listen_addr":"9.9.9.9:4000","public_key":"` + key + `"`, "register:9.9.9.9:4000:" + key, 0},
		{"register", `"public_key":"` + key + `"`, "register::" + key, 0},
		{"rotate_key", `"node_id":7,"new_public_key":"x"`, "rotate:7", 7},
		{"deregister", `"node_id":7`, "deregister:7", 7},
		{"resolve", `"node_id":7,"requester_id":9`, "resolve:9:7", 9},
		{"heartbeat", `"node_id":4294967295`, "heartbeat:4294967295", 4294967295},
		{"heartbeat", `"node_id":1.9`, "heartbeat:0", 0},
		{"heartbeat", `"node_id":"1"`, "heartbeat:0", 0},
		{"heartbeat", `"node_id":-1`, "heartbeat:0", 0},
		{"punch", `"requester_id":2,"node_a":9,"node_b":2`, "punch:9:2", 2},
		{"set_hostname", `"node_id":7,"hostname":"alpha"`, "set_hostname:7", 7},
		{"set_tags", `"node_id":7,"tags":["a"]`, "set_tags:7", 7},
		{"set_task_exec", `"node_id":7`, "set_task_exec:7", 7},
		{"set_visibility", `"node_id":7,"public":true`, "set_visibility:7", 7},
		{"report_trust", `"node_id":7,"peer_id":9`, "report_trust:7:9", 7},
		{"revoke_trust", `"node_id":7,"peer_id":9`, "revoke_trust:7:9", 7},
		{"request_handshake", `"from_node_id":7,"to_node_id":9,"justification":"j"`, "handshake:7:9", 7},
		{"poll_handshakes", `"node_id":7`, "poll_handshakes:7", 7},
		{"respond_handshake", `"node_id":7,"peer_id":9,"accept":true`, "respond:7:9", 7},
		{"set_key_expiry", `"node_id":7,"expires_at":"never"`, "set_key_expiry:7", 7},
		{"join_network", `"node_id":7,"network_id":3`, "join_network:7:3", 7},
		{"join_network", `"node_id":7,"network_id":65536`, "join_network:7:0", 7},
		{"leave_network", `"node_id":7,"network_id":3`, "leave_network:7:3", 7},
		{"invite_to_network", `"inviter_id":7,"network_id":3,"target_node_id":9,"for_seconds":60`, "invite:7:3:9", 7},
		{"poll_invites", `"node_id":7`, "poll_invites:7", 7},
		{"respond_invite", `"node_id":7,"network_id":3,"accept":true`, "respond_invite:7:3", 7},
		{"kick_member", `"node_id":7,"network_id":3,"target_node_id":9`, "kick_member:7:3:9", 7},
		{"promote_member", `"node_id":7,"network_id":3,"target_node_id":9,"for_seconds":60`, "promote_member:7:3:9", 7},
		{"demote_member", `"node_id":7,"network_id":3,"target_node_id":9`, "demote_member:7:3:9", 7},
		{"transfer_ownership", `"node_id":7,"network_id":3,"new_owner_id":9`, "transfer_ownership:7:3:9", 7},
		{"delete_network", `"node_id":7,"network_id":3`, "delete_network:7:3", 7},
		{"rename_network", `"node_id":7,"network_id":3,"name":"lab"`, "rename_network:7:3:lab", 7},
		{"lookup", `"node_id":7`, "", 0},
		{"lookup", `"node_id":7,"requester_id":9`, "lookup:9:7", 9},
		{"list_nodes", `"network_id":3`, "", 0},
		{"list_nodes", `"network_id":3,"requester_id":9`, "list_nodes:9:3", 9},
		{"check_trust", `"node_id":7,"peer_id":9`, "", 0},
		{"create_network", `"node_id":7,"name":"lab"`, "", 0},
	}
	for _, test := range tests {
		req, err := protocol.ParseRequest([]byte(`{"type":"` + test.command + `",` + test.request + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := protocol.ChallengeText(req.Command, req.Body); got != test.challenge {
			t.Errorf("%s %s: got %q, want %q", test.command, test.request, got, test.challenge)
		}
		if got := protocol.SignerID(req.Command, req.Body); got != test.signer {
			t.Errorf("%s %s: signer %d, want %d", test.command, test.request, got, test.signer)
		}
	}
}

// TestPolicyChallenge holds the vectors of set_network_policy: what is hashed
// of a request, written out.
func TestPolicyChallenge(t *testing.T) {
	t.Parallel()
	for request, hashed := range map[string]string{
		`"x":1`:           `{}`,
		`"max_members":5`: `{"max_members":5}`,
		`"description":"a <b> & \"ü\"","max_members":0,"allowed_ports":[443,80,443]`: `{"allowed_ports":[443,80],"description":"a <b> & \"ü\"","max_members":0}`,
		`"allowed_ports":[],"description":""`:                                        `{"allowed_ports":[],"description":""}`,
		`"max_members":"5","allowed_ports":80,"description":7`:                       `{}`,
		`"max_members":5.0,"allowed_ports":[8e1]`:                                    `{"allowed_ports":[80],"max_members":5}`,
		`"max_members":1.5,"allowed_ports":["80"]`:                                   `{"allowed_ports":[-1],"max_members":1.5}`,
		`"policy_sha256":"00"`:                                                       `{}`,
	} {
		req, err := protocol.ParseRequest([]byte(`{"type":"set_network_policy","node_id":7,"network_id":3,` + request + `}`))
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("set_network_policy:7:3:%x", sha256.Sum256([]byte(hashed)))
		if got := protocol.ChallengeText(req.Command, req.Body); got != want {
			t.Errorf("%s: %s is not the hash of %s", request, got, hashed)
		}
	}
	empty := protocol.ChallengeText(protocol.Must("set_network_policy"), &protocol.SetNetworkPolicy{NodeID: 7, NetworkID: 3})
	if empty != "set_network_policy:7:3:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" {
		t.Errorf("of an empty policy: %s", empty)
	}
}

func TestFoldExternalID(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "bob@x": "bob@x", "aBOBz@[X": "abobz@[x", "ÜSER": "Üser", "\xff\x00K": "\xff\x00k"} {
		if got := protocol.FoldExternalID(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// TestTemplates pins the challenges of commands that are not built yet.
func TestTemplates(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"invite_to_network":  "invite:{inviter_id}:{network_id}:{target_node_id}",
		"poll_invites":       "poll_invites:{node_id}",
		"respond_invite":     "respond_invite:{node_id}:{network_id}",
		"kick_member":        "kick_member:{node_id}:{network_id}:{target_node_id}",
		"promote_member":     "promote_member:{node_id}:{network_id}:{target_node_id}",
		"demote_member":      "demote_member:{node_id}:{network_id}:{target_node_id}",
		"transfer_ownership": "transfer_ownership:{node_id}:{network_id}:{new_owner_id}",
		"delete_network":     "delete_network:{node_id}:{network_id}",
		"rename_network":     "rename_network:{node_id}:{network_id}:{name}",
		"set_network_policy": "set_network_policy:{node_id}:{network_id}:{policy_sha256}",
	} {
		if got := protocol.Must(name).Challenge; got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
