// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// chained is how many events the chain is verified over, for a page that is
// opened often.
const chained = 200

// verified is a part of a chain whose hashes were computed again.
type verified struct {
	From, To uint64
	// Broken says where the chain does not hold.
	Broken string
}

// verify computes the hashes of events of one class, oldest first. The first is
// what the others continue from.
func verify(entries []protocol.AuditEntry) *verified {
	if len(entries) == 0 {
		return nil
	}
	v := &verified{From: entries[0].Seq, To: entries[len(entries)-1].Seq}
	events := make([]protocol.AuditEvent, len(entries))
	for i := range entries {
		event, err := entries[i].Event()
		if err != nil {
			v.Broken = err.Error()
			return v
		}
		events[i] = event
	}
	if _, err := protocol.VerifyChain(events[0].Chain, events[1:]); err != nil {
		v.Broken = err.Error()
	}
	return v
}

// verifyEnd verifies the newest events of a class up to the head of its chain.
func (v *visit) verifyEnd(end protocol.AuditChainEnd) (*verified, *protocol.Error) {
	log, e := ask[protocol.GetAuditLogReply](v, "get_audit_log", map[string]any{"class": end.Class, "limit": chained})
	if e != nil {
		return nil, e
	}
	slices.Reverse(log.Entries)
	found := verify(log.Entries)
	if found != nil && found.Broken == "" {
		newest := log.Entries[len(log.Entries)-1] // the trail may have grown since
		if newest.Seq == end.HeadSeq && newest.Chain != end.Head {
			found.Broken = fmt.Sprintf("the newest event, %d, is not the head of the chain", newest.Seq)
		}
	}
	return found, nil
}

type eventData struct {
	Entry      protocol.AuditEntry
	Attrs      []attrRow
	Around     *verified
	Prev, Next uint64
	// Salted says that the event holds something of a person.
	Salted bool
}

type attrRow struct{ Key, Value, Link string }

// linkTo is the page of what an attribute names, "" for none.
func linkTo(key, value string) string {
	if _, err := strconv.ParseUint(value, 10, 32); err != nil || value == "0" {
		return ""
	}
	switch key {
	case "node_id", "target_node_id", "target_node", "inviter_id", "from", "from_node_id", "to", "to_node_id", "node_a", "node_b", "old_owner", "new_owner", "peer_id", "creator_node_id", "former_owner":
		return "/nodes/" + value
	case "network_id":
		return "/networks/" + value
	}
	return ""
}

// eventPage shows an event with its attributes, and whether the chain around it holds.
func (c *Console) eventPage(v *visit) (*content, *protocol.Error) {
	seq, err := strconv.ParseUint(v.r.PathValue("seq"), 10, 53)
	if err != nil || seq == 0 {
		return nil, protocol.Errorf(protocol.CodeInvalid, "%s is not the number of an event", protocol.Quote(v.r.PathValue("seq")))
	}
	one, e := ask[protocol.GetAuditLogReply](v, "get_audit_log", map[string]any{"after_seq": seq - 1, "ascending": true, "limit": 1})
	if e != nil {
		return nil, e
	}
	if len(one.Entries) == 0 || one.Entries[0].Seq != seq {
		return nil, protocol.Refusef(protocol.CodeNotFound, "event %d is not kept: it has not happened, or retention has cut it off", seq)
	}
	d := &eventData{Entry: one.Entries[0]}
	for _, kv := range d.Entry.Attrs {
		d.Attrs = append(d.Attrs, attrRow{kv[0], kv[1], linkTo(kv[0], kv[1])})
	}
	d.Salted = len(d.Entry.Salts) > 0
	from := seq - min(seq, chained/2)
	around, e := ask[protocol.GetAuditLogReply](v, "get_audit_log", map[string]any{"after_seq": from, "ascending": true, "class": d.Entry.Class, "limit": chained})
	if e != nil {
		return nil, e
	}
	d.Around = verify(around.Entries)
	at := slices.IndexFunc(around.Entries, func(a protocol.AuditEntry) bool { return a.Seq == seq })
	if at > 0 {
		d.Prev = around.Entries[at-1].Seq
	}
	if at >= 0 && at+1 < len(around.Entries) {
		d.Next = around.Entries[at+1].Seq
	}
	return &content{Template: "event", Title: fmt.Sprintf("What was event %d?", seq), Data: d, Command: "pilotctl audit list --action " + quoted(d.Entry.Action)}, nil
}
