// SPDX-License-Identifier: Apache-2.0

package original

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// fileNetwork is a network as the file has it.
type fileNetwork struct {
	ID          uint16              `json:"id"`
	Name        string              `json:"name"`
	JoinRule    string              `json:"join_rule"`
	Token       string              `json:"token"`
	Members     []uint32            `json:"members"`
	MemberRoles map[string]string   `json:"member_roles"`
	MemberTags  map[string][]string `json:"member_tags"`
	AdminToken  string              `json:"admin_token"`
	Policy      json.RawMessage     `json:"policy"`
	Enterprise  bool                `json:"enterprise"`
	Created     string              `json:"created"`
	Rules       json.RawMessage     `json:"rules"`
	ExprPolicy  json.RawMessage     `json:"expr_policy"`
}

type filePolicy struct {
	MaxMembers   int64    `json:"max_members"`
	AllowedPorts []uint16 `json:"allowed_ports"`
	Description  string   `json:"description"`
}

func (r *reader) readNetworks() error {
	list, inFile, err := r.keyed("networks", r.top.Networks, 16)
	if err != nil {
		return err
	}
	r.Doc.Networks, r.JoinTokens, r.AdminTokens = map[string]fsm.DocNetwork{}, map[uint16]protocol.Secret{}, map[uint16]protocol.Secret{}
	names := map[string]uint32{}
	for _, e := range list {
		object := "network " + e.key
		var f fileNetwork
		if err := decode(&r.notes, object, e.raw, &f); err != nil {
			r.leftOut(object, "", err.Error())
			continue
		}
		if problem := networkProblem(&f, e.id, names); problem != "" {
			r.leftOut(object, "", problem)
			continue
		}
		names[f.Name] = e.id
		r.networkIDs[f.ID] = true
		r.Doc.Networks[e.key] = r.network(object, &f)
	}
	r.count("networks", inFile, len(r.Doc.Networks))
	r.countMembers()
	if !r.networkIDs[0] {
		r.added("network 0", "", "the file has no backbone")
		r.networkIDs[0] = true
		r.Doc.Networks["0"] = fsm.DocNetwork{Name: "backbone", JoinRule: protocol.JoinOpen, Created: r.now.Format(time.RFC3339)}
	}
	return nil
}

func networkProblem(f *fileNetwork, id uint32, names map[string]uint32) string {
	holder, taken := names[f.Name]
	switch {
	case uint32(f.ID) != id:
		return fmt.Sprintf("it stands under this id and says that it is %d", f.ID)
	case taken:
		return fmt.Sprintf("network %d has the same name", holder)
	case f.ID == 0 && f.Name != "backbone":
		return "network 0 is the backbone, and this has another name"
	case f.ID != 0:
		if e := protocol.CheckNetworkName(f.Name); e != nil {
			return e.Text
		}
	}
	return ""
}

func (r *reader) network(object string, f *fileNetwork) fsm.DocNetwork {
	d := fsm.DocNetwork{ID: f.ID, Name: f.Name, JoinRule: f.JoinRule, Enterprise: f.Enterprise, Created: r.time(object, "created", f.Created)}
	if d.Created == "" {
		r.added(object, "created", "it has none; that of the import stands there now")
		d.Created = r.now.Format(time.RFC3339)
	}
	d.Policy = r.policy(object, f.Policy)
	if f.ID == 0 {
		r.backbone(object, f, &d)
		return d
	}
	switch f.JoinRule {
	case protocol.JoinOpen, protocol.JoinToken, protocol.JoinInvite:
	default:
		r.changed(object, "join_rule", fmt.Sprintf("%s is none that the registry knows, so that nobody could join; it is invite now", label(f.JoinRule)))
		d.JoinRule = protocol.JoinInvite
	}
	r.networkTokens(object, f)
	r.documents(object, f, &d)
	r.members(object, f, &d)
	return d
}

// backbone takes of network 0 what it has here too: its members are the live nodes.
func (r *reader) backbone(object string, f *fileNetwork, d *fsm.DocNetwork) {
	d.JoinRule, d.Enterprise = protocol.JoinOpen, false
	if f.Enterprise || f.Token != "" || f.AdminToken != "" || len(f.MemberRoles) > 0 || len(f.MemberTags) > 0 || f.JoinRule != protocol.JoinOpen || len(f.Rules)+len(f.ExprPolicy) > 0 {
		r.leftOut(object, "", "the backbone has name, time and policy only: its enterprise flag, tokens, roles, tags and documents are left out")
	}
	listed := map[uint32]bool{}
	for _, id := range f.Members {
		if _, live := r.Doc.Nodes[decimal(id)]; !live {
			r.leftOut(object, "members", fmt.Sprintf("node %d is not live, and the members of the backbone are the live nodes", id))
		}
		listed[id] = true
	}
	for _, id := range r.liveIDs() {
		if !listed[id] {
			r.added(object, "members", fmt.Sprintf("node %d is live, and the members of the backbone are the live nodes", id))
		}
	}
}

func (r *reader) liveIDs() []uint32 {
	ids := make([]uint32, 0, len(r.Doc.Nodes))
	for _, d := range r.Doc.Nodes {
		ids = append(ids, d.ID)
	}
	slices.Sort(ids)
	return ids
}

func (r *reader) networkTokens(object string, f *fileNetwork) {
	if f.Token != "" {
		r.JoinTokens[f.ID] = protocol.Secret(f.Token)
	} else if f.JoinRule == protocol.JoinToken {
		r.changed(object, "token", "it is empty, so that everybody joins who gives an empty one, as with the original; set another rule or delete the network")
	}
	if f.AdminToken != "" {
		r.AdminTokens[f.ID] = protocol.Secret(f.AdminToken)
	}
}

