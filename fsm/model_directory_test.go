// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// The directory commands on the model, see model_test.go.

func (g *govModel) provision(c *govCall) bool {
	rule, name := []string{"open", "invite"}[c.n%2], fmt.Sprint("n", c.n)
	if !c.admin || rule == "invite" && !c.flag {
		return false
	}
	pre := map[string]role{}
	for _, p := range c.people {
		r, known := map[string]role{"owner": roleOwner, "admin": roleAdmin, "member": roleMember}[p.Role]
		if !known {
			return false
		}
		if key := strings.ToLower(p.ExternalID); pre[key] == roleNone {
			pre[key] = r
		}
	}
	var n *modelNet
	for _, other := range g.nets {
		if other.name == name {
			n = other
		}
	}
	if n == nil {
		n = &modelNet{name: name, rule: rule, pre: map[string]role{}}
		g.nets[c.net] = n
	}
	if c.flag && !n.enterprise {
		g.toggle(true, n)
	}
	if len(pre) > 0 {
		n.pre = pre
	}
	return true
}

// sync follows the table in docs/networks.md: first what becomes of the owner,
// then everybody else.
func (g *govModel) sync(c *govCall, n *modelNet) bool {
	if slices.ContainsFunc(c.people, func(p protocol.DirectoryEntry) bool { return p.Role == "king" }) {
		return false
	}
	said := map[string]*protocol.DirectoryEntry{} // the last of each wins
	enabled := map[string]bool{}                  // whoever is listed as such once is not disabled
	var order []string
	for i := range c.people {
		p := c.people[i]
		key := strings.ToLower(p.ExternalID)
		order = append(slices.DeleteFunc(order, func(k string) bool { return k == key }), key)
		enabled[key] = enabled[key] || !p.Disabled
		said[key] = &p
	}
	for key, p := range said {
		p.Disabled = p.Disabled && !enabled[key]
	}
	at := func(key string) (list []*modelMember) {
		for _, m := range n.members {
			if g.ext[m.id] != "" && strings.ToLower(g.ext[m.id]) == key && (m.until == 0 || m.until > g.now) {
				list = append(list, m)
			}
		}
		return list
	}
	owner := n.owner()
	var named *modelMember
	for _, key := range order {
		if p, list := said[key], at(key); !p.Disabled && p.Role == "owner" && len(list) > 0 && named == nil {
			named = list[0]
		}
	}
	fate := "stays"
	if owner == nil {
		fate = "none"
	} else if key := strings.ToLower(g.ext[owner.id]); slices.Contains(at(key), owner) {
		switch p := said[key]; {
		case p == nil && c.flag && named != nil:
			fate = "goes"
		case p == nil:
		case p.Disabled:
			fate = "goes"
		case p.Role != "" && p.Role != "owner" && named != nil:
			fate = "falls"
		}
	}
	var gone []*modelMember
	for _, m := range n.members {
		key := strings.ToLower(g.ext[m.id])
		p := said[key]
		if slices.Contains(at(key), m) && (p != nil && p.Disabled || p == nil && c.flag) && (m != owner || fate == "goes") {
			gone = append(gone, m)
		}
	}
	matched := slices.ContainsFunc(order, func(key string) bool { return len(at(key)) > 0 })
	if len(gone) > 0 && !matched || len(gone) > max(len(n.members)/5, min(2, len(n.members)/2)) {
		return false
	}
	for _, key := range order {
		g.listed(n, said[key], key, at(key), owner, named, fate)
	}
	for key := range n.pre {
		if said[key] == nil && c.flag && slices.ContainsFunc(gone, func(m *modelMember) bool { return strings.ToLower(g.ext[m.id]) == key }) {
			delete(n.pre, key)
		}
	}
	for _, m := range gone {
		g.remove(c.net, m.id, false)
	}
	if fate == "goes" && named == nil {
		g.succeed(n)
	}
	return true
}

func (g *govModel) listed(n *modelNet, p *protocol.DirectoryEntry, key string, list []*modelMember, owner, named *modelMember, fate string) {
	r := map[string]role{"": roleNone, "owner": roleOwner, "admin": roleAdmin, "member": roleMember}[p.Role]
	if p.Disabled {
		delete(n.pre, key)
		return
	}
	if r == roleNone {
		return
	}
	if _, waits := n.pre[key]; waits || len(list) == 0 {
		n.pre[key] = r
	}
	for _, m := range list {
		to := r
		switch {
		case m == owner && fate == "stays":
			continue
		case r == roleOwner && (m != named || fate == "stays"):
			to = roleAdmin
		case r == roleOwner:
			n.hadOwner = true
		}
		if m.effective(g.now) != to {
			m.role, m.roleUntil = to, 0
		}
	}
}
