// SPDX-License-Identifier: Apache-2.0

package protocol

// IDP is the identity provider of the registry.
type IDP struct {
	// Type is oidc, saml, webhook, entra_id or ldap; empty when none is configured.
	Type string `json:"type"`
	// URL is of the provider's keys (JWKS) or discovery document for oidc and
	// entra_id, of the webhook that verifies tokens for the others.
	URL string `json:"url"`
	// Issuer and ClientID are the expected iss and aud; empty is not checked.
	Issuer   string `json:"issuer,omitempty"`
	ClientID string `json:"client_id,omitempty"`
	// TenantID and Domain are kept for those who read the configuration.
	TenantID string `json:"tenant_id,omitempty"`
	Domain   string `json:"domain,omitempty"`
	// RefuseHS256 refuses tokens signed with a secret that the provider shares with the registry.
	RefuseHS256 bool `json:"refuse_hs256,omitempty"`
	// ExternalIDClaim is the claim with the external id, empty for sub. RoleClaim
	// is the one with groups or roles that RoleMap maps, empty for none. A dot
	// leads into an object, as in realm_access.roles.
	ExternalIDClaim string `json:"external_id_claim,omitempty"`
	RoleClaim       string `json:"role_claim,omitempty"`
}

// Types of identity providers.
const (
	IDPOIDC    = "oidc"
	IDPSAML    = "saml"
	IDPWebhook = "webhook"
	IDPEntra   = "entra_id"
	IDPLDAP    = "ldap"
)

// ValidIDPType reports whether a type of identity provider is known.
func ValidIDPType(t string) bool {
	switch t {
	case IDPOIDC, IDPSAML, IDPWebhook, IDPEntra, IDPLDAP:
		return true
	}
	return false
}

// BuiltIn reports whether the registry itself verifies the provider's tokens.
func (i IDP) BuiltIn() bool { return i.Type == IDPOIDC || i.Type == IDPEntra }

// maxSettingBytes bounds a text of the configuration.
const maxSettingBytes = 2048

func checkSetting(name, value string) *Error {
	if len(value) > maxSettingBytes {
		return Errorf(CodeInvalid, "invalid %s: too long (max %d bytes)", name, maxSettingBytes)
	}
	for _, c := range []byte(value) {
		if c < ' ' || c == 0x7f {
			return Errorf(CodeInvalid, "invalid %s: it has a control character", name)
		}
	}
	return nil
}

// Check refuses texts that are too long.
func (i IDP) Check() *Error {
	for _, f := range [][2]string{{"url", i.URL}, {"issuer", i.Issuer}, {"client_id", i.ClientID}, {"tenant_id", i.TenantID}, {"domain", i.Domain},
		{"external_id_claim", i.ExternalIDClaim}, {"role_claim", i.RoleClaim}} {
		if e := checkSetting(f[0], f[1]); e != nil {
			return e
		}
	}
	return nil
}

// SetIDPConfig configures the identity provider; with an empty type and an
// empty URL it clears the configuration.
type SetIDPConfig struct {
	IDPType string `json:"idp_type,omitempty" read:"main"`
	// ProviderType is another name of IDPType.
	ProviderType string `json:"provider_type,omitempty" read:"alias"`
	URL          string `json:"url,omitempty" read:"main"`
	Issuer       string `json:"issuer,omitempty"`
	ClientID     string `json:"client_id,omitempty"`
	TenantID     string `json:"tenant_id,omitempty"`
	Domain       string `json:"domain,omitempty"`
	// RequireIdentity lets only nodes with an external id into enterprise networks.
	RequireIdentity bool `json:"require_identity,omitempty"`
	// RefuseHS256 refuses tokens signed with a shared secret, also when the key set holds one.
	RefuseHS256 bool `json:"refuse_hs256,omitempty"`
	// ExternalIDClaim and RoleClaim as in IDP; RoleMap says what the values of RoleClaim mean.
	ExternalIDClaim string        `json:"external_id_claim,omitempty"`
	RoleClaim       string        `json:"role_claim,omitempty"`
	RoleMap         []RoleMapping `json:"role_map,omitempty"`
}

// IDP is the configuration in the request; the zero value clears it.
func (r *SetIDPConfig) IDP() IDP {
	if r.IDPType == "" || r.URL == "" {
		return IDP{}
	}
	return IDP{Type: r.IDPType, URL: r.URL, Issuer: r.Issuer, ClientID: r.ClientID, TenantID: r.TenantID, Domain: r.Domain,
		RefuseHS256: r.RefuseHS256, ExternalIDClaim: r.ExternalIDClaim, RoleClaim: r.RoleClaim}
}

