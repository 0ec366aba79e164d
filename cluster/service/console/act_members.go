// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// memberActions are about a node in a network, and about its key.
var memberActions = []action{
	{Path: "invite", Title: "Invite a node", Verb: "Invite", Wire: "invite_to_network",
		Lead: "The node accepts or rejects the invite within 30 days.", Fields: inviteFields, Plan: planInvite},
	{Path: "add-member", Title: "Add a member", Verb: "Add", Wire: "join_network",
		Lead: "The node becomes a member at once, without being asked.", Fields: memberFields("days"), Plan: planAdd},
	{Path: "promote", Title: "Make a member an admin", Verb: "Promote", Wire: "promote_member",
		Lead: "Admins invite, remove members and change the policy.", Fields: memberFields("days"), Plan: planPromote},
	{Path: "demote", Title: "Make an admin a member", Verb: "Demote", Wire: "demote_member",
		Lead: "The node stays in the network, without rights over others.", Fields: memberFields(), Plan: planDemote},
	{Path: "kick", Title: "Remove a member", Verb: "Remove", Wire: "kick_member",
		Lead: "The node leaves the network at once. It may come back where the join rule lets it.", Fields: memberFields(), Plan: planKick},
	{Path: "transfer", Title: "Hand a network to another owner", Verb: "Hand over", Wire: "transfer_ownership",
		Lead: "The new owner is a member already; the old one stays as an admin.", Fields: memberFields(), Plan: planTransfer},
	{Path: "key-expiry", Title: "Set the day a key ends", Verb: "Set", Wire: "set_key_expiry",
		Lead: "From that day on the key signs nothing any more, and the node registers with a new one.", Fields: expiryFields, Plan: planExpiry},
}

// node finds a node that a form names, and says who it is.
func (v *visit) node(in values, name string) (id uint64, who string, e *protocol.Error) {
	id, e = in.number(name)
	if e != nil {
		return 0, "", e
	}
	found, e := ask[protocol.LookupReply](v, "lookup", map[string]any{"node_id": id})
	if e != nil {
		return 0, "", e
	}
	who = fmt.Sprintf("node %d", id)
	if found.Hostname != "" {
		who += " (" + found.Hostname + ")"
	}
	return id, who, nil
}

// role is that of a node in a network, "" for one that is not a member.
func (v *visit) role(n *protocol.ListedNetwork, node uint64) (string, *protocol.Error) {
	found, e := ask[protocol.GetMemberRoleReply](v, "get_member_role", map[string]any{"network_id": n.ID, "target_node_id": node})
	if e != nil && e.Code == protocol.CodeNotFound {
		return "", nil
	}
	if e != nil {
		return "", e
	}
	return found.Role, nil
}

// owner is the node that owns a network, 0 when none does.
func (v *visit) owner(n *protocol.ListedNetwork) (uint64, *protocol.Error) {
	list, _, e := v.nodes(n.ID, func(m *protocol.ListedNode) bool { return m.Role == protocol.RoleOwner })
	if e != nil || len(list) == 0 {
		return 0, e
	}
	return uint64(list[0].NodeID), nil
}

// memberFields ask for a node of a network, and for how long where that is asked.
func memberFields(more ...string) func(*visit, values) ([]field, *protocol.Error) {
	return func(v *visit, in values) ([]field, *protocol.Error) {
		f, _, e := v.networkField(in)
		if e != nil {
			return nil, e
		}
		fields := []field{f, {Name: "node", Label: "Node", Kind: kindNumber, Required: true, Hint: "id of a node"}}
		if len(more) > 0 {
			fields = append(fields, field{Name: "days", Label: "For how many days", Kind: kindNumber, Hint: "none for good"})
		}
		return fields, nil
	}
}

// aboutMember is what plans about a member begin with.
type aboutMember struct {
	n         *protocol.ListedNetwork
	node      uint64
	who, role string
}

func (v *visit) member(in values) (m aboutMember, e *protocol.Error) {
	if m.n, e = v.network(in); e != nil {
		return m, e
	}
	if m.node, m.who, e = v.node(in, "node"); e != nil {
		return m, e
	}
	m.role, e = v.role(m.n, m.node)
	return m, e
}

func (m *aboutMember) plan(to string, fields map[string]any) *plan {
	p := ofNetwork(m.n, fields)
	p.add("Role of "+m.who, or(m.role, "not a member"), to)
	return p
}

func inviteFields(v *visit, in values) ([]field, *protocol.Error) {
	fields, e := memberFields("days")(v, in)
	if e != nil {
		return nil, e
	}
	n, e := v.network(in)
	if e != nil {
		return nil, e
	}
	inviter := field{Name: "inviter", Label: "In the name of", Kind: kindNumber, Required: true, Hint: "id of the owner or of an admin"}
	owner, e := v.owner(n)
	if owner != 0 {
		inviter.Value = strconv.FormatUint(owner, 10)
	}
	return append(fields, inviter), e
}

