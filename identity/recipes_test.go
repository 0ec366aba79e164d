// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"encoding/json"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// recipe is the configuration that docs/identity.md gives for a provider, with
// the host of the provider made that of a test.
func recipe(t *testing.T, name, host string) *protocol.SetIDPConfig {
	t.Helper()
	raw, err := os.ReadFile("../docs/identity.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(raw), "### "+name+"\n")
	_, section, open := strings.Cut(section, "```json\n")
	block, _, closed := strings.Cut(section, "```")
	if !found || !open || !closed {
		t.Fatalf("docs/identity.md has no recipe for %s", name)
	}
	req, err := protocol.ParseRequest([]byte(`{"type":"set_idp_config",` + strings.TrimPrefix(block, "{")))
	if err != nil || req.Unread != nil {
		t.Fatal(err, req.Unread)
	}
	r := req.Body.(*protocol.SetIDPConfig)
	if e := r.Validate(); e != nil {
		t.Fatal(e)
	}
	for _, text := range []*string{&r.URL, &r.Issuer} {
		u, err := url.Parse(*text)
		if err != nil {
			t.Fatal(err)
		}
		*text = host + u.Path
	}
	return r
}

// TestRecipes: tokens and key sets of the form that each provider gives them,
// judged by what the guide says to configure.
func TestRecipes(t *testing.T) {
	signing := func(kid string) members { return rsaJWK(kid, keys().rsa).with("use", "sig") }
	chain := []string{"MIIDBTCCAe2gAwIBAgIQ"}
	for _, c := range []struct {
		name   string
		keysAt string
		keys   []members
		claims members
		want   string
		roles  []string
		// odd are claims with which the token must be refused, and why.
		odd members
		why string
	}{
		{"Microsoft Entra ID", "/TENANT/discovery/v2.0/keys",
			[]members{signing("old").with("x5c", chain).with("x5t", "old"), rsaJWK("new", keys().rsa2).with("use", "sig").with("x5c", chain)},
			members{"aud": "APPLICATION", "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "oid": "00000000-0000-0000-66f3-3332eca7ea81", "tid": "TENANT",
				"preferred_username": "alice@acme.com", "name": "Alice", "roles": []string{"Pilot.Admin"}, "ver": "2.0", "uti": "x", "rh": "0."},
			"alice@acme.com", []string{"Pilot.Admin"},
			members{"preferred_username": nil}, `the token has no claim "preferred_username", which external_id_claim asks for`},
		{"Okta", "/oauth2/default/v1/keys", []members{signing("old").with("alg", "RS256")},
			members{"ver": 1, "jti": "AT.x", "aud": "api://default", "cid": "0oa1", "uid": "00u1", "scp": []string{"openid"}, "auth_time": now.Unix(), "sub": "alice@acme.com", "groups": []string{"Everyone", "pilot-admins"}},
			"alice@acme.com", []string{"Everyone", "pilot-admins"}, members{"aud": "0oa1"}, `audience mismatch: got [0oa1], want "api://default"`},
		{"Keycloak", "/realms/REALM/protocol/openid-connect/certs",
			[]members{rsaJWK("enc", keys().rsa2).with("alg", "RSA-OAEP").with("use", "enc").with("x5c", chain), signing("old").with("alg", "RS256").with("x5c", chain)},
			members{"aud": []string{"account", "other"}, "sub": "f1b7ec8f-0c5a-4c3e-8a3b-9f7d2b8c4e10", "typ": "Bearer", "azp": "pilot", "preferred_username": "alice",
				"realm_access": map[string]any{"roles": []string{"offline_access", "pilot-admin"}}, "email_verified": false, "email": "alice@acme.com"},
			"alice", []string{"offline_access", "pilot-admin"}, members{"preferred_username": 7}, `the claim "preferred_username", which external_id_claim asks for, is not a text`},
		{"Google", "/oauth2/v3/certs", []members{rsaJWK("new", keys().rsa2).with("use", "sig").with("alg", "RS256").with("e", "AQAB"), signing("old").with("alg", "RS256")},
			members{"azp": "CLIENT.apps.googleusercontent.com", "aud": "CLIENT.apps.googleusercontent.com", "sub": "110169484474386276334", "hd": "acme.com", "email": "alice@acme.com", "email_verified": true},
			"alice@acme.com", nil, members{"email_verified": false}, "the provider does not vouch for the email: email_verified is not true"},
		{"authentik", "/application/o/PILOT/jwks/", []members{ecJWK("other").with("use", "sig").with("alg", "ES256"), signing("old").with("alg", "RS256").with("x5c", chain).with("x5t#S256", "x")},
			members{"aud": "CLIENT", "sub": "5b9d2bbf1a0a4f8e", "acr": "goauthentik.io/providers/oauth2/default", "preferred_username": "alice", "groups": []string{"pilot admins"}},
			"alice", []string{"pilot admins"}, members{"groups": map[string]any{"a": 1}}, `the claim "groups", which role_claim asks for, is neither a text nor a list of at most 1000 texts`},
	} {
		t.Run(c.name, func(t *testing.T) {
			pages := map[string]string{c.keysAt: string(document(c.keys...))}
			base := serve(t, pages)
			r := recipe(t, c.name, base)
			issuer, err := url.Parse(r.Issuer)
			if err != nil {
				t.Fatal(err)
			}
			doc, _ := json.Marshal(map[string]string{"issuer": r.Issuer, "jwks_uri": base + c.keysAt}) // texts always encode
			pages[strings.TrimSuffix(issuer.Path, "/")+"/.well-known/openid-configuration"] = string(doc)
			set, _, e := fetcher(t).FetchJWKS(t.Context(), r.URL, r.Issuer, !r.RefuseHS256)
			if e != nil {
				t.Fatal(e)
			}
			p := identity.Provider{Issuer: r.Issuer, ClientID: r.ClientID, AllowHS256: !r.RefuseHS256, ExternalIDClaim: r.ExternalIDClaim, RoleClaim: r.RoleClaim}
			judge := func(with members) (identity.Verdict, *protocol.Error) {
				all := members{"iss": r.Issuer, "exp": now.Unix() + 300, "iat": now.Unix()}
				for _, m := range []members{c.claims, with} {
					for k, v := range m {
						all = all.with(k, v)
					}
				}
				return identity.Validate(p, token("RS256", "old", all), set, now)
			}
			v, e := judge(nil)
			if e != nil || !v.Verified || v.ExternalID != c.want || !slices.Equal(v.Roles, c.roles) || v.HasRoles != (c.roles != nil) {
				t.Errorf("got %+v, %v", v, e)
			}
			if v, e := judge(c.odd); e != nil || v.Verified || v.Reason != c.why {
				t.Errorf("odd claims: got %+v, %v, want %q", v, e, c.why)
			}
			if c.roles != nil && !slices.Contains(c.roles, r.RoleMap[0].Value) {
				t.Errorf("the recipe maps %v", r.RoleMap)
			}
		})
	}
}
