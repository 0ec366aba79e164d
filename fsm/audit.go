// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/hex"
	"strconv"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Bounds of a page of the audit log: entries by default and at most, bytes,
// so that clients of the first generation can read a page, and events looked at.
const (
	auditPage      = 100
	auditPageMax   = 1000
	auditPageBytes = 56 << 10
	auditScan      = 50_000
)

// auditFilter is what get_audit_log asks for.
type auditFilter struct {
	*protocol.GetAuditLog
	since, until int64       // Unix milliseconds, 0 for open
	person       personNames // nil for everybody
}

func (f auditFilter) wants(e *Event) bool {
	return (f.NetworkID == 0 || e.NetworkID() == f.NetworkID) && (f.NodeID == 0 || aboutNode(e, f.NodeID)) &&
		(f.Action == "" || protocol.MatchAction([]string{f.Action}, e.Action)) &&
		(f.person == nil || aboutPerson(e, f.person)) && (f.since == 0 || e.Time >= f.since) && (f.until == 0 || e.Time < f.until)
}

func newAuditFilter(v *view, r *protocol.GetAuditLog) auditFilter {
	ms := func(s string) int64 {
		if t, ok := protocol.ParseTime(s); ok {
			return t.UnixMilli()
		}
		return 0
	}
	f := auditFilter{GetAuditLog: r, since: ms(r.Since), until: ms(r.Until)}
	if r.ExternalID != "" {
		f.person = namesOf(v, r.ExternalID, r.Keys.MatchOf(r.ExternalID), r.Forms)
	}
	return f
}

// aboutNode reports whether a node acted or is named by an attribute.
func aboutNode(e *Event, id uint32) bool {
	text := strconv.FormatUint(uint64(id), 10)
	if e.Actor == "node:"+text {
		return true
	}
	for _, a := range e.Attrs {
		switch a.Key {
		case "node_id", "target_node_id", "creator_node_id", "inviter_id", "node_a", "node_b", "peer_id", "from_node_id", "to_node_id",
			"old_owner", "new_owner", "former_owner":
			if a.Value == text {
				return true
			}
		}
	}
	return false
}

func readAuditLog(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.GetAuditLog)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	from, e := readCursor(c.cursor, cursorAudit, r.NetworkID)
	if e != nil {
		return nil, e
	}
	limit := c.limit
	if limit <= 0 || limit > auditPageMax {
		limit = auditPage
	}
	walk := newestFirst
	if r.Ascending || r.AfterSeq > 0 {
		walk = oldestFirst
		from = max(from, r.AfterSeq+1)
	}
	f, reply := newAuditFilter(v, r), &protocol.GetAuditLogReply{Type: "get_audit_log_ok", Entries: []protocol.AuditEntry{}}
	size, seen := 0, 0
	walk(v, r.Class, from, func(e *Event) bool {
		seen++
		if len(reply.Entries) == limit || size > auditPageBytes || seen > auditScan {
			reply.NextCursor = makeCursor(cursorAudit, r.NetworkID, e.Seq)
			return false
		}
		if f.wants(e) {
			reply.Entries = append(reply.Entries, e.Entry())
			size += entrySize(e)
		}
		return true
	})
	return reply, nil
}

// entrySize is about what an event takes in a reply.
func entrySize(e *Event) int {
	n := 360 + len(e.Action) + len(e.Actor) + len(e.Source)
	for _, a := range e.Attrs {
		n += 2*(len(a.Key)+len(a.Value)) + 12
	}
	return n
}

// newestFirst visits the events of a class, or of both, downwards from a
// sequence number (0 for the newest).
func newestFirst(v *view, class string, from uint64, visit func(*Event) bool) {
	if from == 0 {
		from = v.meta.eventSeq
	}
	var next [2]uint64
	newest := func(i int, at uint64) uint64 {
		found := uint64(0)
		if class == "" || class == classes[i].String() {
			v.audit.events[i].Descend(at, func(seq uint64, _ eventRecord) bool {
				found = seq
				return false
			})
		}
		return found
	}
	next[0], next[1] = newest(0, from), newest(1, from)
	for next != [2]uint64{} {
		i := 0
		if next[1] > next[0] {
			i = 1
		}
		rec, _ := v.audit.events[i].Get(next[i])
		if e, ok := decodeEvent(next[i], classes[i], rec); !ok || !visit(&e) {
			return
		}
		next[i] = newest(i, next[i]-1)
	}
}

// oldestFirst visits the events of a class, or of both, upwards from a
// sequence number.
func oldestFirst(v *view, class string, from uint64, visit func(*Event) bool) {
	r := Root{view: *v}
	for {
		var page []Event
		switch class {
		case "":
			page = r.eventsAfter(from-1, 256)
		case classes[0].String():
			page = r.Events(classes[0], from-1, 256)
		default:
			page = r.Events(classes[1], from-1, 256)
		}
		for i := range page {
			if !visit(&page[i]) {
				return
			}
			from = page[i].Seq + 1
		}
		if len(page) == 0 {
			return
		}
	}
}

