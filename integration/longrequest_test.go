// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// A request as long as wire.max_request allows, whose texts take six times as
// much in an entry, is carried to the leader, replicated, and applied on every
// member, also after a restart; one that is longer ends its connection and is
// named to the operator.
func TestLongRequestThroughAFollower(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{Set: []string{fmt.Sprintf("wire.max_request=%d", protocol.MaxRequestLimit)}})
	w := throughFollower(t, c)
	call := func(fields map[string]any) map[string]any {
		t.Helper()
		fields["admin_token"] = c.AdminToken
		reply, err := w.Call(fields)
		if err != nil || reply["type"] == "error" {
			t.Fatalf("%v: %.300v %v", fields["type"], reply, err)
		}
		return reply
	}
	if got := call(map[string]any{"type": "cluster_id"})["max_request"]; got != float64(protocol.MaxRequestLimit) {
		t.Errorf("cluster_id says max_request %v", got)
	}
	id := agent(t, w).ID
	net := call(map[string]any{"type": "create_network", "name": "long", "join_rule": "open", "enterprise": true, "node_id": id})["network_id"]
	const people = 990
	var list []string
	for i := range people {
		list = append(list, fmt.Sprintf(`{"external_id":"%04d%s","role":"member"}`, i, strings.Repeat("<", 1000)))
	}
	request := fmt.Sprintf(`{"type":"directory_sync","admin_token":%q,"network_id":%v,"entries":[%s],"pad":"`, c.AdminToken, net, strings.Join(list, ","))
	request = strings.Replace(request, `,"pad":"`, "", 1) + strings.Repeat(" ", protocol.MaxRequestLimit-len(request)+len(`,"pad":"`)-1) + "}"
	if len(request) != protocol.MaxRequestLimit {
		t.Fatalf("the request has %d bytes", len(request))
	}
	reply, err := w.Exchange(protocol.AppendFrame(nil, []byte(request)), 15*time.Second)
	if err != nil || !strings.Contains(string(reply), `"unmapped":990`) {
		t.Fatalf("%.300s %v", reply, err)
	}
	for _, addr := range c.Addrs() {
		m, err := harness.Dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		status, err := m.Call(map[string]any{"type": "get_provision_status", "details": true, "limit": 1, "admin_token": c.AdminToken})
		if err != nil || status["type"] == "error" {
			t.Errorf("%s: %.300v %v", addr, status, err)
		}
		if shown := fmt.Sprint(status); !strings.Contains(shown, fmt.Sprint(people)) {
			t.Errorf("%s: %d people wait for their roles, not in %.300s", addr, people, shown)
		}
	}
	if _, err := w.Exchange(protocol.AppendFrame(nil, []byte(request+" ")), 15*time.Second); err == nil {
		t.Error("a request above wire.max_request was answered")
	}
	logs, err := filepath.Glob(filepath.Join(c.Dir, "n*.log"))
	if err != nil {
		t.Fatal(err)
	}
	named := false
	for _, f := range logs {
		text, err := os.ReadFile(f)
		named = named || err == nil && strings.Contains(string(text), "longer than wire.max_request") && strings.Contains(string(text), "bytes=1048577")
	}
	if !named {
		t.Errorf("no member's log names the request that was too long")
	}
}

// A policy of the largest size has texts that take twice as much in a request.
func TestLongestPolicyFitsARequestWhereTheOperatorWantsIt(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{Members: 1, Set: []string{fmt.Sprintf("wire.max_request=%d", 256<<10)}})
	owner := newPerson(t, c)
	w, err := harness.Dial(c.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	made, err := w.Call(map[string]any{"type": "create_network", "admin_token": c.AdminToken, "name": "policed", "join_rule": "open", "node_id": owner.id})
	if err != nil || made["network_id"] == nil {
		t.Fatalf("%v %v", made, err)
	}
	rule := `{"name":"r%d","on":"connect","match":"has_tag(peer_tags, \"\\\\\\\\%s\")","actions":[{"type":"allow"}]}`
	var rules []string
	for i := range 28 {
		rules = append(rules, fmt.Sprintf(rule, i, strings.Repeat(`\\\\`, 500)))
	}
	file := filepath.Join(t.TempDir(), "policy.json")
	policy := `{"version":1,"rules":[` + strings.Join(rules, ",") + `]}`
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := anyone(t, c, "policy", "expr", "set", fmt.Sprint(made["network_id"]), file, "--identity", owner.file); err != nil {
		t.Errorf("a policy of %d bytes: %v\n%.500s", len(policy), err, out)
	}
}
