// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// with is the good claims with one changed.
func with(name string, value any) members {
	c := claims()
	c[name] = value
	return c
}

// Every check of a token is told of, also those after one that fails, and a
// token passes all of them exactly when it is good.
func TestExplainNamesTheChecksThatFail(t *testing.T) {
	set := keySet(t, rsaJWK("r", keys().rsa))
	good := token("RS256", "r", claims())
	strict := provider
	strict.RoleClaim, strict.ExternalIDClaim = "groups", "upn"
	for name, c := range map[string]struct {
		p     identity.Provider
		token protocol.Secret
		keys  *identity.KeySet
		fails string
	}{
		"good":               {provider, good, set, ""},
		"no token":           {provider, "x.y", set, "form"},
		"issuer":             {provider, token("RS256", "r", with("iss", "https://other.test")), set, "issuer"},
		"audience and end":   {provider, token("RS256", "r", members{"iss": "https://idp.test", "sub": "alice", "aud": "other", "exp": now.Unix() - 300}), set, "audience, expiry"},
		"begins later":       {provider, token("RS256", "r", with("nbf", now.Unix()+300)), set, "beginning"},
		"made later":         {provider, token("RS256", "r", with("iat", now.Unix()+300)), set, "time of issue"},
		"key":                {provider, token("RS256", "other", claims()), set, "key, signature skipped"},
		"no keys":            {provider, good, nil, "key, signature skipped"},
		"signature":          {provider, good[:len(good)-8] + "AAAAAAAA", set, "signature"},
		"nobody":             {provider, token("RS256", "r", with("sub", "")), set, "person and roles"},
		"claims that it has": {strict, good, set, "person and roles"},
	} {
		var fails []string
		for _, s := range identity.Explain(c.p, c.token, c.keys, now) {
			switch {
			case s.Skipped:
				fails = append(fails, s.Name+" skipped")
			case s.Problem != "":
				fails = append(fails, s.Name)
			}
		}
		if got := strings.Join(fails, ", "); got != c.fails {
			t.Errorf("%s: fails %q, want %q", name, got, c.fails)
		}
		if v, e := identity.Validate(c.p, c.token, c.keys, now); v.Verified != (len(fails) == 0) {
			t.Errorf("%s: verified %v (%v), but fails %v", name, v.Verified, e, fails)
		}
	}
}
