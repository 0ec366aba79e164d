// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/base64"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxListBytes is the largest list reply; more has to be paged.
const maxListBytes = 8 << 20

// Lists that a cursor may belong to.
const (
	cursorNodes    = 1
	cursorNetworks = 2
	cursorPlan     = 3
	cursorActions  = 4
	cursorStatus   = 5
	cursorAudit    = 6
	cursorPerson   = 7
)

// makeCursor encodes where the next page begins. A cursor names a position in
// a stable order, not a count, so concurrent changes neither repeat nor skip
// entries that stay.
func makeCursor(list byte, net uint16, next uint64) string {
	b := table.AppendKey64(table.AppendKey16([]byte{list}, net), next)
	return base64.RawURLEncoding.EncodeToString(b)
}

func readCursor(s string, list byte, net uint16) (next uint64, e *protocol.Error) {
	if s == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	d := table.NewDecoder(b)
	kind, of, next := d.Uint8(), d.Key16(), d.Key64()
	if err != nil || !d.Done() || kind != list || of != net {
		return 0, protocol.Errorf(protocol.CodeInvalid, "invalid cursor: use next_cursor of the page before, with the same request")
	}
	return next, nil
}

// page collects a list: all of it, or limit entries from a cursor on.
type page struct {
	limit int
	size  int
	count int
	next  uint64
	full  bool // more follows: the page ends before position next
	large bool // the list is too large to be sent without a limit
}

// room reports whether the entry at a position, of about size bytes, still
// fits. With a limit a page that grows too large ends early.
func (p *page) room(at uint64, size int) bool {
	switch {
	case p.limit > 0 && p.count == p.limit, p.limit > 0 && p.size+size > maxListBytes && p.count > 0:
		p.full, p.next = true, at
		return false
	case p.limit <= 0 && p.size+size > maxListBytes:
		p.large = true
		return false
	}
	p.size += size
	p.count++
	return true
}

func (p *page) tooLarge() *protocol.Error {
	if !p.large {
		return nil
	}
	return protocol.Refusef(protocol.CodeTooLarge, "the list is too large for one reply (over 8 MiB): ask for pages with limit and cursor")
}

func readListNodes(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.ListNodes)
	if r.NetworkID == 0 {
		if !v.adminToken(c) {
			return nil, protocol.Refusef(protocol.CodePermissionDenied,
				"listing backbone nodes is not permitted (use lookup with a specific node_id)")
		}
	} else if _, ok := v.networks.records.Get(r.NetworkID); !ok {
		return nil, noNetwork(r.NetworkID)
	}
	next, e := readCursor(c.cursor, cursorNodes, r.NetworkID)
	if e != nil {
		return nil, e
	}
	p := &page{limit: c.limit}
	reply := &protocol.ListNodesReply{Type: "list_nodes_ok", Nodes: []protocol.ListedNode{}}
	add := func(at uint64, id uint32, m membership) bool {
		n, _ := v.nodes.records.Get(id)
		tags, _ := v.networks.tags.Get(membershipKey(r.NetworkID, id))
		if !p.room(at, listedSize(n)+tags.size()) {
			return false
		}
		listed := listed(v, r.NetworkID, id, n, m)
		listed.ExternalID, listed.MemberTags = v.shownIdentity(c, r.RequesterID, n), tags.list
		reply.Nodes = append(reply.Nodes, listed)
		return true
	}
	if r.NetworkID == 0 {
		v.nodes.liveIDs.Ascend(uint32(min(next, 1<<32-1)), func(id uint32, _ nothing) bool {
			return add(uint64(id), id, membership{})
		})
	} else {
		v.networks.byOrder.Ascend(orderKey(r.NetworkID, min(next, maxJoinOrder)), func(k uint64, id uint32) bool {
			if uint16(k>>48) != r.NetworkID {
				return false
			}
			m, _ := v.networks.member(r.NetworkID, id)
			return add(m.order, id, m)
		})
	}
	if e := p.tooLarge(); e != nil {
		return nil, e
	}
	if p.full {
		reply.NextCursor = makeCursor(cursorNodes, r.NetworkID, p.next)
	}
	return reply, nil
}

// listedSize estimates the JSON of a list entry from above, except for texts
// full of characters that JSON escapes.
func listedSize(n *node) int {
	size := 230
	if n == nil {
		return size
	}
	if b := n.badge(); b.Badge != "" {
		size += 140 + len(b.Badge) + len(b.BadgeSig) + len(b.Provider)
	}
	size += len(n.externalID) + len(n.hostname) + len(n.endpoint) + len(n.version) + 14
	for _, t := range n.tags {
		size += len(t) + 3
	}
	return size
}

// listed renders a list entry. A member that is not live shows only that.
func listed(v *view, net uint16, id uint32, n *node, m membership) protocol.ListedNode {
	out := protocol.ListedNode{NodeID: id, Address: address(net, id), Role: m.role.String()}
	if n == nil || !n.live() {
		out.Offline = true
		return out
	}
	polo, public := int64(n.polo), n.has(flagPublic)
	out.PoloScore, out.Public = &polo, &public
	out.Hostname, out.Tags, out.TaskExec = n.hostname, n.tags, n.has(flagTaskExec)
	out.RealAddr = n.publicAddr()
	out.LastSeen, out.Version = v.nodes.lastSeen(id), n.version
	if b := n.badge(); b.Badge != "" && net != 0 {
		out.Verified, out.Badge, out.BadgeSig, out.VerificationProvider, out.VerifiedAt = true, b.Badge, b.BadgeSig, b.Provider, b.At
	}
	return out
}

func readListNetworks(v *view, c *invocation) (any, *protocol.Error) {
	next, e := readCursor(c.cursor, cursorNetworks, 0)
	if e != nil {
		return nil, e
	}
	p := &page{limit: c.limit}
	reply := &protocol.ListNetworksReply{Type: "list_networks_ok", Networks: []protocol.ListedNetwork{}}
	v.networks.records.Ascend(uint16(min(next, 1<<16-1)), func(id uint16, n *network) bool {
		docs, _ := v.networks.docs.Get(id)
		size := 210 + len(n.name) + len(n.policy.description)
		if docs.rules != nil {
			size += 320
		}
		if !p.room(uint64(id), size) {
			return false
		}
		listed := protocol.ListedNetwork{
			ID: id, Name: n.name, JoinRule: n.rule.String(), Enterprise: n.enterprise, Created: n.created / 1000, Members: v.networkSize(id),
			Managed: docs.rules != nil, Rules: docs.rules, HasExprPolicy: docs.expr != "",
		}
		if n.enterprise {
			listed.MaxMembers, listed.Description = int64(n.policy.maxMembers), n.policy.description
		}
		reply.Networks = append(reply.Networks, listed)
		return true
	})
	if e := p.tooLarge(); e != nil {
		return nil, e
	}
	if p.full {
		reply.NextCursor = makeCursor(cursorNetworks, 0, p.next)
	}
	return reply, nil
}
