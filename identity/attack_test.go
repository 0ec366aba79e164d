// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// TestAlgorithmConfusion tries every algorithm a header can name with every
// type of key, with and without an alg in the key, signed in the way that
// would help the attacker: by the named algorithm, with the public key's text
// as a secret, and not at all. Only the four true pairs are accepted.
func TestAlgorithmConfusion(t *testing.T) {
	pairs := map[string]string{"RS256": "RSA", "HS256": "oct", "ES256": "EC", "EdDSA": "OKP"}
	algs := []string{"RS256", "HS256", "ES256", "EdDSA", "none", "None", "NONE", "", "rs256", "HS384", "PS256", "RS512", "ES384"}
	for _, alg := range algs {
		for _, kty := range []string{"RSA", "oct", "EC", "OKP"} {
			for _, named := range []bool{false, true} {
				key := jwkOf(kty, "k")
				if named {
					key = key.with("alg", algOf(kty))
				}
				set := keySet(t, key)
				header := text(members{"alg": alg, "kid": "k"})
				want := protocol.CodeAlgorithm
				if pairs[alg] == kty {
					want = ""
				}
				checkConfusion(t, alg+" with "+kty, set, sign(header, text(claims()), alg, keys().oct), want)
				if want == "" {
					continue
				}
				for _, secret := range publicTexts(t) {
					checkConfusion(t, alg+" with the public "+kty+" as secret", set, sign(header, text(claims()), "HS256", secret), want)
				}
				checkConfusion(t, alg+" unsigned with "+kty, set, sign(header, text(claims()), "none", nil), want)
			}
		}
	}
}

func algOf(kty string) string {
	return map[string]string{"RSA": "RS256", "oct": "HS256", "EC": "ES256", "OKP": "EdDSA"}[kty]
}

func checkConfusion(t *testing.T, name string, set *identity.KeySet, tok protocol.Secret, code string) {
	t.Helper()
	v, e := identity.Validate(provider, tok, set, now)
	switch {
	case code == "" && (e != nil || !v.Verified):
		t.Errorf("%s: refused: %s", name, outcome(v, e))
	case code != "" && (e == nil || e.Code != code):
		t.Errorf("%s: got %s, want code %s", name, outcome(v, e), code)
	}
}

// publicTexts are what attackers take for a secret: the empty one, and the
// public key in its usual forms.
func publicTexts(t *testing.T) [][]byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&keys().rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{{}, der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), keys().rsa.N.Bytes()}
}

// TestSignatureAttacks: the right algorithm with a signature that is not the key's.
func TestSignatureAttacks(t *testing.T) {
	for alg, reason := range map[string]string{
		"RS256": "invalid RSA signature: crypto/rsa: verification error", "HS256": "invalid HMAC signature",
		"ES256": "invalid ECDSA signature", "EdDSA": "invalid Ed25519 signature",
	} {
		kty := map[string]string{"RS256": "RSA", "HS256": "oct", "ES256": "EC", "EdDSA": "OKP"}[alg]
		set := keySet(t, jwkOf(kty, "k"))
		good := string(token(alg, "k", claims()))
		parts := strings.Split(good, ".")
		other := strings.Split(string(token(alg, "k", claims().with("sub", "mallory"))), ".")
		for name, tok := range map[string]string{
			"another's claims":  parts[0] + "." + other[1] + "." + parts[2],
			"no signature":      parts[0] + "." + parts[1] + ".",
			"a short signature": parts[0] + "." + parts[1] + ".AAAA",
			"zeros":             parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)),
			"the empty secret":  string(sign(text(members{"alg": alg, "kid": "k"}), text(claims()), "HS256", nil)),
		} {
			expect(t, alg+" "+name, outcome(identity.Validate(provider, protocol.Secret(tok), set, now)), reason)
		}
		expect(t, alg+" more dots", outcome(identity.Validate(provider, protocol.Secret(good+".AAAA"), set, now)), "decode signature: byte *")
		expect(t, alg+" line break", outcome(identity.Validate(provider, protocol.Secret(good+"\n"), set, now)), "decode signature: byte *")
		expect(t, alg, outcome(identity.Validate(provider, protocol.Secret(good), set, now)), "ok alice")
	}
}

