// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// scored is a change of a node's score in the history; at 0 its outcome is unknown.
func scored(node uint32, at uint64) history.Op {
	op := history.Op{ID: at, Workload: "w", Command: "update_polo_score", Outcome: history.OK, Index: at,
		Args: json.RawMessage(fmt.Sprintf(`{"type":"update_polo_score","node_id":%d,"delta":1}`, node))}
	if at == 0 {
		op.Outcome = history.Unknown
	}
	return op
}

// audit makes an audit log of changes of scores, from pairs of node and index.
func audit(first uint64, pairs ...uint64) (out []protocol.AuditEntry) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, protocol.AuditEntry{Seq: first + uint64(i/2), Action: protocol.EventPoloUpdated, Class: protocol.ClassActivity.String(),
			NodeID: uint32(pairs[i]), Index: pairs[i+1], Attrs: [][2]string{{"node_id", fmt.Sprint(pairs[i])}, {"delta", "1"}, {"new_score", "9"}}})
	}
	return out
}

func TestAudited(t *testing.T) {
	t.Parallel()
	ops := []history.Op{scored(7, 4), scored(7, 4), scored(8, 5), scored(7, 9), scored(8, 0)}
	tests := []struct {
		name   string
		log    []protocol.AuditEntry
		found  int
		broken []check.Rule
	}{
		{"all", audit(1, 7, 4, 7, 4, 8, 5, 7, 9), 4, nil},
		{"and one of unknown outcome", audit(1, 7, 4, 7, 4, 8, 5, 8, 6, 7, 9), 4, nil},
		{"and somebody else's", audit(1, 7, 4, 7, 4, 8, 5, 9, 6, 7, 9), 4, nil},
		{"one missing", audit(1, 7, 4, 8, 5, 7, 9), 3, []check.Rule{check.RuleUnaudited}},
		{"one at another index", audit(1, 7, 4, 7, 4, 8, 5, 7, 8), 3, []check.Rule{check.RulePhantomEvent, check.RuleUnaudited}},
		{"one twice", audit(1, 7, 4, 7, 4, 8, 5, 7, 9, 7, 9), 4, []check.Rule{check.RulePhantomEvent}},
		{"unknown and twice", audit(1, 7, 4, 7, 4, 8, 5, 8, 6, 8, 7, 7, 9), 4, []check.Rule{check.RulePhantomEvent}},
		{"out of order", audit(1, 8, 5, 7, 4, 7, 4, 7, 9), 4, []check.Rule{check.RuleAuditOrder}},
		{"the beginning cut off", audit(3, 8, 5, 7, 9), 1, nil},
	}
	for _, tt := range tests {
		counts, found := check.Audited(ops, tt.log)
		n := counts["update_polo_score"]
		if got := rules(found); n != tt.found || !slices.Equal(got, tt.broken) {
			t.Errorf("%s: %d found, broken %v, want %d and %v: %v", tt.name, n, got, tt.found, tt.broken, found)
		}
	}
}

// act is an operation of the history; at 0 its outcome is unknown.
func act(command, args string, at uint64) history.Op {
	op := history.Op{ID: at, Workload: "w", Command: command, Outcome: history.OK, Index: at, Args: json.RawMessage(args), Reply: json.RawMessage(`{}`)}
	if at == 0 {
		op.Outcome = history.Unknown
	}
	return op
}

// entry makes an event from pairs of attributes.
func entry(seq, index uint64, action string, pairs ...string) protocol.AuditEntry {
	e := protocol.AuditEvent{Seq: seq, Index: index, Action: action, Class: protocol.Events[action]}
	for i := 0; i < len(pairs); i += 2 {
		e.Attrs = append(e.Attrs, protocol.AuditAttr{Key: pairs[i], Value: pairs[i+1]})
	}
	return e.Entry()
}

