// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// Bounds of a key set.
const (
	// MaxJWKSBytes bounds a key set document; a longer one is an error.
	MaxJWKSBytes = 1 << 20
	// maxKeys bounds the usable keys that are kept, maxMembers those that are looked at.
	maxKeys     = 64
	maxMembers  = 1024
	maxKidBytes = 256
	minRSABits  = 2048
	maxRSABits  = 8192
	minRSAExp   = 65537
	maxRSAExp   = 1<<31 - 1
	minOctBytes = 32
	maxOctBytes = 512
)

// Key is one usable key of a provider.
type Key struct {
	// Kid is the key's name, empty when it has none.
	Kid string
	// Kty is RSA, EC, OKP or oct.
	Kty string
	// Alg is the algorithm the provider restricts the key to, or empty.
	Alg string
	// public is the key in the form in which it is verified with; for oct it is a shared secret.
	public any
	// print stands for the key itself, whatever it is called.
	print string
}

// KeySet is a validated set of keys. Several may share a name: which one is
// meant is decided for each token, by type and algorithm.
type KeySet struct {
	keys []Key
	// LeftOut are the keys of the document that cannot be used, the first 64.
	LeftOut []LeftOut
}

// LeftOut is a key of a provider that is not used.
type LeftOut struct {
	// Key is its name, at most 256 bytes; several can be called alike.
	Key string `json:"key"`
	// Why it is not used.
	Why string `json:"why"`
}

// Len is the number of usable keys.
func (s *KeySet) Len() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

// Find returns the first key of a name, or nil.
func (s *KeySet) Find(kid string) *Key {
	if named := s.named(kid); len(named) > 0 {
		return named[0]
	}
	return nil
}

func (s *KeySet) named(kid string) (keys []*Key) {
	for i := range s.Len() {
		if s.keys[i].Kid == kid {
			keys = append(keys, &s.keys[i])
		}
	}
	return keys
}

// all are the keys that a token without a name may have been signed with. The
// one key of a set is returned whatever it is, so that the refusal says what
// does not fit. A shared secret among other keys is never guessed at: it has
// to be named.
func (s *KeySet) all(kty string) (keys []*Key) {
	if kty == "oct" && s.Len() > 1 {
		return nil
	}
	for i := range s.Len() {
		keys = append(keys, &s.keys[i])
	}
	return keys
}

// fitting are those of the keys that can have made a signature of an
// algorithm; the same key under two names counts once.
func fitting(keys []*Key, alg string) (fit []*Key) {
	for _, k := range keys {
		if k.Kty == keyType[alg] && (k.Alg == "" || k.Alg == alg) && !slices.ContainsFunc(fit, func(o *Key) bool { return o.print == k.print }) {
			fit = append(fit, k)
		}
	}
	return fit
}

// Names lists the usable keys for people: name, type and algorithm.
func (s *KeySet) Names() (names []string) {
	for i := range s.Len() {
		k := &s.keys[i]
		text := k.Kty
		if k.Alg != "" {
			text += " " + k.Alg
		}
		names = append(names, fmt.Sprintf("%q %s", Clean(k.Kid), Clean(text)))
	}
	return names
}

// shown are the first of the names, in one line.
func (s *KeySet) shown() string {
	const most = 8
	names := s.Names()
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// String names the key and says why it is not used.
func (l LeftOut) String() string { return fmt.Sprintf("key %q: %s", Clean(l.Key), l.Why) }

// whyNot is why no key of a name is used, "" when there is none.
func (s *KeySet) whyNot(kid string) string {
	for _, l := range s.LeftOut {
		if l.Key == kid {
			return l.Why
		}
	}
	return ""
}

// rawKey are the members of a JWK that are read. Certificates and their
// thumbprints are not: trust comes from where the set was fetched.
type rawKey struct {
	Kty    string   `json:"kty,omitempty"`
	Kid    string   `json:"kid,omitempty"`
	Use    string   `json:"use,omitempty"`
	KeyOps []string `json:"key_ops,omitempty"`
	Alg    string   `json:"alg,omitempty"`
	Crv    string   `json:"crv,omitempty"`
	N      string   `json:"n,omitempty"`
	E      string   `json:"e,omitempty"`
	X      string   `json:"x,omitempty"`
	Y      string   `json:"y,omitempty"`
	K      string   `json:"k,omitempty"`
	D      string   `json:"d,omitempty"`
}

// ParseJWKS reads a key set document key by key. Keys that cannot be used are
// skipped and listed; the same key twice counts once; a document without a
// usable key is an error. Shared secrets (kty oct) count only when allowHS256
// is set.
func ParseJWKS(raw []byte, allowHS256 bool) (*KeySet, error) {
	if len(raw) > MaxJWKSBytes {
		return nil, fmt.Errorf("the key set is longer than %d bytes", MaxJWKSBytes)
	}
	var doc struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("parse JWKS: %s", problem(err, raw, &doc))
	}
	if doc.Keys == nil {
		return nil, errors.New("parse JWKS: the document has no member \"keys\"")
	}
	if len(*doc.Keys) > maxMembers {
		return nil, fmt.Errorf("the key set has %d keys, more than %d", len(*doc.Keys), maxMembers)
	}
	set := &KeySet{}
	for _, member := range *doc.Keys {
		key, err := parseKey(member, allowHS256)
		if err == nil && set.holds(&key) {
			continue
		}
		if err == nil && len(set.keys) == maxKeys {
			err = fmt.Errorf("the set has more than %d usable keys", maxKeys)
		}
		if err != nil {
			if len(set.LeftOut) < maxKeys {
				kid := key.Kid[:min(len(key.Kid), maxKidBytes)]
				set.LeftOut = append(set.LeftOut, LeftOut{strings.ToValidUTF8(kid, ""), Clean(err.Error())})
			}
			continue
		}
		set.keys = append(set.keys, key)
	}
	return set, set.check()
}

