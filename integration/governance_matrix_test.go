// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"slices"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// governors are those who try to command a network.
var governors = []string{"nobody", "wrong signature", "outsider", "member", "admin", "owner", "network token", "token of another network", "admin token"}

// verdict is what becomes of a command.
type verdict string

const (
	isDenied  verdict = "denied"
	isGated   verdict = "gated" // the network is not an enterprise network
	isAllowed verdict = "allowed"
)

// governs computes from the table what becomes of a command on a network.
func governs(row *protocol.Command, who string, enterprise bool) verdict {
	allowed := false
	switch who {
	case "admin token":
		allowed = true
	case "network token":
		allowed = row.Auth != protocol.AuthAdmin
	default:
		allowed = slices.Contains(row.Roles, who)
	}
	switch {
	case !allowed:
		return isDenied
	case row.Enterprise && !enterprise:
		return isGated
	}
	return isAllowed
}

// gateFirst are exceptions: an inviter's role is looked at after the gate, so
// that whoever signs for himself hears of the gate first.
var gateFirst = map[string][]string{"invite_to_network": {"outsider", "member", "token of another network"}}

// realm is a network with everybody who might command it.
type realm struct {
	id                             any
	owner, admin, member, outsider harness.Agent
	token                          string
}

// newRealm makes a network: an enterprise network that takes invites, or a plain
// one. A plain network has no admin: nobody can be promoted in it.
func newRealm(t *testing.T, w *harness.Wire, adminToken string, enterprise bool) *realm {
	t.Helper()
	r := &realm{}
	for _, a := range []*harness.Agent{&r.owner, &r.admin, &r.member, &r.outsider} {
		var err error
		if *a, err = w.Register(); err != nil {
			t.Fatal(err)
		}
	}
	r.token = fmt.Sprintf("token of %d", r.owner.ID)
	must := func(request map[string]any) map[string]any {
		t.Helper()
		reply, err := w.Call(request)
		if err != nil || reply["type"] == "error" {
			t.Fatalf("%v: %v, %v", request["type"], reply, err)
		}
		return reply
	}
	rule := protocol.JoinOpen
	if enterprise {
		rule = protocol.JoinInvite
	}
	r.id = must(map[string]any{"type": "create_network", "node_id": r.owner.ID, "name": fmt.Sprintf("realm%d", r.owner.ID), "enterprise": enterprise,
		"join_rule": rule, "network_admin_token": r.token, "admin_token": adminToken})["network_id"]
	for _, a := range []harness.Agent{r.admin, r.member} {
		if !enterprise {
			must(signed(a, map[string]any{"type": "join_network", "node_id": a.ID, "network_id": r.id}))
			continue
		}
		must(signed(r.owner, map[string]any{"type": "invite_to_network", "inviter_id": r.owner.ID, "network_id": r.id, "target_node_id": a.ID}))
		must(signed(a, map[string]any{"type": "respond_invite", "node_id": a.ID, "network_id": r.id, "accept": true}))
	}
	if enterprise {
		must(signed(r.owner, map[string]any{"type": "promote_member", "node_id": r.owner.ID, "network_id": r.id, "target_node_id": r.admin.ID}))
	}
	return r
}

// signed adds a node's signature over the challenge of a request.
func signed(a harness.Agent, request map[string]any) map[string]any {
	parsed, err := protocol.ParseRequest(harness.Frame(request)[protocol.FrameHeaderBytes:])
	if err != nil {
		panic(err)
	}
	request["signature"] = a.Sign(protocol.ChallengeText(parsed.Command, parsed.Body))
	return request
}

// command is a request of a row on the realm, as somebody would make it.
func (r *realm) command(row *protocol.Command, who, adminToken, otherToken string) map[string]any {
	target := r.member
	if row.Name == "demote_member" {
		target = r.admin
	}
	request := map[string]any{"type": row.Name, "network_id": r.id}
	switch row.Name { // which refuse fields of other commands
	case "directory_sync":
		request["entries"] = []any{map[string]any{"external_id": "somebody"}}
	case "set_network_policy":
		request["description"] = "by " + who
	case "set_expr_policy":
		request["expr_policy"] = ""
	default:
		request["target_node_id"], request["new_owner_id"], request["name"] = target.ID, r.admin.ID, fmt.Sprintf("renamed%d", r.owner.ID)
	}
	if row.Name == "invite_to_network" {
		request["target_node_id"] = r.outsider.ID
	}
	act := func(a harness.Agent) {
		if row.Signer != "" {
			request[row.Signer] = a.ID
		}
	}
	switch who {
	case "nobody":
		act(r.owner)
	case "wrong signature":
		act(r.owner)
		request["signature"] = r.owner.Sign("something else")
	case "outsider", "member", "admin", "owner":
		a := map[string]harness.Agent{"outsider": r.outsider, "member": r.member, "admin": r.admin, "owner": r.owner}[who]
		act(a)
		if row.Name == "invite_to_network" && who == "outsider" {
			request["target_node_id"] = r.owner.ID // nobody invites himself
		}
		signed(a, request)
	case "network token", "token of another network":
		request["admin_token"] = map[string]string{"network token": r.token, "token of another network": otherToken}[who]
		if row.Name == "invite_to_network" { // the token stands for the role, not for the signature
			act(r.member)
			signed(r.member, request)
		}
	case "admin token":
		request["admin_token"] = adminToken
		if row.Name == "invite_to_network" {
			act(r.member)
		}
	}
	return request
}

// Every command that asks for a role, and those of directories × everybody × plain and enterprise, the
// expectation computed from the table.
func TestGovernanceMatrix(t *testing.T) {
	c := sharedCluster(t)
	w, err := harness.Dial(c.Addrs()[2])
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	other := newRealm(t, w, c.AdminToken, true)
	rows := 0
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		if len(row.Roles) == 0 && row.Group != protocol.GroupDirectory {
			continue
		}
		rows++
		for _, enterprise := range []bool{false, true} {
			for _, who := range governors {
				if who == "admin" && !enterprise {
					continue // see newRealm
				}
				r := newRealm(t, w, c.AdminToken, enterprise)
				reply, err := w.Call(r.command(row, who, c.AdminToken, other.token))
				if err != nil {
					t.Fatalf("%s as %s: %v", row.Name, who, err)
				}
				want := governs(row, who, enterprise)
				if !enterprise && slices.Contains(gateFirst[row.Name], who) {
					want = isGated
				}
				if got := verdictOf(reply); got != want {
					t.Errorf("%s as %s, enterprise %t: %s, want %s: %v", row.Name, who, enterprise, got, want, reply)
				}
			}
		}
	}
	if rows < 10 {
		t.Errorf("only %d commands ask for a role", rows)
	}
}

func verdictOf(reply map[string]any) verdict {
	code, _ := reply["code"].(string)
	switch {
	case slices.Contains(denied, code):
		return isDenied
	case code == protocol.CodeEnterpriseRequired:
		return isGated
	case reply["type"] == "error":
		return verdict("refused for another reason: " + code)
	}
	return isAllowed
}
