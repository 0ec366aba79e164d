// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// Of what the security class keeps, events and bytes, one actor has at most 1 in
// actorPart, one source or /48 at most 1 in sourcePart. What goes beyond is
// kept in the activity class, where it flushes nobody's security events.
const (
	actorPart  = 8
	sourcePart = 4
)

// eventBearer is who a security event counts for. It is nobody for what the
// cluster itself and its administrators do.
func eventBearer(actor, source, action string) (b bearer, counts bool) {
	switch {
	case action == protocol.EventAuditNote:
		return bearer{principal: action}, true // strangers cause these
	case actor == "system", strings.HasPrefix(actor, "token:") && !strings.HasPrefix(actor, "token:network:"):
		return bearer{}, false
	case actor != "anonymous":
		b.principal = actor
	}
	at := share.OfText(source)
	b.source, b.wide = at.String(), at.Wide().String()
	return b, true
}

// eventClass is the class in which an event of this action by the actor at
// work is kept.
func eventClass(x *txn, action, actor string) protocol.EventClass {
	class := protocol.Events[action]
	switch class {
	case protocol.ClassActivity:
		return class
	case 0: // of another registry, see [Import]
		return protocol.ClassActivity
	}
	b, counts := eventBearer(actor, x.by.source, action)
	if !counts {
		return class
	}
	for i, k := range b.keys() {
		part := uint64(sourcePart)
		if i == 0 {
			part = actorPart
		}
		if held, _ := x.audit.shares.held.Get(k); k != "" && uint64(held) >= retentions[0].bytes/part {
			return protocol.ClassActivity
		}
	}
	return class
}

// eventCost is what an event takes of the class, in bytes: many small ones
// fill it by their number.
func eventCost(r eventRecord) int64 {
	keep := retentions[0]
	return int64(max(uint64(len(r)), (keep.bytes+keep.count-1)/keep.count))
}
