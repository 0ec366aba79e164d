// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/json"
	"slices"
)

// blueprintCommands are the rows of commands.go about this subject.
var blueprintCommands = []Command{
	{Code: 10, Name: "provision_network", Group: GroupBlueprint, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite, Plans: true, RefusesUnknown: true,
		Events:  []string{EventNetworkProvisioned, EventExprPolicySet, EventOwnershipTransferred, EventIDPConfigured, EventWebhookConfigured, EventIdentityWebhook, EventAuditExportConfigured},
		newBody: body[ProvisionNetwork](), newReply: reply[ProvisionNetworkReply](),
		Doc: "apply a blueprint"},
	{Code: 15, Name: "get_provision_status", Group: GroupBlueprint, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, Lists: true,
		newBody: body[GetProvisionStatus](), newReply: reply[ProvisionStatusReply](), Doc: "summarise what is provisioned"},
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

// Blueprint describes a network and, in part, the whole registry.
type Blueprint struct {
	Name              string                     `json:"name"`
	JoinRule          string                     `json:"join_rule,omitempty"`
	JoinToken         Secret                     `json:"join_token,omitempty"`
	Enterprise        bool                       `json:"enterprise,omitempty"`
	Policy            *BlueprintPolicy           `json:"policy,omitempty"`
	Roles             []BlueprintRole            `json:"roles,omitempty"`
	IdentityProvider  *BlueprintIdentityProvider `json:"identity_provider,omitempty"`
	Webhooks          *BlueprintWebhooks         `json:"webhooks,omitempty"`
	AuditExport       *BlueprintAuditExport      `json:"audit_export,omitempty"`
	NetworkAdminToken Secret                     `json:"network_admin_token,omitempty"`
	ExprPolicy        PolicyDocument             `json:"expr_policy,omitempty" text:"-"`
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

// BlueprintPolicy is a network's policy; what is zero or empty stays as it is.
type BlueprintPolicy struct {
	MaxMembers   int64    `json:"max_members,omitempty"`
	AllowedPorts []uint16 `json:"allowed_ports,omitempty"`
	Description  string   `json:"description,omitempty" text:"lines"`
}

// BlueprintRole is a role that waits for a node with an external id.
type BlueprintRole struct {
	ExternalID string `json:"external_id"`
	Role       string `json:"role"`
	IDFacts
}

// BlueprintIdentityProvider configures the registry's identity provider.
type BlueprintIdentityProvider struct {
	Type     string `json:"type"`
	URL      string `json:"url"`
	Issuer   string `json:"issuer,omitempty"`
	ClientID string `json:"client_id,omitempty"`
	TenantID string `json:"tenant_id,omitempty"`
	Domain   string `json:"domain,omitempty"`
}

// IDP is the provider as set_idp_config takes it.
func (p *BlueprintIdentityProvider) IDP() IDP {
	return IDP{Type: p.Type, URL: p.URL, Issuer: p.Issuer, ClientID: p.ClientID, TenantID: p.TenantID, Domain: p.Domain}
}

// BlueprintWebhooks are the registry's webhooks; what is empty stays as it is.
type BlueprintWebhooks struct {
	AuditURL    string `json:"audit_url,omitempty"`
	IdentityURL string `json:"identity_url,omitempty"`
}

// BlueprintAuditExport configures the registry's audit export.
type BlueprintAuditExport struct {
	Format   string `json:"format"`
	Endpoint string `json:"endpoint"`
	Token    Secret `json:"token,omitempty"`
	Index    string `json:"index,omitempty"`
	Source   string `json:"source,omitempty"`
}

// Sink is the export as a sink.
func (e *BlueprintAuditExport) Sink() SinkConfig {
	return SinkConfig{Name: SinkNameExport, Kind: SinkExport, Format: e.Format, Endpoint: e.Endpoint, Index: e.Index, Source: e.Source}
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

// EachID visits those whom roles wait for.
func (r *ProvisionNetwork) EachID(visit func(string, *IDKeys)) {
	if r.Blueprint == nil {
		return
	}
	for i := range r.Blueprint.Roles {
		visit(r.Blueprint.Roles[i].ExternalID, &r.Blueprint.Roles[i].Keys)
	}
}

// ProvisionNetwork applies a blueprint. One with many roles comes in parts,
// each with some of the roles and all else.
type ProvisionNetwork struct {
	Blueprint *Blueprint `json:"blueprint,omitempty" read:"deferred"`
	// IfRevision refuses the request when the network's revision is another;
	// a network that does not exist has revision 0.
	IfRevision *uint64 `json:"if_revision,omitempty"`
	// IfConfigRevision does the same for the registry-wide configuration.
	IfConfigRevision *uint64 `json:"if_config_revision,omitempty"`
	UploadID         string  `json:"upload_id,omitempty"`
	Part             uint32  `json:"part,omitempty"`
	Parts            uint32  `json:"parts,omitempty"`

	BlueprintFacts
	DoorProblem
	// unreadable says what is wrong with a blueprint that was sent.
	unreadable string
}

// BlueprintFacts stand for the secrets of a blueprint.
type BlueprintFacts struct {
	JoinTokenMAC         MAC    `json:"join_token_mac,omitzero"`
	NetworkAdminTokenMAC MAC    `json:"network_admin_token_mac,omitzero"`
	ExportToken          Sealed `json:"export_token,omitzero"`
	ExportTokenMAC       MAC    `json:"export_token_mac,omitzero"`
}

// Validate looks only at which part it is: what the blueprint says is looked
// at after the admin token, see Check.
func (r *ProvisionNetwork) Validate() *Error { return r.Upload().check() }

// Upload says which part of an upload the request is.
func (r *ProvisionNetwork) Upload() UploadPart { return UploadPart{r.UploadID, r.Part, r.Parts} }

// SealFields names the token of the audit export.
func (r *ProvisionNetwork) SealFields() []SealField {
	f := SealField{Name: SinkSecretName(SinkNameExport), Out: &r.ExportToken}
	if r.Blueprint != nil && r.Blueprint.AuditExport != nil {
		f.Plain = r.Blueprint.AuditExport.Token
	}
	return []SealField{f}
}

// Targets are the addresses in the blueprint, as far as nothing else is wrong
// with it, which is told first.
func (r *ProvisionNetwork) Targets() (list []Target) {
	if r.Check() != nil {
		return nil
	}
	add := func(path string, of []Target) {
		for _, t := range of {
			list = append(list, Target{Field: "invalid blueprint: " + path, URL: t.URL, File: t.File})
		}
	}
	b := r.Blueprint
	if p := b.IdentityProvider; p != nil {
		add("identity_provider.url", target("", p.URL))
	}
	if e := b.AuditExport; e != nil {
		s := e.Sink()
		add("audit_export.endpoint", s.Targets())
	}
	if w := b.Webhooks; w != nil {
		add("webhooks.audit_url", target("", w.AuditURL))
		add("webhooks.identity_url", target("", w.IdentityURL))
	}
	return list
}

// GetProvisionStatus asks what is provisioned. Details adds the descriptions
// and the roles that wait, which first-generation clients do not expect.
type GetProvisionStatus struct {
	Details bool `json:"details,omitempty"`
}

// Validate accepts everything.
func (*GetProvisionStatus) Validate() *Error { return nil }

// ProvisionNetworkReply answers provision_network.
type ProvisionNetworkReply struct {
	Actions []string `json:"actions"`
	// ConfigRevision is of the registry-wide configuration.
	ConfigRevision uint64   `json:"config_revision"`
	Created        bool     `json:"created"`
	DryRun         bool     `json:"dry_run,omitempty"`
	Name           string   `json:"name"`
	NetworkID      uint16   `json:"network_id"`
	Revision       uint64   `json:"revision"`
	Type           string   `json:"type"`
	Warnings       []string `json:"warnings,omitempty"`
}

// ProvisionedNetwork is an entry of get_provision_status.
type ProvisionedNetwork struct {
	AllowedPorts       []uint16        `json:"allowed_ports,omitempty"`
	Description        string          `json:"description,omitempty"`
	Enterprise         bool            `json:"enterprise"`
	ExprPolicy         json.RawMessage `json:"expr_policy,omitempty"`
	JoinRule           string          `json:"join_rule"`
	MaxMembers         uint32          `json:"max_members,omitempty"`
	Members            uint32          `json:"members"`
	Name               string          `json:"name"`
	NetworkID          uint16          `json:"network_id"`
	RBACPreAssignments uint32          `json:"rbac_pre_assignments,omitempty"`
	Revision           uint64          `json:"revision"`
	Roles              []BlueprintRole `json:"roles,omitempty"`
}

// ProvisionStatusReply answers get_provision_status, networks ascending by
// id, without the backbone.
type ProvisionStatusReply struct {
	AuditExport    string               `json:"audit_export,omitempty"`
	ConfigRevision uint64               `json:"config_revision"`
	IDPType        string               `json:"idp_type,omitempty"`
	Networks       []ProvisionedNetwork `json:"networks"`
	NextCursor     string               `json:"next_cursor,omitempty"`
	Type           string               `json:"type"`
	WebhookEnabled bool                 `json:"webhook_enabled,omitempty"`
}

// SecretMACs are those of both tokens of the network and of the audit export's.
func (r *ProvisionNetwork) SecretMACs() []MAC {
	return []MAC{r.JoinTokenMAC, r.NetworkAdminTokenMAC, r.ExportTokenMAC}
}
