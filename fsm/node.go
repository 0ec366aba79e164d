// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"slices"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func readLookup(v *view, c *invocation) (any, *protocol.Error) {
	n := v.nodes.live(c.body.(*protocol.NodeRequest).NodeID)
	if n == nil {
		return nil, noNode(c.body.(*protocol.NodeRequest).NodeID)
	}
	seen, _ := v.nodes.seen.Get(n.id)
	reply := &protocol.LookupReply{
		LookupNext: n.nextFields.lookup(), LastSeenUnix: int64(seen), KeyGeneration: int64(n.rotates), Version: n.version,
		Type: "lookup_ok", NodeID: n.id, Address: address(0, n.id), Networks: append([]uint16{0}, v.networks.of(n.id)...),
		Public: n.has(flagPublic), PoloScore: int64(n.polo), Hostname: n.hostname, Tags: n.tags,
		TaskExec: n.has(flagTaskExec), ExternalID: v.shownIdentity(c, c.body.(*protocol.NodeRequest).RequesterID, n),
	}
	if b := n.badge(); b.Badge != "" {
		reply.Verified, reply.Badge, reply.BadgeSig, reply.VerificationProvider, reply.VerifiedAt = true, b.Badge, b.BadgeSig, b.Provider, b.At
	}
	if n.has(flagPublic) {
		reply.RealAddr, reply.RelayOnly = peerAddr(v, c, n), n.has(flagRelayOnly)
		reply.Endpoint = reply.RealAddr
	}
	if !n.has(flagKeyless) {
		reply.PublicKey = n.key.String()
	}
	return reply, nil
}

// publicAddr is the endpoint that anybody may see: that of a public node
// which is not behind a relay.
func (n *node) publicAddr() string {
	if n.has(flagPublic) && !n.has(flagRelayOnly) {
		return n.endpoint
	}
	return ""
}

// punchAddr is the endpoint that a peer who may resolve the node punches to:
// none for a node behind a relay.
func (n *node) punchAddr() string {
	if n.has(flagRelayOnly) {
		return ""
	}
	return n.endpoint
}

// peerAddr is where a peer who may resolve the node reaches it. Every daemon
// gives up at an empty address, so a node behind a relay has that of a relay.
func peerAddr(v *view, c *invocation, n *node) string {
	if n.has(flagRelayOnly) {
		return v.relay(c)
	}
	return n.endpoint
}

// visibleTo is the rule of docs/protocol/nodes.md#resolve: the target is public, or the
// pair trusts each other, or both are in a network other than the backbone.
func (v *view) visibleTo(requester uint32, target *node) bool {
	return target.has(flagPublic) || v.trusts(requester, target.id) || v.networks.shared(requester, target.id)
}

func readResolve(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.Resolve)
	requester := v.nodes.live(r.RequesterID)
	if r.RequesterID == 0 {
		return nil, protocol.Refusef(protocol.CodeInvalid, "resolve denied: requester_id required: the node that asks, whose signature and trust decide")
	}
	if requester == nil {
		return nil, protocol.Refusef(protocol.CodeNotFound, "resolve denied: requester node %d is not registered", r.RequesterID)
	}
	if e := v.signed(c, requester); e != nil {
		return nil, e
	}
	n := v.nodes.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	if !v.visibleTo(requester.id, n) {
		return nil, protocol.Refusef(protocol.CodePermissionDenied, "resolve denied: node %d is private (establish mutual trust first)", n.id)
	}
	reply := &protocol.ResolveReply{
		Type: "resolve_ok", NodeID: n.id, RealAddr: peerAddr(v, c, n), RelayOnly: n.has(flagRelayOnly), KeyAgeDays: keyAge(v, n),
	}
	if !reply.RelayOnly {
		reply.LANAddrs = n.lan
	}
	return reply, nil
}

func readPunch(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.Punch)
	requester := v.nodes.live(r.RequesterID)
	if requester == nil {
		return nil, noNode(r.RequesterID)
	}
	if requester.id != r.NodeA && requester.id != r.NodeB {
		return nil, protocol.Refusef(protocol.CodePermissionDenied, "punch denied: requester must be participant")
	}
	if e := v.signed(c, requester); e != nil {
		return nil, e
	}
	a, b := v.nodes.live(r.NodeA), v.nodes.live(r.NodeB)
	if a == nil {
		return nil, noNode(r.NodeA)
	}
	if b == nil {
		return nil, noNode(r.NodeB)
	}
	for _, n := range []*node{a, b} {
		if n.id != requester.id && !v.visibleTo(requester.id, n) {
			return nil, protocol.Refusef(protocol.CodePermissionDenied, "punch denied: node %d is private (establish mutual trust first)", n.id)
		}
	}
	return &protocol.PunchReply{Type: "punch_ok", NodeA: a.id, NodeAAddr: a.punchAddr(), NodeB: b.id, NodeBAddr: b.punchAddr()}, nil
}

