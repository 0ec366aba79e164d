// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// story plays every core command once, refusals included, on one connection
// and returns the replies in a form that does not depend on ids and times.
type story struct {
	t       *testing.T
	w       *harness.Wire
	admin   string
	tag     string
	names   map[string]string // text → symbol
	numbers map[string]string // kind and number, as in node:7 or network:1 → symbol
	covered map[string]bool
	replies []string
}

func (s *story) call(fields map[string]any) map[string]any {
	s.t.Helper()
	reply, err := s.w.Call(fields)
	if err != nil {
		s.t.Fatalf("%v: %v", fields["type"], err)
	}
	s.covered[fields["type"].(string)] = true
	s.replies = append(s.replies, fmt.Sprintf("%s: %s", fields["type"], s.normal(reply)))
	return reply
}

// volatile are reply fields that may differ between two plays of the story;
// replayed says that the front door had to ask again, as when the leader changes.
var volatile = map[string]bool{"last_seen_unix": true, "index": true, "replayed": true, "time": true, "timestamp": true, "last_seen": true, "created_at": true, "rotated_at": true, "last_sync": true, "created": true, "log_time": true, "log_time_offset_ms": true, "config_revision": true}

// normal renders a reply with symbols for what differs between two plays.
func (s *story) normal(reply map[string]any) string {
	var walk func(key string, v any) any
	walk = func(key string, v any) any {
		switch v := v.(type) {
		case map[string]any:
			out := map[string]any{}
			for k, e := range v {
				if !volatile[k] {
					out[k] = walk(k, e)
				}
			}
			return out
		case []any:
			var out []any
			for _, e := range v {
				out = append(out, walk(key, e))
			}
			return out
		case float64:
			kind := "node"
			if key == "network_id" || key == "networks" {
				kind = "network"
			}
			if name, ok := s.numbers[fmt.Sprintf("%s:%.0f", kind, v)]; ok && (kind == "network" || strings.Contains(key, "node_") || strings.Contains(key, "owner") || key == "inviter_id" || key == "peer_id" || key == "beacon_id") {
				return name
			}
		case string:
			return s.symbolic(v)
		}
		return v
	}
	raw, err := json.Marshal(walk("", reply))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(raw)
}

func (s *story) symbolic(text string) string {
	text = strings.ReplaceAll(text, s.tag, "TAG")
	if name, ok := s.names[text]; ok {
		return name
	}
	for number, name := range s.numbers { // error texts name nodes as "node 7" or "between 7 and 8"
		kind, n, _ := strings.Cut(number, ":")
		text = regexp.MustCompile(`(`+kind+`|between|and) `+n+`\b`).ReplaceAllString(text, "$1 "+name)
	}
	return text
}

func (s *story) node(name string) harness.Agent {
	s.t.Helper()
	a, err := harness.NewAgent()
	if err != nil {
		s.t.Fatal(err)
	}
	s.names[a.PublicKey()] = "key of " + name
	reply, err := s.w.Call(map[string]any{"type": "register", "listen_addr": ":4000", "public_key": a.PublicKey(), "hostname": s.tag + "-" + name})
	if err != nil || reply["type"] != "register_ok" {
		s.t.Fatalf("register: %v, %v", reply, err)
	}
	a.ID = uint32(reply["node_id"].(float64))
	s.numbers[fmt.Sprintf("node:%d", a.ID)] = name
	s.names[reply["address"].(string)] = "address of " + name
	s.covered["register"] = true
	s.replies = append(s.replies, "register: "+s.normal(reply))
	return a
}

// signed calls a command with the signer's signature over its challenge.
func (s *story) signed(by harness.Agent, fields map[string]any) map[string]any {
	s.t.Helper()
	row := protocol.Must(fields["type"].(string))
	parsed, err := protocol.ParseRequest(harness.Frame(fields)[protocol.FrameHeaderBytes:])
	if err != nil {
		s.t.Fatal(err)
	}
	fields["signature"] = by.Sign(protocol.ChallengeText(row, parsed.Body))
	return s.call(fields)
}

