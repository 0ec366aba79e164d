// SPDX-License-Identifier: Apache-2.0

package check

import (
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// auditedAt is what happened, at which index, to whom.
type auditedAt struct {
	index   uint64
	command string
	subject string
}

// writeOf is a command and what it is about.
type writeOf struct{ command, subject string }

// Audited holds the audit log, oldest event first, against the history: every
// acknowledged write of the commands in audited has one event at its index, an
// event that belongs to no acknowledged write belongs to one of unknown
// outcome, a node id is registered once, and events stand in the order of the
// log. What retention has cut off is not asked for. It returns how many writes
// of each command were found.
func Audited(ops []history.Op, entries []protocol.AuditEntry) (found map[string]int, _ []Violation) {
	t := &trailOf{out: newFindings(), found: map[string]int{}, events: map[auditedAt]int{}, floor: map[string]uint64{},
		open: map[writeOf]int{}, ours: map[writeOf]bool{}, owners: map[writeOf]string{}}
	t.read(entries)
	t.ops = ops
	for i := range ops {
		t.match(&ops[i])
	}
	t.rest()
	return t.found, t.out.sorted()
}

// trailOf is an audit log while it is held against a history.
type trailOf struct {
	out    *findings
	found  map[string]int
	events map[auditedAt]int
	floor  map[string]uint64  // class → index above which nothing was cut off
	open   map[writeOf]int    // writes that may have taken effect
	ours   map[writeOf]bool   // command and owner of the history's writes
	owners map[writeOf]string // of events
	ops    []history.Op
	latest map[writeOf][]*history.Op // writes that set something, by index; made when it is needed
}

// commandOf finds the command that an action is the event of.
var commandOf = func() map[string]string {
	m := map[string]string{}
	for command, rule := range audited {
		m[rule.action] = command
	}
	return m
}()

// read counts the events of the log.
func (t *trailOf) read(entries []protocol.AuditEntry) {
	for _, class := range []protocol.EventClass{protocol.ClassSecurity, protocol.ClassActivity} {
		if len(entries) == 0 || entries[0].Seq > 1 {
			t.floor[class.String()] = oldest(entries, class.String())
		}
	}
	index, registered := uint64(0), map[uint32]uint64{}
	for i := range entries {
		e := &entries[i]
		if e.Index < index {
			t.out.blame(CheckerInvariant, RuleAuditOrder, nil, "event %d (%s) is of index %d, and an event before it of %d", e.Seq, e.Action, e.Index, index)
		}
		index = max(index, e.Index)
		if e.Action == protocol.EventNodeRegistered {
			if before := registered[e.NodeID]; before != 0 {
				t.out.blame(CheckerInvariant, RulePhantomEvent, nil, "node %d was registered as a new one by event %d and again by event %d", e.NodeID, before, e.Seq)
			}
			registered[e.NodeID] = e.Seq
		}
		command, known := commandOf[e.Action]
		if !known || e.Index <= t.floor[e.Class] || i > 0 && succession(&entries[i-1], e) {
			continue
		}
		subject, owner := audited[command].subjectIn(e)
		t.events[auditedAt{e.Index, command, subject}]++
		t.owners[writeOf{command, subject}] = owner
	}
}

// succession reports an owner that follows one that is gone: nobody asked for it.
func succession(before, e *protocol.AuditEntry) bool {
	return e.Action == protocol.EventOwnershipTransferred && before.Action == protocol.EventOwnerLost &&
		before.Index == e.Index && before.NetworkID == e.NetworkID
}

// match finds the event of an operation.
func (t *trailOf) match(op *history.Op) {
	rule, known := audited[op.Command]
	if !known {
		return
	}
	subject, owner, ok := rule.subjectOf(op)
	if !ok {
		return
	}
	t.ours[writeOf{op.Command, owner}] = true
	write := writeOf{op.Command, subject}
	switch {
	case op.Outcome == history.Unknown:
		t.open[write]++
	case op.Outcome == history.OK && op.Index > t.floor[protocol.Events[rule.action].String()]:
		where := auditedAt{op.Index, op.Command, subject}
		if t.events[where] > 0 {
			t.events[where]--
			t.found[op.Command]++
		} else if !(rule.silent != nil && rule.silent(op)) && !(rule.repeats && t.repeated(op)) {
			t.out.blame(CheckerInvariant, RuleUnaudited, []*history.Op{op}, "%s of %q was acknowledged with index %d, and no event %s of it is there", op.Command, subject, op.Index, rule.action)
		}
	}
}

// rest looks at the events that no acknowledged write explains.
func (t *trailOf) rest() {
	for where, n := range t.events {
		write := writeOf{where.command, where.subject}
		if n == 0 || !t.ours[writeOf{where.command, t.owners[write]}] {
			continue
		}
		if t.open[write] -= n; t.open[write] < 0 {
			t.out.blame(CheckerInvariant, RulePhantomEvent, nil, "%d events %s of %q at index %d belong to no write", n, audited[where.command].action, where.subject, where.index)
		}
	}
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
