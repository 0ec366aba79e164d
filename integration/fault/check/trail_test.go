// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// trail makes a log of events of both classes and the ends of its chains.
func trail(n int) (out []protocol.AuditEntry, chains []protocol.AuditChainEnd) {
	var sums [3][32]byte
	ends := map[protocol.EventClass]*protocol.AuditChainEnd{}
	for _, c := range []protocol.EventClass{protocol.ClassSecurity, protocol.ClassActivity} {
		ends[c] = &protocol.AuditChainEnd{Class: c.String(), Anchor: hex.EncodeToString(sums[c][:])}
	}
	for i := range n {
		e := protocol.AuditEvent{Seq: uint64(i + 1), Class: protocol.EventClass(1 + i%2), Time: 1774952430000 + int64(i), Action: "tags.changed", Actor: "system",
			Attrs: []protocol.AuditAttr{{Key: "node_id", Value: fmt.Sprint(i)}}}
		record := protocol.AppendAuditHead(sums[e.Class][:], &e)
		for _, text := range []string{"node_id", fmt.Sprint(i)} {
			record = append(append(record, byte(len(text))), text...)
		}
		e.Chain = sha256.Sum256(record)
		sums[e.Class] = e.Chain
		ends[e.Class].HeadSeq, ends[e.Class].Head = e.Seq, hex.EncodeToString(e.Chain[:])
		out = append(out, e.Entry())
	}
	return out, []protocol.AuditChainEnd{*ends[1], *ends[2]}
}

// rules are the rules that were broken, each once.
func rules(found []check.Violation) (out []check.Rule) {
	for _, v := range found {
		if !slices.Contains(out, v.Rule) {
			out = append(out, v.Rule)
		}
	}
	return out
}

func TestTrail(t *testing.T) {
	t.Parallel()
	const gap, chain = check.RuleTrailGap, check.RuleTrailChain
	tests := []struct {
		name   string
		spoil  func([]protocol.AuditEntry) []protocol.AuditEntry
		broken []check.Rule
	}{
		{"whole", func(l []protocol.AuditEntry) []protocol.AuditEntry { return l }, nil},
		{"one missing", func(l []protocol.AuditEntry) []protocol.AuditEntry { return slices.Delete(l, 4, 5) }, []check.Rule{chain, gap}},
		{"the newest missing", func(l []protocol.AuditEntry) []protocol.AuditEntry { return l[:len(l)-1] }, []check.Rule{chain, gap}},
		{"one twice", func(l []protocol.AuditEntry) []protocol.AuditEntry { return slices.Insert(l, 4, l[3]) }, []check.Rule{chain, gap}},
		{"two exchanged", func(l []protocol.AuditEntry) []protocol.AuditEntry { l[4], l[5] = l[5], l[4]; return l }, []check.Rule{gap}},
		{"one changed", func(l []protocol.AuditEntry) []protocol.AuditEntry { l[4].Actor = "node:6"; return l }, []check.Rule{chain}},
		{"one shown differently", func(l []protocol.AuditEntry) []protocol.AuditEntry { l[4].NodeID++; return l }, []check.Rule{chain}},
	}
	for _, tt := range tests {
		entries, chains := trail(10)
		found := check.Trail(tt.spoil(entries), chains)
		if got := rules(found); !slices.Equal(got, tt.broken) {
			t.Errorf("%s: broken %v, want %v: %v", tt.name, got, tt.broken, found)
		}
	}
	// Retention has cut one class further than the other.
	entries, chains := trail(10)
	chains[0].AnchorSeq, chains[0].Anchor = entries[4].Seq, entries[4].Chain
	chains[1].AnchorSeq, chains[1].Anchor = entries[1].Seq, entries[1].Chain
	left := []protocol.AuditEntry{entries[3]}
	left = append(left, entries[5:]...)
	if found := check.Trail(left, chains); found != nil {
		t.Errorf("after retention: %v", found)
	}
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	want, _ := trail(6)
	send := func(seqs ...uint64) (out []check.Delivery) {
		for _, seq := range seqs {
			out = append(out, check.Delivery{Event: seq, ID: fmt.Sprintf("evt_%d", seq), Body: fmt.Append(nil, seq), Accepted: true})
		}
		return out
	}
	all := send(1, 2, 3, 4, 5, 6)
	refused := send(3)
	refused[0].Accepted = false
	changed, renamed := send(4), send(4)
	changed[0].Body = []byte("other")
	renamed[0].ID = "evt_5"
	tests := []struct {
		name   string
		got    []check.Delivery
		dead   []uint64
		again  map[uint64]bool
		broken []check.Rule
	}{
		{name: "once each", got: all},
		{name: "repeated from before", got: slices.Concat(all[:4], all[1:])},
		{name: "refused first", got: slices.Concat(all[:2], refused, all[2:])},
		{name: "refused for ever", got: slices.Concat(all[:2], refused, all[3:]), broken: []check.Rule{check.RuleUndelivered}},
		{name: "a dead letter", got: slices.Concat(all[:2], refused, all[3:]), dead: []uint64{3}},
		{name: "one left out", got: slices.Concat(all[:2], all[3:]), broken: []check.Rule{check.RuleUndelivered}},
		{name: "out of order", got: slices.Concat(all[:2], all[3:5], all[2:3], all[5:]), broken: []check.Rule{check.RuleDeliveryOrder}},
		{name: "tried again on demand", got: slices.Concat(all[:2], all[3:], all[2:3]), again: map[uint64]bool{3: true}},
		{name: "nobody's event", got: append(send(1, 2, 3, 4, 5, 6), send(7)...), broken: []check.Rule{check.RulePhantomDelivery}},
		{name: "another body", got: slices.Concat(all, changed), broken: []check.Rule{check.RuleDeliveryChanged}},
		{name: "another event's id", got: slices.Concat(all, renamed), broken: []check.Rule{check.RuleDeliveryChanged}},
	}
	for _, tt := range tests {
		found := check.Deliveries("hook", want, tt.got, tt.dead, tt.again)
		if got := rules(found); !slices.Equal(got, tt.broken) {
			t.Errorf("%s: broken %v, want %v: %v", tt.name, got, tt.broken, found)
		}
	}
}
