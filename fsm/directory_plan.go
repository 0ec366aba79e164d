// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// syncStep is a change of a membership. to is roleGone for a removal, why
// then says for what reason.
type syncStep struct {
	id       uint32
	from, to role
	why      string
}

// syncPlan is what a directory listing changes in a network: computed from a
// state without changing it, shown by a dry run, carried out by Apply.
type syncPlan struct {
	net   uint16
	size  int // members before
	reply protocol.DirectorySyncReply
	// owner is who owns the network before, 0 for nobody; newOwner who takes
	// over from it, or the first; ownerGone says that it is removed and
	// nobody is named: then the network chooses.
	owner, newOwner uint32
	ownerGone       bool
	// matched is true when an entry is of a member.
	matched bool

	steps             []syncStep
	pre               []preAssign // role roleNone: goes
	hosts             []syncHost
	actions, warnings []string

	v *view
	// entries are those that count; index of an entry by match key in last.
	entries []protocol.DirectoryEntry
	last    map[string]int
	// members in join order by match key; ids all of those.
	members  map[string][]uint32
	ids      []uint32
	external map[uint32]string // match key, by member
	near     nearMisses
	planned  map[uint32]role
	taken    map[string]bool // hostnames that the plan gives
}

type syncHost struct {
	id   uint32
	name string
}

func (p *syncPlan) warn(format string, args ...any) {
	p.warnings = append(p.warnings, fmt.Sprintf(format, args...))
}

// brake is how many members a listing may remove without being asked: a fifth
// of them; in small networks two, but never more than half.
func (p *syncPlan) brake() int { return max(p.size/5, min(2, p.size/2)) }

// mustConfirm says why the removals have to be confirmed by their number, ""
// when they need not be. A listing that matches nobody was probably written
// with other ids, and then it says nothing about who has left.
func (p *syncPlan) mustConfirm() string {
	switch {
	case p.reply.Disabled > 0 && !p.matched:
		return "no entry of this listing matches a member, and it"
	case int(p.reply.Disabled) > p.brake():
		return "this listing"
	}
	return ""
}

// planSync compares a listing with a network.
func planSync(v *view, net uint16, n *network, entries []protocol.DirectoryEntry, removeUnlisted bool) *syncPlan {
	p := &syncPlan{net: net, size: v.networkSize(net), v: v, last: map[string]int{}, members: map[string][]uint32{},
		external: map[uint32]string{}, planned: map[uint32]role{}, taken: map[string]bool{}}
	p.reply = protocol.DirectorySyncReply{Type: directorySyncOK, NetworkID: net}
	p.owner, _ = v.networks.owners.Get(net)
	p.index(entries)
	p.findMembers()
	p.near = p.findNear()
	p.findOwner(removeUnlisted)
	for i := range p.entries {
		p.entry(&p.entries[i])
	}
	if removeUnlisted {
		p.unlisted()
	}
	if p.ownerGone {
		if heir, was := v.networks.heir(net, p.roleAt); was != roleNone {
			p.warn("node %d, the owner, is removed and the listing names no other owner: node %d owns the network now", p.owner, heir)
		}
	}
	return p
}

// index keeps the entries that count: those with an external id, of several
// with the same the last, in the order of the listing. An id that is listed as
// disabled and as not disabled may be two people's, whom a program could not
// tell apart, so nobody is removed for it.
func (p *syncPlan) index(entries []protocol.DirectoryEntry) {
	keys, contradicted := make([]string, len(entries)), map[string]bool{}
	for i := range entries {
		if keys[i] = personOf(&entries[i]); keys[i] == "" {
			continue
		}
		before, twice := p.last[keys[i]]
		if twice && entries[before].Disabled != entries[i].Disabled {
			contradicted[keys[i]] = true
		}
		if twice {
			p.warn("%s is listed more than once: the last entry counts", protocol.Quote(entries[i].ExternalID))
		}
		p.last[keys[i]] = i
	}
	for i := range entries {
		if keys[i] != "" && p.last[keys[i]] == i {
			p.last[keys[i]] = len(p.entries)
			e := entries[i]
			if e.Disabled && contradicted[keys[i]] {
				p.warn("%s is listed as disabled and as not disabled: nobody is removed for it; list the id once", protocol.Quote(e.ExternalID))
			}
			e.Disabled = e.Disabled && !contradicted[keys[i]]
			p.entries = append(p.entries, e)
			keys[i] = "" // its place in last is another now
		}
	}
}

// findMembers collects the members that a directory can know, silent ones
// too: going quiet must not keep anybody in. A membership that has ended
// waits only for its sweep.
func (p *syncPlan) findMembers() {
	p.v.networks.eachMember(p.net, func(id uint32, m membership) bool {
		n, _ := p.v.nodes.records.Get(id)
		if n == nil || n.externalID == "" || m.until != 0 && m.until <= p.v.meta.now {
			return true
		}
		key := n.person()
		p.members[key] = append(p.members[key], id)
		p.external[id] = key
		p.ids = append(p.ids, id)
		return true
	})
}

// findOwner decides who owns the network afterwards. The owner stays unless
// the listing takes its role or membership away and names another member;
// only a disabled owner goes without a named successor.
func (p *syncPlan) findOwner(removeUnlisted bool) {
	named := uint32(0)
	for i := range p.entries {
		e := &p.entries[i]
		if ids := p.members[personOf(e)]; len(ids) > 0 && e.Role == protocol.RoleOwner && !e.Disabled {
			named = ids[0]
			break
		}
	}
	if p.owner == 0 {
		p.newOwner = named
		return
	}
	key, known := p.external[p.owner]
	i, listed := p.last[key]
	switch {
	case !known, !listed && (!removeUnlisted || p.near.entryFor(p.v, p.owner) != nil):
	case listed && p.entries[i].Disabled:
		p.newOwner, p.ownerGone = named, named == 0
	case !listed || p.entries[i].Role != "" && p.entries[i].Role != protocol.RoleOwner:
		p.newOwner = named
	}
}

