// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// queue are the commands that wait for the next entry, in the order in which
// they came. Its places are shared out among the sources that the commands come
// from, on whichever member: so those who keep it full leave the others room.
// It is not safe for concurrent use.
type queue struct {
	limits Limits
	exempt share.Ranges

	items  []*queued
	bytes  int
	places *share.Pool[share.Source]
}

func newQueue(limits Limits, exempt share.Ranges) *queue {
	return &queue{limits: limits, exempt: exempt,
		places: share.NewPool[share.Source](share.Parts{Total: int64(limits.Queue), Modest: true})}
}

// size estimates the encoded length of a command.
func size(e *fsm.Envelope) int { return len(e.Body) + len(e.Source) + len(e.RequestID) + 128 }

// push adds a command, or says why it has no place.
func (q *queue) push(it *queued) *protocol.Error {
	n := size(&it.env)
	if q.bytes+n > q.limits.QueueBytes {
		return protocol.NotAppliedf(protocol.CodeOverloaded, "writes of %d bytes are waiting at the leader (limit %d); send the request again later", q.bytes, q.limits.QueueBytes)
	}
	take := q.places.Take
	if it.env.Code >= fsm.InternalBase || q.exempt.HasText(it.env.Source) {
		take = q.places.TakeExempt
	}
	it.source = share.OfText(it.env.Source)
	switch take(it.source, it.source.Wide(), 1) {
	case share.Within:
	case share.WholeTotal:
		return protocol.NotAppliedf(protocol.CodeOverloaded, "%d writes are waiting at the leader (limit %d); send the request again later", len(q.items), q.limits.Queue)
	default:
		return protocol.NotAppliedf(protocol.CodeRateLimited, "rate limited: %d writes are waiting at the leader, and those from %s have their part of the places; send the request again later", len(q.items), it.source)
	}
	q.items = append(q.items, it)
	q.bytes += n
	return nil
}

// remove takes out a command that has not left yet.
func (q *queue) remove(it *queued) {
	if i := slices.Index(q.items, it); i >= 0 {
		q.items = slices.Delete(q.items, i, i+1)
		q.left(it)
	}
}

// next claims the commands of the next entry.
func (q *queue) next() (claimed []*queued) {
	bytes, i := 0, 0
	for ; i < len(q.items) && len(claimed) < q.limits.BatchCommands; i++ {
		it := q.items[i]
		n := size(&it.env)
		if len(claimed) > 0 && bytes+n > q.limits.BatchBytes {
			break
		}
		if it.state.CompareAndSwap(writeWaiting, writeTaken) {
			claimed = append(claimed, it)
			bytes += n
		}
		q.left(it)
	}
	q.items = slices.Delete(q.items, 0, i)
	return claimed
}

// all takes out everything.
func (q *queue) all() []*queued {
	items := q.items
	for _, it := range items {
		q.left(it)
	}
	q.items = nil
	return items
}

// left gives back the place of a command.
func (q *queue) left(it *queued) {
	q.bytes -= size(&it.env)
	q.places.Give(it.source, it.source.Wide(), 1)
}
