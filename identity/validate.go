// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// skew is how far clocks may be apart.
const skew = 60 * time.Second

// Provider is what a token is checked against.
type Provider struct {
	// Issuer and ClientID are compared with iss and aud; empty means not compared.
	Issuer   string
	ClientID string
	// AllowHS256 accepts tokens signed with a secret that the provider shares with us.
	AllowHS256 bool
	// AllowNoExpiry accepts tokens that never end.
	AllowNoExpiry bool
	// ExternalIDClaim is the claim with the external id, "" for sub; RoleClaim
	// the one with groups or roles, "" for none.
	ExternalIDClaim string
	RoleClaim       string
	// Fetched is when the keys were, for the reader of a refusal.
	Fetched time.Time
}

// Verdict is what came of a token that could be judged.
type Verdict struct {
	Verified bool
	Subject  string
	Issuer   string
	// ExternalID is what the configured claim says, Subject when none is configured.
	ExternalID string
	// Roles are the values of the role claim; HasRoles says that it was there.
	Roles    []string
	HasRoles bool
	// Reason says why the token is not verified.
	Reason string
}

func no(reason string) Verdict { return Verdict{Reason: reason} }

// keyType are the algorithms that exist here, each with the one type of key it works with.
var keyType = map[string]string{"RS256": "RSA", "HS256": "oct", "ES256": "EC", "EdDSA": "OKP"}

// Validate judges a token at a time. A verdict says what the token is worth;
// an error says that it could not be judged: it is not a token, or there is no
// key for it. Nothing of the token is trusted before its algorithm, the type,
// the algorithm and the name of the key agree.
func Validate(p Provider, secret protocol.Secret, keys *KeySet, now time.Time) (Verdict, *protocol.Error) {
	if secret == "" {
		return Verdict{}, protocol.Errorf(protocol.CodeInvalid, "token is required")
	}
	t, e := parseToken(secret)
	if e != nil {
		return Verdict{}, e
	}
	if reason := t.claims.check(p, now); reason != "" {
		return no(reason), nil
	}
	key, e := t.chooseKey(p, keys)
	if e != nil {
		return Verdict{}, e
	}
	if reason := t.verify(key); reason != "" {
		return no(reason), nil
	}
	v := Verdict{Verified: true, Subject: t.claims.Subject, Issuer: t.claims.Issuer}
	if reason := t.readClaims(p, &v); reason != "" {
		return no(reason), nil
	}
	if reason := v.nobody(); reason != "" {
		return no(reason), nil
	}
	return v, nil
}

// nobody says why the external id that was read names no person.
func (v *Verdict) nobody() string {
	if v.ExternalID == "" {
		return "the token has no subject (sub)"
	}
	if e := CheckExternalID(v.ExternalID); e != nil {
		return e.Text
	}
	return ""
}

