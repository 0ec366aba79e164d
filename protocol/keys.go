// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
)

// PublicKey is an Ed25519 public key (RFC 8032), 32 raw bytes.
type PublicKey [ed25519.PublicKeySize]byte

// String renders the key in standard base64 with padding, as on the wire.
func (k PublicKey) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// ParsePublicKey reads a key in standard base64 with padding. Like the
// protocol's decoder it skips CR and LF and tolerates non-zero trailing bits,
// so different texts may name one key: compare keys, never texts.
func ParsePublicKey(s string) (PublicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return PublicKey{}, fmt.Errorf("decode public key: %w", err)
	}
	if len(raw) != ed25519.PublicKeySize {
		return PublicKey{}, fmt.Errorf("invalid public key size: %d", len(raw))
	}
	if k := PublicKey(raw); !k.SmallOrder() {
		return k, nil
	}
	return PublicKey{}, errors.New("this public key has a small order, so signatures by it prove nothing; make another")
}
