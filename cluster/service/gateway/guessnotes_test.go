// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
	"github.com/pilotregistry/pilotregistry/protocol/share"
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
			c := newClient(t, e, gateway.Config{})
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

// Who guesses from many addresses of a site of his own does not crowd out of
// the log who else is guessing.
func TestNobodyHidesTheGuessesOfOthers(t *testing.T) {
	e := newEngine(t)
	g := gateway.New(e, gateway.Config{Exempt: share.Ranges{netip.MustParsePrefix("::/0")}}, hclog.NewNullLogger()) // nobody is held up
	guessFrom := func(source string) {
		t.Helper()
		req, err := protocol.ParseRequest([]byte(`{"type":"set_webhook","admin_token":"guess"}`))
		if err != nil {
			t.Fatal(err)
		}
		g.Serve(t.Context(), &server.ConnState{Source: source}, req)
	}
	for i := range 300 {
		guessFrom(fmt.Sprintf("[2001:db8:1:1::%x]:1", i+1)) // one network
		guessFrom(fmt.Sprintf("[2001:db8:2:%x::1]:1", i+1)) // one site
	}
	guessFrom("203.0.113.7:1")
	gateway.NoteNow(g, t.Context())
	notes := map[string]uint64{}
	for _, env := range e.proposals {
		var note fsm.AuditNote
		if env.Code == fsm.KindAuditNote && json.Unmarshal(env.Body, &note) == nil {
			maps.Copy(notes, note.Notes)
		}
	}
	if notes["set_webhook admin_token_invalid 203.0.113.7"] != 1 || notes["set_webhook admin_token_invalid 2001:db8:1:1::/64"] == 0 || notes["other 2001:db8:2::/48"] == 0 {
		t.Errorf("%d notes: %v", len(notes), notes)
	}
}
