// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"

	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// TestOneOddKeyTakesNobodyOut: what is wrong with one key of a provider, or
// with a name that two of them share, is no matter to tokens of the others.
func TestOneOddKeyTakesNobodyOut(t *testing.T) {
	a := jwkOf("RSA", "a")
	unnamed := func(m members) members { return m.with("kid", nil) }
	twice := protocol.CodeJWKSKey + `: JWKS: 2 different keys of the provider are named "a" and fit RS256; it has to give them different names`
	for _, c := range []struct {
		name     string
		doc      []byte
		alg, kid string
		want     string
	}{
		{"the new key is published twice", document(jwkOf("EC", "old"), a, a.with("x5c", []string{"chain"})), "RS256", "a", "ok alice"},
		{"twice, once with its algorithm", document(a, a.with("alg", "RS256")), "RS256", "a", "ok alice"},
		{"one name for two algorithms", document(a.with("alg", "RS256"), a.with("alg", "RS512")), "RS256", "a", "ok alice"},
		{"one name for two types", document(a, jwkOf("EC", "a")), "RS256", "a", "ok alice"},
		{"one name for two types, the other", document(a, jwkOf("EC", "a")), "ES256", "a", "ok alice"},
		{"one name for encryption too", document(rsaJWK("a", keys().rsa2).with("alg", "RSA-OAEP"), a.with("alg", "RS256")), "RS256", "a", "ok alice"},
		{"a named one and two without", document(a, unnamed(rsaJWK("", keys().rsa2)), unnamed(ecJWK(""))), "RS256", "a", "ok alice"},
		{"two without a name, of two types", document(unnamed(jwkOf("RSA", "")), unnamed(ecJWK(""))), "RS256", "", "ok alice"},
		{"one name for two keys", document(a, rsaJWK("a", keys().rsa2)), "RS256", "a", twice},
		{"one name for two keys, another is meant", document(a, rsaJWK("a", keys().rsa2), jwkOf("EC", "b")), "ES256", "b", "ok alice"},
		{"one name, neither fits", document(a, jwkOf("EC", "a")), "EdDSA", "a", protocol.CodeAlgorithm + `: algorithm mismatch: none of the 2 keys named "a" is for EdDSA`},
	} {
		set, err := identity.ParseJWKS(c.doc, true)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		header := members{"alg": c.alg, "kid": c.kid}
		if c.kid == "" {
			header = header.with("kid", nil)
		}
		tok := sign(text(header), text(claims()), c.alg, nil)
		expect(t, c.name, outcome(identity.Validate(provider, tok, set, now)), c.want)
		stored, err := set.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if set, err = identity.ParseJWKS(stored, true); err != nil {
			t.Fatal(c.name, err)
		}
		expect(t, c.name+", stored", outcome(identity.Validate(provider, tok, set, now)), c.want)
	}
}
