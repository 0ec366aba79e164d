// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Keys of the public verifier of accounts.
const (
	DefaultBadgeIssuers = "bdg-v1=Y2jjSAS+J6LVXAguY4P51vMGhHl7qgy5qBJZGS0Cmms="
	DefaultRecoveryKeys = "rec-v1=EGQ7F/NGzCIPekBo1jx+eUQUfOBFQU/hyhiZd3xumTY="
)

// Ring is a set of keys by their names.
type Ring map[string]protocol.PublicKey

// ParseRing reads name=key pairs with commas in between, keys in base64.
func ParseRing(text string) (Ring, error) {
	ring := Ring{}
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, key, ok := strings.Cut(pair, "=")
		if !ok || name == "" || strings.Contains(name, ":") {
			return nil, fmt.Errorf("%q is not name=key", pair)
		}
		k, err := protocol.ParsePublicKey(key)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", name, err)
		}
		if _, twice := ring[name]; twice {
			return nil, fmt.Errorf("two keys are named %q", name)
		}
		ring[name] = k
	}
	return ring, nil
}

// Verifier knows the keys with which a verifier of accounts signs: those for
// badges and enrolments, which are in daily use, and those for recoveries,
// which are kept apart. Neither counts for the other's statements.
type Verifier struct{ issuers, recovery Ring }

// NewVerifier reads both sets of keys, which must have no key in common.
func NewVerifier(issuers, recovery string) (*Verifier, error) {
	v := &Verifier{}
	var err error
	if v.issuers, err = ParseRing(issuers); err != nil {
		return nil, fmt.Errorf("badge issuers: %w", err)
	}
	if v.recovery, err = ParseRing(recovery); err != nil {
		return nil, fmt.Errorf("recovery keys: %w", err)
	}
	for name, key := range v.recovery {
		for other, issuer := range v.issuers {
			if key == issuer {
				return nil, fmt.Errorf("recovery key %q is badge issuer %q too: who signs badges could take nodes over", name, other)
			}
		}
	}
	return v, nil
}

// CheckBadge refuses a badge that no issuer has signed.
func (v *Verifier) CheckBadge(text, signature string) *protocol.Error {
	s, ok := protocol.ParseBadge(text)
	return v.issuers.check("badge", ok, s.KID, text, signature)
}

// CheckEnrollment refuses an enrolment that no issuer has signed.
func (v *Verifier) CheckEnrollment(text, signature string) *protocol.Error {
	s, ok := protocol.ParseEnrollment(text)
	return v.issuers.check("enrollment", ok, s.KID, text, signature)
}

// CheckRecovery refuses a recovery that no recovery key has signed.
func (v *Verifier) CheckRecovery(text, signature string) *protocol.Error {
	s, ok := protocol.ParseRecovery(text)
	return v.recovery.check("recovery", ok, s.KID, text, signature)
}

func (r Ring) check(kind string, wellFormed bool, kid, text, signature string) *protocol.Error {
	bad := func(format string, args ...any) *protocol.Error {
		return protocol.Errorf(protocol.CodeIdentityRejected, kind+" verification failed: "+format, args...)
	}
	if !wellFormed {
		return bad("malformed %s", kind)
	}
	key, known := r[kid]
	if !known {
		return bad("badgeverify: no pinned issuer key for badge kid %s", protocol.Quote(kid))
	}
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || len(raw) != ed25519.SignatureSize || !ed25519.Verify(key[:], []byte(text), raw) {
		return bad("the signature of %s is wrong", protocol.Quote(kid))
	}
	return nil
}
