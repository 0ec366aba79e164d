// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

func (s *metricStory) register() harness.Agent {
	s.t.Helper()
	a, err := s.wire.Register()
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// signed sends a command with a node's signature over its challenge.
func (s *metricStory) signed(a harness.Agent, challenge, command, fields string, args ...any) {
	s.t.Helper()
	s.wire.send(fmt.Sprintf(`{"type":%q,%s,"signature":%q}`, command, fmt.Sprintf(fields, args...), a.Sign(challenge)))
}

// asAdmin sends a command with the admin token.
func (s *metricStory) asAdmin(command, fields string, args ...any) map[string]any {
	s.t.Helper()
	return s.wire.send(fmt.Sprintf(`{"type":%q,"admin_token":"$TOKEN",%s}`, command, fmt.Sprintf(fields, args...)))
}

func (s *metricStory) people() (nodes []harness.Agent) {
	s.step("four nodes", func() {
		for range 4 {
			nodes = append(nodes, s.register())
		}
	}, map[string]int{"pilot_registrations_total": 4, "pilot_nodes_online": 4, "pilot_nodes_total": 4})
	a, b := nodes[0], nodes[1]
	s.step("one registers again", func() {
		s.wire.send(fmt.Sprintf(`{"type":"register","listen_addr":":4000","public_key":%q}`, a.PublicKey()))
	}, nil)
	s.step("and from another port", func() {
		s.wire.send(fmt.Sprintf(`{"type":"register","listen_addr":":4001","public_key":%q}`, a.PublicKey()))
	}, map[string]int{"pilot_registrations_total": 1})
	s.step("tags", func() {
		s.signed(a, fmt.Sprintf("set_tags:%d", a.ID), "set_tags", `"node_id":%d,"tags":["ml","gpu"]`, a.ID)
		s.signed(b, fmt.Sprintf("set_tags:%d", b.ID), "set_tags", `"node_id":%d,"tags":["ml"]`, b.ID)
	}, map[string]int{"pilot_unique_tags": 2})
	s.step("an executor", func() {
		s.signed(b, fmt.Sprintf("set_task_exec:%d", b.ID), "set_task_exec", `"node_id":%d,"enabled":true`, b.ID)
	}, map[string]int{"pilot_task_executors": 1})
	return nodes
}

func (s *metricStory) trust(nodes []harness.Agent) {
	a, b, c := nodes[0], nodes[1], nodes[2]
	about := func(command string, from, to harness.Agent) func() {
		return func() {
			s.signed(from, fmt.Sprintf("%s:%d:%d", command, from.ID, to.ID), command, `"node_id":%d,"peer_id":%d`, from.ID, to.ID)
		}
	}
	s.step("trust of one side", about("report_trust", a, b), map[string]int{"pilot_trust_reports_total": 1, "pilot_trust_links": 1})
	s.step("the same again", about("report_trust", a, b), nil)
	s.step("trust of both sides", about("report_trust", b, a), map[string]int{"pilot_trust_reports_total": 1})
	s.step("trust of others", about("report_trust", a, c), map[string]int{"pilot_trust_reports_total": 1, "pilot_trust_links": 1})
	s.step("revoked", about("revoke_trust", a, c), map[string]int{"pilot_trust_revocations_total": 1, "pilot_trust_links": -1})
	s.step("a handshake", func() {
		s.signed(c, fmt.Sprintf("handshake:%d:%d", c.ID, a.ID), "request_handshake", `"from_node_id":%d,"to_node_id":%d`, c.ID, a.ID)
	}, map[string]int{"pilot_handshake_requests_total": 1})
}

func (s *metricStory) networks(nodes []harness.Agent) (fleet, lab any) {
	made := func(name, rule string, enterprise bool) any {
		return s.asAdmin("create_network", `"name":%q,"join_rule":%q,"enterprise":%t,"node_id":%d`, name, rule, enterprise, nodes[0].ID)["network_id"]
	}
	s.step("networks", func() {
		fleet, lab = made("prod-fleet", "open", true), made("lab", "invite", true)
		made("plain", "open", false)
	}, map[string]int{
		"pilot_networks_total": 3, "pilot_networks_enterprise": 2,
		`pilot_network_members{network="prod-fleet"}`: 1, `pilot_network_owners{network="prod-fleet"}`: 1, `pilot_network_enterprise{network="prod-fleet"}`: 1,
		`pilot_network_policy_set{network="prod-fleet"}`: 0, `pilot_network_admins{network="prod-fleet"}`: 0,
		`pilot_network_members{network="plain"}`: 1, `pilot_network_enterprise{network="plain"}`: 0, `pilot_network_policy_set{network="plain"}`: 0,
		`pilot_network_members{network="lab"}`: 1, `pilot_network_owners{network="lab"}`: 1,
	})
	return fleet, lab
}

func (s *metricStory) roles(nodes []harness.Agent, fleet, lab any) {
	a, b, c, d := nodes[0], nodes[1], nodes[2], nodes[3]
	target := func(command string, network any, n harness.Agent) func() {
		return func() { s.asAdmin(command, `"network_id":%v,"target_node_id":%d`, network, n.ID) }
	}
	op := func(op string, more ...string) map[string]int {
		changes := map[string]int{fmt.Sprintf(`pilot_rbac_operations_total{op=%q}`, op): 1}
		for _, m := range more {
			series, down := strings.CutPrefix(m, "-")
			changes[series] = map[bool]int{false: 1, true: -1}[down]
		}
		return changes
	}
	const members, admins = `pilot_network_members{network="prod-fleet"}`, `pilot_network_admins{network="prod-fleet"}`
	s.step("a member", func() { s.asAdmin("join_network", `"node_id":%d,"network_id":%v`, b.ID, fleet) }, map[string]int{members: 1})
	s.step("promoted", target("promote_member", fleet, b), op("promote", admins))
	s.step("demoted", target("demote_member", fleet, b), op("demote", "-"+admins))
	s.step("handed over", func() { s.asAdmin("transfer_ownership", `"network_id":%v,"new_owner_id":%d`, fleet, b.ID) }, op("transfer_ownership", admins))
	s.step("kicked", target("kick_member", fleet, a), op("kick", "-"+admins, "-"+members))
	s.step("a refusal", func() {
		s.wire.try(fmt.Sprintf(`{"type":"kick_member","admin_token":"$TOKEN","network_id":%v,"target_node_id":%d}`, fleet, a.ID))
	}, nil)
	policy := func() { s.asAdmin("set_network_policy", `"network_id":%v,"max_members":5`, fleet) }
	s.step("a policy", policy, map[string]int{"pilot_policy_changes_total": 1, `pilot_network_policy_set{network="prod-fleet"}`: 1})
	s.step("the same again", policy, nil)
	invite := func(n harness.Agent) func() {
		return func() {
			s.asAdmin("invite_to_network", `"network_id":%v,"inviter_id":%d,"target_node_id":%d`, lab, a.ID, n.ID)
		}
	}
	answer := func(n harness.Agent, accept bool) func() {
		return func() {
			s.signed(n, fmt.Sprintf("respond_invite:%d:%v", n.ID, lab), "respond_invite", `"node_id":%d,"network_id":%v,"accept":%t`, n.ID, lab, accept)
		}
	}
	sent := map[string]int{"pilot_invites_sent_total": 1, "pilot_invites_pending": 1}
	s.step("invited", invite(c), sent)
	s.step("invited again", invite(c), nil)
	s.step("accepted", answer(c, true), map[string]int{"pilot_invites_accepted_total": 1, "pilot_invites_pending": -1, `pilot_network_members{network="lab"}`: 1})
	s.step("another invited", invite(d), sent)
	s.step("rejected", answer(d, false), map[string]int{"pilot_invites_rejected_total": 1, "pilot_invites_pending": -1})
	s.step("one that waits", invite(d), sent)
}

// configuration sets up everything that gives metrics: an identity provider, a
// webhook, an export whose receiver fails once, a blueprint.
func (s *metricStory) configuration() {
	var asked atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	s.t.Cleanup(receiver.Close)
	blueprint := func() { s.asAdmin("provision_network", `"blueprint":{"name":"made","join_rule":"open"}`) }
	s.step("a blueprint", blueprint, map[string]int{"pilot_provisions_total": 1, "pilot_networks_total": 1})
	s.step("the same again", blueprint, nil)
	s.step("an export", func() {
		s.asAdmin("set_audit_export", `"format":"json","endpoint":%q`, receiver.URL)
	}, map[string]int{"pilot_audit_export_active": 1, "pilot_audit_export_errors_total": 1})
	delete(s.want, "pilot_audit_exports_total") // goes on by itself
	s.step("a webhook", func() { s.asAdmin("set_webhook", `"url":%q`, receiver.URL) }, map[string]int{"pilot_webhook_configured": 1})
	issuer, token := provider(s.t)
	s.step("an identity provider", func() {
		s.asAdmin("set_idp_config", `"provider_type":"oidc","url":%q,"issuer":%q,"client_id":"registry"`, issuer, issuer)
		claims := fmt.Sprintf(`{"iss":%q,"aud":"registry","sub":"alice@example.com","exp":%d}`, issuer, time.Now().Unix()+300)
		if r := s.asAdmin("validate_token", `"token":%q`, token(claims)); r["verified"] != true {
			s.t.Fatal(r)
		}
	}, map[string]int{"pilot_idp_configured": 1})
}

func (s *metricStory) leaving(nodes []harness.Agent, fleet any) {
	a, d := nodes[0], nodes[3]
	s.step("roles that wait", func() {
		s.asAdmin("directory_sync", `"network_id":%v,"entries":[{"external_id":"alice@example.com","role":"admin"}]`, fleet)
	}, map[string]int{"pilot_directory_synced_networks": 1})
	s.step("one is given", func() {
		s.asAdmin("set_external_id", `"node_id":%d,"external_id":"alice@example.com"`, a.ID)
		s.asAdmin("join_network", `"node_id":%d,"network_id":%v`, a.ID, fleet)
	}, map[string]int{"pilot_rbac_pre_assignments_total": 1, `pilot_network_members{network="prod-fleet"}`: 1, `pilot_network_admins{network="prod-fleet"}`: 1})
	other, err := harness.NewAgent()
	if err != nil {
		s.t.Fatal(err)
	}
	s.step("another key", func() {
		s.signed(a, fmt.Sprintf("rotate:%d", a.ID), "rotate_key", `"node_id":%d,"new_public_key":%q`, a.ID, other.PublicKey())
	}, map[string]int{"pilot_key_rotations_total": 1})
	s.step("one leaves", func() {
		s.signed(d, fmt.Sprintf("deregister:%d", d.ID), "deregister", `"node_id":%d`, d.ID)
	}, map[string]int{"pilot_deregistrations_total": 1, "pilot_nodes_online": -1, "pilot_nodes_total": -1, "pilot_invites_pending": -1})
}
