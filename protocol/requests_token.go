// SPDX-License-Identifier: Apache-2.0

package protocol

import "encoding/json"

// ValidateToken asks what an identity token is worth. It changes nothing.
type ValidateToken struct {
	Token Secret `json:"-" wire:"token" read:"deferred"`

	// Outcome is what the member that was asked has found out, nil when it had
	// no reason to look.
	Outcome *TokenOutcome `json:"-" wire:"-"`
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

// ValidateTokenReply answers validate_token. Error says why a token is not
// verified; the reply is a success all the same.
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
