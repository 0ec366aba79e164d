// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// The whole governance of networks against a plain model of it: maps and
// slices, no log, no indexes, every rule written down a second time.

type modelMember struct {
	id               uint32
	role             role
	until, roleUntil int64
}

type modelNet struct {
	name, rule string
	enterprise bool
	hadOwner   bool
	members    []*modelMember // in join order
	max        int
	pre        map[string]role // folded external id
}

type modelInvite struct {
	net     uint16
	inviter uint32
	at      int64
	span    uint32
}

type govModel struct {
	now     int64
	nodes   map[uint32]bool // live
	ext     map[uint32]string
	nets    map[uint16]*modelNet
	invites map[uint32][]modelInvite
}

func (n *modelNet) find(id uint32) *modelMember {
	for _, m := range n.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

func (n *modelNet) owner() *modelMember {
	for _, m := range n.members {
		if m.role == roleOwner {
			return m
		}
	}
	return nil
}

// effective is a member's role at a moment.
func (m *modelMember) effective(now int64) role {
	switch {
	case m == nil, m.until != 0 && m.until <= now:
		return roleNone
	case m.roleUntil != 0 && m.roleUntil <= now:
		return roleMember
	}
	return m.role
}

func (g *govModel) admit(n *modelNet, id uint32, span uint32) {
	m := &modelMember{id: id, role: roleMember}
	if r, ok := n.pre[strings.ToLower(g.ext[id])]; ok && g.ext[id] != "" {
		if m.role = r; r == roleOwner && n.owner() != nil {
			m.role = roleAdmin
		}
	}
	if span > 0 {
		m.until = g.now + int64(span)*1000
	}
	n.members = append(n.members, m)
	n.hadOwner = n.hadOwner || m.role == roleOwner
}

// remove ends a membership; succession says whether an owner is followed by another.
func (g *govModel) remove(net uint16, id uint32, succession bool) {
	n := g.nets[net]
	was := n.find(id)
	n.members = slices.DeleteFunc(n.members, func(m *modelMember) bool { return m.id == id })
	if len(n.members) == 0 {
		n.hadOwner = false
	}
	for target, list := range g.invites {
		g.invites[target] = slices.DeleteFunc(list, func(i modelInvite) bool { return i.net == net && (target == id || i.inviter == id) })
	}
	if succession && was.role == roleOwner && n.enterprise {
		g.succeed(n)
	}
}

func (g *govModel) succeed(n *modelNet) {
	if len(n.members) == 0 {
		return
	}
	heir := n.members[0]
	for _, m := range n.members {
		if m.effective(g.now) == roleAdmin {
			heir = m
			break
		}
	}
	heir.role, heir.roleUntil, n.hadOwner = roleOwner, 0, true
}

// may says whether a caller has one of the roles: by token or by signature.
func (g *govModel) may(n *modelNet, call *govCall, allowed ...role) bool {
	return call.admin || call.token || call.signed && g.nodes[call.node] && slices.Contains(allowed, n.find(call.node).effective(g.now))
}

// govCall is one call of a random command by a random caller.
type govCall struct {
	command              string
	node, target         uint32
	net                  uint16
	admin, token, signed bool
	span                 uint32
	flag                 bool
	n                    int
	people               []protocol.DirectoryEntry
}

// act carries a call out on the model and says whether it is allowed.
func (g *govModel) act(c *govCall) bool {
	switch c.command {
	case "set_external_id":
		if !c.admin || !g.nodes[c.node] {
			return false
		}
		g.ext[c.node] = []string{"", "Ann@X", "bob@x"}[c.n%3]
		return true
	case "deregister":
		return g.deregister(c)
	case "create_network":
		return g.create(c)
	case "provision_network":
		return g.provision(c)
	}
	n := g.nets[c.net]
	if n == nil {
		return false
	}
	switch c.command {
	case "join_network", "leave_network":
		return g.joinLeave(c, n)
	case "invite_to_network", "respond_invite":
		return g.invitation(c, n)
	case "set_network_enterprise":
		return c.admin && g.toggle(c.flag, n)
	case "directory_sync":
		return c.admin && n.enterprise && len(c.people) > 0 && g.sync(c, n)
	case "delete_network":
		if !g.may(n, c, roleOwner) {
			return false
		}
		delete(g.nets, c.net)
		for t, list := range g.invites {
			g.invites[t] = slices.DeleteFunc(list, func(i modelInvite) bool { return i.net == c.net })
		}
		return true
	}
	return n.enterprise && g.roleCommand(c, n)
}

func (g *govModel) deregister(c *govCall) bool {
	if !g.nodes[c.node] {
		return true
	}
	if !c.signed && !c.admin {
		return false
	}
	for net := uint16(1); net < 1000; net++ {
		if n := g.nets[net]; n != nil && n.find(c.node) != nil {
			g.remove(net, c.node, true)
		}
	}
	delete(g.invites, c.node)
	for t, list := range g.invites {
		g.invites[t] = slices.DeleteFunc(list, func(i modelInvite) bool { return i.inviter == c.node })
	}
	delete(g.nodes, c.node)
	g.ext[c.node] = ""
	return true
}

func (g *govModel) create(c *govCall) bool {
	rule, name := []string{"open", "invite"}[c.n%2], fmt.Sprint("n", c.n)
	for _, n := range g.nets {
		if n.name == name {
			return false
		}
	}
	if !c.admin || !g.nodes[c.node] || rule == "invite" && !c.flag {
		return false
	}
	g.nets[c.net] = &modelNet{name: name, rule: rule, enterprise: c.flag, hadOwner: true, pre: map[string]role{}, members: []*modelMember{{id: c.node, role: roleOwner}}}
	return true
}

func (g *govModel) joinLeave(c *govCall, n *modelNet) bool {
	m := n.find(c.node)
	switch {
	case !g.nodes[c.node] || !c.signed && !c.admin:
		return false
	case c.command == "leave_network":
		if m == nil || n.enterprise && m.role == roleOwner {
			return false
		}
		g.remove(c.net, c.node, false)
	case n.rule != "open" || m != nil || n.max > 0 && len(n.members) >= n.max:
		return false
	default:
		g.admit(n, c.node, c.span)
	}
	return true
}

func (g *govModel) invitation(c *govCall, n *modelNet) bool {
	fresh := func(i modelInvite) bool { return g.now-i.at <= inviteTTL }
	if c.command == "respond_invite" {
		at := slices.IndexFunc(g.invites[c.node], func(i modelInvite) bool { return i.net == c.net })
		if !n.enterprise || !g.nodes[c.node] || !c.signed || at < 0 || !fresh(g.invites[c.node][at]) {
			return false
		}
		i := g.invites[c.node][at]
		if c.flag {
			if n.max > 0 && len(n.members) >= n.max || n.find(c.node) != nil {
				return false
			}
			g.admit(n, c.node, i.span)
		}
		g.invites[c.node] = slices.Delete(slices.Clone(g.invites[c.node]), at, at+1)
		return true
	}
	inviter := n.find(c.node)
	switch {
	case c.node == c.target, !g.nodes[c.node], !c.signed && !c.admin, !n.enterprise, n.rule != "invite":
		return false
	case !c.admin && !c.token && inviter.effective(g.now) < roleAdmin:
		return false
	case !g.nodes[c.target] || n.find(c.target) != nil:
		return false
	case slices.ContainsFunc(g.invites[c.target], func(i modelInvite) bool { return i.net == c.net && fresh(i) }):
		return true
	}
	g.invites[c.target] = slices.DeleteFunc(g.invites[c.target], func(i modelInvite) bool { return !fresh(i) })
	g.invites[c.target] = append(g.invites[c.target], modelInvite{net: c.net, inviter: c.node, at: g.now, span: c.span})
	return true
}

func (g *govModel) toggle(on bool, n *modelNet) bool {
	n.enterprise = on
	for _, m := range n.members {
		switch {
		case !on:
			m.role, m.roleUntil = roleNone, 0
		case m.role == roleNone && n.owner() == nil:
			m.role, n.hadOwner = roleOwner, true
		case m.role == roleNone:
			m.role = roleMember
		}
	}
	if on && n.owner() == nil && n.hadOwner {
		g.succeed(n)
	}
	return true
}

func (g *govModel) roleCommand(c *govCall, n *modelNet) bool {
	m, until := n.find(c.target), int64(0)
	if c.span > 0 {
		until = g.now + int64(c.span)*1000
	}
	switch c.command {
	case "promote_member":
		if !g.may(n, c, roleOwner) || m == nil || m.role == roleOwner || m.role == roleNone || m.role == roleAdmin && m.roleUntil == 0 && until == 0 {
			return false
		}
		m.role, m.roleUntil = roleAdmin, until
	case "demote_member":
		if !g.may(n, c, roleOwner) || m == nil || m.role != roleAdmin {
			return false
		}
		m.role, m.roleUntil = roleMember, 0
	case "kick_member":
		if !g.may(n, c, roleOwner, roleAdmin) || m == nil || m.role == roleOwner {
			return false
		}
		g.remove(c.net, c.target, false)
	case "transfer_ownership":
		owner := n.owner()
		if !g.may(n, c, roleOwner) || owner == nil || m == nil || m == owner || m.role == roleNone || c.target == 0 {
			return false
		}
		owner.role, owner.roleUntil, m.role, m.roleUntil = roleAdmin, 0, roleOwner, 0
	case "set_network_policy":
		if !g.may(n, c, roleOwner, roleAdmin) || c.n > 0 && len(n.members) > c.n {
			return false
		}
		n.max = c.n
	}
	return true
}

// expire carries out what is over, the earliest first.
func (g *govModel) expire() {
	for {
		type end struct {
			at   int64
			kind dueKind
			net  uint16
			m    *modelMember
		}
		var ends []end
		for net, n := range g.nets {
			for _, m := range n.members {
				if m.until != 0 && m.until <= g.now {
					ends = append(ends, end{m.until, dueMember, net, m})
				}
				if m.roleUntil != 0 && m.roleUntil <= g.now {
					ends = append(ends, end{m.roleUntil, dueRole, net, m})
				}
			}
		}
		if len(ends) == 0 {
			break
		}
		first := slices.MinFunc(ends, func(a, b end) int {
			return strings.Compare(dueKey(a.at, a.kind, table.AppendKey64(nil, membershipKey(a.net, a.m.id))), dueKey(b.at, b.kind, table.AppendKey64(nil, membershipKey(b.net, b.m.id))))
		})
		if first.kind == dueRole {
			first.m.role, first.m.roleUntil = roleMember, 0
		} else {
			g.remove(first.net, first.m.id, true)
		}
	}
	for t, list := range g.invites {
		g.invites[t] = slices.DeleteFunc(list, func(i modelInvite) bool { return g.now-i.at > inviteTTL })
	}
}

func (g *govModel) String() string {
	var out strings.Builder
	for net := uint16(1); net < 1000; net++ {
		n := g.nets[net]
		if n == nil {
			continue
		}
		fmt.Fprintf(&out, "%d %s %s ent=%v had=%v max=%d:", net, n.name, n.rule, n.enterprise, n.hadOwner, n.max)
		for _, m := range n.members {
			fmt.Fprintf(&out, " %d/%s/%d/%d", m.id, m.role, m.until, m.roleUntil)
		}
		for _, ext := range slices.Sorted(maps.Keys(n.pre)) {
			fmt.Fprintf(&out, " %s=%s", ext, n.pre[ext])
		}
		out.WriteString("\n")
	}
	for t := uint32(0); t < 10; t++ {
		for _, i := range g.invites[t] {
			fmt.Fprintf(&out, "invite %d: %d by %d at %d for %d\n", t, i.net, i.inviter, i.at, i.span)
		}
	}
	return out.String()
}

// governanceOf renders the machine's governance as the model renders its own.
func governanceOf(r *Root) string {
	var out strings.Builder
	r.networks.records.Scan(func(id uint16, n *network) bool {
		if id == 0 {
			return true
		}
		fmt.Fprintf(&out, "%d %s %s ent=%v had=%v max=%d:", id, n.name, n.rule, n.enterprise, n.hadOwner, n.policy.maxMembers)
		r.networks.eachMember(id, func(node uint32, m membership) bool {
			fmt.Fprintf(&out, " %d/%s/%d/%d", node, m.role, m.until, m.roleUntil)
			return true
		})
		pre := map[string]role{}
		r.networks.eachPreAssign(id, func(_ string, p *preAssign) bool {
			pre[p.key] = p.role
			return true
		})
		for _, ext := range slices.Sorted(maps.Keys(pre)) {
			fmt.Fprintf(&out, " %s=%s", ext, pre[ext])
		}
		out.WriteString("\n")
		return true
	})
	r.networks.invites.Scan(func(k string, i *invite) bool {
		t, _ := splitQueueKey(k)
		fmt.Fprintf(&out, "invite %d: %d by %d at %d for %d\n", t, i.net, i.inviter, i.at, i.span)
		return true
	})
	return out.String()
}
