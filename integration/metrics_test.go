// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// What the state holds is counted alike by every member, also by one that has
// just been started again.
func TestStateMetricsOfEveryMember(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.Options{Members: 3})
	wire := follower(t, c)
	var nodes []harness.Agent
	for range 4 {
		a, err := wire.Register()
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, a)
	}
	signed := func(a harness.Agent, command, fields, challenge string) map[string]any {
		return wire.send(fmt.Sprintf(`{"type":%q,"node_id":%d,%s,"signature":%q}`, command, a.ID, fields, a.Sign(challenge)))
	}
	a, b := nodes[0], nodes[1]
	signed(a, "set_tags", `"tags":["ml","gpu"]`, fmt.Sprintf("set_tags:%d", a.ID))
	signed(b, "set_tags", `"tags":["ml"]`, fmt.Sprintf("set_tags:%d", b.ID))
	signed(b, "set_task_exec", `"enabled":true`, fmt.Sprintf("set_task_exec:%d", b.ID))
	signed(a, "report_trust", fmt.Sprintf(`"peer_id":%d`, b.ID), fmt.Sprintf("report_trust:%d:%d", a.ID, b.ID))
	signed(b, "report_trust", fmt.Sprintf(`"peer_id":%d`, a.ID), fmt.Sprintf("report_trust:%d:%d", b.ID, a.ID))
	signed(nodes[3], "deregister", `"request_id":"away"`, fmt.Sprintf("deregister:%d", nodes[3].ID))
	made := func(name, rule string, enterprise bool) any {
		return wire.send(fmt.Sprintf(`{"type":"create_network","admin_token":"$TOKEN","name":%q,"join_rule":%q,"enterprise":%t,"node_id":%d}`, name, rule, enterprise, a.ID))["network_id"]
	}
	fleet := made("prod-fleet", "open", true)
	lab := made("lab", "invite", true)
	made("plain", "open", false)
	wire.send(fmt.Sprintf(`{"type":"join_network","admin_token":"$TOKEN","node_id":%d,"network_id":%v}`, b.ID, fleet))
	wire.send(fmt.Sprintf(`{"type":"promote_member","admin_token":"$TOKEN","network_id":%v,"target_node_id":%d}`, fleet, b.ID))
	wire.send(fmt.Sprintf(`{"type":"set_network_policy","admin_token":"$TOKEN","network_id":%v,"max_members":5}`, fleet))
	wire.send(fmt.Sprintf(`{"type":"invite_to_network","admin_token":"$TOKEN","network_id":%v,"inviter_id":%d,"target_node_id":%d}`, lab, a.ID, nodes[2].ID))
	wire.send(fmt.Sprintf(`{"type":"directory_sync","admin_token":"$TOKEN","network_id":%v,"entries":[{"external_id":"alice@example.com","role":"admin"}]}`, fleet))

	want := []string{
		"pilot_nodes_online 3", "pilot_nodes_total 3", "pilot_nodes_offline 0", "pilot_trust_links 1", "pilot_task_executors 1", "pilot_unique_tags 2",
		"pilot_networks_total 3", "pilot_networks_enterprise 2", "pilot_invites_pending 1", "pilot_directory_synced_networks 1",
		`pilot_network_members{network="prod-fleet"} 2`, `pilot_network_admins{network="prod-fleet"} 1`, `pilot_network_owners{network="prod-fleet"} 1`,
		`pilot_network_enterprise{network="prod-fleet"} 1`, `pilot_network_policy_set{network="prod-fleet"} 1`,
		`pilot_network_members{network="plain"} 1`, `pilot_network_enterprise{network="plain"} 0`, `pilot_network_policy_set{network="plain"} 0`,
	}
	shown := func() {
		t.Helper()
		ready, err := c.Ready()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ready.Nodes {
			await(t, "the counts of "+m.ID, func() (any, bool) {
				page := metrics(t, m)
				var missing []string
				for _, line := range want {
					if !strings.Contains(page, "\n"+line+"\n") {
						missing = append(missing, line)
					}
				}
				uptime := regexp.MustCompile(`(?m)^pilot_uptime_seconds \d`).MatchString(page)
				return missing, len(missing) == 0 && uptime
			})
		}
	}
	shown()
	leaderGone(t, c)
	shown()
}