// classes are the event classes by classIndex.
var classes = [2]protocol.EventClass{protocol.ClassSecurity, protocol.ClassActivity}

func readAuditChain(v *view, c *invocation) (any, *protocol.Error) {
	if e := v.admin(c); e != nil {
		return nil, e
	}
	reply := &protocol.AuditChainReply{Type: "audit_chain_ok", ClusterID: v.meta.clusterID}
	for i, ch := range v.meta.chains {
		reply.Chains = append(reply.Chains, protocol.AuditChainEnd{Class: classes[i].String(), HeadSeq: ch.HeadSeq, Head: hex.EncodeToString(ch.Head[:]),
			AnchorSeq: ch.AnchorSeq, Anchor: hex.EncodeToString(ch.Anchor[:]), Count: ch.Count, Bytes: ch.Bytes, Cut: ch.Cut})
	}
	return reply, nil
}

// setAuditExport is what set_audit_export and blueprints do. The new export
// begins with the event of its configuration.
func setAuditExport(x *txn, c protocol.SinkConfig, secret protocol.Sealed, keep bool) {
	if c.Endpoint == "" {
		removeSink(x, protocol.SinkNameExport)
		x.begin(protocol.EventAuditExportConfigured).str("status", protocol.StatusDisabled).end()
		return
	}
	configureSink(x, c, secret, keep)
	x.begin(protocol.EventAuditExportConfigured).str("format", c.Format).str("endpoint", shownURL(c.Endpoint)).end()
}

func decideSetAuditExport(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetAuditExport)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	if e := v.audit.roomForSink(protocol.SinkNameExport); e != nil && !r.Off() {
		return nil, e
	}
	reply := &protocol.SetAuditExportReply{Type: "set_audit_export_ok", Status: statusOf(!r.Off())}
	s := r.Sink()
	if r.Off() {
		s.Endpoint = ""
	} else {
		reply.Format, reply.Endpoint = r.Format, r.Endpoint
	}
	if sameSink(v, protocol.SinkNameExport, s, r.TokenSealed) {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		setAuditExport(x, s, r.TokenSealed, false)
		return reply
	}, nil
}

func readAuditExport(v *view, c *invocation) (any, *protocol.Error) {
	if e := v.admin(c); e != nil {
		return nil, e
	}
	n, totals := v.audit.count(protocol.SinkNameExport)
	reply := &protocol.GetAuditExportReply{Type: "get_audit_export_ok", SinkTotals: totals}
	if s, ok := v.audit.sinks.Get(protocol.SinkNameExport); ok {
		cur, _ := v.audit.cursors.Get(protocol.SinkNameExport)
		lag := v.lag(cur)
		reply.Enabled, reply.Format, reply.Endpoint, reply.Required = true, s.Format, s.Endpoint, s.Required
		reply.Lag, reply.DLQSize, reply.SinkTrouble = &lag, len(v.audit.letterKeys(s.Name)), cur.shown()
		reply.Delivered, reply.Exported, reply.Failed, reply.Dropped = &n.delivered, &n.delivered, n.failed, &n.dropped
	}
	return reply, nil
}

// decideReplay sets a sink back. What it delivered counts again.
func decideReplay(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.AuditReplay)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	s, ok := v.audit.sinks.Get(r.Name)
	cur, _ := v.audit.cursors.Get(r.Name)
	if !ok {
		return nil, noSink(r.Name)
	}
	if r.FromSeq > cur.seq+1 {
		return nil, protocol.Refusef(protocol.CodeInvalid, "invalid from_seq: sink %s is at event %d and cannot skip events", protocol.Quote(r.Name), cur.seq)
	}
	return func(x *txn) any {
		next := *cur
		next.seq = r.FromSeq - 1
		for i := range next.passed {
			// What retention cut off cannot be delivered again and is not a gap.
			next.passed[i] = x.meta.chains[i].Cut
			x.audit.events[i].Ascend(0, func(seq uint64, _ eventRecord) bool {
				if seq <= next.seq {
					next.passed[i]++
				}
				return seq <= next.seq
			})
		}
		countBacklog(x, r.Name, -1)
		putCursor(x, r.Name, &next)
		countBacklog(x, r.Name, 1)
		again := *s
		again.gen = x.cluster.config().revision + 1
		putSink(x, r.Name, &again)
		x.reconfigured(func(*settings) {})
		x.begin(protocol.EventAuditReplayed).str("name", r.Name).num("seq", r.FromSeq).end()
		return &protocol.AuditSinkReply{Type: "audit_replay_ok", Name: r.Name, Seq: next.seq}
	}, nil
}