// claimChecks compare the claims with what is expected, in the protocol's
// order. Each says what is wrong, "" for nothing.
var claimChecks = []struct {
	name string
	of   func(c *tokenClaims, p Provider, now time.Time) string
}{
	{"issuer", func(c *tokenClaims, p Provider, _ time.Time) string {
		if p.Issuer != "" && c.Issuer != p.Issuer {
			return `issuer mismatch: got "` + c.Issuer + `", want "` + p.Issuer + `"`
		}
		return ""
	}},
	{"audience", func(c *tokenClaims, p Provider, _ time.Time) string {
		if p.ClientID != "" && !c.Audience.has(p.ClientID) {
			return `audience mismatch: got [` + strings.Join(c.Audience, " ") + `], want "` + p.ClientID + `"`
		}
		return ""
	}},
	{"expiry", func(c *tokenClaims, p Provider, now time.Time) string {
		switch {
		case c.Expires == nil && !p.AllowNoExpiry:
			return "token has no expiry (exp is required)"
		case c.Expires != nil && float64(*c.Expires) < seconds(now)-skew.Seconds():
			return "token expired at " + c.Expires.String() + " (now " + unixText(now) + ")"
		}
		return ""
	}},
	{"beginning", func(c *tokenClaims, _ Provider, now time.Time) string {
		if c.NotBefore != nil && float64(*c.NotBefore) > seconds(now)+skew.Seconds() {
			return "token not yet valid (nbf " + c.NotBefore.String() + ", now " + unixText(now) + ")"
		}
		return ""
	}},
	{"time of issue", func(c *tokenClaims, _ Provider, now time.Time) string {
		if c.IssuedAt != nil && float64(*c.IssuedAt) > seconds(now)+skew.Seconds() {
			return "token issued in the future (iat " + c.IssuedAt.String() + ", now " + unixText(now) + "): a clock is wrong"
		}
		return ""
	}},
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// check is the first of the claim checks that fails.
func (c *tokenClaims) check(p Provider, now time.Time) string {
	for _, check := range claimChecks {
		if reason := check.of(c, p, now); reason != "" {
			return reason
		}
	}
	return ""
}

func (a audience) has(want string) bool {
	for _, s := range a {
		if s == want {
			return true
		}
	}
	return false
}

func unixText(t time.Time) string { return numericDate(t.Unix()).String() }

// chooseKey finds the one key that may have signed the token, before any
// signature is looked at.
func (t *token) chooseKey(p Provider, keys *KeySet) (*Key, *protocol.Error) {
	alg, kid := t.header.Alg, t.header.Kid
	want := keyType[alg]
	switch {
	case want == "":
		return nil, protocol.Errorf(protocol.CodeAlgorithm, "unsupported JWT algorithm: %s", Clean(alg))
	case alg == "HS256" && !p.AllowHS256:
		return nil, protocol.Errorf(protocol.CodeAlgorithm, "unsupported JWT algorithm: HS256 (tokens signed with a shared secret are accepted only when the identity provider is not configured with refuse_hs256)")
	case keys.Len() == 0:
		return nil, protocol.NotAppliedf(protocol.CodeJWKS, "JWKS: the identity provider's keys have not been fetched yet; try again, and see the registry's log if this lasts")
	}
	named := keys.named(kid)
	if kid == "" {
		named = keys.all(want)
	}
	fit := fitting(named, alg)
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case kid == "" && len(named) != 1:
		return nil, protocol.Refusef(protocol.CodeJWKSKey, "JWKS: JWT missing required 'kid' header; JWKS has %d keys", keys.Len())
	case len(named) == 0 && keys.whyNot(kid) != "":
		return nil, protocol.Refusef(protocol.CodeJWKSKey, "JWKS: JWKS key %q not found: the provider's key of that name is not used: %s", Clean(kid), keys.whyNot(kid))
	case len(named) == 0:
		return nil, protocol.Refusef(protocol.CodeJWKSKey, "JWKS: JWKS key %q not found: the provider's keys are %s%s", Clean(kid), keys.shown(), fetchedText(p.Fetched))
	case len(fit) > 1:
		return nil, protocol.Refusef(protocol.CodeJWKSKey, "JWKS: %d different keys of the provider are named %q and fit %s; it has to give them different names", len(fit), Clean(kid), alg)
	case len(named) > 1:
		return nil, protocol.Refusef(protocol.CodeAlgorithm, "algorithm mismatch: none of the %d keys named %q is for %s", len(named), Clean(kid), alg)
	case named[0].Alg != "" && named[0].Alg != alg:
		return nil, protocol.Refusef(protocol.CodeAlgorithm, "algorithm mismatch: JWT header says %s, JWKS key says %s", alg, Clean(named[0].Alg))
	}
	return nil, protocol.Refusef(protocol.CodeAlgorithm, "key type mismatch: %s requires %s key, got %s", alg, want, Clean(named[0].Kty))
}

func fetchedText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return ", fetched " + at.UTC().Format(time.RFC3339)
}

// verify checks the signature with a key of the right type and says what is wrong.
func (t *token) verify(key *Key) string {
	if why := base64Problem(t.signature); why != "" {
		return "decode signature: " + why
	}
	alg := t.header.Alg
	jws, err := jose.ParseSignedCompact(t.raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err == nil {
		_, err = jws.Verify(key.public)
	}
	switch {
	case err == nil:
		return ""
	case alg == "HS256":
		return "invalid HMAC signature"
	case alg == "ES256":
		return "invalid ECDSA signature"
	case alg == "EdDSA":
		return "invalid Ed25519 signature"
	case errors.Is(err, jose.ErrCryptoFailure):
		return "invalid RSA signature: crypto/rsa: verification error"
	}
	return "invalid RSA signature: " + Clean(err.Error())
}
