// SPDX-License-Identifier: Apache-2.0

package protocol

import "strings"

// TrimSecret is a secret as files and variables carry it, without what editors
// and templates put around it: a byte order mark, spaces, line ends.
func TrimSecret(s string) string {
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(s), "\ufeff"))
}

// Secret is a credential. It prints as [redacted] and encodes as null, so
// that it cannot reach a log, a reply or the replicated log by accident.
type Secret string

// String hides the secret.
func (Secret) String() string { return "[redacted]" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "[redacted]" }

// MarshalJSON hides the secret.
func (Secret) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// MAC is a keyed hash that stands for a credential in the replicated log and
// state: HMAC-SHA256 under version Key of the cluster keyring.
type MAC struct {
	Key uint32 `json:"k"`
	Sum []byte `json:"m"`
}

// MACBody is a request with secrets that MACs stand for.
type MACBody interface {
	Body
	// SecretMACs are these MACs, in a fixed order.
	SecretMACs() []MAC
}

// IsZero reports whether the MAC stands for no credential.
func (m MAC) IsZero() bool { return len(m.Sum) == 0 }
