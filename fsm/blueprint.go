// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"slices"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const provisionOK = "provision_network_ok"

// blueprintStep is a step of a blueprint. One that changes nothing is listed
// when the blueprint is applied, as it always was, but not by a dry run.
type blueprintStep struct {
	action  string
	changes bool
	do      func(*txn)
}

// blueprintPlan is what a blueprint changes: computed from a state without
// changing it, shown by a dry run, carried out by Apply.
type blueprintPlan struct {
	id       uint16
	name     string
	old      *network // nil when it is made
	steps    []blueprintStep
	warnings []string
}

// decideProvision follows docs/protocol/identity.md#provision_network, in one step.
func decideProvision(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.ProvisionNetwork)
	p, in, e := blueprintRequest(v, c, r)
	if e != nil {
		return nil, e
	}
	if !in.whole {
		return func(x *txn) any { return stageUpload(x, in, provisionOK) }, nil
	}
	if in.key == "" && !p.changes() {
		reply := p.reply(p.old.revision, false)
		reply.ConfigRevision = v.cluster.config().revision
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		if in.key != "" {
			forgetUpload(x, in.key)
		}
		for _, s := range p.steps {
			if s.changes && s.do != nil {
				s.do(x)
			}
		}
		n, _ := x.networks.records.Get(p.id)
		reply := p.reply(n.revision, false)
		reply.ConfigRevision = x.cluster.config().revision
		x.begin(protocol.EventNetworkProvisioned).network(p.id).str("name", p.name).bool("enterprise", r.Blueprint.Enterprise).
			num("actions", uint64(len(reply.Actions))).bool("created", p.old == nil).end()
		if p.changes() {
			x.count(CountProvisions, 1)
		}
		return reply
	}, nil
}

// changes reports whether the blueprint makes or changes anything.
func (p *blueprintPlan) changes() bool {
	return p.old == nil || slices.ContainsFunc(p.steps, func(s blueprintStep) bool { return s.changes })
}

// planProvision is the dry run. It lists what would change; finding the
// network is listed but no change.
func planProvision(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.ProvisionNetwork)
	p, in, e := blueprintRequest(v, c, r)
	switch {
	case e != nil:
		return nil, e
	case !in.whole:
		return nil, protocol.Refusef(protocol.CodeInvalid, "a dry run of an upload is asked for with its last part: send the other parts first, without dry_run")
	}
	reply := p.reply(p.revision(), true)
	reply.ConfigRevision = v.cluster.config().revision
	return reply, nil
}

// blueprintRequest is a provision_network as far as its caller, contents and
// parts are concerned. The plan is nil while parts are missing.
func blueprintRequest(v *view, c *invocation, r *protocol.ProvisionNetwork) (*blueprintPlan, *incoming, *protocol.Error) {
	if e := v.admin(c); e != nil {
		return nil, nil, e
	}
	if e := r.Check(); e != nil {
		return nil, nil, afterRole(e)
	}
	in, roles := &incoming{whole: true}, r.Blueprint.Roles
	if r.Upload() != (protocol.UploadPart{}) {
		var e *protocol.Error
		if in, e = v.uploads.receive(c, r.Upload(), "provision_network "+r.Blueprint.Name, string(appendRoles(nil, r.Blueprint.Roles))); e != nil {
			return nil, nil, e
		}
		roles = nil
		if in.whole {
			v.uploads.eachPiece(in, func(data string) { roles = append(roles, readRoles(data)...) })
		}
	}
	p, e := planBlueprint(v, r, roles)
	if e != nil {
		return nil, nil, e
	}
	if e := checkRevision(r.IfConfigRevision, v.cluster.config().revision, "the registry-wide configuration"); e != nil {
		return nil, nil, e
	}
	return p, in, checkRevision(r.IfRevision, p.revision(), "network "+p.name)
}

func appendRoles(dst []byte, roles []protocol.BlueprintRole) []byte {
	for _, r := range roles {
		dst = table.AppendString(table.AppendString(dst, r.ExternalID), r.Role)
	}
	return dst
}

func readRoles(data string) (roles []protocol.BlueprintRole) {
	d := table.NewDecoder([]byte(data))
	for !d.Failed() && d.Left() > 0 {
		roles = append(roles, protocol.BlueprintRole{ExternalID: d.Text(), Role: d.Text()})
	}
	return roles
}

// revision is the network's before the change, 0 when it does not exist.
func (p *blueprintPlan) revision() uint64 {
	if p.old == nil {
		return 0
	}
	return p.old.revision
}