// check makes sure that there is a key, and brings the keys into an order that
// does not depend on the document's.
func (s *KeySet) check() error {
	if len(s.keys) == 0 {
		if len(s.LeftOut) == 0 {
			return errors.New("the key set is empty")
		}
		var why []string
		for _, l := range s.LeftOut {
			why = append(why, l.String())
		}
		return fmt.Errorf("the key set has no usable key: %s", Clean(strings.Join(why, "; ")))
	}
	slices.SortFunc(s.keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Kid, b.Kid), cmp.Compare(a.Alg, b.Alg), cmp.Compare(a.print, b.print))
	})
	return nil
}

func (s *KeySet) holds(key *Key) bool {
	return slices.ContainsFunc(s.keys, func(k Key) bool { return k.Kid == key.Kid && k.Alg == key.Alg && k.print == key.print })
}

// parseKey reads one key. The returned key has its name even when there is an error.
func parseKey(member []byte, allowHS256 bool) (Key, error) {
	var raw rawKey
	if err := json.Unmarshal(member, &raw); err != nil {
		return Key{}, errors.New(problem(err, member, &raw))
	}
	k := Key{Kid: raw.Kid, Kty: raw.Kty, Alg: raw.Alg}
	switch {
	case raw.Kty == "":
		return k, errors.New("it has no kty")
	case raw.Use != "" && raw.Use != "sig":
		return k, errors.New("its use is not sig")
	case !verifies(raw.KeyOps):
		return k, errors.New("its key_ops do not contain verify")
	case len(raw.Kid) > maxKidBytes:
		return k, fmt.Errorf("its kid is longer than %d bytes", maxKidBytes)
	case raw.Alg != "" && keyType[raw.Alg] == "":
		return k, fmt.Errorf("its alg %.20q is none of RS256, HS256, ES256 and EdDSA", raw.Alg)
	case raw.D != "":
		return k, errors.New("it is a private key, published")
	case raw.Kty == "oct" && !allowHS256:
		return k, errors.New("shared secrets are refused by refuse_hs256")
	}
	for i, b64 := range []*string{&raw.N, &raw.E, &raw.X, &raw.Y, &raw.K} {
		*b64 = plainBase64.Replace(strings.TrimRight(*b64, "="))
		if why := base64Problem(*b64); why != "" {
			return k, fmt.Errorf("its member %q is not base64: %s", "nexyk"[i:i+1], why)
		}
	}
	plain, err := json.Marshal(raw) // without the members that are not read
	if err != nil {
		return k, err
	}
	var parsed jose.JSONWebKey
	if err := parsed.UnmarshalJSON(plain); err != nil {
		return k, errors.New(strings.TrimPrefix(err.Error(), "go-jose/go-jose: "))
	}
	k.public = parsed.Key
	if err := strong(k.public); err != nil {
		return k, err
	}
	print, err := json.Marshal(jose.JSONWebKey{Key: k.public})
	k.print = string(print)
	return k, err
}

// plainBase64 turns the standard alphabet into that of URLs: providers exist
// that publish it, and padding, against RFC 7518.
var plainBase64 = strings.NewReplacer("+", "-", "/", "_")

// verifies reports whether key_ops, when they are given, allow to verify.
func verifies(ops []string) bool {
	for _, op := range ops {
		if op == "verify" {
			return true
		}
	}
	return len(ops) == 0
}

// strong refuses keys that can be guessed or computed.
func strong(key any) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		switch {
		case bits < minRSABits || bits > maxRSABits:
			return fmt.Errorf("its RSA modulus has %d bits, not %d to %d", bits, minRSABits, maxRSABits)
		case k.N.Bit(0) == 0:
			return errors.New("its RSA modulus is even")
		case k.E < minRSAExp || k.E > maxRSAExp || k.E&1 == 0:
			return fmt.Errorf("its RSA exponent is not an odd number from %d on", minRSAExp)
		}
		return nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return errors.New("its curve is not P-256")
		}
		return nil
	case ed25519.PublicKey:
		return nil
	case []byte:
		if len(k) < minOctBytes || len(k) > maxOctBytes {
			return fmt.Errorf("its secret has %d bytes, not %d to %d", len(k), minOctBytes, maxOctBytes)
		}
		return nil
	}
	return errors.New("its type is not supported")
}

// Encode renders the usable keys in one canonical form: sorted by name, public
// parameters only. ParseJWKS of it gives the same set.
func (s *KeySet) Encode() ([]byte, error) {
	doc := jose.JSONWebKeySet{Keys: make([]jose.JSONWebKey, len(s.keys))}
	for i, k := range s.keys {
		doc.Keys[i] = jose.JSONWebKey{Key: k.public, KeyID: k.Kid, Algorithm: k.Alg, Use: "sig"}
	}
	return json.Marshal(doc)
}

// Secret reports whether the set holds a shared secret, which must not be
// stored in the clear.
func (s *KeySet) Secret() bool {
	for _, k := range s.keys {
		if k.Kty == "oct" {
			return true
		}
	}
	return false
}
