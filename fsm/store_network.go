// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/fsm/internal/table"

// networkStore holds the networks, who belongs to them and who may.
type networkStore struct {
	records     table.Table[uint16, *network]
	memberships table.Table[uint64, membership]
	invites     table.Table[string, *invite]
	preAssign   table.Table[string, *preAssign]
	tags        table.Table[uint64, memberTags]
	docs        table.Table[uint16, networkDocs]

	byName   table.Index[string, uint16]  // network name -> network
	byOrder  table.Index[uint64, uint32]  // network, join order -> node
	byNode   table.Index[uint64, nothing] // node, network
	sizes    table.Index[uint16, int]     // network -> number of members
	owners   table.Index[uint16, uint32]  // network -> its owner
	byInvite table.Index[string, nothing] // network or inviter, invite key
	byAssign table.Index[string, string]  // network, folded external id -> pre-assignment key
	admins   table.Index[uint16, int]     // network -> number of admins, its owner not among them
	assigned table.Index[uint16, int]     // network -> number of pre-assignments
}

var networkTable = declaration[uint16, *network]{
	schema: table.Schema[uint16, *network]{Kind: kindNetwork, AppendKey: table.AppendKey16, ReadKey: table.ReadKey16, Read: readNetwork},
	in:     func(v *view) *table.Table[uint16, *network] { return &v.networks.records },
	indexes: []place{
		func(v *view) table.Part { return &v.networks.byName },
	},
	fits:  fitsNetwork,
	enter: func(x *txn, id uint16, n *network) { x.networks.byName.Put(&x.w, n.name, id) },
	leave: func(x *txn, id uint16, n *network) { x.networks.byName.Drop(&x.w, n.name) },
}

// Memberships are keyed by network and node, see membershipKey.
var membershipTable = declaration[uint64, membership]{
	schema: table.Schema[uint64, membership]{Kind: kindMembership, AppendKey: table.AppendKey64, ReadKey: table.ReadKey64, Read: readMembership},
	in:     func(v *view) *table.Table[uint64, membership] { return &v.networks.memberships },
	indexes: []place{
		func(v *view) table.Part { return &v.networks.byOrder },
		func(v *view) table.Part { return &v.networks.byNode },
		func(v *view) table.Part { return &v.networks.sizes },
		func(v *view) table.Part { return &v.networks.owners },
		func(v *view) table.Part { return &v.networks.admins },
	},
	fits:  fitsMembership,
	enter: enterMembership,
	leave: leaveMembership,
}

var inviteTable = declaration[string, *invite]{
	schema: table.Schema[string, *invite]{Kind: kindInvite, AppendKey: table.AppendKeyString, ReadKey: readQueueKey, Read: readInvite},
	in:     func(v *view) *table.Table[string, *invite] { return &v.networks.invites },
	indexes: []place{
		func(v *view) table.Part { return &v.networks.byInvite },
	},
	enter: enterInvite,
	leave: leaveInvite,
}

// Pre-assignments are keyed by network and a global sequence number, which
// gives their order.
var preAssignTable = declaration[string, *preAssign]{
	schema: table.Schema[string, *preAssign]{Kind: kindPreAssign, AppendKey: table.AppendKeyString, ReadKey: readPreAssignKey, Read: readPreAssign},
	in:     func(v *view) *table.Table[string, *preAssign] { return &v.networks.preAssign },
	indexes: []place{
		func(v *view) table.Part { return &v.networks.byAssign },
		func(v *view) table.Part { return &v.networks.assigned },
	},
	fits: fitsPreAssign,
	enter: func(x *txn, k string, p *preAssign) {
		x.networks.byAssign.Put(&x.w, preAssignIndex(networkOfKey(k), p.key), k)
		addTo(x, &x.networks.assigned, networkOfKey(k), 1)
	},
	leave: func(x *txn, k string, p *preAssign) {
		x.networks.byAssign.Drop(&x.w, preAssignIndex(networkOfKey(k), p.key))
		addTo(x, &x.networks.assigned, networkOfKey(k), -1)
	},
}

// Tags are keyed as members are.
var memberTagsTable = declaration[uint64, memberTags]{
	schema: table.Schema[uint64, memberTags]{Kind: kindMemberTag, AppendKey: table.AppendKey64, ReadKey: table.ReadKey64, Read: readMemberTagsRecord},
	in:     func(v *view) *table.Table[uint64, memberTags] { return &v.networks.tags },
	fits:   func(x *txn, k uint64, _ memberTags) bool { return x.networks.memberships.Holds(k) },
}

var networkDocsTable = declaration[uint16, networkDocs]{
	schema: table.Schema[uint16, networkDocs]{Kind: kindNetDocs, AppendKey: table.AppendKey16, ReadKey: table.ReadKey16, Read: readNetworkDocs},
	in:     func(v *view) *table.Table[uint16, networkDocs] { return &v.networks.docs },
	fits:   func(x *txn, net uint16, _ networkDocs) bool { return x.networks.records.Holds(net) },
}