// TestKeyAlgorithm: a key that names an algorithm is used with no other, also
// when its type would fit.
func TestKeyAlgorithm(t *testing.T) {
	judge := func(alg string) string {
		return outcome(identity.Validate(provider, token("RS256", "k", claims()), keySet(t, jwkOf("RSA", "k").with("alg", alg), jwkOf("EC", "other")), now))
	}
	expect(t, "HS256", judge("HS256"), protocol.CodeAlgorithm+": algorithm mismatch: JWT header says RS256, JWKS key says HS256")
	for _, alg := range []string{"RS512", "PS256", "RSA-OAEP", "none"} {
		expect(t, alg, judge(alg), protocol.CodeJWKSKey+`: JWKS: JWKS key "k" not found: the provider's key of that name is not used: its alg "`+alg+`" is none of RS256, HS256, ES256 and EdDSA`)
	}
}

// TestHS256NeedsConsent: a shared secret counts only when the operator said so,
// in the key set and in the token.
func TestHS256NeedsConsent(t *testing.T) {
	strict := provider
	strict.AllowHS256 = false
	tok := token("HS256", "k", claims())
	expect(t, "token", outcome(identity.Validate(strict, tok, keySet(t, jwkOf("oct", "k")), now)), protocol.CodeAlgorithm+": unsupported JWT algorithm: HS256*")
	if set, err := identity.ParseJWKS(document(jwkOf("oct", "k")), false); err == nil {
		t.Errorf("a set of %d shared secrets was accepted without consent", set.Len())
	}
	set, err := identity.ParseJWKS(document(jwkOf("oct", "a"), jwkOf("RSA", "b")), false)
	if err != nil || set.Len() != 1 || set.Find("a") != nil || len(set.LeftOut) != 1 {
		t.Errorf("mixed set: %+v, %v", set, err)
	}
}

// TestKidTricks: a key is chosen by its exact name, and without a name only
// when one key alone fits the algorithm.
func TestKidTricks(t *testing.T) {
	one := keySet(t, jwkOf("RSA", "k1"))
	two := keySet(t, jwkOf("RSA", "k1"), jwkOf("EC", "k2"))
	same := keySet(t, jwkOf("RSA", "k1"), rsaJWK("k2", keys().rsa2))
	kid := func(v any) protocol.Secret {
		return sign(text(members{"alg": "RS256"}.with("kid", v)), text(claims()), "RS256", nil)
	}
	notFound := func(s string) string {
		return protocol.CodeJWKSKey + ": JWKS: JWKS key \"" + s + "\" not found: the provider's keys are *"
	}
	secret := sign(`{"alg":"HS256"}`, text(claims()), "HS256", keys().oct)
	expect(t, "a secret among other keys", outcome(identity.Validate(provider, secret, keySet(t, jwkOf("RSA", "k1"), jwkOf("oct", "k2")), now)),
		protocol.CodeJWKSKey+": JWKS: JWT missing required 'kid' header; JWKS has 2 keys")
	expect(t, "a secret alone", outcome(identity.Validate(provider, secret, keySet(t, jwkOf("oct", "k2")), now)), "ok alice")
	for _, c := range []struct {
		name string
		set  *identity.KeySet
		kid  any
		want string
	}{
		{"right", two, "k1", "ok alice"},
		{"missing, one key", one, nil, "ok alice"},
		{"empty, one key", one, "", "ok alice"},
		{"missing, one key fits", two, nil, "ok alice"},
		{"missing, two keys fit", same, nil, protocol.CodeJWKSKey + ": JWKS: JWT missing required 'kid' header; JWKS has 2 keys"},
		{"unknown", two, "k3", notFound("k3")},
		{"unknown, one key", one, "k3", notFound("k3")},
		{"other case", two, "K1", notFound("K1")},
		{"path", two, "../../../../dev/null", notFound("../../../../dev/null")},
		{"url", one, "http://169.254.169.254/k1", notFound("http://169.254.169.254/k1")},
		{"nul", one, "k1\x00", notFound("k1")},
		{"newline", one, "k1\nINFO forged", notFound("k1 INFO forged")},
		{"quote", one, "k1' OR '1'='1", notFound("k1' OR '1'='1")},
		{"very long", one, strings.Repeat("k", 257), protocol.CodeTokenInvalid + ": invalid token: its kid is longer than 256 bytes"},
		{"number", one, 1, protocol.CodeTokenInvalid + ": invalid token: parse JWT header: *"},
		{"list", one, []string{"k1"}, protocol.CodeTokenInvalid + ": invalid token: parse JWT header: *"},
		{"key of another type", two, "k2", protocol.CodeAlgorithm + ": key type mismatch: RS256 requires RSA key, got EC"},
		{"nothing fetched", nil, "k1", protocol.CodeJWKS + ": JWKS: the identity provider's keys have not been fetched yet*"},
	} {
		expect(t, c.name, outcome(identity.Validate(provider, kid(c.kid), c.set, now)), c.want)
	}
}

