// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4/json"
)

// maxRoleValues and maxRoleBytes bound what is read of a role claim.
const (
	maxRoleValues = 1000
	maxRoleBytes  = 256
)

// claim finds a claim by its name or, when there is none of that name, by a
// path into objects, as in realm_access.roles. Names with dots exist: many
// providers give claims of their own the form of URLs.
func claim(all map[string]json.RawMessage, path string) (raw json.RawMessage, found bool) {
	if raw, found = all[path]; found {
		return raw, string(raw) != "null"
	}
	for i := 0; i < len(path); i++ {
		if path[i] != '.' {
			continue
		}
		var inner map[string]json.RawMessage
		if outer, ok := all[path[:i]]; !ok || json.Unmarshal(outer, &inner) != nil || inner == nil {
			continue
		}
		if raw, found = claim(inner, path[i+1:]); found {
			return raw, true
		}
	}
	return nil, false
}

// readClaims reads the external id and the roles of a verified token, and says
// what is wrong with them.
func (t *token) readClaims(p Provider, v *Verdict) string {
	v.ExternalID = v.Subject
	if name := p.ExternalIDClaim; name != "" && name != "sub" {
		raw, found := claim(t.all, name)
		if !found {
			return fmt.Sprintf("the token has no claim %q, which external_id_claim asks for", name)
		}
		if json.Unmarshal(raw, &v.ExternalID) != nil || v.ExternalID == "" {
			return fmt.Sprintf("the claim %q, which external_id_claim asks for, is not a text", name)
		}
		if name == "email" && !t.emailVerified() {
			return "the provider does not vouch for the email: email_verified is not true"
		}
	}
	if p.RoleClaim == "" {
		return ""
	}
	raw, found := claim(t.all, p.RoleClaim)
	if !found {
		return "" // it says nothing of roles, so they stay
	}
	values, ok := texts(raw)
	if !ok {
		return fmt.Sprintf("the claim %q, which role_claim asks for, is neither a text nor a list of at most %d texts", p.RoleClaim, maxRoleValues)
	}
	v.Roles, v.HasRoles = values, true
	return ""
}

// emailVerified reports whether the provider says so, in one of the two forms
// that providers use.
func (t *token) emailVerified() bool {
	raw := strings.TrimSpace(string(t.all["email_verified"]))
	return raw == "true" || raw == `"true"`
}

// texts reads a text or a list of texts. Long ones match nothing and are left out.
func texts(raw json.RawMessage) ([]string, bool) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, true
	}
	var many []*string
	if json.Unmarshal(raw, &many) != nil || len(many) > maxRoleValues {
		return nil, false
	}
	out := []string{}
	for _, s := range many {
		if s == nil {
			return nil, false
		}
		if len(*s) <= maxRoleBytes {
			out = append(out, *s)
		}
	}
	return out, true
}
