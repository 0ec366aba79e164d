// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// fleet has a node of each kind that the list tells apart.
func fleet(t *testing.T) (*site, string) {
	s := newSite(t)
	now := s.now.UnixMilli()
	day := int64(24 * time.Hour / time.Millisecond)
	score := int64(5)
	s.replies["list_nodes"] = &protocol.ListNodesReply{Nodes: []protocol.ListedNode{
		{NodeID: 1, Hostname: "plain", Address: "0:0000.0000.0001", PoloScore: &score, Tags: []string{"gpu"}}, {NodeID: 3, Hostname: "late-key"}, {NodeID: 5, Hostname: "late-role", TaskExec: true}, {NodeID: 8, Hostname: "newer-than-the-state"}}}
	s.summaries = []fsm.NodeSummary{
		{ID: 1, Online: true, KeyEnds: now + 31*day, Networks: 2},
		{ID: 2, Hostname: "silent", OfflineSince: now - day},
		{ID: 3, Online: true, KeyEnds: now - day},
		{ID: 4, Released: true, OfflineSince: now - 90*day},
		{ID: 5, Online: true, Ends: now + 2*day},
		{ID: 6, Online: true}, // registered after the list was made
	}
	return s, s.login()
}

// idsOf are the nodes that a page lists, in order.
func idsOf(page string) string {
	var ids []string
	for _, part := range strings.Split(page, `<tr><td class="n"><a href="/nodes/`)[1:] {
		id, _, _ := strings.Cut(part, `"`)
		ids = append(ids, id)
	}
	return strings.Join(ids, " ")
}

// The list has nodes that are silent as well, and finds those of which
// something ends soon.
func TestNodesByState(t *testing.T) {
	s, cookie := fleet(t)
	for query, want := range map[string]string{"": "1 2 3 5 8", "?state=online": "1 3 5 8", "?state=offline": "2 4", "?state=expiring": "3 5", "?state=tasks": "5", "?q=silent": "2", "?q=%23gpu": "1", "?q=silent&state=online": ""} {
		if got := idsOf(s.get("/nodes"+query, cookie).Body.String()); got != want {
			t.Errorf("%q lists %q, want %q", query, got, want)
		}
	}
	body := s.get("/nodes?state=expiring", cookie).Body.String()
	for _, want := range []string{">key ended <", ">membership or role ends <", ">in 2 d<"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
}

// Columns are chosen in the address, and its links keep them.
func TestNodeColumns(t *testing.T) {
	s, cookie := fleet(t)
	standard := s.get("/nodes", cookie).Body.String()
	if !strings.Contains(standard, "<th>Tags</th>") || strings.Contains(standard, "<th>Address</th>") {
		t.Errorf("the standard columns: %s", standard)
	}
	body := s.get("/nodes?col=address&col=networks&col=tags&state=online", cookie).Body.String()
	for _, want := range []string{"<th>Address</th>", `<th class="n">Networks</th>`, "<code>0:0000.0000.0001</code>", `<td class="n">2</td>`, `value="address" checked`, `/nodes?col=address&amp;col=networks&amp;col=tags&amp;q=%23gpu`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	for _, unwanted := range []string{"<th>Version</th>", `value="version" checked`} {
		if strings.Contains(body, unwanted) {
			t.Errorf("%q in %s", unwanted, body)
		}
	}
}

// A node's page says what each side of a pair has said, when memberships end
// and what waits, also while the node is offline.
func TestNodePageShowsWhatNoCommandTells(t *testing.T) {
	s, cookie := fleet(t)
	now := s.now.UnixMilli()
	s.details = map[uint32]fsm.NodeDetail{
		7: {NodeSummary: fsm.NodeSummary{ID: 7, Online: true, Ends: now + 3600_000}, Peers: 90, Handshakes: 1,
			Memberships: []fsm.NodeMembership{{Network: 3, Name: "prod-fleet", Role: "admin", RoleEnds: now + 3600_000}},
			Trust:       []fsm.TrustSides{{Peer: 8, Reported: true, Trusted: true}, {Peer: 9, Reported: true, PeerReported: true, Trusted: true}},
			Waiting:     []fsm.NodeHandshake{{From: 11, At: now - 60_000}}},
		2: {NodeSummary: fsm.NodeSummary{ID: 2, Hostname: "silent", OfflineSince: now - 3600_000}},
	}
	s.replies["lookup"], s.replies["get_key_info"] = &protocol.LookupReply{NodeID: 7, Hostname: "alice"}, &protocol.GetKeyInfoReply{}
	body := s.get("/nodes/7", cookie).Body.String()
	for _, want := range []string{"prod-fleet</a></td><td>admin</td>", ">in 1 h 0 min<", "90 peers, of which 2 are shown", ">node 11</a></td><td>asks for trust<", "Its membership or role ends"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if got := strings.Count(body, ">one-sided<"); got != 1 {
		t.Errorf("%d pairs are marked one-sided: %s", got, body)
	}
	s.errors["lookup"] = protocol.Refusef(protocol.CodeNotFound, "node not found")
	if w := s.get("/nodes/2", cookie); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "The node is offline</strong> since <time") || !strings.Contains(w.Body.String(), "silent") {
		t.Errorf("a node that is offline: %d %s", w.Code, w.Body)
	}
	if w := s.get("/nodes/99", cookie); w.Code != http.StatusNotFound {
		t.Errorf("a node that never was: %d", w.Code)
	}
}
