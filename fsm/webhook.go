// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// setWebhook is what set_webhook and blueprints do.
func setWebhook(x *txn, c protocol.SinkConfig, secret protocol.Sealed, keep bool) {
	if c.Endpoint == "" {
		removeSink(x, protocol.SinkNameWebhook)
	}
	x.begin(protocol.EventWebhookConfigured).str("status", statusOf(c.Endpoint != "")).str("url", shownURL(c.Endpoint)).end()
	if c.Endpoint != "" { // the webhook does not get the event of its own creation
		configureSink(x, c, secret, keep)
	}
}

func decideSetWebhook(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetWebhook)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	if e := v.audit.roomForSink(protocol.SinkNameWebhook); e != nil && r.URL != "" {
		return nil, e
	}
	reply := &protocol.SetWebhookReply{Type: "set_webhook_ok", Status: statusOf(r.URL != ""), URL: r.URL}
	if sameSink(v, protocol.SinkNameWebhook, r.Sink(), r.SecretSealed) {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		setWebhook(x, r.Sink(), r.SecretSealed, false)
		return reply
	}, nil
}

func readWebhook(v *view, c *invocation) (any, *protocol.Error) {
	if e := v.admin(c); e != nil {
		return nil, e
	}
	n, totals := v.audit.count(protocol.SinkNameWebhook)
	reply := &protocol.GetWebhookReply{Type: "get_webhook_ok", Delivered: n.delivered, Failed: n.failed, Dropped: n.dropped, SinkTotals: totals}
	if s, ok := v.audit.sinks.Get(protocol.SinkNameWebhook); ok {
		cur, _ := v.audit.cursors.Get(protocol.SinkNameWebhook)
		reply.Enabled, reply.URL, reply.Signed = true, s.Endpoint, !s.secret.IsZero()
		reply.DLQSize, reply.SinkTrouble = len(v.audit.letterKeys(s.Name)), cur.shown()
	}
	return reply, nil
}

// maxReasonBytes bounds why a letter is dead.
const maxReasonBytes = 256

// letterKeys lists the keys of a sink's dead letters, oldest first.
func (st *auditStore) letterKeys(sink string) (keys []string) {
	prefix := sink + "\x00"
	st.letters.Ascend(prefix, func(k string, _ *letter) bool {
		if !strings.HasPrefix(k, prefix) {
			return false
		}
		keys = append(keys, k)
		return true
	})
	return keys
}

// bury keeps an event as a dead letter; the sink's oldest ones give way. It
// reports false when retention has cut the event off.
func bury(x *txn, sink string, l Letter) bool {
	var rec eventRecord
	for i := range x.audit.events {
		if r, ok := x.audit.events[i].Get(l.Seq); ok {
			rec = r
		}
	}
	if rec == "" {
		return false
	}
	putLetter(x, letterKey(sink, l.Seq), &letter{event: rec, reason: l.Reason[:min(len(l.Reason), maxReasonBytes)], at: x.meta.now, attempts: l.Attempts})
	if keys := x.audit.letterKeys(sink); len(keys) > protocol.MaxDeadLetters {
		for _, k := range keys[:len(keys)-protocol.MaxDeadLetters] {
			dropLetter(x, k)
		}
	}
	return true
}

// retried notes how trying a dead letter again went.
func retried(x *txn, sink string, l Letter) {
	k := letterKey(sink, l.Seq)
	old, ok := x.audit.letters.Get(k)
	switch {
	case !ok:
	case l.Reason == "":
		dropLetter(x, k)
	default:
		next := *old
		next.retry, next.reason, next.at = false, l.Reason[:min(len(l.Reason), maxReasonBytes)], x.meta.now
		next.attempts += l.Attempts
		putLetter(x, k, &next)
	}
}

// dropLetters drops a sink's dead letters, all or that of one event.
func dropLetters(x *txn, sink string, seq uint64) {
	for _, k := range x.audit.letterKeys(sink) {
		if _, of := splitLetterKey(k); seq == 0 || of == seq {
			dropLetter(x, k)
		}
	}
}

