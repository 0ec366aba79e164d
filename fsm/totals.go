// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/protocol"

// Totals counts what the state holds, the same on every member at an index.
// Nodes are live ones; an offline node counts in Offline only.
type Totals struct {
	Nodes, Offline, Executors, Tags, TrustLinks int
	// Networks are those besides the backbone.
	Networks, Enterprise, SyncedNetworks int
	Invites                              int
	// Keys are those bound to nodes; Requests and Responses wait to be polled.
	Keys, Requests, Responses int
	// KnownIDs and StrangersIDs are the bytes that remembered request ids take.
	KnownIDs, StrangersIDs int64
}

// Totals costs as much as there are networks.
func (r *Root) Totals() Totals {
	t := Totals{
		Nodes: r.nodes.liveIDs.Len(), Offline: r.nodes.offline.Len(), Executors: r.nodes.executors.Get(), Tags: r.nodes.tagged.Len(),
		TrustLinks: r.trustLinks(), SyncedNetworks: r.networks.assigned.Len(), Invites: r.networks.invites.Len(),
		Keys: r.nodes.byKey.Len(), Requests: r.trust.requests.Len(), Responses: r.trust.responses.Len(),
		KnownIDs: r.once.known.total.Get(), StrangersIDs: r.once.strangers.total.Get(),
	}
	r.EachNetwork(func(n NetworkTotals) bool {
		t.Networks++
		if n.Enterprise {
			t.Enterprise++
		}
		return true
	})
	return t
}

// trustLinks counts the pairs that are trust in the mode of the cluster.
func (v *view) trustLinks() int {
	if v.cluster.setting(protocol.SettingTrustMode) == protocol.TrustMutual {
		return v.trust.counts.Get().mutual
	}
	return v.trust.counts.Get().reported
}

// NetworkTotals counts what a network has. Admins are without the owner.
type NetworkTotals struct {
	Name                    string
	Members, Admins, Owners int
	Enterprise, PolicySet   bool
}

// EachNetwork visits the networks besides the backbone, by id, until f returns
// false. PolicySet says that members or ports are limited.
func (r *Root) EachNetwork(f func(NetworkTotals) bool) {
	r.networks.records.Ascend(1, func(id uint16, n *network) bool {
		t := NetworkTotals{Name: n.name, Members: r.networkSize(id), Enterprise: n.enterprise, PolicySet: n.policy.maxMembers > 0 || len(n.policy.ports) > 0}
		t.Admins, _ = r.networks.admins.Get(id)
		if r.networks.owners.Holds(id) {
			t.Owners = 1
		}
		return f(t)
	})
}
