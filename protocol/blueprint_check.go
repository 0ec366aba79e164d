// SPDX-License-Identifier: Apache-2.0

package protocol

import "slices"

// blueprintFormats are the formats of the audit export that blueprints know.
var blueprintFormats = []string{FormatJSON, FormatSplunk, FormatCEF}

func badBlueprint(format string, args ...any) *Error {
	return Errorf(CodeInvalid, "invalid blueprint: "+format, args...)
}

// inBlueprint says that a refusal is about a part of the blueprint.
func inBlueprint(e *Error) *Error {
	if e != nil {
		e.Text = "invalid blueprint: " + e.Text
	}
	return e
}

// Check follows docs/protocol/identity.md#provision_network, as far as
// they need no state, and holds all to the bounds that the commands for it
// have; for addresses see Targets. The join token counts by its MAC: the token
// itself is not in the log.
func (r *ProvisionNetwork) Check() *Error {
	b := r.Blueprint
	switch {
	case r.unreadable != "":
		return Errorf(CodeInvalid, "%s", r.unreadable)
	case b == nil:
		return Errorf(CodeInvalid, "blueprint is required")
	case b.Name == "":
		return badBlueprint("name is required")
	case !slices.Contains([]string{"", JoinOpen, JoinToken, JoinInvite}, b.JoinRule):
		return badBlueprint("invalid join_rule \"%s\" (must be open, token, or invite)", b.JoinRule)
	case b.JoinRule == JoinToken && r.JoinTokenMAC.IsZero():
		return badBlueprint("join_token is required when join_rule is token")
	}
	for _, check := range []func() *Error{b.checkRoles, b.checkIdentityProvider, b.checkAuditExport, b.checkWebhooks, b.checkPolicy} {
		if e := check(); e != nil {
			return e
		}
	}
	if len(b.ExprPolicy) > MaxExprPolicyBytes {
		return badBlueprint("expr_policy: too long: %d bytes (max %d)", len(b.ExprPolicy), MaxExprPolicyBytes)
	}
	if r.problem != nil {
		return inBlueprint(&Error{Code: r.problem.Code, Text: r.problem.Text})
	}
	if b.JoinRule == JoinInvite && !b.Enterprise {
		return inBlueprint(Errorf(CodeEnterpriseRequired, "enterprise feature: invite-only networks require the enterprise flag"))
	}
	if e := CheckNetworkName(b.Name); e != nil {
		e.Text = "provision network: " + e.Text
		return e
	}
	return nil
}

func (b *Blueprint) checkRoles() *Error {
	for _, r := range b.Roles {
		switch {
		case trim(r.ExternalID) == "":
			return badBlueprint("role entry: external_id is required")
		case garbled(r.ExternalID):
			return badBlueprint("role entry: external_id %s", notUTF8)
		case len(r.ExternalID) > MaxTextBytes:
			return badBlueprint("role entry: external_id too long (max %d bytes)", MaxTextBytes)
		case r.Role != RoleOwner && r.Role != RoleAdmin && r.Role != RoleMember:
			return badBlueprint("invalid role \"%s\" for %s", r.Role, r.ExternalID)
		}
	}
	return nil
}

func (b *Blueprint) checkIdentityProvider() *Error {
	p := b.IdentityProvider
	switch {
	case p == nil:
		return nil
	case !ValidIDPType(p.Type):
		return badBlueprint("invalid identity_provider type \"%s\"", p.Type)
	case p.URL == "":
		return badBlueprint("identity_provider.url is required")
	}
	return inBlueprint(p.IDP().Check())
}

func (b *Blueprint) checkAuditExport() *Error {
	x := b.AuditExport
	switch {
	case x == nil:
		return nil
	case !slices.Contains(blueprintFormats, x.Format):
		return badBlueprint("invalid audit_export format \"%s\"", x.Format)
	case x.Endpoint == "":
		return badBlueprint("audit_export.endpoint is required")
	}
	s := x.Sink()
	return inBlueprint(s.Check())
}

func (b *Blueprint) checkWebhooks() *Error {
	w := b.Webhooks
	if w == nil {
		return nil
	}
	e := checkSetting("webhooks.audit_url", w.AuditURL)
	if e == nil {
		e = checkSetting("webhooks.identity_url", w.IdentityURL)
	}
	return inBlueprint(e)
}

// checkPolicy has the bounds of set_network_policy.
func (b *Blueprint) checkPolicy() *Error {
	p := b.Policy
	if p == nil {
		return nil
	}
	limit, ports := float64(p.MaxMembers), make([]float64, len(p.AllowedPorts))
	for i, port := range p.AllowedPorts {
		ports[i] = float64(port)
	}
	set := SetNetworkPolicy{MaxMembers: &limit, AllowedPorts: &ports, Description: &p.Description}
	e := set.Check()
	if e == nil {
		e = set.CheckRest()
	}
	if e != nil {
		e.Text = "policy: " + e.Text
	}
	return inBlueprint(e)
}

// Ports are the allowed ports without repetitions, in the order given.
func (p *BlueprintPolicy) Ports() []uint16 {
	var ports []uint16
	for _, port := range p.AllowedPorts {
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}
