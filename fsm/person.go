// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// ofPerson visits the nodes bound to a person, by id from an id on, until
// f returns false.
func (st *nodeStore) ofPerson(person string, from uint32, f func(*node) bool) {
	prefix := personKey(person, 0)
	prefix = prefix[:len(prefix)-4]
	st.byPerson.Ascend(personKey(person, from), func(k string, id uint32) bool {
		if !strings.HasPrefix(k, prefix) {
			return false
		}
		n, _ := st.records.Get(id)
		return f(n)
	})
}

// rolesOfPerson visits the roles that wait for a person, by network from one on.
func (st *networkStore) rolesOfPerson(person string, from uint16, f func(net uint16, key string, p *preAssign) bool) {
	st.records.Ascend(from, func(net uint16, _ *network) bool {
		key, waits := st.byAssign.Get(preAssignIndex(net, person))
		if !waits {
			return true
		}
		p, _ := st.preAssign.Get(key)
		return f(net, key, p)
	})
}

// readPerson lists nodes first, then roles: a cursor beyond 32 bits is a network's.
func readPerson(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.PersonRequest)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	next, e := readCursor(c.cursor, cursorPerson, 0)
	if e != nil {
		return nil, e
	}
	person, p := r.Keys.MatchOf(r.ExternalID), &page{limit: c.limit}
	reply := &protocol.PersonExportReply{Type: "person_export_ok", ExternalID: r.ExternalID, Nodes: []protocol.PersonNode{}, Roles: []protocol.PersonRole{}}
	if next < 1<<32 {
		v.nodes.ofPerson(person, uint32(next), func(n *node) bool {
			shown := personNode(v, n)
			if !p.room(uint64(n.id), listedSize(n)+personSize(&shown)) {
				return false
			}
			reply.Nodes = append(reply.Nodes, shown)
			return true
		})
	}
	if !p.full && !p.large {
		v.networks.rolesOfPerson(person, uint16(max(next, 1<<32)-1<<32), func(net uint16, _ string, w *preAssign) bool {
			if !p.room(1<<32+uint64(net), 60+jsonSize(w.external)) {
				return false
			}
			reply.Roles = append(reply.Roles, protocol.PersonRole{ExternalID: w.external, NetworkID: net, Role: w.role.String()})
			return true
		})
	}
	if e := p.tooLarge(); e != nil {
		return nil, e
	}
	if p.full {
		reply.NextCursor = makeCursor(cursorPerson, 0, p.next)
	}
	return reply, nil
}

func personSize(n *protocol.PersonNode) int {
	size := 12*len(n.Trusts) + len(n.Owner) + len(n.Badge) + len(n.RecoveryProvider) + 128
	for _, m := range n.Memberships {
		size += 60 + len(m.Network)
	}
	for _, a := range n.LANAddrs {
		size += len(a) + 3
	}
	return size
}

func personNode(v *view, n *node) protocol.PersonNode {
	out := protocol.PersonNode{NodeID: n.id, ExternalID: n.externalID, Hostname: n.hostname, Owner: n.owner, Endpoint: n.endpoint,
		LANAddrs: n.lan, Tags: n.tags, Version: n.version, LastSeen: v.nodes.lastSeen(n.id), Memberships: []protocol.PersonMembership{}, Trusts: v.trust.peers(n.id)}
	out.Badge, out.RecoveryProvider = n.rare().badge, n.rare().recoveryProvider
	if !n.has(flagKeyless) {
		out.PublicKey = n.key.String()
	}
	if n.created != 0 {
		out.CreatedAt = utc(n.created)
	}
	for _, net := range v.networks.of(n.id) {
		m, _ := v.networks.member(net, n.id)
		w, _ := v.networks.records.Get(net)
		out.Memberships = append(out.Memberships, protocol.PersonMembership{Network: w.name, NetworkID: net, Role: m.role.String()})
	}
	return out
}

// decideForgetPerson takes out the nodes of a person, the roles that wait for
// one, and what the audit log says of the person. What it leaves of a node is
// its number, so that no other node gets it.
func decideForgetPerson(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.PersonRequest)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	person := r.Keys.MatchOf(r.ExternalID)
	names := namesOf(v, r.ExternalID, person, r.Forms)
	traces, waits := v.audit.tracesOf(names), false
	nodes, more := personLeaves(v, person, traces)
	v.networks.rolesOfPerson(person, 0, func(uint16, string, *preAssign) bool {
		waits = true
		return false
	})
	reply := &protocol.PersonForgetReply{Type: "person_forget_ok", Nodes: len(nodes), More: more}
	if len(nodes) == 0 && !traces.found && !waits {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		ids := map[uint32]bool{}
		for _, n := range nodes {
			ids[n.id] = true
			forgetNode(x, n)
		}
		if more {
			names = nil // they lead to the nodes that are left
		} else {
			reply.Roles = forgetRoles(x, person)
		}
		forgetHandshakes(x, ids)
		reply.Events = forgetInEvents(x, names, ids, traces.hostnames)
		x.begin(protocol.EventPersonForgotten).num("nodes", uint64(reply.Nodes)).num("roles", uint64(reply.Roles)).num("events", uint64(reply.Events)).end()
		return reply
	}, nil
}

