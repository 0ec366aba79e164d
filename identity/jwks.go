package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"sort"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// Bounds of a key set.
const (
	// MaxJWKSBytes bounds a key set document; a longer one is an error.
	MaxJWKSBytes = 64 << 10
	maxKeys      = 64
	maxKidBytes  = 256
	minRSABits   = 2048
	maxRSABits   = 8192
	minRSAExp    = 65537
	maxRSAExp    = 1<<31 - 1
	minOctBytes  = 32
	maxOctBytes  = 512
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
}

// KeySet is a validated set of keys. Its names are unique.
type KeySet struct {
	keys []Key
	// Skipped says which keys of the document cannot be used, and why.
	Skipped []string
}

// Len is the number of usable keys.
func (s *KeySet) Len() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

// Find returns the key of a name, or nil.
func (s *KeySet) Find(kid string) *Key {
	if s == nil {
		return nil
	}
	for i := range s.keys {
		if s.keys[i].Kid == kid {
			return &s.keys[i]
		}
	}
	return nil
}

// only returns the one key that can have made a signature of an algorithm, or
// nil when there are none or several. The one key of a set is returned whatever
// it is, so that the refusal says what does not fit. A shared secret among
// other keys is never guessed at: it has to be named.
func (s *KeySet) only(alg, kty string) (key *Key) {
	if len(s.keys) == 1 {
		return &s.keys[0]
	}
	if kty == "oct" {
		return nil
	}
	for i := range s.keys {
		if k := &s.keys[i]; k.Kty == kty && (k.Alg == "" || k.Alg == alg) {
			if key != nil {
				return nil
			}
			key = k
		}
	}
	return key
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

// ParseJWKS reads a key set document. Keys that cannot be used are skipped and
// listed; a document without a usable key is an error, and so is one in which
// two usable keys share a name. Shared secrets (kty oct) count only when
// allowHS256 is set.
func ParseJWKS(raw []byte, allowHS256 bool) (*KeySet, error) {
	if len(raw) > MaxJWKSBytes {
		return nil, fmt.Errorf("the key set is longer than %d bytes", MaxJWKSBytes)
	}
	var doc struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("parse JWKS: %s", Clean(err.Error()))
	}
	if doc.Keys == nil {
		return nil, errors.New("parse JWKS: the document has no member \"keys\"")
	}
	if len(*doc.Keys) > maxKeys {
		return nil, fmt.Errorf("the key set has %d keys, more than %d", len(*doc.Keys), maxKeys)
	}
	set := &KeySet{}
	for i, member := range *doc.Keys {
		key, err := parseKey(member, allowHS256)
		if err != nil {
			set.Skipped = append(set.Skipped, fmt.Sprintf("key %d (kid %q): %s", i, Clean(key.Kid), Clean(err.Error())))
			continue
		}
		set.keys = append(set.keys, key)
	}
	return set, set.check()
}

// check makes sure that every key can be chosen, and only by its own name.
func (s *KeySet) check() error {
	if len(s.keys) == 0 {
		if len(s.Skipped) == 0 {
			return errors.New("the key set is empty")
		}
		return fmt.Errorf("the key set has no usable key: %s", Clean(strings.Join(s.Skipped, "; ")))
	}
	sort.SliceStable(s.keys, func(i, j int) bool { return s.keys[i].Kid < s.keys[j].Kid })
	for i := 1; i < len(s.keys); i++ {
		if kid := s.keys[i].Kid; kid == s.keys[i-1].Kid {
			return fmt.Errorf("the key set has two keys with kid %q", Clean(kid))
		}
	}
	return nil
}

// parseKey reads one key. The returned key has its name even when there is an error.
func parseKey(member []byte, allowHS256 bool) (Key, error) {
	var raw rawKey
	if err := json.Unmarshal(member, &raw); err != nil {
		return Key{}, err
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
	case len(raw.Alg) > maxKidBytes:
		return k, errors.New("its alg is not an algorithm")
	case raw.D != "":
		return k, errors.New("it is a private key, published")
	case raw.Kty == "oct" && !allowHS256:
		return k, errors.New("shared secrets are refused by refuse_hs256")
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
	return k, strong(k.public)
}

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