// staysOwner reports whether a node is the owner and nobody takes over.
func (p *syncPlan) staysOwner(id uint32) bool {
	return id == p.owner && p.newOwner == 0 && !p.ownerGone
}

func (p *syncPlan) entry(e *protocol.DirectoryEntry) {
	ids := p.members[personOf(e)]
	p.matched = p.matched || len(ids) > 0
	switch {
	case len(ids) == 0:
		p.reply.Unmapped++
		p.tellNear(e)
	case !e.Disabled:
		p.reply.Mapped++
	}
	if e.Disabled {
		for _, id := range ids {
			p.remove(id, "disabled")
			p.actions = append(p.actions, fmt.Sprintf("disabled %s (node %d)", e.ExternalID, id))
		}
		p.assign(e.ExternalID, personOf(e), roleNone)
		return
	}
	if r := p.roleOf(e); r != roleNone {
		for _, id := range ids {
			p.giveRole(e, id, r)
		}
		p.assign(e.ExternalID, personOf(e), r)
	}
	for _, id := range ids {
		p.giveHostname(id, e.DisplayName)
	}
}

// roleOf reads an entry's role. Other texts than roles have been refused.
func (p *syncPlan) roleOf(e *protocol.DirectoryEntry) role {
	switch e.Role {
	case "":
		return roleNone
	case protocol.RoleOwner:
		return roleOwner
	case protocol.RoleAdmin:
		return roleAdmin
	}
	return roleMember
}

func (p *syncPlan) giveRole(e *protocol.DirectoryEntry, id uint32, to role) {
	switch {
	case to == roleOwner && id != p.newOwner && !p.staysOwner(id):
		p.warn("%s (node %d) is listed as owner and becomes an admin: the network has an owner", protocol.Quote(e.ExternalID), id)
		to = roleAdmin
	case to != roleOwner && p.staysOwner(id):
		p.warn("%s (node %d) is listed as %s and stays the owner: the listing names no other owner who is a member", protocol.Quote(e.ExternalID), id, to)
		return
	}
	from := p.v.roleOf(p.net, id)
	if from == to {
		return
	}
	p.step(syncStep{id: id, from: from, to: to})
	p.reply.Updated++
	p.actions = append(p.actions, fmt.Sprintf("role %s: %s → %s (node %d)", e.ExternalID, from, to, id))
}

func (p *syncPlan) step(s syncStep) {
	p.planned[s.id] = s.to
	p.steps = append(p.steps, s)
}

func (p *syncPlan) remove(id uint32, why string) {
	p.step(syncStep{id: id, from: p.v.roleOf(p.net, id), to: roleGone, why: why})
	p.reply.Disabled++
}

// roleAt is the role that a member will have.
func (p *syncPlan) roleAt(net uint16, id uint32) role {
	if r, ok := p.planned[id]; ok {
		return r
	}
	return p.v.roleOf(net, id)
}

// assign keeps the role that waits for an external id. It begins to wait only
// when nobody has the id, and waits no more for one who is disabled.
func (p *syncPlan) assign(externalID, key string, r role) {
	old := p.v.networks.preAssigned(p.net, key)
	switch {
	case old == nil && (r == roleNone || len(p.members[key]) > 0), old != nil && old.role == r:
		return
	case old != nil:
		externalID = old.external
	}
	p.pre = append(p.pre, preAssign{external: externalID, key: key, role: r})
	p.reply.PreAssigned++
}

// giveHostname names a live node that has no name after its person.
func (p *syncPlan) giveHostname(id uint32, display string) {
	n := p.v.nodes.live(id)
	if display == "" || n == nil || n.hostname != "" {
		return
	}
	name := protocol.HostnameFrom(display)
	why := "nothing in its display name can be part of one"
	if name != "" {
		why = protocol.CheckHostname(name)
	}
	if _, taken := p.v.nodes.byHost.Get(name); taken || p.taken[name] {
		why = "hostname " + protocol.Quote(name) + " is in use"
	}
	if why != "" {
		p.warn("node %d got no hostname: %s", id, why)
		return
	}
	p.taken[name] = true
	p.hosts = append(p.hosts, syncHost{id, name})
	p.reply.Hostnames++
}

// unlisted removes those members that the directory could know and does not list.
func (p *syncPlan) unlisted() {
	for _, id := range p.ids {
		if _, listed := p.last[p.external[id]]; listed {
			continue
		}
		n, _ := p.v.nodes.records.Get(id)
		if e := p.near.entryFor(p.v, id); e != nil {
			p.reply.NearMisses++
			p.warn("%s (node %d) is not listed and stays: %s is, which is nearly the same; correct the listing, or the member's external id", protocol.Quote(n.externalID), id, protocol.Quote(e.ExternalID))
			continue
		}
		if p.staysOwner(id) {
			p.warn("%s (node %d) is not listed and stays the owner: the listing names no other owner who is a member", protocol.Quote(n.externalID), id)
			continue
		}
		p.remove(id, "unlisted")
		p.actions = append(p.actions, fmt.Sprintf("removed unlisted %s (node %d)", n.externalID, id))
		p.assign(n.externalID, n.person(), roleNone)
	}
}
