// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/ed25519"
	"encoding/base64"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// CheckSignature verifies a signature (standard base64 of 64 bytes) over
// message with key. It returns nil, or the refusal of docs/protocol/authentication.md#challenges: a missing
// signature, a wrong encoding, or one that does not verify.
func CheckSignature(key protocol.PublicKey, message string, signature protocol.Secret) *protocol.Error {
	if signature == "" {
		return protocol.Refusef(protocol.CodeSignatureRequired, "signature required for authenticated node")
	}
	raw, err := decodeSignature(string(signature))
	if err != nil {
		return protocol.Refusef(protocol.CodeSignatureInvalid, "invalid signature encoding: %v", err)
	}
	if len(raw) != ed25519.SignatureSize || !ed25519.Verify(key[:], []byte(message), raw) {
		return protocol.Refusef(protocol.CodeSignatureInvalid, "signature verification failed")
	}
	return nil
}

// decodeSignature reads base64 in the standard alphabet or in that of URLs, as
// newer clients may write it.
func decodeSignature(text string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		if other, failed := base64.URLEncoding.DecodeString(text); failed == nil {
			return other, nil
		}
	}
	return raw, err
}

// ErrKeyless is the refusal for a node that has no key (imported data only) and brings no admin token.
func ErrKeyless() *protocol.Error {
	return protocol.Refusef(protocol.CodeSignatureRequired, "node has no public key: signature or admin token required")
}
