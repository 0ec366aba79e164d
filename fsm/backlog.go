// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// Required sinks make writes wait when they are too far behind. The events that
// such a sink has not been given yet are counted by who caused them, so that
// the one that fills the backlog waits before the others do.
//
// Counted are the events from a sink's position on, as far as its bound: beyond
// it every write waits, whatever its caller.

// strangers is the principal that all callers who prove nothing are together.
const strangers = "anonymous"

// strangersPart: strangers may have one in strangersPart places of a backlog, and share
// these as everybody shares the whole.
const strangersPart = 2

// causedBy is who an event counts for: nobody for what the cluster does itself.
func causedBy(actor, source string) (b bearer, counts bool) {
	switch {
	case actor == "system":
		return bearer{}, false
	case strings.HasPrefix(actor, "unsigned:"):
		actor = strangers
	}
	at := share.OfText(source)
	return bearer{actor, at.String(), at.Wide().String()}, true
}

// causes is causedBy of the events that a command would cause.
func (v *view) causes(c *invocation) bearer {
	actor := strangers
	switch {
	case c.actor.Node != 0:
		actor = "node:" + decimal(c.actor.Node)
	case c.actor.Token != "":
		actor = "token:" + c.actor.Token
	default:
		id := protocol.NetworkID(c.row, c.body)
		if n, ok := v.networks.records.Get(id); ok && networkToken(c, n) {
			actor = "token:network:" + decimal(uint32(id))
		}
	}
	b, _ := causedBy(actor, c.source)
	return b
}

// at is the bearer as a sink's backlog counts it: apart from other sinks, and
// what strangers do at an address apart from what others do there.
func (b bearer) at(sink string) bearer {
	pool := sink + "/known/"
	if b.principal == strangers {
		pool = sink + "/strangers/"
	}
	return bearer{pool + b.principal, pool + b.source, pool + b.wide}
}

// backlogPart says which bound refuses one more event of a bearer in the
// backlog of a sink that is lag events behind.
func (st *auditStore) backlogPart(s *sink, lag uint64, by bearer) share.Limit {
	b := by.at(s.Name)
	all := share.Parts{Total: int64(s.MaxLag) + 1}
	if by.principal != strangers {
		return st.backlog.allowsOf(all, &b, int64(lag), 1)
	}
	held := st.backlog.of(&b)
	theirs := share.Parts{Total: (all.Total + strangersPart - 1) / strangersPart}
	return theirs.Allows(share.Use{Own: held[1], Group: held[2], Total: held[0]}, 1)
}

// ahead is the last event that counts in the backlog of a sink at a position.
func (s *sink) ahead(seq uint64) uint64 { return seq + uint64(s.MaxLag) }

// countBacklog counts what a sink is behind with, n times: -1 before the sink
// or its position becomes another one, 1 afterwards.
func countBacklog(x *txn, name string, n int64) {
	s, ok := x.audit.sinks.Get(name)
	cur, placed := x.audit.cursors.Get(name)
	if ok && placed && s.Required {
		countBetween(x, name, cur.seq, s.ahead(cur.seq), n)
	}
}

// advanceBacklog counts a sink's backlog on when its position moves.
func advanceBacklog(x *txn, name string, from, to uint64) {
	s, ok := x.audit.sinks.Get(name)
	if !ok || !s.Required {
		return
	}
	countBetween(x, name, from, min(to, s.ahead(from)), -1)
	countBetween(x, name, max(to, s.ahead(from)), s.ahead(to), 1)
}

// countBacklogs counts all backlogs of a state that was read.
func countBacklogs(x *txn) {
	x.audit.sinks.Scan(func(name string, _ *sink) bool {
		countBacklog(x, name, 1)
		return true
	})
}

// audited refuses a write while a required sink is too far behind, and, earlier, the
// writes of a bearer that has caused its share of the undelivered events.
// What it takes to mend that is exempt, see [protocol.Command.AuditExempt].
func (v *view) audited(c *invocation) (e *protocol.Error) {
	if v.audit.required.Get() == 0 || c.row.AuditExempt() {
		return nil
	}
	by := v.causes(c)
	v.audit.sinks.Scan(func(name string, s *sink) bool {
		if !s.Required {
			return true
		}
		cur, _ := v.audit.cursors.Get(name)
		if lag := v.lag(cur); lag > uint64(s.MaxLag) {
			e = protocol.NotAppliedf(protocol.CodeAuditBehind,
				"the required audit sink %s is %d events behind (bound %d): writes wait until it catches up; audit_sink_list says what stops it", name, lag, s.MaxLag)
		} else if v.audit.backlogPart(s, lag, by) != share.Within {
			e = protocol.NotAppliedf(protocol.CodeAuditBehind,
				"the required audit sink %s is %d events behind (bound %d), and %s caused as many of them as one may: their writes wait until it catches up",
				name, lag, s.MaxLag, by.shown())
		}
		return e == nil
	})
	if e != nil {
		e.Stateful = true
	}
	return e
}

// shown is who a bearer stands for, in a text for it.
func (b bearer) shown() string {
	if b.principal == strangers {
		return "callers who do not prove who they are"
	}
	return b.principal + " or others at its address"
}
