// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"slices"
	"strings"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// memberTags are the tags that a network gives to a member, at least one.
// They belong to the membership and end with it.
type memberTags struct{ list []string }

func (t memberTags) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendUvarint(dst, uint64(len(t.list)))
	for _, tag := range t.list {
		dst = table.AppendString(dst, tag)
	}
	return dst
}

func readMemberTagsRecord(d *table.Decoder, _ uint32) (t memberTags) {
	n := d.Uvarint()
	if n == 0 || n > protocol.MaxMemberTags {
		d.Fail()
		return t
	}
	for range n {
		t.list = append(t.list, d.Text())
	}
	return t
}

// size is what the tags take in a list's JSON, from above.
func (t memberTags) size() int {
	if len(t.list) == 0 {
		return 0
	}
	size := 20
	for _, tag := range t.list {
		size += len(tag) + 3
	}
	return size
}

func decideSetMemberTags(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetMemberTags)
	if e := v.authorise(c, r.NodeID, r.NetworkID); e != nil {
		return nil, e
	}
	if e := r.Check(); e != nil {
		return nil, afterRole(e)
	}
	if _, e := v.networks.gate(c, r.NetworkID); e != nil {
		return nil, e
	}
	if _, in := v.networks.member(r.NetworkID, r.TargetNodeID); !in {
		return nil, notMember(r.TargetNodeID, r.NetworkID)
	}
	reply := &protocol.SetMemberTagsReply{Type: "set_member_tags_ok", NetworkID: r.NetworkID, TargetNodeID: r.TargetNodeID, Tags: r.Tags}
	if reply.Tags == nil {
		reply.Tags = []string{}
	}
	key := membershipKey(r.NetworkID, r.TargetNodeID)
	if now, _ := v.networks.tags.Get(key); slices.Equal(now.list, r.Tags) {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		setMemberTags(x, key, r.Tags)
		x.begin(protocol.EventMemberTagsChanged).network(r.NetworkID).num("target_node", uint64(r.TargetNodeID)).
			str("tags", strings.Join(r.Tags, " ")).end()
		return reply
	}, nil
}

// readMemberTags shows a member's tags, or everybody's. Daemons ask for their
// own, in networks that they may just have left, so that is no error.
func readMemberTags(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.GetMemberTags)
	if _, ok := v.networks.records.Get(r.NetworkID); !ok {
		return nil, noNetwork(r.NetworkID)
	}
	reply := &protocol.GetMemberTagsReply{Type: "get_member_tags_ok", NetworkID: r.NetworkID, TargetNodeID: r.TargetNodeID}
	of := func(id uint32) []string {
		if tags, ok := v.networks.tags.Get(membershipKey(r.NetworkID, id)); ok {
			return tags.list
		}
		return []string{}
	}
	if r.TargetNodeID != 0 {
		reply.Tags = of(r.TargetNodeID)
		return reply, nil
	}
	reply.Members = map[string][]string{}
	size := 0
	v.networks.eachMember(r.NetworkID, func(id uint32, _ membership) bool {
		tags := of(id)
		reply.Members[decimal(id)] = tags
		size += 16 + memberTags{tags}.size()
		return size <= maxListBytes
	})
	if size > maxListBytes {
		return nil, protocol.Refusef(protocol.CodeTooLarge, "the list is too large for one reply (over 8 MiB): list_nodes shows member_tags in pages, with limit and cursor")
	}
	return reply, nil
}
