// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxProblemBytes bounds what a sink says about its trouble.
const maxProblemBytes = 256

// Letter is an event that a webhook could not be given, or the outcome of
// trying again: Reason is empty when that was a success.
type Letter struct {
	Seq      uint64 `json:"seq"`
	Reason   string `json:"reason,omitempty"`
	Attempts uint32 `json:"attempts,omitempty"`
}

// SinkProgress is the body of KindSinkProgress: what the leader has done for
// a sink. It counts only for the configuration (Gen) and the position (From)
// it was made for, so nothing is counted twice.
type SinkProgress struct {
	Term uint64 `json:"term"`
	Name string `json:"name"`
	Gen  uint64 `json:"gen"`
	From uint64 `json:"from"`
	// To is the newest event that is done with, From when none was.
	To uint64 `json:"to"`
	// Passed counts, per class, the events between From and To; Lost those
	// that retention had cut off before they could be read.
	Passed [2]uint64 `json:"passed"`
	Lost   [2]uint64 `json:"lost,omitzero"`
	// Delivered is how many of the events were sent.
	Delivered uint64 `json:"delivered,omitempty"`
	// Dead are events between From and To that could not be delivered, Retried
	// the outcomes of dead letters that were tried again.
	Dead    []Letter `json:"dead,omitempty"`
	Retried []Letter `json:"retried,omitempty"`
	// Problem is why the sink does not get on, empty when it does.
	Problem string `json:"problem,omitempty"`
	// Tries is how often in a row a try has failed, RetryInMS when it
	// will be tried next, 0 for not by itself.
	Tries     uint32 `json:"tries,omitempty"`
	RetryInMS int64  `json:"retry_in_ms,omitempty"`
}

func decideSinkProgress(v *view, b *SinkProgress) (effect, *protocol.Error) {
	if e := v.fenced(b.Term); e != nil {
		return nil, e
	}
	s, had := v.audit.sinks.Get(b.Name)
	cur, _ := v.audit.cursors.Get(b.Name)
	switch {
	case !had || s.gen != b.Gen || cur.seq != b.From:
		return nil, protocol.Refusef(protocol.CodeConflict, "sink %s has changed since: it is to be read again", protocol.Quote(b.Name))
	case b.To < b.From || b.To > v.meta.eventSeq || len(b.Dead)+len(b.Retried) > 1024 || b.RetryInMS < 0 || b.RetryInMS > dayMS || b.Passed[0]+b.Passed[1] > b.To-b.From:
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid sink_progress: its numbers contradict each other")
	}
	if !counted(v, b, cur) {
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid sink_progress: more or fewer events than there were")
	}
	return func(x *txn) any {
		noteProgress(x, b, *cur)
		return ok("sink_progress")
	}, nil
}

// maxProgress bounds the events of one report.
const maxProgress = 4096

// counted checks a report against the event log: the events between its ends
// are those still there and those cut off since the position before.
func counted(v *view, b *SinkProgress, cur *cursor) bool {
	if b.Passed[0] > maxProgress || b.Passed[1] > maxProgress {
		return false
	}
	for i := range b.Passed {
		ch := &v.meta.chains[i]
		have := ch.Cut - min(ch.Cut, cur.passed[i])
		seen := 0
		v.audit.events[i].Ascend(b.From+1, func(seq uint64, _ eventRecord) bool {
			if seq <= b.To {
				have++
				seen++
			}
			return seq <= b.To && seen <= maxProgress
		})
		said := b.Passed[i] + b.Lost[i]
		if b.Lost[i] > have || said > have || said < have && ch.AnchorSeq <= b.To {
			return false
		}
	}
	return true
}

func noteProgress(x *txn, b *SinkProgress, next cursor) {
	next.seq = b.To
	c := sinkCounts{delivered: b.Delivered}
	for i := range next.passed {
		next.passed[i] += b.Passed[i] + b.Lost[i]
		c.dropped += b.Lost[i]
	}
	for _, l := range b.Dead {
		if bury(x, b.Name, l) {
			c.failed++
		} else {
			c.dropped++
		}
	}
	for _, l := range b.Retried {
		if l.Reason == "" && x.audit.letters.Holds(letterKey(b.Name, l.Seq)) {
			c.delivered++
		}
		retried(x, b.Name, l)
	}
	countSink(x, b.Name, c)
	if s, _ := x.audit.sinks.Get(b.Name); s.Kind == protocol.SinkExport {
		x.meta.exported += c.delivered
		x.count(CountExportErrors, c.failed+next.failedTries(b))
	}
	next.trouble(b, x.meta.now)
	putCursor(x, b.Name, &next)
	advanceBacklog(x, b.Name, b.From, b.To)
	if lost := b.Lost[0] + b.Lost[1]; lost > 0 {
		x.begin(protocol.EventAuditGap).str("name", b.Name).num("first", b.From+1).num("count", lost).end()
	}
}

// failedTries is 1 for a report of another try that failed. A report also says
// how the last try went when there was none since.
func (c *cursor) failedTries(b *SinkProgress) uint64 {
	if b.Tries == 0 || b.Problem[:min(len(b.Problem), maxProblemBytes)] == c.problem && b.Tries == c.tries {
		return 0
	}
	return 1
}