// lettersOf finds the dead letters that a request names.
func (st *auditStore) lettersOf(r *protocol.DeadLetters) ([]string, *protocol.Error) {
	if !st.sinks.Holds(r.Name) {
		return nil, noSink(r.Name)
	}
	keys := st.letterKeys(r.Name)
	if r.EventID == 0 {
		return keys, nil
	}
	for _, k := range keys {
		if _, seq := splitLetterKey(k); seq == r.EventID {
			return []string{k}, nil
		}
	}
	return nil, protocol.Refusef(protocol.CodeNotFound, "dead letter %d of sink %s: not found", r.EventID, protocol.Quote(r.Name))
}

func decideDLQRetry(v *view, c *invocation) (effect, *protocol.Error) {
	return changeLetters(v, c, protocol.EventDLQRetried, "dlq_retry_ok", func(x *txn, _ *protocol.DeadLetters, keys []string) {
		for _, k := range keys {
			old, _ := x.audit.letters.Get(k)
			next := *old
			next.retry = true
			putLetter(x, k, &next)
		}
	})
}

func decideDLQDrop(v *view, c *invocation) (effect, *protocol.Error) {
	return changeLetters(v, c, protocol.EventDLQDropped, "dlq_drop_ok", func(x *txn, r *protocol.DeadLetters, _ []string) {
		dropLetters(x, r.Name, r.EventID)
	})
}

// changeLetters decides a change of the dead letters that a request names.
func changeLetters(v *view, c *invocation, action, reply string, change func(*txn, *protocol.DeadLetters, []string)) (effect, *protocol.Error) {
	r := c.body.(*protocol.DeadLetters)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	keys, e := v.audit.lettersOf(r)
	if e != nil {
		return nil, e
	}
	return func(x *txn) any {
		change(x, r, keys)
		x.begin(action).str("name", r.Name).num("count", uint64(len(keys))).num("seq", r.EventID).end()
		return &protocol.DLQChangeReply{Type: reply, Name: r.Name, Count: len(keys)}
	}, nil
}

func readDLQList(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.DeadLetters)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	keys, e := v.audit.lettersOf(r)
	if e != nil {
		return nil, e
	}
	reply := &protocol.DLQListReply{Type: "dlq_list_ok", Letters: []protocol.DeadLetter{}}
	for _, k := range keys {
		l, _ := v.audit.letters.Get(k)
		reply.Letters = append(reply.Letters, protocol.DeadLetter{WebhookEvent: l.shown(), Sink: r.Name, Reason: l.reason, Attempts: l.attempts,
			FailedAt: utc(l.at), Retrying: l.retry})
	}
	return reply, nil
}

// readWebhookDLQ lists the last dead letters of the audit webhook.
func readWebhookDLQ(v *view, c *invocation) (any, *protocol.Error) {
	if e := v.admin(c); e != nil {
		return nil, e
	}
	reply := &protocol.GetWebhookDLQReply{Type: "webhook_dlq_ok", Events: []protocol.WebhookEvent{}}
	for _, k := range v.audit.letterKeys(protocol.SinkNameWebhook) {
		l, _ := v.audit.letters.Get(k)
		reply.Events = append(reply.Events, l.shown())
	}
	reply.Count = len(reply.Events)
	return reply, nil
}

// shown is the letter as the body of its delivery, with whole seconds. Listings
// name the node of an event by node_id too where the attribute is another.
func (l *letter) shown() protocol.WebhookEvent {
	e, _ := decodeEvent(0, protocol.ClassSecurity, l.event)
	details := e.TypedDetails()
	if target, ok := details["target_node_id"]; ok && details["node_id"] == nil {
		details["node_id"] = target
	}
	return protocol.WebhookEvent{EventID: e.Seq, Action: e.Action, Timestamp: time.UnixMilli(e.Time).UTC().Format(time.RFC3339), Details: details}
}
