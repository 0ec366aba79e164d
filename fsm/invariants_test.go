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

// checkTotals holds the counts that are kept with every change to what the
// records say.
func checkTotals(t tester, v *view) {
	t.Helper()
	var want Totals
	tags, synced := map[string]bool{}, map[uint16]bool{}
	v.nodes.records.Scan(func(_ uint32, n *node) bool {
		if n.state == stateOffline {
			want.Offline++
		}
		if !n.has(flagKeyless) {
			want.Keys++
		}
		if !n.live() {
			return true
		}
		want.Nodes++
		if n.has(flagTaskExec) {
			want.Executors++
		}
		for _, tag := range n.tags {
			tags[tag] = true
		}
		return true
	})
	v.trust.pairs.Scan(func(_ uint64, s sides) bool {
		if v.counts(s) {
			want.TrustLinks++
		}
		return true
	})
	v.networks.records.Scan(func(id uint16, n *network) bool {
		if id == 0 { // the backbone
			return true
		}
		want.Networks++
		if n.enterprise {
			want.Enterprise++
		}
		return true
	})
	v.networks.preAssign.Scan(func(k string, _ *preAssign) bool {
		synced[networkOfKey(k)] = true
		return true
	})
	v.networks.invites.Scan(func(string, *invite) bool { want.Invites++; return true })
	v.trust.requests.Scan(func(string, *request) bool { want.Requests++; return true })
	v.trust.responses.Scan(func(string, *response) bool { want.Responses++; return true })
	v.once.results.Scan(func(k string, r *result) bool {
		if r.bearer.principal == "" {
			want.StrangersIDs += resultCost(k, r)
		} else {
			want.KnownIDs += resultCost(k, r)
		}
		return true
	})
	want.Tags, want.SyncedNetworks = len(tags), len(synced)
	if got := (&Root{view: *v}).Totals(); got != want {
		t.Errorf("counted %+v, the records say %+v", got, want)
	}
	admins, owners, members := map[uint16]int{}, map[uint16]int{}, map[uint16]int{}
	v.networks.memberships.Scan(func(k uint64, m membership) bool {
		net := uint16(k >> 32)
		members[net]++
		switch m.role {
		case roleAdmin:
			admins[net]++
		case roleOwner:
			owners[net]++
		}
		return true
	})
	(&Root{view: *v}).EachNetwork(func(n NetworkTotals) bool {
		id, _ := v.networks.byName.Get(n.Name)
		if n.Members != members[id] || n.Admins != admins[id] || n.Owners != owners[id] {
			t.Errorf("network %s counts %+v, the memberships say %d members, %d admins, %d owners", n.Name, n, members[id], admins[id], owners[id])
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
