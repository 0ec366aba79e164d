// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// registerClaiming registers a node whose token names a person and roles.
func (w *world) registerClaiming(seed int, person string, signed bool, roles ...protocol.ClaimedRole) uint32 {
	r := &protocol.Register{PublicKey: testKey(seed).String(), RegisterFacts: protocol.RegisterFacts{Endpoint: "198.51.100.1:1", ExternalID: person, ClaimedRoles: roles, Proven: signed, SignedRequest: signed}}
	return w.do("register", r, nil).(*protocol.RegisterReply).NodeID
}

func (w *world) roleOf(net uint16, id uint32) string {
	m, _ := w.m.x.networks.member(net, id)
	return m.role.String()
}

// The provider says who is an admin of a member; who is a member, and who owns
// the network, it does not.
func TestATokenGivesAndTakesRoles(t *testing.T) {
	w := newWorld(t)
	owner := w.registerClaiming(1, "owner@x", true)
	net := w.network("firm", owner, "open", true)
	plain := w.network("plain", owner, "open", false)
	admin, member := protocol.ClaimedRole{NetworkID: net, Admin: true}, protocol.ClaimedRole{NetworkID: net}
	a := w.registerClaiming(2, "a@x", true, admin, protocol.ClaimedRole{NetworkID: plain, Admin: true}, protocol.ClaimedRole{NetworkID: 999, Admin: true})
	if _, in := w.m.x.networks.member(net, a); in {
		t.Fatal("a token made a member")
	}
	w.join(net, a)
	if got := w.roleOf(net, a); got != "admin" {
		t.Errorf("role on joining: %s", got)
	}
	w.registerClaiming(2, "a@x", true)
	if got := w.roleOf(net, a); got != "admin" {
		t.Errorf("a token without the claim made it %s", got)
	}
	w.registerClaiming(2, "a@x", true, member)
	if got := w.roleOf(net, a); got != "member" {
		t.Errorf("who left the group is %s", got)
	}
	if got := w.lastEvent(protocol.EventMemberDemoted); got == "" {
		t.Error("no event")
	}
	w.registerClaiming(1, "owner@x", true, member)
	if got := w.roleOf(net, owner); got != "owner" {
		t.Errorf("the owner is %s", got)
	}
	before := w.m.Root().meta.eventSeq
	w.registerClaiming(2, "a@x", true, member)
	if w.m.Root().meta.eventSeq != before {
		t.Error("the same roles are an event")
	}
}

// Having somebody's token and public key does not make a caller that person.
func TestAnUnsignedTokenChangesNoRolesOfANodeThatExists(t *testing.T) {
	w := newWorld(t)
	owner := w.register(1)
	net := w.network("firm", owner, "open", true)
	a := w.registerClaiming(2, "a@x", false)
	w.join(net, a)
	w.registerClaiming(2, "a@x", false, protocol.ClaimedRole{NetworkID: net, Admin: true})
	if got := w.roleOf(net, a); got != "member" {
		t.Errorf("role %s", got)
	}
	b := w.registerClaiming(3, "b@x", false, protocol.ClaimedRole{NetworkID: net, Admin: true})
	w.join(net, b)
	if got := w.roleOf(net, b); got != "admin" {
		t.Errorf("a new node's role: %s", got)
	}
}
