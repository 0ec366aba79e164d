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
			NodeID: uint32(pairs[i]), Index: pairs[i+1]})
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
		n, found := check.Audited(ops, tt.log)
		if got := rules(found); n != tt.found || !slices.Equal(got, tt.broken) {
			t.Errorf("%s: %d found, broken %v, want %d and %v: %v", tt.name, n, got, tt.found, tt.broken, found)
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
