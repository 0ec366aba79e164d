// SPDX-License-Identifier: Apache-2.0

package check

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// A state machine that is right cannot be made to break these two rules, so
// they are tried on what a wrong one would have answered.

func TestIDGap(t *testing.T) {
	row := protocol.Must("register")
	registrations := func(ids ...uint32) (*fsm.Entry, []fsm.Result) {
		var e fsm.Entry
		var results []fsm.Result
		for _, id := range ids {
			body, err := json.Marshal(protocol.Register{PublicKey: protocol.PublicKey{byte(id), 1}.String()})
			if err != nil {
				t.Fatal(err)
			}
			e.Envelopes = append(e.Envelopes, fsm.Envelope{Code: row.Code, Body: body})
			results = append(results, fsm.Result{Index: 2, Reply: protocol.Rendered(fmt.Appendf(nil, `{"node_id":%d}`, id))})
		}
		return &e, results
	}
	for _, tt := range []struct {
		ids  []uint32
		gaps int
	}{{[]uint32{1, 2, 3}, 0}, {[]uint32{1, 3}, 1}, {[]uint32{2}, 1}, {[]uint32{1, 2, 1}, 0}, {[]uint32{1, 3, 2}, 2}} {
		r := &replay{out: newFindings(), ids: idWatch{next: 1}}
		e, results := registrations(tt.ids...)
		r.ids.entry(r, fsm.New().Root(), e, results)
		if r.out.totals[RuleIDGap] != tt.gaps {
			t.Errorf("ids %v: %d gaps, want %d: %v", tt.ids, r.out.totals[RuleIDGap], tt.gaps, r.out.list)
		}
	}
}

func TestNotInverse(t *testing.T) {
	for _, tt := range []struct {
		name    string
		names   map[uint32]string
		holders map[string]uint32
		wrong   bool
	}{
		{"right", map[uint32]string{1: "a", 2: ""}, map[string]uint32{"a": 1}, false},
		{"released on one side", map[uint32]string{1: ""}, map[string]uint32{"a": 1}, true},
		{"released on the other", map[uint32]string{1: "a"}, nil, true},
		{"two with one name", map[uint32]string{1: "a", 2: "a"}, map[string]uint32{"a": 2}, true},
		{"another's name", map[uint32]string{1: "b", 2: "a"}, map[string]uint32{"a": 1, "b": 2}, true},
	} {
		nodes, hosts := map[uint32]bool{}, map[string]bool{"a": true}
		for id := range tt.names {
			nodes[id] = true
		}
		text := notInverse(nodes, hosts, func(id uint32) string { return tt.names[id] }, func(h string, _ uint32) uint32 { return tt.holders[h] })
		if (text != "") != tt.wrong {
			t.Errorf("%s: %q", tt.name, text)
		}
	}
}