func (p *blueprintPlan) reply(revision uint64, dryRun bool) *protocol.ProvisionNetworkReply {
	reply := &protocol.ProvisionNetworkReply{Type: provisionOK, NetworkID: p.id, Name: p.name, Created: p.old == nil,
		Actions: []string{}, Warnings: p.warnings, Revision: revision, DryRun: dryRun}
	for i, s := range p.steps {
		if i == 0 || s.changes || !dryRun {
			reply.Actions = append(reply.Actions, s.action)
		}
	}
	return reply
}

func (p *blueprintPlan) add(action string, changes bool, do func(*txn)) {
	p.steps = append(p.steps, blueprintStep{action: action, changes: changes, do: do})
}

// planBlueprint compares a blueprint that was found valid with the registry.
func planBlueprint(v *view, r *protocol.ProvisionNetwork, roles []protocol.BlueprintRole) (*blueprintPlan, *protocol.Error) {
	b, p := r.Blueprint, &blueprintPlan{name: r.Blueprint.Name}
	if id, exists := v.networks.byName.Get(b.Name); exists {
		p.id = id
		p.old, _ = v.networks.records.Get(id)
		p.add(fmt.Sprintf("found existing network %d (%s)", p.id, p.name), false, nil)
		p.keeps(r)
	} else {
		if v.meta.nextNet == 0 {
			return nil, protocol.Refusef(protocol.CodeLimitReached, "provision network: network ID space exhausted (max 65535 networks)")
		}
		p.id = v.meta.nextNet
		p.add(fmt.Sprintf("created network %d (%s)", p.id, p.name), true, func(x *txn) { makeNetwork(x, r) })
	}
	if b.Enterprise && (p.old == nil || !p.old.enterprise) {
		p.add("enabled enterprise features", true, func(x *txn) { upgrade(x, p) })
	}
	if e := p.planPolicy(v, b.Policy); e != nil {
		return nil, e
	}
	if expr := string(b.ExprPolicy); expr != "" {
		now, _ := v.networks.docs.Get(p.id)
		p.add("applied expr policy", now.expr != expr, func(x *txn) { setExprPolicy(x, p.id, expr) })
	}
	if e := p.planGlobal(v, r); e != nil {
		return nil, e
	}
	if len(roles) > 0 {
		list := uniqueRoles(roles)
		p.add(fmt.Sprintf("stored %d RBAC pre-assignments", len(list)), !v.networks.preAssignedAre(p.id, list), func(x *txn) { replacePreAssign(x, p.id, list) })
	}
	return p, nil
}

// keeps tells what a blueprint asks for and cannot have from a network that
// exists.
func (p *blueprintPlan) keeps(r *protocol.ProvisionNetwork) {
	b := r.Blueprint
	if b.JoinRule != "" && b.JoinRule != p.old.rule.String() {
		p.warnings = append(p.warnings, fmt.Sprintf("the network exists and its join_rule stays %s, not %s", p.old.rule, b.JoinRule))
	} else if b.JoinRule == protocol.JoinToken && !sameMAC(p.old.token, r.JoinTokenMAC) && p.old.token.Key == r.JoinTokenMAC.Key {
		p.warnings = append(p.warnings, "the network exists and its join_token stays what it is")
	}
	if !r.NetworkAdminTokenMAC.IsZero() && p.old.admin.Key == r.NetworkAdminTokenMAC.Key && !sameMAC(p.old.admin, r.NetworkAdminTokenMAC) {
		p.warnings = append(p.warnings, "the network exists and its network_admin_token stays what it is")
	}
}

// makeNetwork makes a network without members and without an owner.
func makeNetwork(x *txn, r *protocol.ProvisionNetwork) {
	n := &network{name: r.Blueprint.Name, rule: parseJoinRule(r.Blueprint.JoinRule), created: x.meta.now, revision: 1, admin: r.NetworkAdminTokenMAC}
	if n.rule == ruleToken {
		n.token = r.JoinTokenMAC
	}
	x.setNetwork(x.meta.nextNet, n)
	x.meta.nextNet++ // 0 after the last id
}

// upgrade makes an enterprise network of one that was none; its members get roles.
func upgrade(x *txn, p *blueprintPlan) {
	x.reconfigure(p.id, func(n *network) { n.enterprise = true })
	initRoles(x, p.id)
}