// trouble notes whether the sink gets on, and if not since when and why.
func (c *cursor) trouble(b *SinkProgress, now int64) {
	problem := b.Problem[:min(len(b.Problem), maxProblemBytes)]
	if problem == "" {
		c.problem, c.stalled, c.tries, c.next = "", 0, 0, 0
		return
	}
	if c.problem == "" {
		c.stalled = now
	}
	c.problem, c.tries, c.next = problem, b.Tries, 0
	if b.RetryInMS > 0 {
		c.next = now + b.RetryInMS
	}
}

// shown is what replies say of a sink's trouble.
func (c *cursor) shown() (t protocol.SinkTrouble) {
	if c.problem == "" {
		return t
	}
	return protocol.SinkTrouble{Error: c.problem, Stalled: utcOrNone(c.stalled), Tries: c.tries, NextTry: utcOrNone(c.next)}
}

// ResealSink is the body of KindResealSink: a sink's secret under a newer key.
type ResealSink struct {
	Name   string          `json:"name"`
	Gen    uint64          `json:"gen"`
	Secret protocol.Sealed `json:"secret"`
}

func decideResealSink(v *view, b *ResealSink) (effect, *protocol.Error) {
	s, had := v.audit.sinks.Get(b.Name)
	if !had || s.gen != b.Gen || s.secret.IsZero() || b.Secret.IsZero() {
		return nil, protocol.Refusef(protocol.CodeConflict, "sink %s has changed since", protocol.Quote(b.Name))
	}
	return func(x *txn) any {
		next := *s
		next.secret = b.Secret
		putSink(x, b.Name, &next)
		return ok("reseal_sink")
	}, nil
}

// Sink is a sink as its deliverer sees it.
type Sink struct {
	protocol.SinkConfig
	// Gen changes with every configuration and replay.
	Gen uint64
	// Secret is the encrypted token or signing secret, zero when there is none.
	Secret protocol.Sealed
	// Seq and Lag are of its cursor; Problem is why it does not get on, after
	// Tries failed tries.
	Seq, Lag uint64
	Problem  string
	Tries    uint32
	// Delivered, Failed and Dropped count events since the cluster began.
	Delivered, Failed, Dropped uint64
	// DeadLetters is how many wait.
	DeadLetters int
}

// Sinks lists the sinks by name.
func (r *Root) Sinks() (out []Sink) {
	r.audit.sinks.Scan(func(name string, s *sink) bool {
		c, _ := r.audit.cursors.Get(name)
		t, _ := r.audit.totals.Get(name)
		out = append(out, Sink{SinkConfig: s.SinkConfig, Gen: s.gen, Secret: s.secret, Seq: c.seq, Lag: r.lag(c),
			Delivered: t.delivered, Failed: t.failed, Dropped: t.dropped, Problem: c.problem, Tries: c.tries, DeadLetters: len(r.audit.letterKeys(name))})
		return true
	})
	return out
}

// Exported is how many events exports were given since the cluster began. It
// never falls.
func (r *Root) Exported() uint64 { return r.meta.exported }

// SinkBatch is what a sink is to be given next. Progress is prepared for the
// case that all of Events are done with; who delivers fills in the rest.
type SinkBatch struct {
	Events []Event
	// Retry are dead letters to try again.
	Retry    []Event
	Progress SinkProgress
}

// SinkBatch reads at most limit events after a sink's cursor, of both
// classes, in order. ok is false if the sink does not exist.
func (r *Root) SinkBatch(name string, limit int) (b SinkBatch, ok bool) {
	s, ok := r.audit.sinks.Get(name)
	if !ok {
		return b, false
	}
	cur, _ := r.audit.cursors.Get(name)
	b.Progress = SinkProgress{Name: name, Gen: s.gen, From: cur.seq, To: cur.seq}
	for i := range b.Progress.Lost {
		if cut := r.meta.chains[i].Cut; cut > cur.passed[i] {
			b.Progress.Lost[i] = cut - cur.passed[i]
			b.Progress.To = max(b.Progress.To, r.meta.chains[i].AnchorSeq)
		}
	}
	b.Events = r.eventsAfter(cur.seq, limit)
	for i := range b.Events {
		b.Progress.Passed[classIndex(b.Events[i].Class)]++
		b.Progress.To = max(b.Progress.To, b.Events[i].Seq)
	}
	for _, k := range r.audit.letterKeys(name) {
		if l, _ := r.audit.letters.Get(k); l.retry {
			if e, ok := decodeEvent(0, protocol.ClassSecurity, l.event); ok {
				b.Retry = append(b.Retry, e)
			}
		}
	}
	return b, true
}

// eventsAfter merges the two classes after a sequence number, oldest first.
func (r *Root) eventsAfter(seq uint64, limit int) []Event {
	a, b := r.Events(protocol.ClassSecurity, seq, limit), r.Events(protocol.ClassActivity, seq, limit)
	out := make([]Event, 0, min(limit, len(a)+len(b)))
	for len(out) < limit && len(a)+len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].Seq < b[0].Seq {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out
}

// EventSeq is the sequence number of the newest event.
func (r *Root) EventSeq() uint64 { return r.meta.eventSeq }