func TestAuditedCommands(t *testing.T) {
	t.Parallel()
	joined := entry(1, 4, protocol.EventNetworkJoined, "node_id", "7", "network_id", "3")
	invited := entry(1, 4, protocol.EventInviteCreated, "network_id", "3", "inviter_id", "7", "target_node_id", "8")
	answered := entry(2, 5, protocol.EventInviteResponded, "node_id", "8", "network_id", "3", "accepted", "false")
	lost := entry(1, 4, protocol.EventOwnerLost, "network_id", "3", "former_owner", "7")
	heir := entry(2, 4, protocol.EventOwnershipTransferred, "network_id", "3", "old_owner", "7", "new_owner", "8", "new_owner_old_role", "admin")
	join, invite := act("join_network", `{"node_id":7,"network_id":3}`, 4), act("invite_to_network", `{"inviter_id":7,"network_id":3,"target_node_id":8}`, 4)
	again := invite
	again.Index, again.Reply = 6, json.RawMessage(`{"status":"already_invited"}`)
	tests := []struct {
		name   string
		ops    []history.Op
		log    []protocol.AuditEntry
		broken []check.Rule
	}{
		{"joined", []history.Op{join}, []protocol.AuditEntry{joined}, nil},
		{"joined, about somebody else", []history.Op{act("join_network", `{"node_id":9,"network_id":3}`, 4)}, []protocol.AuditEntry{joined},
			[]check.Rule{check.RulePhantomEvent, check.RuleUnaudited}},
		{"joined, by somebody the history does not have", []history.Op{act("join_network", `{"node_id":9,"network_id":3}`, 0)}, []protocol.AuditEntry{joined}, []check.Rule{check.RulePhantomEvent}},
		{"another network", []history.Op{act("join_network", `{"node_id":9,"network_id":4}`, 0)}, []protocol.AuditEntry{joined}, nil},
		{"invited, again, answered", []history.Op{invite, again, act("respond_invite", `{"node_id":8,"network_id":3}`, 5)}, []protocol.AuditEntry{invited, answered}, nil},
		{"invited without an event", []history.Op{invite}, []protocol.AuditEntry{joined}, []check.Rule{check.RuleUnaudited}},
		{"refused in the log, accepted by the client", []history.Op{act("respond_invite", `{"node_id":8,"network_id":3,"accept":true}`, 5)}, []protocol.AuditEntry{answered},
			[]check.Rule{check.RulePhantomEvent, check.RuleUnaudited}},
		{"an heir", []history.Op{act("transfer_ownership", `{"node_id":7,"network_id":3,"new_owner_id":9}`, 0)}, []protocol.AuditEntry{lost, heir}, nil},
		{"an owner whom nobody chose", []history.Op{act("transfer_ownership", `{"node_id":7,"network_id":3,"new_owner_id":9}`, 0)}, []protocol.AuditEntry{heir}, []check.Rule{check.RulePhantomEvent}},
		{"gone already", []history.Op{act("deregister", `{"node_id":7}`, 4)}, nil, nil},
		{"an id given twice", nil, []protocol.AuditEntry{entry(1, 4, protocol.EventNodeRegistered, "node_id", "7", "mode", "new_node"),
			entry(2, 5, protocol.EventNodeRegistered, "node_id", "7", "mode", "new_node")}, []check.Rule{check.RulePhantomEvent}},
	}
	for _, tt := range tests {
		for i := range tt.log {
			tt.log[i].Seq = uint64(i + 1)
		}
		_, found := check.Audited(tt.ops, tt.log)
		if got := rules(found); !slices.Equal(got, tt.broken) {
			t.Errorf("%s: broken %v, want %v: %v", tt.name, got, tt.broken, found)
		}
	}
}

func TestSameTrail(t *testing.T) {
	t.Parallel()
	a, _ := trail(10)
	b, _ := trail(12)
	if found := check.SameTrail(a[2:], b); found != nil {
		t.Errorf("one is a part of the other: %v", found)
	}
	b[5].Chain = b[4].Chain
	if got := rules(check.SameTrail(a, b)); !slices.Equal(got, []check.Rule{check.RuleTrailDiffers}) {
		t.Errorf("one event differs: broken %v", got)
	}
}

// TestRepetitionsAreNotAudited: a command that sets what is set already has no
// event; one that sets something else does.
func TestRepetitionsAreNotAudited(t *testing.T) {
	t.Parallel()
	changed := entry(1, 4, protocol.EventVisibilityChanged, "node_id", "7", "new_public", "true")
	yes, no := `{"node_id":7,"public":true}`, `{"node_id":7,"public":false}`
	for name, c := range map[string]struct {
		ops    []history.Op
		broken []check.Rule
	}{
		"the same again":               {[]history.Op{act("set_visibility", yes, 4), act("set_visibility", yes, 6)}, nil},
		"something else":               {[]history.Op{act("set_visibility", yes, 4), act("set_visibility", no, 6)}, []check.Rule{check.RuleUnaudited}},
		"what a node begins with":      {[]history.Op{act("set_visibility", no, 3), act("set_visibility", yes, 4)}, nil},
		"after two at one index":       {[]history.Op{act("set_visibility", yes, 4), act("set_visibility", no, 4), act("set_visibility", yes, 6)}, nil},
		"after one of unknown outcome": {[]history.Op{act("set_visibility", yes, 4), act("set_visibility", no, 0), act("set_visibility", no, 6)}, nil},
	} {
		if _, found := check.Audited(c.ops, []protocol.AuditEntry{changed}); !slices.Equal(rules(found), c.broken) {
			t.Errorf("%s: %v", name, found)
		}
	}
}
