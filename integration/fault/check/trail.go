// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Trail checks the audit log of one member, oldest event first: above the
// newest anchor every sequence number is there once, and both hash chains lead
// from anchor to head.
func Trail(entries []protocol.AuditEntry, chains []protocol.AuditChainEnd) []Violation {
	out := newFindings()
	next := uint64(1)
	sums := map[string][]byte{}
	for _, c := range chains {
		next = max(next, c.AnchorSeq+1)
		anchor, err := hex.DecodeString(c.Anchor)
		if err != nil || len(anchor) != 32 {
			out.blame(CheckerInvariant, RuleTrailChain, nil, "the %s chain's anchor %q is not a hash", c.Class, c.Anchor)
			anchor = make([]byte, 32)
		}
		sums[c.Class] = anchor
	}
	floor := next
	for i := range entries {
		e := &entries[i]
		if e.Seq >= floor {
			if e.Seq != next {
				out.blame(CheckerInvariant, RuleTrailGap, nil, "event %d stands where %d should be", e.Seq, next)
			}
			next = e.Seq + 1
		}
		sum, err := follow(sums[e.Class], e)
		if err != nil {
			out.blame(CheckerInvariant, RuleTrailChain, nil, "%v", err)
		}
		sums[e.Class] = sum
	}
	for _, c := range chains {
		if c.HeadSeq >= next {
			out.blame(CheckerInvariant, RuleTrailGap, nil, "the newest %s event is %d, and events from %d on are not there", c.Class, c.HeadSeq, next)
		}
		if got := hex.EncodeToString(sums[c.Class]); got != c.Head {
			out.blame(CheckerInvariant, RuleTrailChain, nil, "the %s chain ends with %s, its head is %s", c.Class, got, c.Head)
		}
	}
	return out.sorted()
}

// follow computes the chain over one event. It continues from what the event
// says, so that one change is one finding.
func follow(prev []byte, entry *protocol.AuditEntry) ([]byte, error) {
	e, err := entry.Event()
	if err != nil {
		return prev, err
	}
	if len(prev) != 32 {
		return e.Chain[:], fmt.Errorf("event %d is of the class %s, which has no chain", e.Seq, entry.Class)
	}
	_, err = protocol.VerifyChain([32]byte(prev), []protocol.AuditEvent{e})
	return e.Chain[:], err
}

// SameTrail compares the audit logs of two members, both of which Trail finds
// whole: where both have an event, it is the same.
func SameTrail(a, b []protocol.AuditEntry) []Violation {
	out := newFindings()
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch x, y := &a[i], &b[j]; {
		case x.Seq < y.Seq:
			i++
		case x.Seq > y.Seq:
			j++
		default:
			if x.Class != y.Class || x.Chain != y.Chain {
				out.blame(CheckerInvariant, RuleTrailDiffers, nil, "event %d is %s %s %s here and %s %s %s there", x.Seq, x.Class, x.Action, x.Chain, y.Class, y.Action, y.Chain)
			}
			i, j = i+1, j+1
		}
	}
	return out.sorted()
}

// Delivery is a request that the receiver of a sink read, in the order in
// which they came.
type Delivery struct {
	// Event is the sequence number in the body.
	Event uint64
	// ID is the delivery's id, which receivers tell repetitions by; empty when
	// the sink has none.
	ID   string
	Body []byte
	// Accepted says that the receiver took it in, whether or not the sender
	// could know.
	Accepted bool
}

// Deliveries checks what a receiver got against the events that its sink
// wants, oldest first. dead are its dead letters. With reordered, events that
// were tried again on demand come out of order and are not blamed for it.
func Deliveries(sink string, want []protocol.AuditEntry, got []Delivery, dead []uint64, reordered map[uint64]bool) []Violation {
	out := newFindings()
	blame := func(rule Rule, format string, args ...any) {
		out.add(Violation{Checker: CheckerInvariant, Rule: rule, Key: sink, Text: fmt.Sprintf(format, args...)})
	}
	known := map[uint64]*protocol.AuditEntry{}
	for i := range want {
		known[want[i].Seq] = &want[i]
	}
	first, accepted := map[uint64]*Delivery{}, map[uint64]bool{}
	owner := map[string]uint64{}
	newest := uint64(0)
	for i := range got {
		d := &got[i]
		if known[d.Event] == nil {
			blame(RulePhantomDelivery, "request %d is of event %d, which the sink does not want or which is not in the log", i, d.Event)
			continue
		}
		accepted[d.Event] = accepted[d.Event] || d.Accepted
		if of, taken := owner[d.ID]; d.ID != "" && taken && of != d.Event {
			blame(RuleDeliveryChanged, "events %d and %d have the id %s", of, d.Event, d.ID)
		}
		owner[d.ID] = d.Event
		if before := first[d.Event]; before != nil {
			if before.ID != d.ID || !bytes.Equal(before.Body, d.Body) {
				blame(RuleDeliveryChanged, "event %d was sent as %s %s and then as %s %s", d.Event, before.ID, before.Body, d.ID, d.Body)
			}
			continue
		}
		first[d.Event] = d
		if d.Event < newest && !reordered[d.Event] {
			blame(RuleDeliveryOrder, "event %d was sent for the first time after event %d", d.Event, newest)
		}
		newest = max(newest, d.Event)
	}
	for _, seq := range dead {
		accepted[seq] = true // accounted for
	}
	for i := range want {
		if !accepted[want[i].Seq] {
			blame(RuleUndelivered, "event %d (%s) was never taken and is not a dead letter", want[i].Seq, want[i].Action)
		}
	}
	return out.sorted()
}