func (r *reader) policy(object string, raw []byte) *fsm.DocPolicy {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var f filePolicy
	if err := decode(&r.notes, object+" policy", raw, &f); err != nil {
		r.leftOut(object, "policy", err.Error())
		return nil
	}
	if f.MaxMembers < 0 || f.MaxMembers > 1<<32-1 {
		r.leftOut(object, "policy.max_members", "it is no number of members")
		f.MaxMembers = 0
	}
	r.text(object, "policy.description", &f.Description, protocol.MaxTextBytes)
	if f.MaxMembers == 0 && len(f.AllowedPorts) == 0 && f.Description == "" {
		return nil
	}
	return &fsm.DocPolicy{MaxMembers: uint32(f.MaxMembers), AllowedPorts: f.AllowedPorts, Description: f.Description}
}

// documents reads what the newest servers keep of a network: an object, or one as text.
func (r *reader) documents(object string, f *fileNetwork, d *fsm.DocNetwork) {
	if text := documentText(f.Rules); text != "" {
		rules, e := protocol.ParseNetworkRules(text)
		if e == nil {
			e = rules.Check()
		}
		if e != nil {
			r.leftOut(object, "rules", e.Text)
		} else {
			d.Rules = rules
		}
	}
	if text := documentText(f.ExprPolicy); text != "" {
		if _, e := protocol.ParseExprPolicy(text); e != nil {
			r.leftOut(object, "expr_policy", e.Text)
		} else {
			d.ExprPolicy = json.RawMessage(text)
		}
	}
}

func documentText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil { // null gives the empty text
		if text == "null" {
			return ""
		}
		return text
	}
	return string(raw)
}

// members reads a network's members in the order in which they joined.
func (r *reader) members(object string, f *fileNetwork, d *fsm.DocNetwork) {
	in := map[string]bool{}
	for _, id := range f.Members {
		switch k := decimal(id); {
		case id == 0 || id > lastID:
			r.leftOut(object, "members", fmt.Sprintf("%d is not an id of a node", id))
		case in[k]:
			r.leftOut(object, "members", fmt.Sprintf("node %d stands there twice", id))
		default:
			in[k] = true
			d.Members = append(d.Members, id)
			if nets, live := r.nodeNets[id]; live && !slices.Contains(nets, f.ID) {
				r.changed(fmt.Sprintf("node %d", id), "networks", fmt.Sprintf("network %d lists it as a member, which decides", f.ID))
			}
		}
	}
	d.MemberRoles = map[string]string{}
	if len(f.MemberRoles) == 0 && len(d.Members) > 0 {
		r.added(object, "member_roles", "it has none; the first member is owner and the others are members, as the original has it when it reads the file")
		for _, id := range d.Members {
			d.MemberRoles[decimal(id)] = protocol.RoleMember
		}
		d.MemberRoles[decimal(d.Members[0])] = protocol.RoleOwner
	}
	r.roles(object, f, d, in)
	r.tags(object, f, d, in)
}

func (r *reader) roles(object string, f *fileNetwork, d *fsm.DocNetwork, in map[string]bool) {
	for _, k := range sorted(f.MemberRoles) {
		if !in[k] {
			r.leftOut(object, "member_roles", fmt.Sprintf("node %s is no member", label(k)))
		}
	}
	owned := len(f.MemberRoles) == 0
	for _, id := range d.Members {
		k := decimal(id)
		switch role, has := f.MemberRoles[k]; {
		case !has:
		case role == protocol.RoleOwner && owned:
			r.changed(object, "member_roles", fmt.Sprintf("node %s is a second owner, and admin now: a network has one owner", k))
			d.MemberRoles[k] = protocol.RoleAdmin
		case role == protocol.RoleOwner, role == protocol.RoleAdmin, role == protocol.RoleMember:
			d.MemberRoles[k] = role
			owned = owned || role == protocol.RoleOwner
		default:
			r.changed(object, "member_roles", fmt.Sprintf("node %s has the role %s, which is none; it is member now", k, label(role)))
			d.MemberRoles[k] = protocol.RoleMember
		}
	}
}

func (r *reader) tags(object string, f *fileNetwork, d *fsm.DocNetwork, in map[string]bool) {
	for _, k := range sorted(f.MemberTags) {
		tags := f.MemberTags[k]
		e := (&protocol.SetMemberTags{Tags: tags}).Check()
		switch {
		case len(tags) == 0:
		case !in[k]:
			r.leftOut(object, "member_tags", fmt.Sprintf("node %s is no member", label(k)))
		case e != nil:
			r.leftOut(object, "member_tags", fmt.Sprintf("node %s: %s", k, e.Text))
		default:
			if d.MemberTags == nil {
				d.MemberTags = map[string][]string{}
			}
			d.MemberTags[k] = tags
		}
	}
}

// countMembers compares what nodes say of their networks with what these say.
func (r *reader) countMembers() {
	total, members := 0, map[uint16]map[uint32]bool{}
	for _, d := range r.Doc.Networks {
		members[d.ID] = map[uint32]bool{}
		for _, id := range d.Members {
			members[d.ID][id] = true
		}
		total += len(d.Members)
	}
	for _, id := range r.liveIDs() {
		for _, net := range r.nodeNets[id] {
			if net != 0 && !members[net][id] {
				r.leftOut(fmt.Sprintf("node %d", id), "networks", fmt.Sprintf("network %d is not there, or does not list it as a member", net))
			}
		}
	}
	r.count("members", total, total)
}