// TestEmbeddedKeys: a token cannot bring or point at its own key.
func TestEmbeddedKeys(t *testing.T) {
	set := keySet(t, jwkOf("EC", "k"))
	for _, header := range []members{
		{"alg": "RS256", "kid": "k", "jwk": jwkOf("RSA", "k")},
		{"alg": "RS256", "kid": "k", "jku": "https://evil.test/jwks"},
		{"alg": "RS256", "kid": "k", "x5u": "https://evil.test/cert"},
		{"alg": "RS256", "kid": "k", "x5c": []string{"AAAA"}},
	} {
		expect(t, text(header), outcome(identity.Validate(provider, sign(text(header), text(claims()), "RS256", nil), set, now)),
			protocol.CodeAlgorithm+": key type mismatch: RS256 requires RSA key, got EC")
	}
	for _, header := range []string{
		`{"alg":"RS256","kid":"k","crit":["b64"],"b64":false}`, `{"alg":"RS256","kid":"k","crit":[]}`, `{"alg":"RS256","kid":"k","b64":true}`,
		`{"alg":"RS256","kid":"k","crit":["exp"],"exp":1}`,
	} {
		expect(t, header, outcome(identity.Validate(provider, sign(header, text(claims()), "RS256", nil), keySet(t, jwkOf("RSA", "k")), now)),
			protocol.CodeTokenInvalid+": invalid token: its header asks for an extension (crit), and none is supported")
	}
}

// TestClaims: issuer, audience and times, and their texts.
func TestClaims(t *testing.T) {
	at := now.Unix()
	set := keySet(t, jwkOf("RSA", "k"))
	for _, c := range []struct {
		name   string
		claims members
		want   string
	}{
		{"right", claims(), "ok alice"},
		{"issuer", claims().with("iss", "https://idp.test/"), `issuer mismatch: got "https://idp.test/", want "https://idp.test"`},
		{"no issuer", claims().with("iss", nil), `issuer mismatch: got "", want "https://idp.test"`},
		{"audience", claims().with("aud", "other"), `audience mismatch: got [other], want "registry"`},
		{"audiences", claims().with("aud", []string{"a", "b"}), `audience mismatch: got [a b], want "registry"`},
		{"part of an audience", claims().with("aud", "registry2"), `audience mismatch: got [registry2], want "registry"`},
		{"no audience", claims().with("aud", nil), `audience mismatch: got [], want "registry"`},
		{"null audience", claims().with("aud", any(rawNull{})), `audience mismatch: got [], want "registry"`},
		{"audience in a list", claims().with("aud", []string{"a", "registry"}), "ok alice"},
		{"audience number", claims().with("aud", 1), "token_invalid: invalid token: parse JWT claims: aud is neither a text nor a list of texts"},
		{"audience mixed", claims().with("aud", []any{"registry", 1}), "token_invalid: invalid token: parse JWT claims: *"},
		{"no exp", claims().with("exp", nil), "token has no expiry (exp is required)"},
		{"null exp", claims().with("exp", rawNull{}), "token has no expiry (exp is required)"},
		{"zero exp", claims().with("exp", 0), "token expired at 0 (now 1800000000)"},
		{"negative exp", claims().with("exp", -5), "token expired at -5 (now 1800000000)"},
		{"expired", claims().with("exp", at-61), "token expired at 1799999939 (now 1800000000)"},
		{"expired within the skew", claims().with("exp", at-60), "ok alice"},
		{"expired by a fraction", claims().with("exp", float64(at)-60.5), "token expired at 1799999939.5 (now 1800000000)"},
		{"fraction", claims().with("exp", float64(at)+0.25), "ok alice"},
		{"exp text", claims().with("exp", "1900000000"), "token_invalid: invalid token: parse JWT claims: exp, nbf and iat have to be numbers of seconds"},
		{"exp beyond", claims().with("exp", 1e300), "token_invalid: invalid token: parse JWT claims: *"},
		{"nbf", claims().with("nbf", at+61), "token not yet valid (nbf 1800000061, now 1800000000)"},
		{"nbf within the skew", claims().with("nbf", at+60), "ok alice"},
		{"nbf fraction", claims().with("nbf", float64(at)+60.5), "token not yet valid (nbf 1800000060.5, now 1800000000)"},
		{"iat within the skew", claims().with("iat", float64(at)+59.5), "ok alice"},
		{"iat ahead", claims().with("iat", float64(at)+60.5), "token issued in the future (iat 1800000060.5, now 1800000000): a clock is wrong"},
		{"a logout", claims().with("events", members{"http://schemas.openid.net/event/backchannel-logout": members{}}), "token_invalid: invalid token: it is a security event, such as a logout (it has the claim events), and no token of a person's identity"},
		{"sub number", claims().with("sub", 7), `token_invalid: invalid token: parse JWT claims: "sub" wants a text, not a number`},
	} {
		expect(t, c.name, outcome(identity.Validate(provider, token("RS256", "k", c.claims), set, now)), c.want)
	}
	lax := identity.Provider{AllowNoExpiry: true}
	expect(t, "nothing expected", outcome(identity.Validate(lax, token("RS256", "k", members{"sub": "bob"}), set, now)), "ok bob")
}

