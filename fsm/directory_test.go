// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// staffed is an enterprise network with members 1 (owner) to n, whose
// external ids are P1@x to Pn@x.
func staffed(t tester, n int) (*world, uint16) {
	w := newWorld(t)
	for i := range n {
		w.register(i)
	}
	net := w.network("lab", 1, "open", true)
	for i := range n {
		id := uint32(i + 1)
		if id > 1 {
			w.join(net, id)
		}
		w.do("set_external_id", &protocol.SetExternalID{NodeID: id, ExternalID: fmt.Sprintf("P%d@x", id)}, admin)
	}
	return w, net
}

// person is an entry written as "id role name", "!" in front for disabled.
func person(text string) (e protocol.DirectoryEntry) {
	text, e.Disabled = strings.TrimPrefix(text, "!"), strings.HasPrefix(text, "!")
	parts := strings.SplitN(text+"  ", " ", 3)
	e.ExternalID, e.Role, e.DisplayName = parts[0], parts[1], strings.TrimSpace(parts[2])
	return e
}

func listingOf(net uint16, people ...string) *protocol.DirectorySync {
	r := &protocol.DirectorySync{NetworkID: net}
	for _, p := range people {
		r.Entries = append(r.Entries, person(p))
	}
	return r
}

func (w *world) sync(r *protocol.DirectorySync) *protocol.DirectorySyncReply {
	w.t.Helper()
	return w.do("directory_sync", r, admin).(*protocol.DirectorySyncReply)
}

// syncConfirmed agrees to however many members the listing removes.
func (w *world) syncConfirmed(r *protocol.DirectorySync) *protocol.DirectorySyncReply {
	w.t.Helper()
	plan, e := w.m.Root().Plan(w.call("directory_sync", r, admin))
	if e != nil {
		w.t.Fatal(e)
	}
	n := uint64(plan.(*protocol.DirectorySyncReply).Disabled)
	r.ConfirmRemovals = &n
	return w.sync(r)
}

// roles renders a network's members with their roles in join order.
func (w *world) roles(net uint16) string {
	var out []string
	v := &w.m.Root().view
	v.networks.eachMember(net, func(id uint32, m membership) bool {
		out = append(out, fmt.Sprint(id, m.role))
		return true
	})
	return strings.Join(out, " ")
}

