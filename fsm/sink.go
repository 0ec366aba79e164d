// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Sinks read the event log after a cursor that is part of the state, so the
// next leader continues where the last one was.

// configureSink creates or replaces a sink. With keep an existing one continues from
// where it is; otherwise it begins with the next event. A new address resets
// the sink's own counts and forgets the dead letters of the old one.
func configureSink(x *txn, c protocol.SinkConfig, secret protocol.Sealed, keep bool) {
	old, had := x.audit.sinks.Get(c.Name)
	s := &sink{SinkConfig: c, secret: secret, gen: x.cluster.config().revision + 1}
	if c.Required && c.MaxLag == 0 {
		s.MaxLag = protocol.DefaultMaxLag
	}
	countBacklog(x, c.Name, -1)
	defer countBacklog(x, c.Name, 1)
	same := had && old.Kind == c.Kind && old.Format == c.Format && old.Endpoint == c.Endpoint
	if same && secret.IsZero() {
		s.secret = old.secret
	}
	putSink(x, c.Name, s)
	if !had {
		keepTotals(x, c.Name, true)
	}
	x.reconfigured(func(*settings) {})
	if same {
		return
	}
	dropLetters(x, c.Name, 0)
	cur := x.cursorNow()
	t, _ := x.audit.totals.Get(c.Name)
	cur.before = t.sinkCounts
	if old, _ := x.audit.cursors.Get(c.Name); had && keep {
		cur.seq, cur.passed = old.seq, old.passed
	}
	putCursor(x, c.Name, cur)
}

// sameSink reports whether a sink is configured like this already, and keeps
// its secret. Without an endpoint it is to be gone, where it needs one.
func sameSink(v *view, name string, c protocol.SinkConfig, secret protocol.Sealed) bool {
	old, had := v.audit.sinks.Get(name)
	if !had {
		return c.Endpoint == "" && c.Kind != protocol.SinkLog
	}
	if c.Required && c.MaxLag == 0 {
		c.MaxLag = protocol.DefaultMaxLag
	}
	if cur, ok := v.audit.cursors.Get(name); ok && cur.problem != "" {
		return false // saying it again has it tried again, also a sink that is paused
	}
	next := *old
	next.SinkConfig = c
	return secret.IsZero() && bytes.Equal(old.AppendTo(nil, v.meta.level), next.AppendTo(nil, v.meta.level))
}

func removeSink(x *txn, name string) {
	if x.audit.sinks.Holds(name) {
		countBacklog(x, name, -1)
		dropLetters(x, name, 0)
		dropSink(x, name)
		keepTotals(x, name, false)
		x.reconfigured(func(*settings) {})
	}
}

// cursorNow is a cursor at the newest event.
func (v *view) cursorNow() *cursor {
	c := &cursor{seq: v.meta.eventSeq}
	for i := range c.passed {
		c.passed[i] = v.meta.chains[i].Cut + v.meta.chains[i].Count
	}
	return c
}

// startSinks gives a cluster its first sink: the structured log of the leader.
func startSinks(x *txn) {
	configureSink(x, protocol.SinkConfig{Name: protocol.SinkNameLog, Kind: protocol.SinkLog}, protocol.Sealed{}, false)
}

func noSink(name string) *protocol.Error {
	return protocol.Refusef(protocol.CodeNotFound, "sink %s: not found; audit_sink_list shows what there is", protocol.Quote(name))
}

func (st *auditStore) roomForSink(name string) *protocol.Error {
	if !st.sinks.Holds(name) && st.sinks.Len() >= protocol.MaxSinks {
		return protocol.Refusef(protocol.CodeLimitReached, "too many sinks (max %d): delete one first", protocol.MaxSinks)
	}
	return nil
}

// lag is how many events after a cursor are still to be delivered.
func (v *view) lag(c *cursor) uint64 { return v.meta.eventSeq - min(c.seq, v.meta.eventSeq) }

func decideSinkPut(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.AuditSinkPut)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	if e := v.audit.roomForSink(r.Name); e != nil {
		return nil, e
	}
	if sameSink(v, r.Name, r.Sink(), r.SecretSealed) {
		cur, _ := v.audit.cursors.Get(r.Name)
		return c.unchanged(&protocol.AuditSinkReply{Type: "audit_sink_put_ok", Name: r.Name, Seq: cur.seq})
	}
	return func(x *txn) any {
		configureSink(x, r.Sink(), r.SecretSealed, true)
		x.begin(protocol.EventSinkConfigured).str("name", r.Name).str("kind", r.Kind).str("format", r.Format).str("endpoint", shownURL(r.Endpoint)).
			bool("required", r.Required).end()
		cur, _ := x.audit.cursors.Get(r.Name)
		return &protocol.AuditSinkReply{Type: "audit_sink_put_ok", Name: r.Name, Seq: cur.seq}
	}, nil
}

func decideSinkDelete(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SinkName)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	s, ok := v.audit.sinks.Get(r.Name)
	if !ok {
		return nil, noSink(r.Name)
	}
	return func(x *txn) any {
		removeSink(x, r.Name)
		x.begin(protocol.EventSinkDeleted).str("name", r.Name).str("kind", s.Kind).end()
		return &protocol.AuditSinkReply{Type: "audit_sink_delete_ok", Name: r.Name}
	}, nil
}

func readSinks(v *view, c *invocation) (any, *protocol.Error) {
	if e := v.admin(c); e != nil {
		return nil, e
	}
	reply := &protocol.AuditSinkListReply{Type: "audit_sink_list_ok", Sinks: []protocol.AuditSink{}}
	v.audit.sinks.Scan(func(name string, s *sink) bool {
		cur, _ := v.audit.cursors.Get(name)
		n, totals := v.audit.count(name)
		shown := protocol.AuditSink{SinkConfig: s.SinkConfig, HasSecret: !s.secret.IsZero(), Seq: cur.seq, Lag: v.lag(cur),
			Delivered: n.delivered, Failed: n.failed, Dropped: n.dropped, DLQSize: len(v.audit.letterKeys(name)), SinkTotals: totals, SinkTrouble: cur.shown()}
		reply.Sinks = append(reply.Sinks, shown)
		return true
	})
	return reply, nil
}
