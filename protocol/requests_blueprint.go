// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/json"
	"errors"
	"reflect"
)

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
	Keys       IDKeys `json:"keys,omitzero" wire:"-"`
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

	// What became of the secrets at the front door.
	JoinTokenMAC         MAC    `json:"join_token_mac,omitzero" wire:"-"`
	NetworkAdminTokenMAC MAC    `json:"network_admin_token_mac,omitzero" wire:"-"`
	ExportToken          Sealed `json:"export_token,omitzero" wire:"-"`
	ExportTokenMAC       MAC    `json:"export_token_mac,omitzero" wire:"-"`

	DoorProblem
	// unreadable says what is wrong with a blueprint that was sent.
	unreadable string
}

// Validate looks only at which part it is: what the blueprint says is looked
// at after the admin token, see Check.
func (r *ProvisionNetwork) Validate() *Error { return r.Upload().check() }

// Upload says which part of an upload the request is.
func (r *ProvisionNetwork) Upload() UploadPart { return UploadPart{r.UploadID, r.Part, r.Parts} }

// decodeField reads the blueprint, which is strict about types and lenient
// about the case of keys.
func (r *ProvisionNetwork) decodeField(in *reader, name string, raw any) bool {
	if name != "blueprint" {
		return false
	}
	object, is := raw.(map[string]any)
	if !is {
		if raw != nil {
			in.complain(name, "an object", raw)
		}
		return true
	}
	in.rule = ""
	in.knownMembers("provision_network", name, reflect.TypeFor[Blueprint](), object)
	encoded, err := json.Marshal(object)
	b := &Blueprint{}
	if err == nil {
		err = json.Unmarshal(encoded, b)
	}
	if err != nil {
		r.unreadable = "parse blueprint: it cannot be read"
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			r.unreadable = "parse blueprint: " + wrong.Field + " cannot be a " + wrong.Value
		}
		return true
	}
	for i := range b.Roles {
		b.Roles[i].Role, b.Roles[i].Keys = lower(b.Roles[i].Role), IDKeys{}
	}
	// An empty list says as little as none, and the log has no form for it.
	if len(b.Roles) == 0 {
		b.Roles = nil
	}
	if b.Policy != nil && len(b.Policy.AllowedPorts) == 0 {
		b.Policy.AllowedPorts = nil
	}
	r.Blueprint = b
	return true
}

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

// Sink is the export as a sink.
func (e *BlueprintAuditExport) Sink() SinkConfig {
	return SinkConfig{Name: SinkNameExport, Kind: SinkExport, Format: e.Format, Endpoint: e.Endpoint, Index: e.Index, Source: e.Source}
}

// IDP is the provider as set_idp_config takes it.
func (p *BlueprintIdentityProvider) IDP() IDP {
	return IDP{Type: p.Type, URL: p.URL, Issuer: p.Issuer, ClientID: p.ClientID, TenantID: p.TenantID, Domain: p.Domain}
}

// encodeField writes the blueprint for the wire, secrets included.
func (r *ProvisionNetwork) encodeField(name string) (any, bool) {
	if name != "blueprint" || r.Blueprint == nil {
		return nil, false
	}
	object := map[string]any{}
	encoded, err := json.Marshal(r.Blueprint)
	if err == nil {
		err = json.Unmarshal(encoded, &object)
	}
	if err != nil { // strings, numbers and lists of them always encode
		panic(err)
	}
	put := func(object map[string]any, key string, s Secret) {
		if s != "" {
			object[key] = string(s)
		}
	}
	put(object, "join_token", r.Blueprint.JoinToken)
	put(object, "network_admin_token", r.Blueprint.NetworkAdminToken)
	if x := r.Blueprint.AuditExport; x != nil {
		put(object["audit_export"].(map[string]any), "token", x.Token)
	}
	return object, true
}

// MarshalJSON leaves the secrets out: this is how a blueprint enters the log.
func (b Blueprint) MarshalJSON() ([]byte, error) {
	type plain Blueprint
	b.JoinToken, b.NetworkAdminToken = "", ""
	if b.AuditExport != nil {
		export := *b.AuditExport
		export.Token = ""
		b.AuditExport = &export
	}
	return json.Marshal(plain(b))
}

// GetProvisionStatus asks what is provisioned. Details adds the descriptions
// and the roles that wait, which first-generation clients do not expect.
type GetProvisionStatus struct {
	Details bool `json:"details,omitempty"`
}

// Validate accepts everything.
func (*GetProvisionStatus) Validate() *Error { return nil }
