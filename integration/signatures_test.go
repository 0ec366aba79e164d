// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// signedVerbs are commands of pilotctl, as "who: command", in an order in
// which each succeeds. $net and $closed are networks, $a and $b the nodes, $year
// is a day in a year. Each signs the wire command that it stands for.
var signedVerbs = []struct{ wire, verb string }{
	{"heartbeat", "a: heartbeat"},
	{"set_tags", "a: node set-tags gpu"},
	{"set_hostname", "a: node set-hostname signed-a"},
	{"set_visibility", "a: node set-visibility public"},
	{"set_task_exec", "a: node enable-tasks"},
	{"set_signed_register", "a: node signed-register on"},
	{"register", "a: register"},
	{"beacon_register", "a: beacon register 7 198.51.100.7:9001"},
	{"set_key_expiry", "a: key set-expiry $year"},
	{"invite_to_network", "a: invite send $closed $b"},
	{"poll_invites", "b: invite list"},
	{"respond_invite", "b: invite reject $closed"},
	{"join_network", "b: network join $net"},
	{"list_nodes", "a: network members $net"},
	{"promote_member", "a: member promote $net $b"},
	{"demote_member", "a: member demote $net $b"},
	{"set_member_tags", "a: member-tags set $net $b gpu eu-west"},
	{"set_network_policy", "a: policy set $net --max-members 9"},
	{"set_expr_policy", "a: policy expr clear $net"},
	{"rename_network", "a: network rename $net signed-b"},
	{"transfer_ownership", "a: network transfer-ownership $net --to $b"},
	{"leave_network", "a: network leave $net"},
	{"join_network", "a: network join $net"},
	{"kick_member", "b: member kick $net $a --yes"},
	{"delete_network", "b: network delete $net --yes"},
	{"report_trust", "a: trust report $b"},
	{"lookup", "a: lookup $b"},
	{"resolve", "a: resolve $b"},
	{"revoke_trust", "a: trust revoke $b"},
	{"request_handshake", "a: handshake request $b please"},
	{"poll_handshakes", "b: handshake poll"},
	{"respond_handshake", "b: handshake accept $a"},
	{"update_polo_score", "a: polo add $b 5"},
	{"set_polo_score", "a: polo set $b 7"},
	{"rotate_key", "a: rotate-key"},
	{"heartbeat", "a: heartbeat"},
	{"deregister", "b: deregister --yes"},
}

// With auth.legacy_signatures at deny every command of pilotctl that signs
// still works: it signs requests. A challenge is refused, and counted.
func TestPilotctlSignsRequests(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{Members: 1, Set: []string{"auth.legacy_signatures=deny", "auth.polo=signed"}})
	a, b := newPerson(t, c), newPerson(t, c)
	wire, err := harness.Dial(c.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	w := &sender{Wire: wire, t: t, admin: c.AdminToken}
	create := func(rule string) string {
		return fmt.Sprint(w.send(fmt.Sprintf(`{"type":"create_network","admin_token":"$TOKEN","name":"signed-%s","join_rule":%q,"enterprise":true,"node_id":%v}`, rule, rule, a.id))["network_id"])
	}
	words := strings.NewReplacer("$net", create("open"), "$closed", create("invite"), "$year", time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339),
		"$a", fmt.Sprint(a.id), "$b", fmt.Sprint(b.id))
	var done []string
	for _, v := range signedVerbs {
		who, verb, _ := strings.Cut(v.verb, ": ")
		by := map[string]person{"a": a, "b": b}[who]
		if out, err := anyone(t, c, append(strings.Fields(words.Replace(verb)), "--identity", by.file)...); err != nil {
			t.Errorf("%s: %v\n%s", v.verb, err, out)
		}
		done = append(done, v.wire)
	}
	done = append(done, "register", "punch")               // newPerson; pilotctl punches no holes
	done = append(done, "submit_badge", "enroll_recovery") // TestAccountsRecoverNodes
	for i := range protocol.Commands {
		if row := &protocol.Commands[i]; row.Challenge != "" && !slices.Contains(done, row.Name) {
			t.Errorf("%s can be signed, and no command of pilotctl that does is here", row.Name)
		}
	}

	old, err := harness.NewAgent()
	if err != nil {
		t.Fatal(err)
	}
	if r := w.try(fmt.Sprintf(`{"type":"set_tags","node_id":%v,"tags":[],"signature":%q}`, a.id, old.Sign("x"))); r["code"] != protocol.CodeLegacySignature {
		t.Errorf("a signature over a challenge: %v", r)
	}
	ready, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	counted := slices.DeleteFunc(strings.Split(metrics(t, ready.Nodes[0]), "\n"), func(l string) bool {
		return !strings.HasPrefix(l, "pilot_legacy_signatures_total{") || strings.HasSuffix(l, " 0")
	})
	if !slices.Equal(counted, []string{`pilot_legacy_signatures_total{type="set_tags"} 1`}) {
		t.Errorf("counted: %v", counted)
	}
}

// metrics is a member's page of metrics.
func metrics(t *testing.T, n harness.Member) string {
	t.Helper()
	resp, err := http.Get("http://" + n.Ops + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}
