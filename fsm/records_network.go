// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// role is a member's role in a network.
type role uint8

const (
	roleNone   role = 0
	roleMember role = 1
	roleAdmin  role = 2
	roleOwner  role = 3
)

// String is the role's name on the wire, empty for none.
func (r role) String() string {
	switch r {
	case roleMember:
		return protocol.RoleMember
	case roleAdmin:
		return protocol.RoleAdmin
	case roleOwner:
		return protocol.RoleOwner
	}
	return ""
}

// joinRule says who may join a network.
type joinRule uint8

const (
	ruleOpen   joinRule = 1
	ruleToken  joinRule = 2
	ruleInvite joinRule = 3
)

func (r joinRule) String() string {
	switch r {
	case ruleToken:
		return protocol.JoinToken
	case ruleInvite:
		return protocol.JoinInvite
	}
	return protocol.JoinOpen
}

func parseJoinRule(s string) joinRule {
	switch s {
	case protocol.JoinToken:
		return ruleToken
	case protocol.JoinInvite:
		return ruleInvite
	}
	return ruleOpen
}

// network is a network without its members, which have a table of their own.
// The members of network 0, the backbone, are exactly the live nodes and are
// not stored.
type network struct {
	name       string
	rule       joinRule
	enterprise bool
	created    int64
	token      protocol.MAC // of the join token, zero for the empty token
	admin      protocol.MAC // of the network's admin token, zero for none

	policy policy
	// revision grows with every change of configuration, policy,
	// pre-assignments or a member's role; not with members that come and go.
	revision uint64
	// hadOwner is true from the first owner until the last member is gone:
	// an enterprise network with members then always has an owner.
	hadOwner bool
	sync     syncStatus
}

// policy bounds a network; zero values mean no bound.
type policy struct {
	maxMembers  uint32
	ports       []uint16
	description string
}

// syncStatus is what the last directory sync did, at 0 when there was none.
type syncStatus struct {
	at                                  int64
	mapped, updated, disabled, unmapped uint32
}

func appendMAC(dst []byte, m protocol.MAC) []byte {
	dst = table.AppendUvarint(dst, uint64(m.Key))
	return table.AppendBytes(dst, m.Sum)
}

func readMAC(d *table.Decoder) protocol.MAC {
	m := protocol.MAC{Key: d.Uvarint32()}
	if b := d.Bytes(); len(b) > 0 {
		m.Sum = append([]byte(nil), b...)
	}
	return m
}

func (n *network) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendString(dst, n.name)
	dst = append(dst, byte(n.rule), table.BoolByte(n.enterprise))
	dst = table.AppendVarint(dst, n.created)
	dst = appendMAC(dst, n.token)
	dst = appendMAC(dst, n.admin)
	dst = table.AppendUvarint(dst, uint64(n.policy.maxMembers))
	dst = table.AppendUvarint(dst, uint64(len(n.policy.ports)))
	for _, p := range n.policy.ports {
		dst = table.AppendUvarint(dst, uint64(p))
	}
	dst = table.AppendString(dst, n.policy.description)
	dst = table.AppendUvarint(dst, n.revision)
	dst = append(dst, table.BoolByte(n.hadOwner))
	dst = table.AppendVarint(dst, n.sync.at)
	for _, count := range []uint32{n.sync.mapped, n.sync.updated, n.sync.disabled, n.sync.unmapped} {
		dst = table.AppendUvarint(dst, uint64(count))
	}
	return dst
}

func readNetwork(d *table.Decoder, _ uint32) *network {
	n := &network{name: d.Text(), rule: joinRule(d.Uint8()), enterprise: d.Bool(), created: d.Varint()}
	n.token, n.admin = readMAC(d), readMAC(d)
	n.policy = readPolicy(d)
	n.revision, n.hadOwner = d.Uvarint(), d.Bool()
	n.sync = syncStatus{at: d.Varint(), mapped: d.Uvarint32(), updated: d.Uvarint32(), disabled: d.Uvarint32(), unmapped: d.Uvarint32()}
	if n.rule < ruleOpen || n.rule > ruleInvite {
		d.Fail()
	}
	return n
}

func readPolicy(d *table.Decoder) policy {
	p := policy{maxMembers: d.Uvarint32()}
	count := d.Uvarint()
	if count > uint64(d.Left()) {
		d.Fail()
		return p
	}
	for range count {
		port := d.Uvarint()
		if port > 0xffff {
			d.Fail()
		}
		p.ports = append(p.ports, uint16(port))
	}
	p.description = d.Text()
	return p
}

// membership is a node's membership in a network. order grows with every join
// and gives the order of member lists.
type membership struct {
	order uint64
	role  role

	// until is when the membership ends and
	// roleUntil when the role falls back to member, 0 for never; announced and
	// roleAnnounced are the stages of notice that were given of it.
	announced, roleAnnounced stage
	until, roleUntil         int64
}

// maxJoinOrder bounds membership.order to what fits beside a network id in a key.
const maxJoinOrder = 1<<48 - 1

func (m membership) AppendTo(dst []byte, _ uint32) []byte {
	dst = append(table.AppendUvarint(dst, m.order), byte(m.role))
	dst = append(table.AppendVarint(dst, m.until), byte(m.announced))
	return append(table.AppendVarint(dst, m.roleUntil), byte(m.roleAnnounced))
}

func readMembership(d *table.Decoder, _ uint32) membership {
	m := membership{order: d.Uvarint(), role: role(d.Uint8())}
	m.until, m.announced = d.Varint(), readStage(d)
	m.roleUntil, m.roleAnnounced = d.Varint(), readStage(d)
	if m.role > roleOwner || m.order > maxJoinOrder {
		d.Fail()
	}
	return m
}

func membershipKey(net uint16, node uint32) uint64 { return uint64(net)<<32 | uint64(node) }

// orderKey is the key of a membership in the index by join order.
func orderKey(net uint16, order uint64) uint64 { return uint64(net)<<48 | order }

// nodeNetKey is the key of a membership in the index by node.
func nodeNetKey(node uint32, net uint16) uint64 { return uint64(node)<<16 | uint64(net) }
