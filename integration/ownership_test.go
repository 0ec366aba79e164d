// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// person is a node whose identity pilotctl keeps in a file.
type person struct {
	id   float64
	file string
}

func newPerson(t *testing.T, c *harness.Cluster) person {
	t.Helper()
	p := person{file: filepath.Join(t.TempDir(), "identity.json")}
	out, err := anyone(t, c, "register", "--identity", p.file, "-o", "json")
	var reply struct {
		NodeID float64 `json:"node_id"`
	}
	if err != nil || json.Unmarshal([]byte(out), &reply) != nil || reply.NodeID == 0 {
		t.Fatalf("register: %v\n%s", err, out)
	}
	p.id = reply.NodeID
	return p
}

// pilotctl network transfer-ownership as the product page has it, twice in a
// row, and what it must refuse.
func TestExampleOwnership(t *testing.T) {
	c := sharedCluster(t)
	w := follower(t, c)
	a, b, d, outsider := newPerson(t, c), newPerson(t, c), newPerson(t, c), newPerson(t, c)
	net := w.send(fmt.Sprintf(`{"type":"create_network","admin_token":"$TOKEN","name":"chain-%v","join_rule":"open","enterprise":true,"node_id":%v}`, a.id, a.id))["network_id"]
	for _, p := range []person{b, d} {
		if out, err := anyone(t, c, "network", "join", fmt.Sprint(net), "--identity", p.file); err != nil {
			t.Fatalf("join: %v\n%s", err, out)
		}
	}
	transfer := func(by, to person) (string, error) {
		return anyone(t, c, "network", "transfer-ownership", fmt.Sprint(net), "--to", fmt.Sprint(to.id), "--identity", by.file)
	}
	for what, pair := range map[string][2]person{"by a member": {b, d}, "to oneself": {a, a}, "to an outsider": {a, outsider}, "by an outsider": {outsider, b}} {
		if out, err := transfer(pair[0], pair[1]); err == nil {
			t.Errorf("a transfer %s: %s", what, out)
		}
	}
	for _, pair := range [][2]person{{a, b}, {b, d}} {
		if out, err := transfer(pair[0], pair[1]); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if out, err := transfer(a, b); err == nil {
		t.Errorf("a transfer by who owned it before: %s", out)
	}
	for p, want := range map[person]string{a: "admin", b: "admin", d: "owner"} {
		if r := w.send(fmt.Sprintf(`{"type":"get_member_role","network_id":%v,"target_node_id":%v}`, net, p.id)); r["role"] != want {
			t.Errorf("%v, want %s", r, want)
		}
	}
	var got []string
	log := w.send(fmt.Sprintf(`{"type":"get_audit_log","admin_token":"$TOKEN","network_id":%v,"action":"network.ownership_transferred","ascending":true}`, net))
	for _, e := range log["entries"].([]any) {
		e := e.(map[string]any)
		got = append(got, fmt.Sprint(e["actor"], " ", e["details"]))
	}
	want := []string{
		fmt.Sprintf("node:%v old_owner=%v, new_owner=%v, new_owner_old_role=member", a.id, a.id, b.id),
		fmt.Sprintf("node:%v old_owner=%v, new_owner=%v, new_owner_old_role=member", b.id, b.id, d.id),
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the audit trail has %q\nwant %q", got, want)
	}
}
