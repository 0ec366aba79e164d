// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"slices"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// traces are what events say of a person beside the nodes that are bound to it.
type traces struct {
	found  bool     // some event names the person
	former []uint32 // nodes that were the person's last, by id
	// hostnames are what nodes were called while they were the person's.
	hostnames map[uint32]map[string]bool
}

// nodeTrace is an event that says whose a node is, or what it is called.
type nodeTrace struct {
	seq      uint64
	node     uint32
	old, new string
	name     bool // it is about the hostname
}

// compare orders traces by node, then time.
func (n nodeTrace) compare(other nodeTrace) int {
	switch {
	case n.node < other.node, n.node == other.node && n.seq < other.seq:
		return -1
	case n.node == other.node && n.seq == other.seq:
		return 0
	}
	return 1
}

// tracesOf finds the traces of a person.
func (st *auditStore) tracesOf(person personNames) *traces {
	t := &traces{hostnames: map[uint32]map[string]bool{}}
	about := map[uint32]bool{}
	bound := st.nodeTraces(func(action string, _ uint32) bool { return action == protocol.EventExternalIDSet })
	for _, b := range bound {
		if b.names(person) {
			t.found, about[b.node] = true, true
		}
	}
	if !t.found {
		return t
	}
	all := st.nodeTraces(func(_ string, node uint32) bool { return about[node] })
	slices.SortFunc(all, nodeTrace.compare)
	all = slices.CompactFunc(all, func(a, b nodeTrace) bool { return a.compare(b) == 0 })
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].node == all[0].node {
			n++
		}
		t.follow(person, all[:n])
		all = all[n:]
	}
	return t
}

// nodeTraces collects the events that can be erased, of the log and of dead
// letters, which may be all that is left of one.
func (st *auditStore) nodeTraces(wanted func(action string, node uint32) bool) (out []nodeTrace) {
	collect := func(r eventRecord) {
		if !erasable(r.action()) {
			return
		}
		if e, ok := decodeEvent(0, 0, r); ok && wanted(e.Action, e.NodeID()) {
			out = append(out, traceOf(&e))
		}
	}
	for c := range st.events {
		st.events[c].Ascend(0, func(_ uint64, r eventRecord) bool {
			collect(r)
			return true
		})
	}
	st.letters.Ascend("", func(_ string, l *letter) bool {
		collect(l.event)
		return true
	})
	return out
}

func traceOf(e *Event) nodeTrace {
	tr := nodeTrace{seq: e.Seq, node: e.NodeID(), name: e.Action != protocol.EventExternalIDSet}
	for _, a := range e.Attrs {
		switch a.Key {
		case "old_external_id", "old_hostname", "hostname":
			tr.old = a.Value
		case "new_external_id", "new_hostname":
			tr.new = a.Value
		}
	}
	return tr
}

// names reports whether a trace says that a node is or was a person's.
func (n nodeTrace) names(person personNames) bool {
	return !n.name && (person.has(n.old) || person.has(n.new))
}

// follow goes through what is known of one node, oldest first. The person's are
// the names that it got while it was the person's, and the one that it had when
// it became so, which the next change tells, whenever that comes.
func (t *traces) follow(person personNames, of []nodeTrace) {
	names := map[string]bool{}
	theirs, owed, last := false, false, false // owed: the name that it has is one of them
	since := 0
	for i, tr := range of {
		if tr.name {
			if owed {
				names[tr.old] = true
			}
			if theirs {
				names[tr.new] = true
			}
			owed = theirs
			continue
		}
		before := person.has(tr.old)
		if before && !theirs { // what made it theirs has been cut off
			for _, n := range of[since:i] {
				names[n.old], names[n.new] = true, true
			}
		}
		theirs = person.has(tr.new)
		owed = owed || before || theirs
		last = theirs || before && tr.new == ""
		since = i + 1
	}
	delete(names, "")
	t.hostnames[of[0].node] = names
	if last {
		t.former = append(t.former, of[0].node)
	}
}