// Validate takes provider_type for idp_type and refuses unknown types.
func (r *SetIDPConfig) Validate() *Error {
	if r.IDPType != "" && r.ProviderType != "" && r.IDPType != r.ProviderType {
		return Errorf(CodeInvalid, "invalid idp_type: idp_type and provider_type differ; send one of them")
	}
	if r.IDPType == "" {
		r.IDPType = r.ProviderType
	}
	r.ProviderType = ""
	if e := bothOrNone("idp_type", r.IDPType, "url", r.URL, "the provider is cleared"); e != nil {
		return e
	}
	i := r.IDP()
	if i.Type != "" && !ValidIDPType(i.Type) {
		return Errorf(CodeInvalid, "invalid idp_type: want oidc, saml, webhook, entra_id or ldap")
	}
	if claims := r.ExternalIDClaim != "" || r.RoleClaim != "" || len(r.RoleMap) > 0; claims && !i.BuiltIn() {
		return Errorf(CodeInvalid, "external_id_claim, role_claim and role_map are of tokens that the registry reads: want idp_type oidc or entra_id")
	}
	if e := checkRoleMap(r.RoleClaim, r.RoleMap); e != nil {
		return e
	}
	return i.Check()
}

// bothOrNone refuses one of two fields that only say something together.
func bothOrNone(first, a, second, b, off string) *Error {
	if (a == "") == (b == "") {
		return nil
	}
	if a != "" {
		first, second = second, first
	}
	return Errorf(CodeInvalid, "%s is required with %s; %s when both are sent empty", first, second, off)
}

// Targets is the provider's address.
func (r *SetIDPConfig) Targets() []Target { return target("url", r.IDP().URL) }

func target(field, url string) []Target {
	if url == "" {
		return nil
	}
	return []Target{{Field: field, URL: url}}
}

// GetIDPConfig asks for the identity provider.
type GetIDPConfig struct{ noFields }

// SetIdentityWebhook sets the webhook that verifies identity tokens; an empty
// URL clears it.
type SetIdentityWebhook struct {
	URL string `json:"url,omitempty" read:"main"`
}

// Validate bounds the URL.
func (r *SetIdentityWebhook) Validate() *Error { return checkSetting("url", r.URL) }

// Targets is the webhook's address.
func (r *SetIdentityWebhook) Targets() []Target { return target("url", r.URL) }

// SetWebhook sets the audit webhook; an empty URL clears it.
type SetWebhook struct {
	URL string `json:"url,omitempty" read:"main"`
	// Secret signs deliveries as Standard Webhooks describe: whsec_ and base64.
	Secret Secret `json:"-" wire:"secret"`

	SecretSealed Sealed `json:"secret_sealed,omitzero" wire:"-"`
}

// Validate bounds the URL and looks at the secret's form.
func (r *SetWebhook) Validate() *Error {
	if r.Secret != "" {
		if e := CheckWebhookSecret(r.Secret); e != nil {
			return e
		}
	}
	return checkSetting("url", r.URL)
}

// Sink is the webhook as a sink.
func (r *SetWebhook) Sink() SinkConfig {
	return SinkConfig{Name: SinkNameWebhook, Kind: SinkWebhook, Endpoint: r.URL}
}

// Targets is the webhook's address.
func (r *SetWebhook) Targets() []Target { return target("url", r.URL) }

// SealFields names the secret.
func (r *SetWebhook) SealFields() []SealField {
	return []SealField{{SinkSecretName(SinkNameWebhook), r.Secret, &r.SecretSealed}}
}

// GetWebhook asks for the audit webhook and its counters.
type GetWebhook struct{ noFields }

// SetAuditExport configures the audit export; with an empty format and an empty
// endpoint it switches the export off.
type SetAuditExport struct {
	Format   string `json:"format,omitempty" read:"main"`
	Endpoint string `json:"endpoint,omitempty" read:"main"`
	Token    Secret `json:"-" wire:"token"`
	Index    string `json:"index,omitempty"`
	Source   string `json:"source,omitempty"`
	Ack      bool   `json:"ack,omitempty"`
	Framing  string `json:"framing,omitempty"`
	Batch    bool   `json:"batch,omitempty"`
	Required bool   `json:"required,omitempty"`
	MaxLag   uint32 `json:"max_lag,omitempty"`

	TokenSealed Sealed `json:"token_sealed,omitzero" wire:"-"`
}

// Off reports whether the request switches the export off.
func (r *SetAuditExport) Off() bool { return r.Format == "" || r.Endpoint == "" }

// Sink is the export as a sink.
func (r *SetAuditExport) Sink() SinkConfig {
	return SinkConfig{Name: SinkNameExport, Kind: SinkExport, Format: r.Format, Endpoint: r.Endpoint, Index: r.Index, Source: r.Source,
		Ack: r.Ack, Batch: r.Batch, Framing: r.Framing, Required: r.Required, MaxLag: r.MaxLag}
}

// Validate refuses formats that are not known and fields that are too long.
func (r *SetAuditExport) Validate() *Error {
	if e := bothOrNone("format", r.Format, "endpoint", r.Endpoint, "the export is switched off"); e != nil {
		return e
	}
	if r.Off() {
		return nil
	}
	s := r.Sink()
	return s.Check()
}

// Targets is the endpoint's address.
func (r *SetAuditExport) Targets() []Target {
	if r.Off() {
		return nil
	}
	s := r.Sink()
	return s.Targets()
}

// SealFields names the token.
func (r *SetAuditExport) SealFields() []SealField {
	return []SealField{{SinkSecretName(SinkNameExport), r.Token, &r.TokenSealed}}
}