// The sample of the product's page.
func TestDirectorySample(t *testing.T) {
	w, net := staffed(t, 4)
	for id, ext := range map[uint32]string{2: "alice@acme.com", 3: "bob@acme.com", 4: "charlie@acme.com"} {
		w.do("set_external_id", &protocol.SetExternalID{NodeID: id, ExternalID: ext}, admin)
	}
	w.do("set_external_id", &protocol.SetExternalID{NodeID: 1}, admin)
	r := listingOf(net, "alice@acme.com admin Alice", "bob@acme.com member", "!charlie@acme.com")
	r.RemoveUnlisted = true
	got := w.sync(r)
	if got.Mapped != 2 || got.Unmapped != 0 || got.Updated != 1 || got.Disabled != 1 || len(got.Warnings) > 0 || got.Hostnames != 1 ||
		!slices.Equal(got.Actions, []string{"role alice@acme.com: member → admin (node 2)", "disabled charlie@acme.com (node 4)"}) {
		t.Errorf("%+v", got)
	}
	if got := w.roles(net); got != "1 owner 2 admin 3 member" {
		t.Error(got)
	}
	if h := w.lookup(2).Hostname; h != "alice" {
		t.Error(h)
	}
	for action, want := range map[string]string{
		protocol.EventDirectorySynced: "token:root network_id=1 mapped=2 updated=1 disabled=1 unmapped=0",
		protocol.EventMemberPromoted:  "token:root network_id=1 target_node_id=2 old_role=member new_role=admin",
		protocol.EventMemberKicked:    "token:root network_id=1 target_node_id=4 role=member reason=disabled",
		protocol.EventHostnameChanged: "token:root node_id=2 old_hostname= new_hostname=alice",
	} {
		if got := w.lastEvent(action); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestDirectoryOwner goes through the table in docs/networks.md. Of four
// members 1 is the owner and 3 an admin.
func TestDirectoryOwner(t *testing.T) {
	for _, c := range []struct {
		about, people string
		unlisted      bool
		roles         string
		actions       string
		warnings      int
	}{
		{"further owner", "P2@x owner", false, "1 owner 2 admin 3 admin 4 member", "role P2@x: member → admin (node 2)", 1},
		{"further owner beside the owner", "P2@x owner,P1@x owner", true, "1 owner 2 admin", "", 1},
		{"demoted", "P1@x member,P2@x member", false, "1 owner 2 member 3 admin 4 member", "", 1},
		{"unlisted", "P2@x member", true, "1 owner 2 member", "", 1},
		{"demoted, another named", "P1@x member,P4@x owner", false, "1 member 2 member 3 admin 4 owner", "role P1@x: owner → member (node 1),role P4@x: member → owner (node 4)", 0},
		{"demoted, two named", "P4@x owner,P2@x owner,P1@x admin", false, "1 admin 2 admin 3 admin 4 owner", "", 1},
		{"unlisted, another named", "P3@x owner", true, "3 owner", "role P3@x: admin → owner (node 3),removed unlisted P1@x (node 1),removed unlisted P2@x (node 2),removed unlisted P4@x (node 4)", 0},
		{"disabled, another named", "!P1@x,P2@x owner", false, "2 owner 3 admin 4 member", "disabled P1@x (node 1),role P2@x: member → owner (node 2)", 0},
		{"disabled", "!P1@x", false, "2 member 3 owner 4 member", "disabled P1@x (node 1)", 1},
		{"disabled, with an admin of this listing", "!P1@x,P2@x admin,P3@x member", false, "2 owner 3 member 4 member", "", 1},
		{"disabled, another named who is no member", "!P1@x,P9@x owner", false, "2 member 3 owner 4 member", "", 1},
		{"all disabled", "!P1@x,!P2@x,!P3@x,!P4@x", false, "", "", 0},
		{"silent on the role", "P1@x", true, "1 owner", "", 0},
	} {
		t.Run(c.about, func(t *testing.T) {
			w, net := staffed(t, 4)
			w.do("promote_member", &protocol.PromoteMember{NetworkID: net, TargetNodeID: 3}, admin)
			r := listingOf(net, strings.Split(c.people, ",")...)
			r.RemoveUnlisted = c.unlisted
			got := w.syncConfirmed(r)
			if roles := w.roles(net); roles != c.roles {
				t.Errorf("roles %s, want %s", roles, c.roles)
			}
			if actions := strings.Join(got.Actions, ","); c.actions != "" && actions != c.actions {
				t.Errorf("actions %s, want %s", actions, c.actions)
			}
			if len(got.Warnings) != c.warnings {
				t.Errorf("warnings %q", got.Warnings)
			}
			if owner, _ := w.m.Root().networks.owners.Get(net); c.warnings > 0 && strings.Contains(got.Warnings[len(got.Warnings)-1], " owns the network now") &&
				!strings.HasSuffix(got.Warnings[len(got.Warnings)-1], fmt.Sprintf(": node %d owns the network now", owner)) {
				t.Errorf("node %d is the owner: %q", owner, got.Warnings)
			}
			checkGovernance(t, &w.m.Root().view)
			checkTotals(t, &w.m.Root().view)
			if lost := w.countEvents(protocol.EventOwnerLost) > 0; lost != (strings.HasPrefix(c.about, "disabled") && c.warnings > 0) {
				t.Errorf("owner lost: %v", lost)
			}
		})
	}
}

// A network without an owner gets the first that is named.
func TestDirectoryFirstOwner(t *testing.T) {
	w, _ := staffed(t, 3)
	net := w.provision(&protocol.Blueprint{Name: "made", Enterprise: true}).NetworkID
	w.join(net, 2)
	w.join(net, 3)
	w.sync(listingOf(net, "P3@x owner", "P2@x owner"))
	if got := w.roles(net); got != "2 admin 3 owner" {
		t.Error(got)
	}
	if got := w.lastEvent(protocol.EventOwnershipTransferred); got != "token:root network_id=2 old_owner=0 new_owner=3 new_owner_old_role=member" {
		t.Error(got)
	}
	checkGovernance(t, &w.m.Root().view)
	checkTotals(t, &w.m.Root().view)
}

func TestDirectoryErrors(t *testing.T) {
	w, net := staffed(t, 1)
	plain := w.network("plain", 1, "open", false)
	no := func(r *protocol.DirectorySync, by who, code, text string) {
		t.Helper()
		w.refused("directory_sync", r, by, code, text)
	}
	revision := func(n uint64) *protocol.DirectorySync {
		r := listingOf(net, "a")
		r.IfRevision = &n
		return r
	}
	no(&protocol.DirectorySync{}, nobody, protocol.CodeAdminToken, "invalid admin token")
	no(listingOf(0, "a"), admin, protocol.CodeInvalid, "network_id is required")
	no(listingOf(net), admin, protocol.CodeInvalid, "entries array is required")
	no(listingOf(999, "a"), admin, protocol.CodeNotFound, "network 999 not found")
	no(listingOf(plain, "a"), admin, protocol.CodeEnterpriseRequired, "directory sync requires enterprise network")
	no(listingOf(net, strings.Repeat("a", 1025)), admin, protocol.CodeInvalid, "entry 1 cannot be read, so nothing of the listing was applied: external_id too long (max 1024 bytes)")
	no(listingOf(net, "a", ""), admin, protocol.CodeInvalid, "entry 2 cannot be read, so nothing of the listing was applied: external_id is required")
	no(listingOf(net, "a king"), admin, protocol.CodeInvalid, `entry 1 cannot be read, so nothing of the listing was applied: invalid role "king": want owner, admin or member`)
	no(revision(7), admin, protocol.CodeConflict, "network 1 is at revision 1 and the request was made for revision 7; look at it again and plan anew")
	w.sync(revision(1))
	w.refused("directory_status", &protocol.NetworkRequest{NetworkID: net}, as(1), protocol.CodeAdminToken, "invalid admin token")
	w.refused("directory_status", &protocol.NetworkRequest{}, admin, protocol.CodeInvalid, "network_id is required")
	w.refused("directory_status", &protocol.NetworkRequest{NetworkID: 999}, admin, protocol.CodeNotFound, "network 999 not found")
}

func (w *world) directory(net uint16) *protocol.DirectoryStatusReply {
	w.t.Helper()
	return w.do("directory_status", &protocol.NetworkRequest{NetworkID: net}, admin).(*protocol.DirectoryStatusReply)
}

// Roles wait for people who are not members, follow the directory while they
// wait, and stop waiting when the person is disabled.
func TestDirectoryPreAssignments(t *testing.T) {
	w, net := staffed(t, 2)
	for _, c := range []struct {
		people string
		want   string
		count  uint32
	}{
		{"new@x admin,other@x,!gone@x admin", "new@x admin", 1},
		{"NEW@x owner,P2@x admin", "new@x owner", 1},
		{"new@x owner", "new@x owner", 0},
		{"new@x", "new@x owner", 0},
		{"late@x member", "new@x owner late@x member", 1},
		{"!NEW@X", "late@x member", 1},
	} {
		got := w.sync(listingOf(net, strings.Split(c.people, ",")...))
		var list []string
		w.m.Root().networks.eachPreAssign(net, func(_ string, p *preAssign) bool {
			list = append(list, p.external+" "+p.role.String())
			return true
		})
		if all := strings.Join(list, " "); all != c.want || got.PreAssigned != c.count {
			t.Errorf("%s: %s (%d changed), want %s (%d)", c.people, all, got.PreAssigned, c.want, c.count)
		}
	}
	// A member's waiting role, left from before it joined, follows too.
	w.register(7)
	w.do("set_external_id", &protocol.SetExternalID{NodeID: 3, ExternalID: "late@x"}, admin)
	w.join(net, 3)
	w.sync(listingOf(net, "late@x admin"))
	if p := w.m.Root().networks.preAssigned(net, "late@x"); p == nil || p.role != roleAdmin {
		t.Errorf("%+v", p)
	}
	r := listingOf(net, "P1@x", "P2@x")
	r.RemoveUnlisted = true
	w.sync(r)
	if p := w.m.Root().networks.preAssigned(net, "late@x"); p != nil {
		t.Errorf("%+v waits for one who was removed", p)
	}
}

func TestDirectoryDuplicates(t *testing.T) {
	w, net := staffed(t, 3)
	w.do("set_external_id", &protocol.SetExternalID{NodeID: 3, ExternalID: "p2@X"}, admin)
	got := w.sync(listingOf(net, "!P2@x", "p2@x admin", "P2@X member", "q@x"))
	if got.Mapped != 1 || got.Unmapped != 1 || got.Updated != 0 || len(got.Actions) != 0 || len(got.Warnings) != 2 {
		t.Errorf("%+v", got)
	}
	got = w.sync(listingOf(net, "p2@x admin"))
	if got.Mapped != 1 || got.Updated != 2 || w.roles(net) != "1 owner 2 admin 3 admin" {
		t.Errorf("%+v %s", got, w.roles(net))
	}
	if got = w.syncConfirmed(listingOf(net, "!p2@x")); got.Disabled != 2 || w.roles(net) != "1 owner" {
		t.Errorf("a disabled person keeps a node: %+v %s", got, w.roles(net))
	}
}

func TestDirectoryHostnames(t *testing.T) {
	w, net := staffed(t, 6)
	w.do("set_hostname", &protocol.SetHostname{NodeID: 2, Hostname: "bob"}, as(2))
	w.goOffline(6)
	for i := range 5 {
		w.beat(uint32(i + 1))
	}
	got := w.sync(listingOf(net, "P1@x  Bob", "P2@x  Robert", "P3@x  Bob The Üser", "P4@x  bob  the user", "P5@x  Ü", "P6@x  Six", "P1@x  Localhost"))
	names := fmt.Sprintf("%q %q %q %q %q", w.lookup(1).Hostname, w.lookup(2).Hostname, w.lookup(3).Hostname, w.lookup(4).Hostname, w.lookup(5).Hostname)
	if names != `"" "bob" "bob-the-ser" "bob-the-user" ""` || got.Hostnames != 2 {
		t.Errorf("%s %+v", names, got)
	}
	if want := []string{`"P1@x" is listed more than once: the last entry counts`, "node 5 got no hostname: nothing in its display name can be part of one",
		`node 1 got no hostname: hostname "localhost" is reserved`}; !slices.Equal(got.Warnings, want) {
		t.Errorf("%q", got.Warnings)
	}
	if r := w.do("resolve_hostname", &protocol.ResolveHostname{Hostname: "bob-the-ser", RequesterID: 1}, nil).(*protocol.ResolveHostnameReply); r.NodeID != 3 {
		t.Errorf("%+v", r)
	}
	if n, _ := w.m.Root().nodes.records.Get(6); n.hostname != "" {
		t.Error("a node that is not live was named")
	}
	got = w.sync(listingOf(net, "P1@x  BOB", "P5@x  Bob The User"))
	if len(got.Warnings) != 2 || got.Hostnames != 0 {
		t.Errorf("%+v", got)
	}
}

// Removal takes silent members too, and the invites to and from them.
func TestDirectoryRemoves(t *testing.T) {
	w, net := hidden(t)
	for id := uint32(1); id <= 4; id++ {
		w.do("set_external_id", &protocol.SetExternalID{NodeID: id, ExternalID: fmt.Sprintf("P%d@x", id)}, admin)
	}
	w.do("promote_member", &protocol.PromoteMember{NetworkID: net, TargetNodeID: 2}, admin)
	w.invite(net, 2, 3, 0)
	w.goOffline(2)
	got := w.sync(listingOf(net, "!P2@x"))
	if got.Disabled != 1 || w.roles(net) != "1 owner" || w.m.Root().networks.invites.Len() != 0 {
		t.Errorf("%+v %s, %d invites", got, w.roles(net), w.m.Root().networks.invites.Len())
	}
}

func TestDirectoryBrake(t *testing.T) {
	w, net := staffed(t, 8)
	r := listingOf(net, "P1@x owner", "P2@x")
	r.RemoveUnlisted = true
	const text = "this listing would remove 6 of the 8 members of network 1; if that is meant, send it again with confirm_removals 6"
	w.refused("directory_sync", r, admin, protocol.CodeConflict, text)
	wrong, right := uint64(7), uint64(6)
	r.ConfirmRemovals = &wrong
	w.refused("directory_sync", r, admin, protocol.CodeConflict, text)
	plan, e := w.m.Root().Plan(w.call("directory_sync", r, admin))
	if p, ok := plan.(*protocol.DirectorySyncReply); !ok || e != nil || p.Disabled != 6 || len(p.Warnings) != 1 ||
		p.Warnings[0] != "this listing would remove 6 of 8 members: to carry it out takes confirm_removals 6" {
		t.Errorf("%+v %v", plan, e)
	}
	r.ConfirmRemovals = &right
	if got := w.sync(r); got.Disabled != 6 || w.roles(net) != "1 owner 2 member" {
		t.Errorf("%+v %s", got, w.roles(net))
	}
}

// A small network is not emptied by a listing that was cut off: without being
// asked it loses two members at most, and never more than half.
func TestSmallNetworksHaveABrake(t *testing.T) {
	for members, free := range map[int]int{1: 0, 2: 1, 3: 1, 4: 2, 6: 2, 9: 2, 14: 2, 15: 3, 30: 6} {
		for gone := 1; gone <= min(members, free+1); gone++ {
			w, net := staffed(t, members)
			r := listingOf(net)
			for i := range members {
				if i < gone {
					r.Entries = append(r.Entries, person(fmt.Sprintf("!P%d@x", i+1)))
				} else {
					r.Entries = append(r.Entries, person(fmt.Sprintf("P%d@x", i+1)))
				}
			}
			if _, e := w.try("directory_sync", r, admin); (e == nil) != (gone <= free) {
				t.Errorf("%d of %d members: %v", gone, members, e)
			}
		}
	}
}

// A listing written with other ids says nothing about who has left.
func TestListingThatMatchesNobodyRemovesNobody(t *testing.T) {
	w, net := staffed(t, 30)
	r := listingOf(net, "1001", "1002")
	for i := range 29 { // one has an external id: far below the brake
		w.do("set_external_id", &protocol.SetExternalID{NodeID: uint32(i + 1)}, admin)
	}
	r.RemoveUnlisted = true
	const text = "no entry of this listing matches a member, and it would remove 1 of the 30 members of network 1; if that is meant, send it again with confirm_removals 1"
	w.refused("directory_sync", r, admin, protocol.CodeConflict, text)
	if got := w.syncConfirmed(r); got.Disabled != 1 {
		t.Errorf("%+v", got)
	}
}

func TestDirectoryStatus(t *testing.T) {
	w, net := staffed(t, 3)
	w.do("set_external_id", &protocol.SetExternalID{NodeID: 3}, admin)
	if s := w.directory(net); s.Total != 3 || s.Mapped != 2 || s.Unmapped != 1 || s.PreAssignments != 0 || s.LastSync != "" || s.LastResult != nil || !s.Enterprise {
		t.Errorf("%+v", s)
	}
	before := w.directory(net).Revision
	w.sync(listingOf(net, "P2@x member"))
	if s := w.directory(net); s.Revision != before || s.LastSync != utc(w.now) || *s.LastResult != (protocol.DirectoryCounts{Mapped: 1}) {
		t.Errorf("a sync that changes nothing: %+v", s)
	}
	got := w.sync(listingOf(net, "P2@x admin", "P9@x admin", "P8@x admin"))
	if s := w.directory(net); s.Revision != before+1 || got.Revision != s.Revision || s.PreAssignments != 2 || *s.LastResult != (protocol.DirectoryCounts{Mapped: 1, Unmapped: 2, Updated: 1}) {
		t.Errorf("%+v, %+v", s, got)
	}
}

// A role given for a time keeps its end when the directory lists the same.
func TestDirectoryKeepsEnds(t *testing.T) {
	w, net := staffed(t, 2)
	w.do("promote_member", &protocol.PromoteMember{NetworkID: net, TargetNodeID: 2, ForSeconds: 60}, admin)
	w.sync(listingOf(net, "P2@x admin"))
	w.tick(2 * minute)
	if got := w.sync(listingOf(net, "P2@x admin")); got.Updated != 1 { // it had ended, though nobody had swept it
		t.Errorf("%+v", got)
	}
	w.sweepAll()
	if got := w.roles(net); got != "1 owner 2 admin" {
		t.Error(got)
	}
}

// An id that lost its accents is another person's: josé, who has left, takes
// nobody along.
func TestAnIDListedAsDisabledAndNotRemovesNobody(t *testing.T) {
	for _, entries := range [][]protocol.DirectoryEntry{
		{{ExternalID: "jose@x"}, {ExternalID: "jose@x", Disabled: true}},
		{{ExternalID: "jose@x", Disabled: true}, {ExternalID: "jose@x"}, {ExternalID: "jose@x", Disabled: true}},
	} {
		p := &syncPlan{last: map[string]int{}}
		p.index(entries)
		if len(p.entries) != 1 || p.entries[0].Disabled || !strings.Contains(p.warnings[len(p.warnings)-1], "nobody is removed for it") {
			t.Errorf("%+v: %+v %q", entries, p.entries, p.warnings)
		}
	}
	p := &syncPlan{last: map[string]int{}}
	if p.index([]protocol.DirectoryEntry{{ExternalID: "ann@x", Disabled: true}, {ExternalID: "ann@x", Disabled: true}}); !p.entries[0].Disabled {
		t.Error("an id that is disabled in every entry stays")
	}
}
