// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestRowsAndHandlersMatch(t *testing.T) {
	rows := map[string]bool{}
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		h, bound := handlers[row.Name]
		if row.Mode == protocol.ModeWrite || row.Mode == protocol.ModeRead || row.Mode == protocol.ModeReadThenWrite {
			rows[row.Name] = true
			if !bound {
				t.Errorf("row %s has no handler", row.Name)
			}
			if (h.decide != nil) != row.Writes() {
				t.Errorf("row %s has mode %s and its handler decides: %v", row.Name, row.Mode, h.decide != nil)
			}
			if (h.read != nil) != (row.Mode != protocol.ModeWrite) {
				t.Errorf("row %s has mode %s and its handler reads: %v", row.Name, row.Mode, h.read != nil)
			}
		}
	}
	for name := range handlers {
		if !rows[name] {
			t.Errorf("handler %s has no row that is built and goes through the state machine", name)
		}
	}
}

func TestEveryInternalKindHasAHandler(t *testing.T) {
	for code := KindTermStart; code <= KindLast; code++ {
		if internalKind(code) == nil {
			t.Errorf("internal kind %d has no handler", code-InternalBase)
		}
	}
	if internalKind(KindLast+1) != nil || internalKind(0xffff) != nil {
		t.Error("a kind beyond the last has a handler")
	}
}

// Every table, index and value that the state has a field for is declared
// once, under a kind that no other has: what is not declared would be missing
// in digests, in snapshots or for readers.
func TestTablesAreComplete(t *testing.T) {
	x := newTxn()
	declaredAt := map[table.Part]int{}
	for _, place := range places {
		declaredAt[place(&x.view)]++
	}
	stored := map[table.Part]bool{}
	for _, s := range x.stored() {
		stored[s] = true
	}
	seen := 0
	eachPart(reflect.ValueOf(&x.view).Elem(), "view", func(name string, p table.Part) {
		seen++
		if n := declaredAt[p]; n != 1 {
			t.Errorf("%s is declared %d times", name, n)
		}
		if _, isTable := p.(table.Stored); isTable && !stored[p] {
			t.Errorf("%s is not in snapshots", name)
		}
	})
	if seen != len(places) || seen < 50 {
		t.Errorf("%d fields and %d declared", seen, len(places))
	}
	if len(byKind) != len(tables) || len(stored) != len(tables) {
		t.Errorf("%d tables of %d kinds in %d places", len(tables), len(byKind), len(stored))
	}
	var published view
	x.handOver(&published)
	for i, s := range published.stored() {
		if err := s.Each(1, func([]byte) error { return nil }); err != nil {
			t.Errorf("table %d: %v", i, err)
		}
		if s.Len() != 0 {
			t.Errorf("table %d is not empty", i)
		}
	}
}

// eachPart visits the tables, indexes and values in a struct.
func eachPart(v reflect.Value, name string, f func(string, table.Part)) {
	switch v.Kind() {
	case reflect.Struct:
		if p, ok := reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Interface().(table.Part); ok {
			f(name, p)
			return
		}
		for i := range v.NumField() {
			eachPart(v.Field(i), name+"."+v.Type().Field(i).Name, f)
		}
	case reflect.Array:
		for i := range v.Len() {
			eachPart(v.Index(i), fmt.Sprint(name, "[", i, "]"), f)
		}
	}
}

