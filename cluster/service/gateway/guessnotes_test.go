// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// An administrator sees every guess at the admin token in the audit log,
// whichever command it came with: also a dry run, and an open command whose
// answer a right token would have changed.
func TestNoGuessAtTheAdminTokenGoesUnseen(t *testing.T) {
	for name, fields := range map[string]map[string]any{
		"a write":           {"type": "set_webhook", "url": "https://hook.example/"},
		"a read":            {"type": "get_audit_log"},
		"the cluster":       {"type": "cluster_status"},
		"a dry run":         {"type": "directory_sync", "network_id": 1, "entries": []any{}, "dry_run": true},
		"an open command":   {"type": "lookup", "node_id": 1},
		"a missing node":    {"type": "lookup", "node_id": 99},
		"a signed command":  {"type": "set_tags", "node_id": 1, "tags": []string{"x"}},
		"somebody's beacon": {"type": "beacon_register", "beacon_id": 1, "addr": "b.example:1"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			c := newClient(t, e, gateway.Policy{})
			c.register()
			e.catchUp()
			fields["admin_token"] = "a guess"
			c.call(fields)
			e.catchUp()
			gateway.NoteNow(c.g, t.Context())
			notes := 0
			for _, ev := range e.machine.Root().Events(protocol.ClassSecurity, 0, 1000) {
				if ev.Action == protocol.EventAuditNote {
					notes++
				}
			}
			if notes != 1 {
				t.Errorf("%d notes in the audit log, want 1", notes)
			}
		})
	}
}