func (p *blueprintPlan) planPolicy(v *view, b *protocol.BlueprintPolicy) *protocol.Error {
	if b == nil {
		return nil
	}
	var now policy
	if p.old != nil {
		now = p.old.policy
	}
	next := now
	if b.MaxMembers > 0 {
		next.maxMembers = uint32(b.MaxMembers)
		if size := v.networkSize(p.id); p.old != nil && size > int(next.maxMembers) {
			return protocol.Refusef(protocol.CodeConflict, "cannot set max_members to %d: network already has %d members", next.maxMembers, size)
		}
	}
	if len(b.AllowedPorts) > 0 {
		next.ports = b.Ports()
	}
	if b.Description != "" {
		next.description = b.Description
	}
	changes := next.maxMembers != now.maxMembers || next.description != now.description || !slices.Equal(next.ports, now.ports)
	p.add("applied network policy", changes, func(x *txn) { x.reconfigure(p.id, func(n *network) { n.policy = next }) })
	return nil
}

// uniqueRoles drops repeated external ids; the first entry counts.
func uniqueRoles(roles []protocol.BlueprintRole) []preAssign {
	seen := make(map[string]bool, len(roles))
	list := make([]preAssign, 0, len(roles))
	for _, r := range roles {
		key := r.Keys.MatchOf(r.ExternalID)
		if !seen[key] {
			seen[key] = true
			list = append(list, preAssign{external: r.ExternalID, key: key, role: parseRole(r.Role)})
		}
	}
	return list
}

func parseRole(s string) role {
	switch s {
	case protocol.RoleOwner:
		return roleOwner
	case protocol.RoleAdmin:
		return roleAdmin
	}
	return roleMember
}

// preAssignedAre reports whether a network's list is this one.
func (st *networkStore) preAssignedAre(net uint16, list []preAssign) bool {
	i, same := 0, true
	st.eachPreAssign(net, func(_ string, p *preAssign) bool {
		same = i < len(list) && *p == list[i]
		i++
		return same
	})
	return same && i == len(list)
}

// replacePreAssign gives a network another list; that is one revision.
func replacePreAssign(x *txn, net uint16, list []preAssign) {
	clearPreAssign(x, net)
	for i := range list {
		reassign(x, net, &list[i])
	}
	x.reconfigure(net, func(*network) {})
}

// readProvisionStatus follows docs/protocol/identity.md#get_provision_status.
func readProvisionStatus(v *view, c *invocation) (any, *protocol.Error) {
	if e := v.admin(c); e != nil {
		return nil, e
	}
	details := c.body.(*protocol.GetProvisionStatus).Details
	next, e := readCursor(c.cursor, cursorStatus, 0)
	if e != nil {
		return nil, e
	}
	p := &page{limit: c.limit}
	reply := &protocol.ProvisionStatusReply{Type: "get_provision_status_ok", Networks: []protocol.ProvisionedNetwork{}}
	v.networks.records.Ascend(uint16(max(1, min(next, 1<<16-1))), func(id uint16, n *network) bool {
		listed, size := provisioned(v, id, n, details)
		if !p.room(uint64(id), size) {
			return false
		}
		reply.Networks = append(reply.Networks, listed)
		return true
	})
	if e := p.tooLarge(); e != nil {
		return nil, e
	}
	if p.full {
		reply.NextCursor = makeCursor(cursorStatus, 0, p.next)
	}
	globalStatus(v, reply)
	return reply, nil
}

// provisioned renders an entry of the status, with at least what it takes in JSON.
func provisioned(v *view, id uint16, n *network, details bool) (protocol.ProvisionedNetwork, int) {
	out := protocol.ProvisionedNetwork{NetworkID: id, Name: n.name, Enterprise: n.enterprise, JoinRule: n.rule.String(), Members: uint32(v.networkSize(id)),
		MaxMembers: n.policy.maxMembers, AllowedPorts: n.policy.ports, Revision: n.revision}
	if details {
		out.Description = n.policy.description
		docs, _ := v.networks.docs.Get(id)
		out.ExprPolicy = protocol.ExprPolicyJSON(docs.expr)
	}
	size := 280 + len(out.ExprPolicy) + len(n.name) + 6*len(n.policy.ports) + jsonSize(n.policy.description)
	v.networks.eachPreAssign(id, func(_ string, p *preAssign) bool {
		out.RBACPreAssignments++
		if details {
			out.Roles = append(out.Roles, protocol.BlueprintRole{ExternalID: p.external, Role: p.role.String()})
			size += 40 + jsonSize(p.external)
		}
		return true
	})
	return out, size
}