// personLeaves are the nodes that go in one step: those bound to the person,
// then those that were deregistered as the person's. more says that some stay.
func personLeaves(v *view, person string, traces *traces) (nodes []*node, more bool) {
	take := func(n *node) bool {
		more = len(nodes) == protocol.MaxForgotten
		if !more {
			nodes = append(nodes, n)
		}
		return !more
	}
	v.nodes.ofPerson(person, 0, take)
	for _, id := range traces.former {
		n, _ := v.nodes.records.Get(id)
		if n == nil || n.state != stateDeregistered || n.forgotten() || n.person() == person {
			continue
		}
		if more || !take(n) {
			break
		}
	}
	return nodes, more
}

// forgotten reports whether nothing is left of a node but its number.
func (n *node) forgotten() bool {
	return n.state == stateDeregistered && n.has(flagKeyless) && n.owner == "" && n.created == 0
}

// forgetNode leaves of a node its number and that its key has gone on: a
// request that the key signed counts no more.
func forgetNode(x *txn, n *node) {
	if n.reachable() {
		deregister(x, n)
		n, _ = x.nodes.records.Get(n.id)
	}
	x.markKey(n)
	x.putNode(n, &node{id: n.id, keyGen: n.keyGen + 1, state: stateDeregistered, flags: flagKeyless})
}

func forgetRoles(x *txn, person string) (roles int) {
	type waiting struct {
		net uint16
		key string
	}
	var found []waiting
	x.networks.rolesOfPerson(person, 0, func(net uint16, key string, _ *preAssign) bool {
		found = append(found, waiting{net, key})
		return true
	})
	for _, w := range found {
		dropPreAssign(x, w.key)
		x.reconfigure(w.net, func(*network) {})
	}
	return len(found)
}

// forgetHandshakes takes out the questions and answers that wait for nodes that
// go, and those of theirs that wait for others: what somebody wrote in them is
// about persons.
func forgetHandshakes(x *txn, ids map[uint32]bool) {
	var requests, responses []string
	x.trust.requests.Ascend("", func(k string, q *request) bool {
		if to, _ := splitQueueKey(k); ids[to] || ids[q.from] {
			requests = append(requests, k)
		}
		return true
	})
	x.trust.responses.Ascend("", func(k string, q *response) bool {
		if to, _ := splitQueueKey(k); ids[to] || ids[q.from] {
			responses = append(responses, k)
		}
		return true
	})
	for _, k := range requests {
		dropRequest(x, k)
	}
	for _, k := range responses {
		dropResponse(x, k)
	}
}

// forgetInEvents erases the person's external id from all events, the hostnames
// of the nodes that go, and those that other nodes had while they were the person's.
func forgetInEvents(x *txn, names personNames, ids map[uint32]bool, hostnames map[uint32]map[string]bool) int {
	return eraseEvents(x, func(e *Event, a Attr) bool {
		if e.Action == protocol.EventExternalIDSet {
			return names.has(a.Value)
		}
		return ids[e.NodeID()] || hostnames[e.NodeID()][a.Value]
	})
}

// personNames are the external ids, folded, by which events name a person. An
// event has the bytes that an id had when it was bound.
type personNames map[string]bool

func (p personNames) has(externalID string) bool { return p[protocol.FoldExternalID(externalID)] }

// namesOf collects how a person is written: as asked, as the match key, and as
// nodes and waiting roles have it, and in the forms that programs use.
func namesOf(v *view, externalID, person string, forms []string) personNames {
	names := personNames{protocol.FoldExternalID(externalID): true, person: true}
	for _, f := range forms {
		names[f] = true
	}
	v.nodes.ofPerson(person, 0, func(n *node) bool {
		names[protocol.FoldExternalID(n.externalID)] = true
		return true
	})
	v.networks.rolesOfPerson(person, 0, func(_ uint16, _ string, p *preAssign) bool {
		names[protocol.FoldExternalID(p.external)] = true
		return true
	})
	return names
}

// aboutPerson reports whether an event names a person.
func aboutPerson(e *Event, names personNames) bool {
	for _, a := range e.Attrs {
		if a.Key != "old_external_id" && a.Key != "new_external_id" {
			continue
		}
		if names.has(a.Value) {
			return true
		}
	}
	return false
}
