package check

import (
	"encoding/json"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// audited are the commands of which every success is one event about the node
// that the request names, whether or not anything changed.
var audited = map[string]string{
	"update_polo_score": protocol.EventPoloUpdated,
	"set_tags":          protocol.EventTagsChanged,
	"set_visibility":    protocol.EventVisibilityChanged,
}

// auditedAt is where and about whom an event is.
type auditedAt struct {
	index uint64
	node  uint32
}

// writeOf is an action and whom it is about.
type writeOf struct {
	action string
	node   uint32
}

// Audited holds the audit log, oldest event first, against the history: every
// acknowledged write of the commands above has one event at its index, an
// event that belongs to no acknowledged write belongs to one of unknown
// outcome, and events stand in the order of the log. What retention has cut
// off is not asked for. It returns how many writes were found.
func Audited(ops []history.Op, entries []protocol.AuditEntry) (found int, _ []Violation) {
	out := newFindings()
	at := map[string]map[auditedAt]int{} // action → events
	floor := map[string]uint64{}         // action → index above which nothing was cut off
	index := uint64(0)
	for _, action := range audited {
		at[action] = map[auditedAt]int{}
		if len(entries) == 0 || entries[0].Seq > 1 {
			floor[action] = oldest(entries, protocol.Events[action].String())
		}
	}
	for i := range entries {
		e := &entries[i]
		if e.Index < index {
			out.blame(CheckerInvariant, RuleAuditOrder, nil, "event %d (%s) is of index %d, and an event before it of %d", e.Seq, e.Action, e.Index, index)
		}
		index = max(index, e.Index)
		if at[e.Action] != nil && e.Index > floor[e.Action] {
			at[e.Action][auditedAt{e.Index, e.NodeID}]++
		}
	}
	open := map[writeOf]int{} // writes that may have taken effect
	ours := map[uint32]bool{}
	for i := range ops {
		op := &ops[i]
		action := audited[op.Command]
		if action == "" {
			continue
		}
		node := nodeOf(op)
		ours[node] = true
		switch {
		case op.Outcome == history.Unknown:
			open[writeOf{action, node}]++
		case op.Outcome == history.OK && op.Index > floor[action]:
			where := auditedAt{op.Index, node}
			if at[action][where] == 0 {
				out.blame(CheckerInvariant, RuleUnaudited, []*history.Op{op}, "%s of node %d was acknowledged with index %d, and no event %s is there", op.Command, node, op.Index, action)
				continue
			}
			at[action][where]--
			found++
		}
	}
	for action, left := range at {
		for where, n := range left {
			write := writeOf{action, where.node}
			if !ours[where.node] {
				continue
			}
			if open[write] -= n; n > 0 && open[write] < 0 {
				out.blame(CheckerInvariant, RulePhantomEvent, nil, "%d events %s of node %d at index %d belong to no write", n, action, where.node, where.index)
			}
		}
	}
	return found, out.sorted()
}

// oldest is the index of the oldest event of a class: those of the same index
// before it may have been cut off.
func oldest(entries []protocol.AuditEntry, class string) uint64 {
	for i := range entries {
		if entries[i].Class == class {
			return entries[i].Index
		}
	}
	return ^uint64(0)
}

// nodeOf is the node that a request names.
func nodeOf(op *history.Op) uint32 {
	var args struct {
		NodeID uint32 `json:"node_id"`
	}
	if json.Unmarshal(op.Args, &args) != nil {
		return 0
	}
	return args.NodeID
}
