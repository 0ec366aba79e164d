// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestCheckSignature(t *testing.T) {
	seed := make([]byte, ed25519.SeedSize)
	private := ed25519.NewKeyFromSeed(seed)
	key := protocol.PublicKey(private.Public().(ed25519.PublicKey))
	good := base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte("heartbeat:7")))
	for _, c := range []struct {
		name, message, signature, code, text string
	}{
		{"right", "heartbeat:7", good, "", ""},
		{"line breaks are skipped", "heartbeat:7", good[:40] + "\r\n" + good[40:], "", ""},
		{"missing", "heartbeat:7", "", protocol.CodeSignatureRequired, "signature required for authenticated node"},
		{"another message", "heartbeat:8", good, protocol.CodeSignatureInvalid, "signature verification failed"},
		{"too short", "heartbeat:7", "AAAA", protocol.CodeSignatureInvalid, "signature verification failed"},
		{"not base64", "heartbeat:7", "***", protocol.CodeSignatureInvalid, "invalid signature encoding: illegal base64 data at input byte 0"},
		{"alphabet of URLs", "heartbeat:7", strings.NewReplacer("+", "-", "/", "_").Replace(good), "", ""},
		{"another message, alphabet of URLs", "heartbeat:8", strings.NewReplacer("+", "-", "/", "_").Replace(good), protocol.CodeSignatureInvalid, "signature verification failed"},
		{"both alphabets", "heartbeat:7", strings.Repeat("-/", 44), protocol.CodeSignatureInvalid, "invalid signature encoding: illegal base64 data at input byte 0"},
	} {
		e := identity.CheckSignature(key, c.message, protocol.Secret(c.signature))
		switch {
		case c.code == "" && e != nil:
			t.Errorf("%s: refused: %v", c.name, e)
		case c.code != "" && (e == nil || e.Code != c.code || e.Text != c.text):
			t.Errorf("%s: got %+v, want %s %q", c.name, e, c.code, c.text)
		}
	}
}
