// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// MaxTokenBytes bounds an identity token.
const MaxTokenBytes = 16 << 10

// token is a JWT that has been taken apart and not verified.
type token struct {
	raw string
	// signature is everything after the second dot.
	signature string
	header    tokenHeader
	claims    tokenClaims
	// all are the claims, unread.
	all map[string]json.RawMessage
}

type tokenHeader struct {
	Alg  string          `json:"alg"`
	Kid  string          `json:"kid"`
	Typ  string          `json:"typ"`
	Crit json.RawMessage `json:"crit"`
	B64  json.RawMessage `json:"b64"`
}

type tokenClaims struct {
	Issuer    string       `json:"iss"`
	Subject   string       `json:"sub"`
	Audience  audience     `json:"aud"`
	Expires   *numericDate `json:"exp"`
	NotBefore *numericDate `json:"nbf"`
	IssuedAt  *numericDate `json:"iat"`
}

// audience is a string or a list of strings.
type audience []string

var errAudience = errors.New("aud is neither a text nor a list of texts")

// UnmarshalJSON reads both forms; null is the same as none.
func (a *audience) UnmarshalJSON(raw []byte) error {
	var one string
	if string(raw) == "null" {
		return nil
	}
	if json.Unmarshal(raw, &one) == nil {
		*a = audience{one}
		return nil
	}
	var many []*string
	if json.Unmarshal(raw, &many) != nil {
		return errAudience
	}
	for _, s := range many {
		if s == nil {
			return errAudience
		}
		*a = append(*a, *s)
	}
	return nil
}

// numericDate is a number of seconds, possibly with a fraction.
type numericDate float64

// UnmarshalJSON refuses what is not a number or beyond exact arithmetic.
func (d *numericDate) UnmarshalJSON(raw []byte) error {
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > 1<<53 {
		return errors.New("exp, nbf and iat have to be numbers of seconds")
	}
	*d = numericDate(f)
	return nil
}

// String renders whole seconds without a fraction.
func (d numericDate) String() string { return strconv.FormatFloat(float64(d), 'f', -1, 64) }

func invalidToken(format string, args ...any) *protocol.Error {
	return protocol.Errorf(protocol.CodeTokenInvalid, "invalid token: "+format, args...)
}

// parseToken takes a JWT apart. It reads strictly: no padding, no line
// breaks, no member twice.
func parseToken(secret protocol.Secret) (*token, *protocol.Error) {
	raw := string(secret)
	if scheme, _, found := strings.Cut(raw, " "); found && strings.EqualFold(scheme, "bearer") {
		return nil, invalidToken(`it begins with "Bearer ", which belongs to a header: send what comes after it`)
	}
	if len(raw) > MaxTokenBytes {
		return nil, protocol.Errorf(protocol.CodeTooLarge, "invalid token: too long (max %d bytes)", MaxTokenBytes)
	}
	parts := strings.SplitN(raw, ".", 3)
	if len(parts) != 3 {
		return nil, invalidToken("invalid JWT: expected 3 parts, got %d", len(parts))
	}
	t := &token{raw: raw, signature: parts[2]}
	if e := decodePart("header", parts[0], &t.header); e != nil {
		return nil, e
	}
	if e := decodePart("claims", parts[1], &t.claims); e != nil {
		return nil, e
	}
	if e := decodePart("claims", parts[1], &t.all); e != nil {
		return nil, e
	}
	switch {
	case t.header.Crit != nil || t.header.B64 != nil:
		return nil, invalidToken("its header asks for an extension (crit), and none is supported")
	case foreign(t.header.Typ):
		return nil, invalidToken("its header says that it is a %q, which is no token of a person's identity", Clean(t.header.Typ))
	case t.all["events"] != nil:
		return nil, invalidToken("it is a security event, such as a logout (it has the claim events), and no token of a person's identity")
	case len(t.header.Kid) > maxKidBytes:
		return nil, invalidToken("its kid is longer than %d bytes", maxKidBytes)
	}
	return t, nil
}

func decodePart(name, part string, into any) *protocol.Error {
	b, err := decodeBase64(part)
	if err != nil {
		return invalidToken("decode JWT %s: %s", name, base64Problem(part))
	}
	// A JSON null would leave everything empty.
	if !strings.HasPrefix(strings.TrimLeft(string(b), " \t\r\n"), "{") {
		return invalidToken("parse JWT %s: not a JSON object", name)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return invalidToken("parse JWT %s: %s", name, problem(err, b, into))
	}
	return nil
}

// foreign reports whether a token says outright that it is one of another kind
// (RFC 8725, 3.11), as logout+jwt. Values that name no kind mean nothing.
func foreign(typ string) bool {
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	return strings.Contains(typ, "+") && typ != "at+jwt"
}

// decodeBase64 reads unpadded base64url and nothing else; the standard
// library would skip line breaks.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("a line break")
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

// Expiry is when a token ends by its own account, which nobody has verified
// here; false when it does not say.
func Expiry(secret protocol.Secret) (time.Time, bool) {
	t, e := parseToken(secret)
	if e != nil || t.claims.Expires == nil {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(float64(*t.claims.Expires) * 1000)), true
}