func readResolveHostname(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.ResolveHostname)
	id, ok := v.nodes.byHost.Get(r.Hostname)
	n := v.nodes.live(id)
	// A private name and a missing one get the same answer, so that nobody
	// learns which names exist.
	if !ok || n == nil || r.RequesterID != n.id && !v.visibleTo(r.RequesterID, n) {
		return nil, protocol.Refusef(protocol.CodeNotFound, "hostname %s not found", protocol.Quote(r.Hostname))
	}
	seen, _ := v.nodes.seen.Get(n.id)
	return &protocol.ResolveHostnameReply{
		Type: "resolve_hostname_ok", LastSeenUnix: int64(seen), NodeID: n.id, Address: address(0, n.id), Public: n.has(flagPublic), Hostname: n.hostname,
	}, nil
}

func decideSetHostname(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetHostname)
	n := v.nodes.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	if e := v.signedOrAdmin(c, n); e != nil {
		return nil, e
	}
	if holder, taken := v.nodes.byHost.Get(r.Hostname); taken && holder != n.id {
		return nil, protocol.Refusef(protocol.CodeAlreadyExists, "hostname %s already in use by node %d", protocol.Quote(r.Hostname), holder)
	}
	reply := &protocol.SetHostnameReply{Type: "set_hostname_ok", NodeID: n.id, Hostname: r.Hostname}
	if n.hostname == r.Hostname {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		x.edit(n, func(n *node) { n.hostname = r.Hostname })
		x.begin(protocol.EventHostnameChanged).node(n.id).person("old_hostname", n.hostname).person("new_hostname", r.Hostname).end()
		return reply
	}, nil
}

func decideSetTags(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetTags)
	n := v.nodes.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	if e := v.signedOrAdmin(c, n); e != nil {
		return nil, e
	}
	reply := &protocol.SetTagsReply{Type: "set_tags_ok", NodeID: n.id, Tags: r.Tags}
	if slices.Equal(n.tags, r.Tags) {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		x.edit(n, func(n *node) { n.tags = r.Tags })
		x.begin(protocol.EventTagsChanged).node(n.id).
			num("old_tags_count", uint64(len(n.tags))).num("new_tags_count", uint64(len(r.Tags))).end()
		return reply
	}, nil
}

func decideSetTaskExec(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetTaskExec)
	reply := &protocol.SetTaskExecReply{Type: "set_task_exec_ok", NodeID: r.NodeID, TaskExec: r.Enabled}
	return decideFlag(v, c, r.NodeID, flagTaskExec, r.Enabled, reply, func(w *eventWriter) {
		w.bool("old_enabled", !r.Enabled).bool("new_enabled", r.Enabled)
	})
}

func decideSetVisibility(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetVisibility)
	reply := &protocol.SetVisibilityReply{Type: "set_visibility_ok", NodeID: r.NodeID, Visibility: "private"}
	if r.Public {
		reply.Visibility = "public"
	}
	return decideFlag(v, c, r.NodeID, flagPublic, r.Public, reply, func(w *eventWriter) {
		w.bool("old_public", !r.Public).bool("new_public", r.Public)
	})
}

// decideFlag is the decision about a node's own yes/no property; note
// completes the event of a change.
func decideFlag(v *view, c *invocation, id uint32, flag nodeFlags, on bool, reply any, note func(*eventWriter)) (effect, *protocol.Error) {
	n := v.nodes.live(id)
	if n == nil {
		return nil, noNode(id)
	}
	if e := v.signedOrAdmin(c, n); e != nil {
		return nil, e
	}
	if n.has(flag) == on {
		return c.unchanged(reply)
	}
	action := c.row.Events[0]
	return func(x *txn) any {
		x.edit(n, func(n *node) { n.set(flag, on) })
		w := x.begin(action).node(n.id)
		note(w)
		w.end()
		return reply
	}, nil
}
