// SPDX-License-Identifier: Apache-2.0

package protocol

import "encoding/json"

// identityCommands are the rows of commands.go about this subject.
var identityCommands = []Command{
	{Code: 7, Name: "set_identity_webhook", Group: GroupIdentity, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite,
		Events: []string{EventIdentityWebhook}, newBody: body[SetIdentityWebhook](), newReply: reply[SetIdentityWebhookReply](),
		Doc: "set or clear the webhook that verifies identity tokens"},
	{Code: 8, Name: "set_external_id", Group: GroupIdentity, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeWrite, RefusesUnknown: true,
		Events: []string{EventExternalIDSet}, newBody: body[SetExternalID](), newReply: reply[SetExternalIDReply](),
		Doc: "bind a node to an external identity"},
	{Code: 9, Name: "get_identity", Group: GroupIdentity, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead, newBody: body[NodeRequest](), newReply: reply[GetIdentityReply](),
		Doc: "show a node's external identity"},
	{Code: 18, Name: "validate_token", Group: GroupIdentity, Page: PageAdmin, Auth: AuthAdmin, Mode: ModeRead,
		newBody: body[ValidateToken](), newReply: reply[ValidateTokenReply](), Doc: "validate an identity token"},
}

// EachID visits the id that is bound.
func (r *SetExternalID) EachID(visit func(string, *IDKeys)) { visit(r.ExternalID, &r.Keys) }

// SetExternalID binds a node to an external identity; empty unbinds it.
type SetExternalID struct {
	NodeID     uint32 `json:"node_id"`
	ExternalID string `json:"external_id,omitempty"`
	IDFacts
}

// Validate bounds the identity.
func (r *SetExternalID) Validate() *Error {
	if len(r.ExternalID) > MaxTextBytes {
		return Errorf(CodeTooLarge, "external_id too long (max %d bytes)", MaxTextBytes)
	}
	if garbled(r.ExternalID) {
		return Errorf(CodeInvalid, "invalid external_id: it %s", notUTF8)
	}
	if r.ExternalID != "" && trim(r.ExternalID) == "" {
		return Errorf(CodeInvalid, "invalid external_id: it is blank, and names nobody; an empty one takes the external id away")
	}
	return nil
}

// FoldExternalID is the form in which external identities are compared that
// have no match key of their own, see [IDKeys]: letters A to Z match a to z, all
// other bytes themselves. The rule is fixed here, because Unicode tables change
// with Go versions.
func FoldExternalID(s string) string { return lower(s) }

// SetIdentityWebhook sets the webhook that verifies identity tokens; an empty
// URL clears it.
type SetIdentityWebhook struct {
	URL string `json:"url,omitempty" read:"main"`
}

// Validate bounds the URL.
func (r *SetIdentityWebhook) Validate() *Error { return checkSetting("url", r.URL) }

// Targets is the webhook's address.
func (r *SetIdentityWebhook) Targets() []Target { return target("url", r.URL) }

// ValidateToken asks what an identity token is worth. It changes nothing.
type ValidateToken struct {
	Token Secret `json:"-" wire:"token" read:"deferred"`

	TokenFacts
}

// TokenFacts are what the member that was asked finds out about a token.
type TokenFacts struct {
	// Outcome is nil when the member had no reason to look.
	Outcome *TokenOutcome `json:"-"`
}

// Validate accepts everything: who asks is looked at first.
func (*ValidateToken) Validate() *Error { return nil }

// TokenOutcome is what became of an identity token. Err says that it could
// not be judged.
type TokenOutcome struct {
	Verified bool
	Subject  string
	Issuer   string
	Reason   string
	// ExternalID is what the configured claim says, Subject when none is configured.
	ExternalID string
	// Roles are the values of the role claim; HasRoles says that it was there.
	Roles    []string
	HasRoles bool
	Err      *Error
}

// SetExternalIDReply answers set_external_id.
type SetExternalIDReply struct {
	ExternalID string `json:"external_id"`
	NodeID     uint32 `json:"node_id"`
	Type       string `json:"type"`
}

// GetIdentityReply answers get_identity.
type GetIdentityReply struct {
	ExternalID string `json:"external_id"`
	NodeID     uint32 `json:"node_id"`
	Owner      string `json:"owner"`
	Type       string `json:"type"`
}

// SetIdentityWebhookReply answers set_identity_webhook.
type SetIdentityWebhookReply struct {
	Status string `json:"status"`
	Type   string `json:"type"`
}

// ValidateTokenReply answers validate_token. Error says why a token is not
// verified, although the reply is a success.
type ValidateTokenReply struct {
	Error string `json:"error,omitempty"`
	// ExternalID and RoleValues are set where claims are configured for them.
	ExternalID string   `json:"external_id,omitempty"`
	Issuer     string   `json:"issuer,omitempty"`
	RoleValues []string `json:"role_values,omitempty"`
	Subject    string   `json:"subject,omitempty"`
	Type       string   `json:"type"`
	Verified   bool     `json:"verified"`
}

// MarshalJSON writes issuer and subject of a verified token also when they are
// empty, and of no other.
func (r ValidateTokenReply) MarshalJSON() ([]byte, error) {
	if !r.Verified {
		return json.Marshal(struct {
			Error    string `json:"error,omitempty"`
			Type     string `json:"type"`
			Verified bool   `json:"verified"`
		}{r.Error, r.Type, false})
	}
	return json.Marshal(struct {
		ExternalID string   `json:"external_id,omitempty"`
		Issuer     string   `json:"issuer"`
		RoleValues []string `json:"role_values,omitempty"`
		Subject    string   `json:"subject"`
		Type       string   `json:"type"`
		Verified   bool     `json:"verified"`
	}{r.ExternalID, r.Issuer, r.RoleValues, r.Subject, r.Type, true})
}