func (s *story) play() {
	type m = map[string]any
	a, b := s.node("alice"), s.node("bob")
	s.signed(a, m{"type": "heartbeat", "node_id": a.ID})
	s.signed(b, m{"type": "heartbeat", "node_id": a.ID})
	s.call(m{"type": "lookup", "node_id": a.ID})
	s.call(m{"type": "lookup", "node_id": 4_000_000_000})
	s.signed(a, m{"type": "set_hostname", "node_id": a.ID, "hostname": s.tag + "-new"})
	s.signed(b, m{"type": "set_hostname", "node_id": b.ID, "hostname": s.tag + "-new"})
	s.call(m{"type": "resolve_hostname", "hostname": s.tag + "-new", "requester_id": a.ID})
	s.call(m{"type": "resolve_hostname", "hostname": s.tag + "-new"})
	s.signed(a, m{"type": "set_tags", "node_id": a.ID, "tags": []string{"#gpu", "web", "gpu"}})
	s.signed(a, m{"type": "set_tags", "node_id": a.ID, "tags": []string{"NOT A TAG"}})
	s.signed(a, m{"type": "set_task_exec", "node_id": a.ID, "enabled": true})
	s.signed(a, m{"type": "set_signed_register", "node_id": a.ID, "require_signed_register": true})
	s.call(m{"type": "set_signed_register", "node_id": a.ID, "require_signed_register": true, "admin_token": s.admin})
	s.call(m{"type": "register", "public_key": a.PublicKey(), "listen_addr": ":4001"})
	s.call(m{"type": "set_signed_register", "node_id": a.ID, "require_signed_register": false, "admin_token": s.admin})
	s.signed(b, m{"type": "resolve", "requester_id": b.ID, "node_id": a.ID})
	s.signed(a, m{"type": "report_trust", "node_id": a.ID, "peer_id": b.ID})
	s.call(m{"type": "check_trust", "node_id": b.ID, "peer_id": a.ID})
	s.signed(b, m{"type": "resolve", "requester_id": b.ID, "node_id": a.ID})
	s.signed(a, m{"type": "punch", "requester_id": a.ID, "node_a": a.ID, "node_b": b.ID})
	s.signed(a, m{"type": "revoke_trust", "node_id": a.ID, "peer_id": b.ID})
	s.signed(a, m{"type": "revoke_trust", "node_id": a.ID, "peer_id": b.ID})
	s.signed(a, m{"type": "set_visibility", "node_id": a.ID, "public": true})
	s.signed(a, m{"type": "request_handshake", "from_node_id": a.ID, "to_node_id": b.ID, "justification": "hello"})
	s.signed(a, m{"type": "request_handshake", "from_node_id": a.ID, "to_node_id": b.ID, "justification": "hello"})
	s.signed(b, m{"type": "poll_handshakes", "node_id": b.ID})
	s.signed(b, m{"type": "poll_handshakes", "node_id": b.ID})
	s.signed(b, m{"type": "respond_handshake", "node_id": b.ID, "peer_id": a.ID, "accept": true})
	s.signed(a, m{"type": "poll_handshakes", "node_id": a.ID})
	s.call(m{"type": "set_polo_score", "node_id": a.ID, "polo_score": 999_999})
	s.call(m{"type": "update_polo_score", "node_id": a.ID, "delta": 500})
	s.call(m{"type": "get_polo_score", "node_id": a.ID})
	s.call(m{"type": "set_polo_score", "node_id": a.ID})
	s.call(m{"type": "beacon_register", "beacon_id": a.ID, "addr": s.tag + ":9001"})
	s.call(m{"type": "beacon_register"})
	s.networks(a, b)
	s.identities()
	s.trail()
	s.signed(a, m{"type": "rotate_key", "node_id": a.ID, "new_public_key": b.PublicKey()})
	s.call(m{"type": "get_key_info", "node_id": a.ID})
	s.signed(b, m{"type": "deregister", "node_id": a.ID})
	s.signed(a, m{"type": "deregister", "node_id": a.ID})
	s.call(m{"type": "lookup", "node_id": a.ID})
}

func (s *story) networks(a, b harness.Agent) {
	type m = map[string]any
	net := s.call(m{"type": "create_network", "node_id": a.ID, "name": s.tag + "-net", "join_rule": "token", "token": "sesame", "enterprise": true, "admin_token": s.admin})
	id, _ := net["network_id"].(float64)
	s.numbers[fmt.Sprintf("network:%.0f", id)] = "the network"
	s.names[protocol.Address{Network: uint16(id), Node: a.ID}.String()] = "alice in network"
	s.names[protocol.Address{Network: uint16(id), Node: b.ID}.String()] = "bob in network"
	s.replies[len(s.replies)-1] = "create_network: " + s.normal(net)
	s.signed(b, m{"type": "join_network", "node_id": b.ID, "network_id": id, "token": "wrong"})
	s.signed(b, m{"type": "join_network", "node_id": b.ID, "network_id": id, "token": "sesame"})
	s.call(m{"type": "get_member_role", "network_id": id, "target_node_id": a.ID})
	s.call(m{"type": "list_nodes", "network_id": id})
	s.signed(a, m{"type": "set_key_expiry", "node_id": a.ID, "expires_at": "2001-01-01T00:00:00Z"})
	s.signed(a, m{"type": "set_key_expiry", "node_id": a.ID, "expires_at": "never"})
	s.roles(a, b, id)
	s.signed(a, m{"type": "leave_network", "node_id": a.ID, "network_id": id})
	s.signed(b, m{"type": "leave_network", "node_id": b.ID, "network_id": id})
	s.invites(a, b)
}

