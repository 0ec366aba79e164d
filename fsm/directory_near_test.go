// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// keysOf stand for what the front door makes of these ids.
var keysOf = map[string]protocol.IDKeys{
	"m\u00fcller@x":  {Near: "muller@x"},
	"mu\u0308ller@x": {Match: "m\u00fcller@x", Near: "muller@x"},
	"M\u00dcLLER@x":  {Match: "m\u00dcller@x", Near: "muller@x"},
	"muller@x":       {},
	" alice@x ":      {Match: "alice@x"},
	"\u00c9lise@x":   {Near: "elise@x"},
}

func withKeys(b protocol.IDBody) {
	b.EachID(func(id string, keys *protocol.IDKeys) { *keys = keysOf[id] })
}

func (w *world) bind(id uint32, externalID string) {
	w.t.Helper()
	r := &protocol.SetExternalID{NodeID: id, ExternalID: externalID}
	withKeys(r)
	w.do("set_external_id", r, admin)
}

func named(net uint16, unlisted bool, people ...string) *protocol.DirectorySync {
	r := &protocol.DirectorySync{NetworkID: net, RemoveUnlisted: unlisted}
	for _, p := range people {
		off := strings.HasPrefix(p, "!")
		r.Entries = append(r.Entries, protocol.DirectoryEntry{ExternalID: strings.TrimPrefix(p, "!"), Disabled: off})
	}
	withKeys(r)
	return r
}

// Nobody is removed for the form in which a program writes an accent, or for
// spaces around an id.
func TestMembersMatchInWhateverFormTheirIDIsWritten(t *testing.T) {
	w, net := staffed(t, 4)
	w.bind(2, "mu\u0308ller@x")
	w.bind(3, " alice@x ")
	got := w.sync(named(net, true, "P1@x", "m\u00fcller@x", "ALICE@x", "P4@x"))
	if got.Mapped != 4 || got.Disabled != 0 || len(got.Warnings) != 0 || w.roles(net) != "1 owner 2 member 3 member 4 member" {
		t.Errorf("%+v %s", got, w.roles(net))
	}
	if n := w.m.Root().nodes.live(2); n.externalID != "mu\u0308ller@x" {
		t.Errorf("the id itself was changed to %q", n.externalID)
	}
	// A role that waits finds its person, too.
	r := named(net, false, "m\u00fcller@x")
	r.Entries[0].Role = protocol.RoleAdmin
	w.do("kick_member", &protocol.KickMember{NetworkID: net, TargetNodeID: 2}, admin)
	w.sync(r)
	w.join(net, 2)
	if got := w.roles(net); got != "1 owner 3 member 4 member 2 admin" {
		t.Error(got)
	}
}

// A member that differs from an entry only by case or accents stays, and is reported.
func TestNearMissesAreReportedInsteadOfRemoved(t *testing.T) {
	for listed, stored := range map[string]string{
		"muller@x": "m\u00fcller@x", "M\u00dcLLER@x": "m\u00fcller@x", "m\u00fcller@x": "muller@x", "m?ller@x": "m\u00fcller@x", "m\u00fc": "m\u00fcller@x",
	} {
		w, net := staffed(t, 4)
		w.bind(2, stored)
		got := w.sync(named(net, true, "P1@x", "P3@x", "P4@x", listed))
		if got.NearMisses != 1 || got.Disabled != 0 || w.roles(net) != "1 owner 2 member 3 member 4 member" {
			t.Errorf("%q for %q: %+v %s", listed, stored, got, w.roles(net))
		}
		want := protocol.Quote(stored) + " (node 2) is not listed and stays: " + protocol.Quote(listed) + " is, which is nearly the same; correct the listing, or the member's external id"
		if len(got.Warnings) == 0 || got.Warnings[len(got.Warnings)-1] != want {
			t.Errorf("%q", got.Warnings)
		}
	}
}

// A leaver whose id is written differently is not missed silently.
func TestLeaverWhoIsNearlyAMemberIsReported(t *testing.T) {
	w, net := staffed(t, 4)
	w.bind(2, "m\u00fcller@x")
	got := w.sync(named(net, false, "P1@x", "!muller@x"))
	if got.Disabled != 0 || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], `"muller@x" matches nobody, and "m`) {
		t.Errorf("%+v", got)
	}
	if got = w.sync(named(net, false, "P1@x", "!mu\u0308ller@x")); got.Disabled != 1 {
		t.Errorf("%+v", got)
	}
}

// An owner who is nearly listed keeps the network, whoever else is named.
func TestOwnerWhoIsNearlyListedStaysTheOwner(t *testing.T) {
	w, net := staffed(t, 4)
	w.bind(1, "m\u00fcller@x")
	r := named(net, true, "muller@x", "P2@x", "P3@x", "P4@x")
	r.Entries[1].Role = protocol.RoleOwner
	got := w.sync(r)
	if w.roles(net) != "1 owner 2 admin 3 member 4 member" || got.NearMisses != 1 {
		t.Errorf("%+v %s", got, w.roles(net))
	}
	checkGovernance(t, &w.m.Root().view)
	checkTotals(t, &w.m.Root().view)
}

// A person is exported and forgotten in every form in which the id was stored.
func TestPersonIsForgottenInEveryForm(t *testing.T) {
	w, _ := staffed(t, 2)
	w.bind(2, "mu\u0308ller@x")
	ask := &protocol.PersonRequest{ExternalID: "m\u00fcller@x"}
	withKeys(ask)
	if r := w.do("person_export", ask, admin).(*protocol.PersonExportReply); len(r.Nodes) != 1 || r.Nodes[0].NodeID != 2 {
		t.Errorf("%+v", r)
	}
	r := w.do("person_forget", ask, admin).(*protocol.PersonForgetReply)
	if r.Nodes != 1 || r.Events == 0 {
		t.Errorf("%+v", r)
	}
	found := &protocol.GetAuditLog{ExternalID: "mu\u0308ller@x"}
	withKeys(found)
	if log := w.do("get_audit_log", found, admin).(*protocol.GetAuditLogReply); len(log.Entries) != 0 {
		t.Errorf("%+v", log.Entries)
	}
}