func fitsNetwork(x *txn, id uint16, n *network) bool {
	return !x.networks.byName.Holds(n.name) && (x.meta.nextNet == 0 || id < x.meta.nextNet)
}

func fitsMembership(x *txn, k uint64, m membership) bool {
	net := uint16(k >> 32)
	return k>>48 == 0 && !x.networks.byOrder.Holds(orderKey(net, m.order)) && (m.role != roleOwner || !x.networks.owners.Holds(net))
}

func fitsPreAssign(x *txn, k string, p *preAssign) bool {
	return !x.networks.byAssign.Holds(preAssignIndex(networkOfKey(k), p.key))
}

func (x *txn) setNetwork(id uint16, n *network) { networkTable.put(x, id, n) }

// putMembership stores a membership.
func (x *txn) putMembership(net uint16, id uint32, m membership) {
	membershipTable.put(x, membershipKey(net, id), m)
}

// dropMembership removes a membership; see expel for all that goes with it.
func (x *txn) dropMembership(net uint16, id uint32) {
	memberTagsTable.drop(x, membershipKey(net, id))
	membershipTable.drop(x, membershipKey(net, id))
}

// enterMembership keeps the indexes when a membership begins.
func enterMembership(x *txn, key uint64, m membership) {
	net, id := uint16(key>>32), uint32(key)
	size, _ := x.networks.sizes.Get(net)
	x.networks.sizes.Put(&x.w, net, size+1)
	x.networks.byNode.Put(&x.w, nodeNetKey(id, net), nothing{})
	x.networks.byOrder.Put(&x.w, orderKey(net, m.order), id)
	switch m.role {
	case roleOwner:
		x.networks.owners.Put(&x.w, net, id)
	case roleAdmin:
		addTo(x, &x.networks.admins, net, 1)
	}
	for _, k := range memberDues(key, m) {
		x.due.Put(&x.w, k, nothing{})
	}
}

// leaveMembership keeps the indexes when a membership ends.
func leaveMembership(x *txn, key uint64, m membership) {
	net, id := uint16(key>>32), uint32(key)
	if size, _ := x.networks.sizes.Get(net); size > 1 {
		x.networks.sizes.Put(&x.w, net, size-1)
	} else {
		x.networks.sizes.Drop(&x.w, net)
	}
	x.networks.byNode.Drop(&x.w, nodeNetKey(id, net))
	x.networks.byOrder.Drop(&x.w, orderKey(net, m.order))
	switch m.role {
	case roleOwner:
		x.networks.owners.Drop(&x.w, net)
	case roleAdmin:
		addTo(x, &x.networks.admins, net, -1)
	}
	for _, k := range memberDues(key, m) {
		x.due.Drop(&x.w, k)
	}
}

func (x *txn) putInvite(key string, i *invite) { inviteTable.put(x, key, i) }

func (x *txn) dropInvites(keys []string) {
	for _, k := range keys {
		inviteTable.drop(x, k)
	}
}

func enterInvite(x *txn, key string, i *invite) {
	x.networks.byInvite.Put(&x.w, inviteByNetwork(i.net, key), nothing{})
	x.networks.byInvite.Put(&x.w, inviteByInviter(i.inviter, i.net, key), nothing{})
	x.due.Put(&x.w, inviteDue(key, i), nothing{})
}

func leaveInvite(x *txn, key string, i *invite) {
	x.networks.byInvite.Drop(&x.w, inviteByNetwork(i.net, key))
	x.networks.byInvite.Drop(&x.w, inviteByInviter(i.inviter, i.net, key))
	x.due.Drop(&x.w, inviteDue(key, i))
}

// setDocs stores what a network has, which may be nothing.
func (x *txn) setDocs(net uint16, n networkDocs) {
	if n == (networkDocs{}) {
		networkDocsTable.drop(x, net)
		return
	}
	networkDocsTable.put(x, net, n)
}

// dropNetwork removes a network with its documents. Its members, invites and
// pre-assignments must have gone before.
func dropNetwork(x *txn, id uint16) {
	networkDocsTable.drop(x, id)
	networkTable.drop(x, id)
}

// setMemberTags stores a member's tags, which may be none.
func setMemberTags(x *txn, key uint64, tags []string) {
	if len(tags) == 0 {
		memberTagsTable.drop(x, key)
		return
	}
	memberTagsTable.put(x, key, memberTags{tags})
}

func putPreAssign(x *txn, key string, p *preAssign) { preAssignTable.put(x, key, p) }

func dropPreAssign(x *txn, key string) { preAssignTable.drop(x, key) }