// rawNull is a JSON null that members.with does not take for "absent".
type rawNull struct{}

func (rawNull) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// TestMalformedTokens: what is no token is an error, and says where.
func TestMalformedTokens(t *testing.T) {
	set := keySet(t, jwkOf("RSA", "k"))
	head := b64([]byte(`{"alg":"RS256","kid":"k"}`))
	raw := func(header, payload string) string { return string(sign(header, payload, "RS256", nil)) }
	const bad = protocol.CodeTokenInvalid + ": invalid token: "
	good := text(claims())
	for _, c := range []struct{ name, token, want string }{
		{"empty", "", protocol.CodeInvalid + ": token is required"},
		{"one part", "abc", bad + "invalid JWT: expected 3 parts, got 1"},
		{"two parts", "a.b", bad + "invalid JWT: expected 3 parts, got 2"},
		{"padded header", head + "=.e30.AA", bad + "decode JWT header: it has padding (=), which tokens are written without"},
		{"as in a header", "Bearer " + head + ".e30.AA", bad + `it begins with "Bearer ", which belongs to a header: send what comes after it`},
		{"standard alphabet", "+/+/.e30.AA", bad + "decode JWT header: it has '+', which base64url does not: it was encoded with another alphabet"},
		{"line break", head[:8] + "\n" + head[8:] + ".e30.AA", bad + "decode JWT header: byte 9 is '\\n', which base64url does not have"},
		{"spare bits", head[:len(head)-1] + "R.e30.AA", bad + "decode JWT header: it is no base64url of this length: something was cut off or changed"},
		{"header no JSON", b64([]byte("{")) + ".e30.AA", bad + "parse JWT header: it ends too early; was it cut off?"},
		{"header null", b64([]byte("null")) + ".e30.AA", bad + "parse JWT header: not a JSON object"},
		{"claims no base64", head + ".***.AA", bad + "decode JWT claims: byte 1 is '*', which base64url does not have"},
		{"claims list", head + "." + b64([]byte("[]")) + ".AA", bad + "parse JWT claims: not a JSON object"},
		{"two algorithms", raw(`{"alg":"none","alg":"RS256","kid":"k"}`, good), bad + "parse JWT header: it has \"alg\" twice"},
		{"two names", raw(`{"alg":"RS256","kid":"x","kid":"k"}`, good), bad + "parse JWT header: it has \"kid\" twice"},
		{"two subjects", raw(`{"alg":"RS256","kid":"k"}`, `{"sub":"alice","iss":"https://idp.test","aud":"registry","exp":1900000000,"sub":"root"}`), bad + "parse JWT claims: it has \"sub\" twice"},
		{"case of a claim", raw(`{"alg":"RS256","kid":"k"}`, `{"sub":"alice","iss":"https://idp.test","aud":"registry","EXP":1900000000}`), "token has no expiry (exp is required)"},
		{"case of alg", raw(`{"ALG":"RS256","kid":"k"}`, good), protocol.CodeAlgorithm + ": unsupported JWT algorithm: "},
		{"too long", strings.Repeat("a", identity.MaxTokenBytes+1), protocol.CodeTooLarge + ": invalid token: too long (max 16384 bytes)"},
		{"JSON serialisation", `{"payload":"","signatures":[]}`, bad + "invalid JWT: expected 3 parts, got 1"},
	} {
		expect(t, c.name, outcome(identity.Validate(provider, protocol.Secret(c.token), set, now)), c.want)
	}
}

