// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func importable() *Import {
	const day = "2026-01-02T00:00:00Z"
	node := func(id uint32) DocNode {
		return DocNode{ID: id, PublicKey: testKey(int(id)).String(), RealAddr: "203.0.113.9:4000", LastSeen: day, KeyCreated: day, ExternalID: "Ann@X", Tags: []string{"a"}, TaskExec: true}
	}
	doc := &ReplicationDoc{NextNode: 9, NextNet: 3, TotalRequests: 90, StartTime: day,
		Nodes: map[string]DocNode{"1": node(1), "2": node(2)},
		Networks: map[string]DocNetwork{"0": {Name: "backbone", JoinRule: "open", Created: day},
			"1": {ID: 1, Name: "lab", JoinRule: "token", Members: []uint32{2, 1, 3, 7}, MemberRoles: map[string]string{"1": "owner", "2": "member", "3": "admin"},
				MemberTags: map[string][]string{"2": {"gpu"}}, Policy: &DocPolicy{MaxMembers: 9}, Enterprise: true, Created: day}},
		TrustPairs: []string{"1:2", "1:8"}, PubKeyIdx: map[string]uint32{testKey(1).String(): 1, testKey(3).String(): 3},
		HandshakeInbox:     map[string][]DocHandshake{"2": {{FromNodeID: 1, Justification: "hello", Timestamp: day}}},
		HandshakeResponses: map[string][]DocHandshakeR{"1": {{FromNodeID: 2, Accept: true, Timestamp: day}}},
		InviteInbox:        map[string][]DocInvite{"4": {{NetworkID: 1, InviterID: 1, Timestamp: day}}},
		RBACPreAssign:      map[string][]DocPreAssign{"1": {{ExternalID: "Eve@X", Role: "admin"}}},
		IDPConfig:          &DocIDP{Type: "oidc", URL: "https://idp.example.org"},
		AuditExportConfig:  &DocExport{Format: "json", Endpoint: "https://siem.example.org"},
		AuditLog: []DocAudit{{Timestamp: day, Action: "hostname.changed", NodeID: 1, Details: "old_hostname=a, new_hostname=b"},
			{Timestamp: day, Action: "of.another", Details: "list=a, b, c=d"}}}
	return &Import{Init: ClusterInit{ClusterID: "imported", Level: LevelMax}, Time: startTime, Seed: Seed{1}, Source: "f00d", Doc: doc, HoldSinks: true,
		Tokens:     []PutToken{{Kind: TokenAdmin, Name: "initial", MAC: testMAC(7)}},
		JoinTokens: map[uint16]protocol.MAC{1: testMAC(1)}, AdminTokens: map[uint16]protocol.MAC{1: testMAC(2)}, Keys: func(string) protocol.IDKeys { return protocol.IDKeys{} }}
}

// An imported state keeps every promise of a state, and a member that restores
// it has the same digest.
func TestImportMakesAState(t *testing.T) {
	m := New()
	if err := m.Import(importable()); err != nil {
		t.Fatal(err)
	}
	r := m.Root()
	checkGovernance(t, &r.view)
	checkTotals(t, &r.view)
	checkSinks(t, &r.view)
	other := New()
	if err := other.Restore(bytes.NewReader(snapshotOf(t, m))); err != nil {
		t.Fatal(err)
	}
	if other.Root().Digest() != r.Digest() {
		t.Error("a member that restores the state has another digest")
	}
	again := New()
	if err := again.Import(importable()); err != nil || again.Root().Digest() != r.Digest() {
		t.Errorf("the same import gives another state: %v", err)
	}
	for _, s := range r.Sinks() {
		if s.Held() != (s.Kind != protocol.SinkLog) || s.Seq < 2 {
			t.Errorf("sink %s: held %t, at event %d: it is to get none of the file's", s.Name, s.Held(), s.Seq)
		}
	}
	doc := r.ReplicationDocument().(*ReplicationDoc)
	var trail []string
	for _, e := range doc.AuditLog {
		trail = append(trail, e.Action+" "+e.Details)
	}
	if got := strings.Join(trail[:2], "; "); got != "hostname.changed old_hostname=a, new_hostname=b; of.another list=a, b, c=d" {
		t.Errorf("the trail begins with %s", got)
	}
	if got := trail[len(trail)-1]; got != "cluster.imported sha256=f00d, nodes=2, networks=2, events=2" {
		t.Errorf("the trail ends with %s", got)
	}
}

// What contradicts itself is refused: no member could read it again.
func TestImportRefusesContradictions(t *testing.T) {
	for name, change := range map[string]func(*Import){
		"an id that is to come":   func(b *Import) { b.Doc.NextNode = 2 },
		"a network to come":       func(b *Import) { b.Doc.NextNet = 1 },
		"a key of two nodes":      func(b *Import) { d := b.Doc.Nodes["2"]; d.PublicKey = testKey(1).String(); b.Doc.Nodes["2"] = d },
		"another id":              func(b *Import) { d := b.Doc.Nodes["2"]; d.ID = 1; b.Doc.Nodes["2"] = d },
		"keys of one node":        func(b *Import) { b.Doc.PubKeyIdx[testKey(5).String()] = 3 },
		"a member twice":          func(b *Import) { d := b.Doc.Networks["1"]; d.Members = []uint32{1, 1}; b.Doc.Networks["1"] = d },
		"a second owner":          func(b *Import) { b.Doc.Networks["1"].MemberRoles["2"] = "owner" },
		"a pair with itself":      func(b *Import) { b.Doc.TrustPairs = []string{"1:1"} },
		"an invite to no network": func(b *Import) { b.Doc.InviteInbox["4"][0].NetworkID = 2 },
		"a time that is none":     func(b *Import) { d := b.Doc.Nodes["2"]; d.LastSeen = "today"; b.Doc.Nodes["2"] = d },
		"an unknown level":        func(b *Import) { b.Init.Level = LevelMax + 1 },
	} {
		b := importable()
		change(b)
		if err := New().Import(b); err == nil {
			t.Errorf("%s was imported", name)
		}
	}
}
