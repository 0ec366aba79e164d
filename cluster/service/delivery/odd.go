// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"

	"github.com/pilotregistry/pilotregistry/audit"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxOdd is how many events in a row can be what a receiver never takes.
const maxOdd = 8

// isolate finds the first event that the receiver does not take, by halving
// what it refuses. The event is a dead letter only when one after it is
// taken: otherwise it is not the event that is wrong. moved is how many events
// are done with, with err saying why there are none.
func (w *worker) isolate(ctx context.Context, out audit.Exporter, events []protocol.AuditEvent, p *fsm.SinkProgress) (moved int, err error) {
	n := len(events)
	for n > 1 {
		half := n / 2
		done, tried := w.try(ctx, out, events[moved:moved+half])
		p.Delivered += uint64(done)
		moved += done
		switch {
		case tried == nil:
			n -= half
		case !w.Meaning(tried).Content:
			return moved, tried
		default:
			n = half - done
		}
	}
	var why error
	for i := moved; i < min(len(events), moved+maxOdd+1); i++ {
		refused := w.tryAlone(ctx, out, events[i])
		if refused == nil {
			p.Delivered++
			for _, e := range events[moved:i] {
				p.Dead = append(p.Dead, fsm.Letter{Seq: e.Seq, Reason: why.Error(), Attempts: oddTries})
				w.log.Warn("an event became a dead letter", "event", e.Seq, "action", e.Action, "error", why)
			}
			return i + 1, nil
		}
		if why = refused; !w.Meaning(refused).Content {
			break
		}
	}
	return moved, why
}

// oddTries is how often an event is refused alone before it is called odd:
// receivers refuse for other reasons than they say.
const oddTries = 3

// tryAlone delivers one event, trying a few times while it is what the
// receiver says it does not like.
func (w *worker) tryAlone(ctx context.Context, out audit.Exporter, e protocol.AuditEvent) error {
	for try := 0; ; try++ {
		_, err := w.try(ctx, out, []protocol.AuditEvent{e})
		if err == nil || !w.Meaning(err).Content || try == oddTries-1 || w.Wait(ctx, backoff(try)) != nil {
			return err
		}
	}
}
