// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"time"

	"github.com/pilotregistry/pilotregistry/audit"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// attempt is an event on its way to a webhook. It is kept between tries, so
// that the trouble can be told while the next one is due.
type attempt struct {
	seq   uint64
	tries uint32
	// counted are the tries that were not put off by the receiver, patience is
	// what is left of the time for which it may do so.
	counted  int
	patience time.Duration
	// wait is how long to wait before the next try.
	wait time.Duration
}

// maxPatience is how long a receiver can put one event off by asking to wait.
const maxPatience = time.Hour

// post delivers each event until it is delivered or a dead letter. It returns
// when a try has failed, to tell why, and continues with that event when it is
// called again.
func (w *worker) post(ctx context.Context, out audit.Exporter, b fsm.SinkBatch, p *fsm.SinkProgress) {
	if w.again(ctx, out, b.Retry, p); w.paused {
		p.To, p.Passed, p.Lost = p.From, [2]uint64{}, [2]uint64{}
		return
	}
	began := time.Now()
	for i, e := range b.Events {
		if !w.sink.Wants(&e) {
			continue
		}
		waiting, err := w.tryOnce(ctx, out, e)
		switch {
		case err == nil:
			p.Delivered++
			w.getsOn(p)
		case ctx.Err() != nil || w.gone(err, p):
			w.cutShort(b.Events, e.Seq, p)
			return
		case waiting:
			w.cutShort(b.Events, e.Seq, p)
			w.inVain(p, err, w.at.wait)
			return
		default:
			p.Dead = append(p.Dead, fsm.Letter{Seq: e.Seq, Reason: err.Error(), Attempts: w.at.tries})
			w.inVain(p, err, 0)
			w.at = attempt{}
			w.log.Warn("an event became a dead letter", "event", e.Seq, "action", e.Action, "error", err)
		}
		// What is done is reported at least once a second, so that a new leader
		// repeats little.
		if i+1 < len(b.Events) && time.Since(began) > time.Second {
			w.cutShort(b.Events, b.Events[i+1].Seq, p)
			return
		}
	}
}

// again tries dead letters that somebody asked to have tried again.
func (w *worker) again(ctx context.Context, out audit.Exporter, letters []protocol.AuditEvent, p *fsm.SinkProgress) {
	kept, fails := w.at, w.fails
	defer func() { w.at, w.fails = kept, fails }()
	for _, e := range letters {
		waiting, err := true, error(nil)
		for waiting {
			waiting, err = w.tryOnce(ctx, out, e)
		}
		if ctx.Err() != nil || w.gone(err, p) {
			return
		}
		l := fsm.Letter{Seq: e.Seq, Attempts: w.at.tries}
		if err != nil {
			l.Reason = err.Error()
		}
		w.at = attempt{}
		p.Retried = append(p.Retried, l)
	}
}

// tryOnce tries an event once, after the pause that is due. waiting says that
// there is to be another try.
func (w *worker) tryOnce(ctx context.Context, out audit.Exporter, e protocol.AuditEvent) (waiting bool, err error) {
	if w.at.seq != e.Seq {
		w.at = attempt{seq: e.Seq, patience: maxPatience}
	}
	a := &w.at
	if a.wait > 0 {
		if err := w.Wait(ctx, a.wait); err != nil {
			return false, err
		}
	}
	a.wait = 0
	a.tries++
	if _, err = w.try(ctx, out, []protocol.AuditEvent{e}); err == nil {
		return false, nil
	}
	w.fails++
	answer := w.Meaning(err)
	if answer.Final || a.counted == retries {
		return false, err
	}
	a.wait = backoff(a.counted)
	if asked := min(answer.After, maxAsked); asked > 0 && asked <= a.patience {
		a.wait = max(asked, time.Second)
		a.patience -= a.wait
	} else {
		a.counted++
	}
	return true, err
}

// gone notes that the receiver wants no events any more.
func (w *worker) gone(err error, p *fsm.SinkProgress) bool {
	if err != nil && w.Meaning(err).Gone {
		w.paused = true
		w.inVain(p, err, 0)
		p.Problem += ": paused until the sink is configured again"
	}
	return w.paused
}