// GetAuditExport asks for the audit export and its counters.
type GetAuditExport struct{ noFields }

// GetAuditLog asks for events, newest first.
type GetAuditLog struct {
	NetworkID uint16 `json:"network_id,omitempty"`
	NodeID    uint32 `json:"node_id,omitempty"`
	// ExternalID is of the person that an event names.
	ExternalID string   `json:"external_id,omitempty"`
	Keys       IDKeys   `json:"keys,omitzero" wire:"-"`
	Forms      []string `json:"-" wire:"-"`
	// Action is an action such as member.kicked, or a beginning such as member.*.
	Action string `json:"action,omitempty"`
	// Class is security or activity; empty is both.
	Class string `json:"class,omitempty"`
	// Since and Until are RFC 3339; Since is included, Until is not.
	Since string `json:"since,omitempty"`
	Until string `json:"until,omitempty"`
	// AfterSeq asks for events after a sequence number, oldest first.
	AfterSeq uint64 `json:"after_seq,omitempty"`
	// Ascending lists the oldest first.
	Ascending bool `json:"ascending,omitempty"`
}

// Validate looks at the filters' forms.
func (r *GetAuditLog) Validate() *Error {
	if r.Class != "" && r.Class != ClassSecurity.String() && r.Class != ClassActivity.String() {
		return Errorf(CodeInvalid, "invalid class: want security or activity")
	}
	for _, f := range [][2]string{{"since", r.Since}, {"until", r.Until}} {
		if _, ok := ParseTime(f[1]); f[1] != "" && !ok {
			return Errorf(CodeInvalid, "invalid %s: want a time such as 2026-03-31T10:20:30Z", f[0])
		}
	}
	return nil
}

// GetWebhookDLQ asks for the dead letters of all webhooks, oldest first.
type GetWebhookDLQ struct{ noFields }

// AuditSinkPut creates or replaces a sink.
type AuditSinkPut struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Format   string   `json:"format,omitempty"`
	Endpoint string   `json:"endpoint,omitempty"`
	Index    string   `json:"index,omitempty"`
	Source   string   `json:"source,omitempty"`
	Ack      bool     `json:"ack,omitempty"`
	Framing  string   `json:"framing,omitempty"`
	Batch    bool     `json:"batch,omitempty"`
	Required bool     `json:"required,omitempty"`
	MaxLag   uint32   `json:"max_lag,omitempty"`
	Actions  []string `json:"actions,omitempty"`
	Networks []string `json:"networks,omitempty"`
	// Secret is the token of an export or the signing secret of a webhook. Without
	// one a sink whose endpoint stays keeps the secret it has.
	Secret Secret `json:"-" wire:"secret"`

	SecretSealed Sealed `json:"secret_sealed,omitzero" wire:"-"`
}

// Sink is the sink in the request.
func (r *AuditSinkPut) Sink() SinkConfig {
	return SinkConfig{Name: r.Name, Kind: r.Kind, Format: r.Format, Endpoint: r.Endpoint, Index: r.Index, Source: r.Source, Ack: r.Ack,
		Batch: r.Batch, Framing: r.Framing, Required: r.Required, MaxLag: r.MaxLag, Actions: r.Actions, Networks: r.Networks}
}

// Validate looks at the sink.
func (r *AuditSinkPut) Validate() *Error {
	if r.Kind == SinkWebhook && r.Secret != "" {
		if e := CheckWebhookSecret(r.Secret); e != nil {
			return e
		}
	}
	s := r.Sink()
	return s.Check()
}

// Targets is the sink's address.
func (r *AuditSinkPut) Targets() []Target {
	s := r.Sink()
	return s.Targets()
}

// SealFields names the secret.
func (r *AuditSinkPut) SealFields() []SealField {
	return []SealField{{SinkSecretName(r.Name), r.Secret, &r.SecretSealed}}
}

// SinkName names a sink.
type SinkName struct {
	Name string `json:"name"`
}

// Validate asks for the name.
func (r *SinkName) Validate() *Error {
	if r.Name == "" {
		return Errorf(CodeInvalid, "name is required")
	}
	return nil
}

// AuditQuery asks for the chains of the event log, or for the list of sinks.
type AuditQuery struct{ noFields }

// AuditReplay sets a sink back, so that it delivers events again.
type AuditReplay struct {
	Name string `json:"name"`
	// FromSeq is the first event to deliver.
	FromSeq uint64 `json:"from_seq"`
}

// Validate asks for both fields.
func (r *AuditReplay) Validate() *Error {
	if r.Name == "" || r.FromSeq == 0 {
		return Errorf(CodeInvalid, "name and from_seq are required")
	}
	return nil
}

// DeadLetters names dead letters of a sink.
type DeadLetters struct {
	Name string `json:"name"`
	// EventID is of one dead letter, 0 for all of the sink.
	EventID uint64 `json:"event_id,omitempty"`
}

// Validate asks for the sink, which is the audit webhook when none is named.
func (r *DeadLetters) Validate() *Error {
	if r.Name == "" {
		r.Name = SinkNameWebhook
	}
	return nil
}
