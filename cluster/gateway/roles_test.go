package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/pilotregistry/pilotregistry/cluster/gateway"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// company makes an enterprise network with a token of its own.
func (c *client) company(owner uint32, name string) float64 {
	c.t.Helper()
	r := c.call(map[string]any{"type": "create_network", "node_id": owner, "name": name, "enterprise": true, "network_admin_token": "of " + name, "admin_token": "admin secret"})
	id, ok := r["network_id"].(float64)
	if !ok {
		c.t.Fatalf("create_network: %v", r)
	}
	return id
}

// A network's token opens that network and no other, and stays out of the log.
func TestNetworkTokens(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Policy{})
	owner := c.register()
	one, two := c.company(owner, "one"), c.company(owner, "two")
	rename := func(net float64, token string) any {
		return c.call(map[string]any{"type": "rename_network", "network_id": net, "name": "renamed", "admin_token": token})["type"]
	}
	for _, token := range []string{"of two", "of", "", "of one "} {
		if got := rename(one, token); got != "error" {
			t.Errorf("token %q: %v", token, got)
		}
	}
	if got := rename(one, "of one"); got != "rename_network_ok" {
		t.Errorf("the network's own token: %v", got)
	}
	for _, env := range e.proposals {
		if strings.Contains(string(env.Body), "of one") {
			t.Errorf("the log would hold a token: %s", env.Body)
		}
	}
	forged := c.call(map[string]any{"type": "rename_network", "network_id": two, "name": "x", "network_token": map[string]any{"k": 1}, "unsigned": true, "node_id": owner})
	if forged["code"] != protocol.CodeSignatureRequired {
		t.Errorf("facts from a client: %v", forged)
	}
}

func TestUnsignedRoleCommands(t *testing.T) {
	counted := map[string]int{}
	for _, on := range []bool{false, true} {
		e := newEngine(t)
		c := newClient(t, e, gateway.Policy{UnsignedRoles: on, OnUnsigned: func(command string) { counted[command]++ }})
		owner := c.register()
		net := c.company(owner, "one")
		claim := map[string]any{"type": "set_network_policy", "network_id": net, "node_id": owner, "max_members": 7}
		if got := c.call(claim)["type"] == "set_network_policy_ok"; got != on {
			t.Errorf("unsigned_role_commands %t: carried out %t", on, got)
		}
		claim["signature"] = c.sign("something else") // a signature that is there has to be right
		if got := c.call(claim); got["code"] != protocol.CodeSignatureInvalid {
			t.Errorf("a wrong signature: %v", got)
		}
		req, err := protocol.ParseRequest(fmt.Appendf(nil, `{"type":"set_network_policy","network_id":%.0f,"node_id":%d,"max_members":7}`, net, owner))
		if err != nil {
			t.Fatal(err)
		}
		claim["signature"] = c.sign(protocol.ChallengeText(req.Command, req.Body))
		if got := c.call(claim); got["type"] != "set_network_policy_ok" {
			t.Errorf("signed: %v", got)
		}
	}
	if len(counted) != 1 || counted["set_network_policy"] != 1 {
		t.Errorf("counted %v", counted)
	}
}

// A token network needs a token, and says so after the admin token.
func TestTokenNetworkWithoutToken(t *testing.T) {
	c := newClient(t, newEngine(t), gateway.Policy{})
	owner := c.register()
	r := c.call(map[string]any{"type": "create_network", "node_id": owner, "name": "t", "join_rule": "token", "admin_token": "admin secret"})
	if r["code"] != protocol.CodeInvalid {
		t.Errorf("%v", r)
	}
}

// Refused privileged commands are noted as counts, without what was presented.
func TestRefusalsAreNoted(t *testing.T) {
	e := newEngine(t)
	g := gateway.New(e, gateway.Policy{}, hclog.NewNullLogger())
	conn := &server.ConnState{Source: "203.0.113.7:1"}
	serve := func(body string) {
		t.Helper()
		req, err := protocol.ParseRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		g.Serve(t.Context(), conn, req)
	}
	for range 3 {
		serve(`{"type":"set_webhook","admin_token":"guess"}`)
	}
	serve(`{"type":"get_audit_log","admin_token":"guess"}`)
	serve(`{"type":"cluster_status"}`)
	serve(`{"type":"lookup","node_id":9}`)
	for i := range 300 {
		conn.Source = fmt.Sprintf("[2001:db8::%x]:5", i)
		serve(`{"type":"kick_member","network_id":1,"target_node_id":2,"node_id":1,"admin_token":"guess"}`)
		serve(`{"type":"set_webhook","admin_token":"guess"}`)
	}
	gateway.NoteNow(g, t.Context())
	var note fsm.AuditNote
	for _, env := range e.proposals {
		if env.Code != fsm.KindAuditNote {
			continue
		}
		if strings.Contains(string(env.Body), "guess") {
			t.Errorf("the note holds what was presented: %s", env.Body)
		}
		if err := json.Unmarshal(env.Body, &note); err != nil {
			t.Fatal(err)
		}
	}
	total := uint64(0)
	for _, n := range note.Notes {
		total += n
	}
	if n := note.Notes; n["set_webhook admin_token_invalid 203.0.113.7"] != 3 || n["get_audit_log admin_token_invalid 203.0.113.7"] != 1 || n["cluster_status admin_token_invalid 203.0.113.7"] != 1 || n["other"] == 0 || len(n) > 201 {
		t.Errorf("%d notes: %v", len(n), n)
	}
	if total < 305 {
		t.Errorf("%d refusals counted", total)
	}
	gateway.NoteNow(g, t.Context())
	if got := len(e.proposals); e.proposals[got-1].Code == fsm.KindAuditNote && got > 1 && e.proposals[got-2].Code == fsm.KindAuditNote {
		t.Error("noted twice")
	}
}