func planInvite(v *visit, in values) (*plan, *protocol.Error) {
	m, e := v.member(in)
	if e != nil {
		return nil, e
	}
	inviter, by, e := v.node(in, "inviter")
	if e != nil {
		return nil, e
	}
	seconds, span, e := in.days()
	if e != nil {
		return nil, e
	}
	if m.role != "" {
		return nil, protocol.Refusef(protocol.CodeAlreadyExists, "%s is a member of the network already", m.who)
	}
	p := ofNetwork(m.n, map[string]any{"inviter_id": inviter, "target_node_id": m.node, "for_seconds": seconds})
	p.add("Invite for "+m.who, "none sent by this", "waits 30 days for an answer")
	p.Effects = append(p.Effects, fmt.Sprintf("The invite comes from %s. Once accepted, %s is a member%s.", by, m.who, span))
	p.Command = fmt.Sprintf("pilotctl network invite %d %d", m.n.ID, m.node) + forDays(in)
	return p, nil
}

func forDays(in values) string {
	if in["days"] == "" || in["days"] == "0" {
		return ""
	}
	return " --for " + quoted(in["days"]+"d")
}

func planAdd(v *visit, in values) (*plan, *protocol.Error) {
	m, e := v.member(in)
	if e != nil {
		return nil, e
	}
	seconds, span, e := in.days()
	if e != nil {
		return nil, e
	}
	p := m.plan(protocol.RoleMember+span, map[string]any{"node_id": m.node, "for_seconds": seconds})
	p.Command = fmt.Sprintf("pilotctl network join %d --node-id %d", m.n.ID, m.node) + forDays(in)
	return p, nil
}

func planPromote(v *visit, in values) (*plan, *protocol.Error) {
	m, e := v.member(in)
	if e != nil {
		return nil, e
	}
	seconds, span, e := in.days()
	if e != nil {
		return nil, e
	}
	p := m.plan(protocol.RoleAdmin+span, map[string]any{"target_node_id": m.node, "for_seconds": seconds})
	p.Command = fmt.Sprintf("pilotctl network promote %d %d", m.n.ID, m.node) + forDays(in)
	return p, nil
}

func planDemote(v *visit, in values) (*plan, *protocol.Error) {
	m, e := v.member(in)
	if e != nil {
		return nil, e
	}
	p := m.plan(protocol.RoleMember, map[string]any{"target_node_id": m.node})
	p.Command = fmt.Sprintf("pilotctl network demote %d %d", m.n.ID, m.node)
	return p, nil
}

func planKick(v *visit, in values) (*plan, *protocol.Error) {
	m, e := v.member(in)
	if e != nil {
		return nil, e
	}
	p := m.plan("not a member", map[string]any{"target_node_id": m.node})
	p.Type = strconv.FormatUint(m.node, 10)
	p.Warnings = append(p.Warnings, fmt.Sprintf("%s loses its membership, its role and its address in the network %s.", strings.ToUpper(m.who[:1])+m.who[1:], m.n.Name))
	p.Command = fmt.Sprintf("pilotctl network kick %d %d", m.n.ID, m.node)
	return p, nil
}

func planTransfer(v *visit, in values) (*plan, *protocol.Error) {
	m, e := v.member(in)
	if e != nil {
		return nil, e
	}
	owner, e := v.owner(m.n)
	if e != nil {
		return nil, e
	}
	p := m.plan(protocol.RoleOwner, map[string]any{"new_owner_id": m.node})
	if owner != 0 && owner != m.node {
		p.add(fmt.Sprintf("Role of node %d", owner), protocol.RoleOwner, protocol.RoleAdmin)
	}
	p.Type = m.n.Name
	p.Command = fmt.Sprintf("pilotctl network transfer-ownership %d --to %d", m.n.ID, m.node)
	return p, nil
}

func expiryFields(v *visit, in values) ([]field, *protocol.Error) {
	id, who, e := v.node(in, "node")
	if e != nil {
		return nil, e
	}
	key, e := ask[protocol.GetKeyInfoReply](v, "get_key_info", map[string]any{"node_id": id})
	if e != nil {
		return nil, e
	}
	return []field{
		{Name: "node", Label: "Node", Kind: kindFixed, Value: strconv.FormatUint(id, 10), Hint: who},
		{Name: "expires_at", Label: "The key ends", Kind: kindText, Value: or(key.ExpiresAt, "never"), Required: true, Hint: "a time such as 2027-01-31T10:00:00Z, or never"},
	}, nil
}

func planExpiry(v *visit, in values) (*plan, *protocol.Error) {
	id, who, e := v.node(in, "node")
	if e != nil {
		return nil, e
	}
	key, e := ask[protocol.GetKeyInfoReply](v, "get_key_info", map[string]any{"node_id": id})
	if e != nil {
		return nil, e
	}
	p := &plan{Subject: strings.ToUpper(who[:1]) + who[1:], Fields: map[string]any{"node_id": id, "expires_at": in["expires_at"]}, Back: fmt.Sprintf("/nodes/%d", id)}
	p.add("The key ends", or(key.ExpiresAt, "never"), in["expires_at"])
	if at, ok := protocol.ParseTime(in["expires_at"]); ok && at.Before(v.c.cfg.Now()) {
		p.Type = strconv.FormatUint(id, 10)
		p.Warnings = append(p.Warnings, "That time has passed: the key signs nothing from now on.")
	}
	p.Command = fmt.Sprintf("pilotctl key set-expiry %s --node-id %d", quoted(in["expires_at"]), id)
	if in["expires_at"] == "never" {
		p.Command = fmt.Sprintf("pilotctl key clear-expiry --node-id %d", id)
	}
	return p, nil
}
