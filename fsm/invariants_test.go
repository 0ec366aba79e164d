// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/fsm/internal/table"

// checkGovernance holds a state to the promises about networks: one owner of
// an enterprise network that had one and has members, and never two; nothing
// that names a network which is gone.
func checkGovernance(t tester, v *view) {
	t.Helper()
	owners := map[uint16]int{}
	sizes := map[uint16]int{}
	v.networks.memberships.Scan(func(k uint64, m membership) bool {
		net := uint16(k >> 32)
		sizes[net]++
		if m.role == roleOwner {
			owners[net]++
			if id, _ := v.networks.owners.Get(net); id != uint32(k) {
				t.Errorf("network %d: the index says that %d owns it, not %d", net, id, uint32(k))
			}
		}
		if !v.networks.records.Holds(net) {
			t.Errorf("node %d is a member of network %d, which is gone", uint32(k), net)
		}
		return true
	})
	v.networks.records.Scan(func(id uint16, n *network) bool {
		if owners[id] > 1 {
			t.Errorf("network %d has %d owners", id, owners[id])
		}
		if n.enterprise && n.hadOwner && sizes[id] > 0 && owners[id] != 1 {
			t.Errorf("network %d had an owner, has %d members and no owner", id, sizes[id])
		}
		if owners[id] > 0 && !n.hadOwner || sizes[id] == 0 && n.hadOwner {
			t.Errorf("network %d: %d owners, %d members, had one: %v", id, owners[id], sizes[id], n.hadOwner)
		}
		return true
	})
	v.networks.invites.Scan(func(_ string, i *invite) bool {
		if !v.networks.records.Holds(i.net) {
			t.Errorf("an invite to network %d, which is gone", i.net)
		}
		return true
	})
	v.networks.preAssign.Scan(func(k string, _ *preAssign) bool {
		if net := table.NewDecoder([]byte(k)).Key16(); !v.networks.records.Holds(net) {
			t.Errorf("a pre-assignment in network %d, which is gone", net)
		}
		return true
	})
}

// checkSinks holds a state to the promise of sinks: every event is ahead of a
// sink's position, done with, or counted as a gap.
func checkSinks(t tester, v *view) {
	t.Helper()
	required := 0
	v.audit.sinks.Scan(func(name string, s *sink) bool {
		if s.Required {
			required++
		}
		c, ok := v.audit.cursors.Get(name)
		if !ok {
			t.Errorf("sink %s has no position", name)
			return true
		}
		for i := range c.passed {
			ch := &v.meta.chains[i]
			behind := uint64(0)
			v.audit.events[i].Ascend(0, func(seq uint64, _ eventRecord) bool {
				if seq <= c.seq {
					behind++
				}
				return seq <= c.seq
			})
			if c.passed[i] >= ch.Cut && c.passed[i] != ch.Cut+behind || c.passed[i] < ch.Cut && behind > 0 {
				t.Errorf("sink %s at %d has passed %d events of class %d, and %d were cut and %d are behind it", name, c.seq, c.passed[i], i, ch.Cut, behind)
			}
		}
		if n := len(v.audit.letterKeys(name)); n > 100 {
			t.Errorf("sink %s has %d dead letters", name, n)
		}
		return true
	})
	if required != v.audit.required.Get() {
		t.Errorf("%d sinks are required and the state counts %d", required, v.audit.required.Get())
	}
}
