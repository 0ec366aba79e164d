// SPDX-License-Identifier: Apache-2.0

package protocol

import "strconv"

// idpCommands are the rows of commands.go about this subject.
var idpCommands = []Command{
	{Code: 13, Name: "set_idp_config", Group: GroupIdentity, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite, RefusesUnknown: true,
		Events: []string{EventIDPConfigured}, newBody: body[SetIDPConfig](), newReply: reply[SetIDPConfigReply](), Doc: "configure the identity provider"},
	{Code: 14, Name: "get_idp_config", Group: GroupIdentity, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, newBody: body[GetIDPConfig](), newReply: reply[GetIDPConfigReply](),
		Doc: "show the identity provider"},
}

// Types of identity providers.
const (
	IDPOIDC    = "oidc"
	IDPSAML    = "saml"
	IDPWebhook = "webhook"
	IDPEntra   = "entra_id"
	IDPLDAP    = "ldap"
)

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

// BuiltIn reports whether the registry itself verifies the provider's tokens.
func (i IDP) BuiltIn() bool { return i.Type == IDPOIDC || i.Type == IDPEntra }

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

// ValidIDPType reports whether a type of identity provider is known.
func ValidIDPType(t string) bool {
	switch t {
	case IDPOIDC, IDPSAML, IDPWebhook, IDPEntra, IDPLDAP:
		return true
	}
	return false
}

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

// Targets is the provider's address.
func (r *SetIDPConfig) Targets() []Target { return target("url", r.IDP().URL) }

// decodeField reads role_map; all else is read by its type.
func (r *SetIDPConfig) decodeField(in *reader, name string, raw any) bool {
	if name != "role_map" {
		return false
	}
	list, ok := raw.([]any)
	if !ok && raw != nil {
		in.complain(name, "a list of objects", raw)
	}
	for i, e := range list {
		entry, ok := e.(map[string]any)
		where := name + "[" + strconv.Itoa(i) + "]"
		if !ok {
			in.complain(where, "an object with value, network_id and role", e)
			continue
		}
		for field := range entry {
			if field != "value" && field != "network_id" && field != "role" {
				in.refuse(Errorf(CodeInvalid, "invalid %s: it has no field %s: want value, network_id and role", where, Quote(field)))
			}
		}
		r.RoleMap = append(r.RoleMap, RoleMapping{
			Value: in.text(where+".value", entry["value"]), Role: in.text(where+".role", entry["role"]),
			NetworkID: uint16(in.whole(where+".network_id", entry["network_id"], 0xffff)),
		})
	}
	return true
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

func target(field, url string) []Target {
	if url == "" {
		return nil
	}
	return []Target{{Field: field, URL: url}}
}

// GetIDPConfig asks for the identity provider.
type GetIDPConfig struct{ noFields }

// SetIDPConfigReply answers set_idp_config.
type SetIDPConfigReply struct {
	IDPType string `json:"idp_type,omitempty"`
	Status  string `json:"status"`
	Type    string `json:"type"`
}

// GetIDPConfigReply answers get_idp_config. URL and Issuer are as configured.
type GetIDPConfigReply struct {
	ClientID        string `json:"client_id,omitempty"`
	Configured      bool   `json:"configured"`
	Domain          string `json:"domain,omitempty"`
	ExternalIDClaim string `json:"external_id_claim,omitempty"`
	IDPType         string `json:"idp_type,omitempty"`
	Issuer          string `json:"issuer,omitempty"`
	// Keys are the provider's keys in use, KeysLeftOut those that cannot be
	// used, with the reason; KeysFetchedAt is when they were last confirmed.
	// KeysError is why fetching fails, since KeysFailingSince.
	Keys             []string      `json:"keys,omitempty"`
	KeysError        string        `json:"keys_error,omitempty"`
	KeysFailingSince string        `json:"keys_failing_since,omitempty"`
	KeysFetchedAt    string        `json:"keys_fetched_at,omitempty"`
	KeysLeftOut      []string      `json:"keys_left_out,omitempty"`
	RefuseHS256      bool          `json:"refuse_hs256,omitempty"`
	RequireIdentity  bool          `json:"require_identity,omitempty"`
	RoleClaim        string        `json:"role_claim,omitempty"`
	RoleMap          []RoleMapping `json:"role_map,omitempty"`
	TenantID         string        `json:"tenant_id,omitempty"`
	Type             string        `json:"type"`
	URL              string        `json:"url,omitempty"`
}