// identities leaves the configuration as it was: others use the cluster too.
func (s *story) identities() {
	type m = map[string]any
	s.call(m{"type": "validate_token", "token": "x.y.z", "admin_token": s.admin})
	s.call(m{"type": "set_idp_config", "idp_type": "oidc", "url": "http://metadata.google.internal/keys", "admin_token": s.admin})
	s.call(m{"type": "set_idp_config", "idp_type": "", "url": "", "admin_token": s.admin})
	s.call(m{"type": "get_idp_config", "admin_token": s.admin})
	s.call(m{"type": "set_identity_webhook", "url": "ftp://hook", "admin_token": s.admin})
	s.call(m{"type": "set_identity_webhook", "url": "", "admin_token": s.admin})
	s.call(m{"type": "set_identity_webhook", "url": ""})
	person := s.node("person")
	s.call(m{"type": "set_external_id", "node_id": person.ID, "external_id": s.tag + "@people", "admin_token": s.admin})
	s.call(m{"type": "person_export", "external_id": s.tag + "@people"})
	s.quiet(m{"type": "person_export", "external_id": s.tag + "@people", "admin_token": s.admin})
	s.quiet(m{"type": "person_forget", "external_id": s.tag + "@people", "admin_token": s.admin})
	s.call(m{"type": "get_identity", "node_id": person.ID, "admin_token": s.admin})
}

func (s *story) roles(a, b harness.Agent, id float64) {
	type m = map[string]any
	s.signed(b, m{"type": "promote_member", "node_id": b.ID, "network_id": id, "target_node_id": b.ID})
	s.signed(a, m{"type": "promote_member", "node_id": a.ID, "network_id": id, "target_node_id": b.ID})
	s.signed(a, m{"type": "demote_member", "node_id": a.ID, "network_id": id, "target_node_id": b.ID})
	badge, signature := fmt.Sprintf("pilotbadge:v1:%d:github:1786000000:0:none:", a.ID), base64.StdEncoding.EncodeToString(make([]byte, 64))
	s.signed(a, m{"type": "submit_badge", "node_id": a.ID, "badge": badge, "badge_sig": signature})
	s.signed(a, m{"type": "enroll_recovery", "node_id": a.ID, "enrollment": "pilotenroll:v1:1:g:c:1:none", "enrollment_sig": signature})
	s.call(m{"type": "recover_identity", "node_id": a.ID, "recovery": "pilotrecover:v1:1:k:c:1:n:none", "recovery_sig": signature, "new_public_key": b.PublicKey()})
	expr := `{"version":1,"rules":[{"name":"web","on":"connect","match":"port == 80","actions":[{"type":"allow"}]}]}`
	s.signed(a, m{"type": "set_expr_policy", "node_id": a.ID, "network_id": id, "expr_policy": `{"version":2}`})
	s.signed(a, m{"type": "set_expr_policy", "node_id": a.ID, "network_id": id, "expr_policy": expr})
	s.call(m{"type": "get_expr_policy", "network_id": id})
	s.signed(b, m{"type": "set_member_tags", "node_id": b.ID, "network_id": id, "target_node_id": a.ID, "tags": []string{"gpu"}})
	s.signed(a, m{"type": "set_member_tags", "node_id": a.ID, "network_id": id, "target_node_id": b.ID, "tags": []string{"Gpu"}})
	s.signed(a, m{"type": "set_member_tags", "node_id": a.ID, "network_id": id, "target_node_id": b.ID, "tags": []string{"gpu", "eu-west"}})
	s.call(m{"type": "get_member_tags", "network_id": id, "target_node_id": b.ID})
	s.call(m{"type": "get_member_tags", "network_id": 65000})
	s.signed(a, m{"type": "transfer_ownership", "node_id": a.ID, "network_id": id, "new_owner_id": b.ID})
	s.signed(b, m{"type": "transfer_ownership", "node_id": b.ID, "network_id": id, "new_owner_id": a.ID})
	s.signed(a, m{"type": "set_network_policy", "node_id": a.ID, "network_id": id, "max_members": 1})
	s.signed(a, m{"type": "set_network_policy", "node_id": a.ID, "network_id": id, "max_members": 5, "allowed_ports": []int{80, 443, 80}, "description": "a <b>"})
	s.call(m{"type": "get_network_policy", "network_id": id})
	s.signed(a, m{"type": "rename_network", "node_id": a.ID, "network_id": id, "name": s.tag + "-renamed"})
	s.call(m{"type": "rename_network", "node_id": a.ID, "network_id": id, "name": s.tag + "-renamed"})
	s.call(m{"type": "set_network_enterprise", "network_id": id, "enterprise": true, "admin_token": s.admin})
	s.call(m{"type": "set_external_id", "node_id": a.ID, "external_id": "Alice@X", "admin_token": s.admin})
	s.call(m{"type": "get_identity", "node_id": a.ID, "admin_token": s.admin})
	s.directory(id)
}