// TestTokensOfAnotherKindAreNoIdentities: what says in its header that it is
// something else is refused, whoever signed it (RFC 8725, 3.11).
func TestTokensOfAnotherKindAreNoIdentities(t *testing.T) {
	set := keySet(t, jwkOf("RSA", "k"))
	for typ, good := range map[string]bool{
		"": true, "JWT": true, "jwt": true, "application/jwt": true, "at+jwt": true, "application/at+jwt": true, "Bearer": true,
		"logout+jwt": false, "LOGOUT+JWT": false, "application/logout+jwt": false, "secevent+jwt": false, "dpop+jwt": false, "dc+sd-jwt": false, "JWT+x": false,
	} {
		header := text(members{"alg": "RS256", "kid": "k", "typ": typ})
		want := "ok alice"
		if !good {
			want = protocol.CodeTokenInvalid + `: invalid token: its header says that it is a "` + typ + `", which is no token of a person's identity`
		}
		expect(t, typ, outcome(identity.Validate(provider, sign(header, text(claims()), "RS256", nil), set, now)), want)
	}
}

// TestVerifiedIsWhatCanRegister: a token whose claim is no external id is not
// verified, whoever asks.
func TestVerifiedIsWhatCanRegister(t *testing.T) {
	set := keySet(t, jwkOf("RSA", "k"))
	byClaim := provider
	byClaim.ExternalIDClaim = "oid"
	for id, want := range map[string]string{
		"alice":                   "ok",
		strings.Repeat("a", 1024): "ok",
		" \u00a0":                 "invalid external identity: it is blank, and names nobody",
		strings.Repeat("a", 1025): "external identity too long (max 1024 bytes)",
		"a\nb":                    "invalid external identity: it contains characters that do not print",
		"a\u202eb":                "invalid external identity: it contains characters that do not print",
	} {
		v, e := identity.Validate(provider, token("RS256", "k", claims().with("sub", id)), set, now)
		if e != nil || v.Verified != (want == "ok") || !v.Verified && v.Reason != want {
			t.Errorf("sub %.10q: %+v, %v", id, v, e)
		}
		v, e = identity.Validate(byClaim, token("RS256", "k", claims().with("oid", id)), set, now)
		if e != nil || v.Verified != (want == "ok") || !v.Verified && v.Reason != want {
			t.Errorf("oid %.10q: %+v, %v", id, v, e)
		}
	}
	expect(t, "no sub", outcome(identity.Validate(provider, token("RS256", "k", claims().with("sub", nil)), set, now)), "the token has no subject (sub)")
	expect(t, "no sub, none asked for", outcome(identity.Validate(byClaim, token("RS256", "k", claims().with("sub", nil).with("oid", "a")), set, now)), "ok ")
}

// TestAnUnknownKeyIsToldWithTheKnownOnes: the reader sees what is there, and
// how old it is.
func TestAnUnknownKeyIsToldWithTheKnownOnes(t *testing.T) {
	p := provider
	p.Fetched = now
	many := []members{}
	for i := range 10 {
		many = append(many, jwkOf("RSA", string(rune('a'+i))).with("alg", "RS256"))
	}
	expect(t, "two", outcome(identity.Validate(p, token("RS256", "z", claims()), keySet(t, jwkOf("RSA", "a"), jwkOf("EC", "b")), now)),
		protocol.CodeJWKSKey+`: JWKS: JWKS key "z" not found: the provider's keys are "a" RSA, "b" EC, fetched 2027-01-15T08:00:00Z`)
	expect(t, "ten", outcome(identity.Validate(p, token("RS256", "z", claims()), keySet(t, many...), now)),
		protocol.CodeJWKSKey+`: JWKS: JWKS key "z" not found: the provider's keys are "a" RSA RS256, "b" RSA RS256, *`)
}