// The events a command causes are those its row announces.
func TestEventsAreThoseOfTheRow(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	check := func(name string, body protocol.Body, by who) {
		t.Helper()
		from := w.m.Root().meta.eventSeq
		w.do(name, body, by)
		row := protocol.Must(name)
		for _, class := range []protocol.EventClass{protocol.ClassSecurity, protocol.ClassActivity} {
			for _, e := range w.m.Root().Events(class, from, 100) {
				if !slices.Contains(row.Events, e.Action) {
					t.Errorf("%s caused %s, which its row does not announce", name, e.Action)
				}
				seen[e.Action] = true
			}
		}
	}
	reg := func(seed int) *protocol.Register {
		return &protocol.Register{PublicKey: testKey(seed).String(), RegisterFacts: protocol.RegisterFacts{Endpoint: "1.2.3.4:5"}}
	}
	delta, score := 3.0, 4.0
	check("register", reg(1), nil)
	check("register", reg(2), nil)
	check("register", &protocol.Register{PublicKey: testKey(1).String(), RegisterFacts: protocol.RegisterFacts{Endpoint: "1.2.3.4:6"}}, nil)
	check("create_network", &protocol.CreateNetwork{NodeID: 1, Name: "a", Enterprise: true}, admin)
	check("join_network", &protocol.JoinNetwork{NodeID: 2, NetworkID: 1}, as(2))
	check("leave_network", &protocol.LeaveNetwork{NodeID: 2, NetworkID: 1}, as(2))
	check("join_network", &protocol.JoinNetwork{NodeID: 2, NetworkID: 1}, as(2))
	check("set_key_expiry", &protocol.SetKeyExpiry{NodeID: 1, ExpiresAt: utc(w.now + hour)}, as(1))
	check("set_key_expiry", &protocol.SetKeyExpiry{NodeID: 1}, as(1))
	check("set_hostname", &protocol.SetHostname{NodeID: 1, Hostname: "a"}, as(1))
	check("set_tags", &protocol.SetTags{NodeID: 1, Tags: []string{"a"}}, as(1))
	check("set_task_exec", &protocol.SetTaskExec{NodeID: 1, Enabled: true}, as(1))
	check("set_signed_register", &protocol.SetSignedRegister{NodeID: 1, Required: true}, as(1))
	check("set_visibility", &protocol.SetVisibility{NodeID: 1, Public: true}, as(1))
	check("report_trust", &protocol.Trust{NodeID: 1, PeerID: 2}, as(1))
	check("revoke_trust", &protocol.Trust{NodeID: 1, PeerID: 2}, as(1))
	check("request_handshake", &protocol.RequestHandshake{FromNodeID: 1, ToNodeID: 2}, as(1))
	check("respond_handshake", &protocol.RespondHandshake{NodeID: 2, PeerID: 1, Accept: true}, as(2))
	check("update_polo_score", &protocol.UpdatePoloScore{NodeID: 1, Delta: &delta}, nil)
	check("set_polo_score", &protocol.SetPoloScore{NodeID: 1, PoloScore: &score}, nil)
	check("beacon_register", &protocol.BeaconRegister{BeaconID: 1, Addr: "a:1"}, nil)
	check("set_external_id", &protocol.SetExternalID{NodeID: 1, ExternalID: "a"}, admin)
	check("set_external_id", &protocol.SetExternalID{NodeID: 2, ExternalID: "b"}, admin)
	check("directory_sync", listingOf(1, "a", "b admin B"), admin)
	check("directory_sync", listingOf(1, "b member", "a admin"), admin)
	check("directory_sync", listingOf(1, "b owner", "!a"), admin)
	check("join_network", &protocol.JoinNetwork{NodeID: 1, NetworkID: 1}, as(1))
	check("directory_sync", listingOf(1, "!b"), admin)
	full := fleet()
	full.Webhooks.IdentityURL = "https://id.acme.com"
	check("provision_network", &protocol.ProvisionNetwork{Blueprint: full}, admin)
	check("rotate_key", &protocol.RotateKey{NodeID: 2, NewPublicKey: testKey(9).String()}, as(2))
	check("heartbeat", &protocol.NodeRequest{NodeID: 1}, as(1))
	check("deregister", &protocol.NodeRequest{NodeID: 1}, as(1))
	for _, action := range []string{protocol.EventOwnerLost, protocol.EventKeyExpirySet, protocol.EventKeyExpiryCleared, protocol.EventNodeReRegistered} {
		if !seen[action] {
			t.Errorf("%s was not caused", action)
		}
	}
}