func (s *story) directory(id float64) {
	type m = map[string]any
	people := []m{{"external_id": "alice@x", "role": "admin", "display_name": "Alice"}, {"external_id": "new@x", "role": "admin"}}
	s.call(m{"type": "directory_sync", "network_id": id, "entries": people, "dry_run": true, "admin_token": s.admin})
	s.call(m{"type": "directory_sync", "network_id": id, "entries": people, "upload_id": s.tag, "part": 2, "parts": 2, "admin_token": s.admin})
	s.call(m{"type": "directory_sync", "network_id": id, "entries": people, "upload_id": s.tag, "part": 1, "parts": 2, "admin_token": s.admin})
	s.call(m{"type": "directory_sync", "network_id": id, "entries": people, "if_revision": 1 << 40, "admin_token": s.admin})
	s.call(m{"type": "directory_status", "network_id": id, "admin_token": s.admin})
	blueprint := m{"name": s.tag + "-bp", "join_rule": "token", "join_token": "t", "enterprise": true, "roles": []m{{"external_id": "alice@x", "role": "admin"}}}
	made := s.call(m{"type": "provision_network", "blueprint": blueprint, "admin_token": s.admin})
	s.numbers[fmt.Sprintf("network:%.0f", made["network_id"])] = "the provisioned network"
	s.replies[len(s.replies)-1] = "provision_network: " + s.normal(made)
	s.call(m{"type": "provision_network", "blueprint": blueprint, "dry_run": true, "admin_token": s.admin})
}

func (s *story) invites(a, b harness.Agent) {
	type m = map[string]any
	net := s.call(m{"type": "create_network", "node_id": a.ID, "name": s.tag + "-inv", "join_rule": "invite", "enterprise": true, "admin_token": s.admin})
	id, _ := net["network_id"].(float64)
	s.numbers[fmt.Sprintf("network:%.0f", id)] = "the second network"
	s.replies[len(s.replies)-1] = "create_network: " + s.normal(net)
	for range 2 {
		s.signed(a, m{"type": "invite_to_network", "inviter_id": a.ID, "network_id": id, "target_node_id": b.ID})
	}
	s.signed(b, m{"type": "poll_invites", "node_id": b.ID})
	for range 2 {
		s.signed(b, m{"type": "respond_invite", "node_id": b.ID, "network_id": id, "accept": true})
	}
	s.signed(b, m{"type": "kick_member", "node_id": b.ID, "network_id": id, "target_node_id": a.ID})
	s.signed(a, m{"type": "kick_member", "node_id": a.ID, "network_id": id, "target_node_id": b.ID})
	s.signed(b, m{"type": "delete_network", "node_id": b.ID, "network_id": id})
	s.signed(a, m{"type": "delete_network", "node_id": a.ID, "network_id": id})
}

// listings show what others did; only that they are answered is looked at.
var listings = []string{"list_networks", "beacon_list", "get_provision_status", "audit_sink_list", "audit_chain"}

// Through a follower = through the leader, for every core command.
func TestThroughAFollowerEqualsThroughTheLeader(t *testing.T) {
	c := sharedCluster(t)
	r, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	plays := map[bool]*story{}
	for _, n := range r.Nodes {
		leads := n.ID == r.Leader
		if plays[leads] != nil {
			continue
		}
		w, err := harness.Dial(n.Wire)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		s := &story{t: t, w: w, admin: c.AdminToken, tag: fmt.Sprintf("s%t", leads), names: map[string]string{}, numbers: map[string]string{}, covered: map[string]bool{}}
		s.play()
		for _, name := range listings {
			if reply, err := w.Call(map[string]any{"type": name, "admin_token": c.AdminToken}); err != nil || reply["type"] != name+"_ok" {
				t.Errorf("%s: %v, %v", name, reply, err)
			}
			s.covered[name] = true
		}
		plays[leads] = s
	}
	leader, follower := plays[true], plays[false]
	for i := range leader.replies {
		if !reflect.DeepEqual(leader.replies[i], follower.replies[i]) {
			t.Errorf("reply %d\n leader:   %s\n follower: %s", i, leader.replies[i], follower.replies[i])
		}
	}
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		if row.Mode != protocol.ModeStream && row.Group != protocol.GroupCluster && !leader.covered[row.Name] {
			t.Errorf("the story does not play %s", row.Name)
		}
	}
}
