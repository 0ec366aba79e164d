// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
	"github.com/pilotregistry/pilotregistry/protocol/share"
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
	c := newClient(t, e, gateway.Config{})
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
		c := newClient(t, e, gateway.Config{Policy: gateway.Policy{UnsignedRoles: on}, Metrics: counting{role: func(command string) { counted[command]++ }}})
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
	c := newClient(t, newEngine(t), gateway.Config{})
	owner := c.register()
	r := c.call(map[string]any{"type": "create_network", "node_id": owner, "name": "t", "join_rule": "token", "admin_token": "admin secret"})
	if r["code"] != protocol.CodeInvalid {
		t.Errorf("%v", r)
	}
}

// Refused privileged commands are noted as counts, without what was presented.
func TestRefusalsAreNoted(t *testing.T) {
	e := newEngine(t)
	g := gateway.New(e, gateway.Config{}, hclog.NewNullLogger())
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
		conn.Source = fmt.Sprintf("10.1.%d.%d:5", i/250, i%250)
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
	if n := note.Notes; n["set_webhook admin_token_invalid 203.0.113.7"] != 3 || n["get_audit_log admin_token_invalid 203.0.113.7"] != 1 || n["cluster_status admin_token_invalid 203.0.113.7"] != 1 || n["other"] == 0 || len(n) > share.MaxNotes {
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

// Somebody who tries admin tokens is slowed down and then not heard; the right
// token works from elsewhere, and good signatures are never held up.
func TestGuessingAnAdminTokenStopsAtTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t)
		c := newClient(t, e, gateway.Config{})
		node := c.register()
		ask := func(f map[string]any) string {
			code, _ := c.call(f)["code"].(string)
			return code
		}
		guesses := []map[string]any{
			{"type": "get_audit_log"}, {"type": "cluster_status"}, {"type": "lookup", "node_id": node}, {"type": "list_nodes", "network_id": 0},
			{"type": "kick_member", "network_id": 1, "target_node_id": 2, "node_id": 1},
		}
		looked, refused := 0, 0
		for i := range 200 {
			f := guesses[i%len(guesses)]
			f["admin_token"] = fmt.Sprint("guess ", i)
			if ask(f) == protocol.CodeRateLimited {
				refused++
			} else {
				looked++
			}
		}
		if looked > 20+4*10 || refused == 0 {
			t.Errorf("%d guesses were looked at, %d were not", looked, refused)
		}
		right := map[string]any{"type": "get_audit_log", "admin_token": "admin secret"}
		if code := ask(right); code != protocol.CodeRateLimited {
			t.Errorf("a guess at the right moment is looked at: %q", code)
		}
		if code := ask(map[string]any{"type": "set_tags", "node_id": node, "tags": []string{"a"}, "signature": c.sign(fmt.Sprintf("set_tags:%d", node))}); code == protocol.CodeRateLimited {
			t.Error("a signature is held up")
		}
		c.conn = &server.ConnState{Source: "192.0.2.8:5000"}
		if code := ask(right); code != "" {
			t.Errorf("the right token from elsewhere: %q", code)
		}
	})
}

// The tokens of networks and of replication are guarded alike.
func TestGuessingNetworkAndReplicationTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t)
		counted := map[guess.Kind]int{}
		c := newClient(t, e, gateway.Config{Guesses: guess.New(guess.Config{OnWrong: func(k guess.Kind) { counted[k]++ }})})
		node := c.register()
		if r := c.call(map[string]any{"type": "create_network", "name": "club", "join_rule": "token", "token": "open sesame", "node_id": node, "admin_token": "admin secret"}); r["type"] != "create_network_ok" {
			t.Fatal(r)
		}
		other := newClient(t, e, gateway.Config{})
		other.g = c.g
		id := other.register()
		e.catchUp()
		for i := range 100 {
			token := fmt.Sprint("guess ", i)
			other.call(map[string]any{"type": "join_network", "node_id": id, "network_id": 1, "token": token,
				"signature": other.sign(fmt.Sprintf("join_network:%d:1", id))})
		}
		if counted[guess.Network] < 20 || counted[guess.Network] > 60 {
			t.Errorf("%d guesses at a network's token were looked at", counted[guess.Network])
		}
		time.Sleep(time.Hour)
		for range 100 {
			req, err := protocol.ParseRequest([]byte(`{"type":"subscribe_replication","token":"guess"}`))
			if err != nil {
				t.Fatal(err)
			}
			if e := c.g.Subscribe(t.Context(), other.conn, req, nil); e == nil {
				t.Fatal("let in")
			}
		}
		if counted[guess.Replication] < 20 || counted[guess.Replication] > 60 {
			t.Errorf("%d guesses at the replication token were looked at", counted[guess.Replication])
		}
	})
}
