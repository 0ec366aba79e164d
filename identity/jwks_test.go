// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/identity"
)

// TestKeySets: documents that are refused as a whole, and keys that are skipped.
func TestKeySets(t *testing.T) {
	good := rsaJWK("good", keys().rsa)
	even := good.with("n", b64(append(keys().rsa.N.Bytes()[:255:255], 2)))
	for _, c := range []struct {
		name string
		doc  []byte
		kids string // the usable ones
		want string // the error, or what the skipped ones are skipped for
	}{
		{"all types", document(jwkOf("RSA", "a"), jwkOf("EC", "b"), jwkOf("OKP", "c"), jwkOf("oct", "d")), "a b c d", ""},
		{"no JSON", []byte("<html>"), "", "parse JWKS: it is not JSON: line 1, column 1 has \"<\" where that cannot be"},
		{"empty", nil, "", "parse JWKS: it is empty"},
		{"list", []byte("[]"), "", "parse JWKS: it wants an object, not a list"},
		{"no keys member", []byte("{}"), "", `parse JWKS: the document has no member "keys"`},
		{"two keys members", []byte(`{"keys":[],"keys":[]}`), "", "parse JWKS: it has \"keys\" twice"},
		{"no keys", document(), "", `parse JWKS: the document has no member "keys"`},
		{"empty list", []byte(`{"keys":[]}`), "", "the key set is empty"},
		{"too long", append(document(good), bytes.Repeat([]byte(" "), identity.MaxJWKSBytes)...), "", "the key set is longer than 1048576 bytes"},
		{"too many", document(make([]members, 1025)...), "", "the key set has 1025 keys, more than 1024"},
		{"more than 64 kinds of junk", document(append([]members{good}, make([]members, 70)...)...), "good", "*"},
		{"the same key twice", document(good, good.with("x5c", []string{"a chain"})), "good", ""},
		{"padded and plain base64", document(good.with("n", base64.StdEncoding.EncodeToString(keys().rsa.N.Bytes()))), "good", ""},
		{"a chain longer than 64 KiB", document(good.with("x5c", []string{strings.Repeat("A", 70<<10)})), "good", ""},
		{"other algorithms", document(good, good.with("kid", "x").with("alg", "RS512")), "good", `its alg "RS512" is none of RS256, HS256, ES256 and EdDSA`},
		{"for encryption, without use", document(good, good.with("alg", "RSA-OAEP")), "good", `its alg "RSA-OAEP" is none of RS256, HS256, ES256 and EdDSA`},
		{"same name, one for encryption", document(good, jwkOf("EC", "good").with("use", "enc")), "good", "its use is not sig"},
		{"no kty", document(good, good.with("kty", nil).with("kid", "x")), "good", "it has no kty"},
		{"the hole: no kty, no k", document(members{"kid": "k1", "n": good["n"], "e": good["e"]}), "", "the key set has no usable key: key \"k1\": it has no kty"},
		{"empty secret", document(good, octJWK("x", nil)), "good", "*"},
		{"no secret", document(good, octJWK("x", nil).with("k", nil)), "good", "*"},
		{"short secret", document(good, octJWK("x", make([]byte, 31))), "good", "its secret has 31 bytes, not 32 to 512"},
		{"weak RSA", document(good, rsaJWK("x", keys().weak)), "good", "its RSA modulus has 1024 bits, not 2048 to 8192"},
		{"huge RSA", document(good, good.with("kid", "x").with("n", b64(bytes.Repeat([]byte{0xff}, 1025)))), "good", "*"},
		{"even RSA", document(good, even.with("kid", "x")), "good", "its RSA modulus is even"},
		{"exponent 1", document(good, good.with("kid", "x").with("e", "AQ")), "good", "*"},
		{"exponent 3", document(good, good.with("kid", "x").with("e", "Aw")), "good", "its RSA exponent is not an odd number from 65537 on"},
		{"modulus no base64", document(good, good.with("kid", "x").with("n", "?"+good["n"].(string)[1:])), "good", `its member "n" is not base64: byte 1 is '?', which base64url does not have`},
		{"modulus number", document(good, good.with("kid", "x").with("n", 7)), "good", `"n" wants a text, not a number`},
		{"even exponent", document(good, good.with("kid", "x").with("e", "AQAC")), "good", "its RSA exponent is not an odd number from 65537 on"},
		{"P-384", document(good, members{"kty": "EC", "kid": "x", "crv": "P-384", "x": b64(make([]byte, 48)), "y": b64(make([]byte, 48))}), "good", "*"},
		{"not on the curve", document(good, ecJWK("x").with("x", b64(make([]byte, 32)))), "good", "*"},
		{"X25519", document(good, okpJWK("x").with("crv", "X25519")), "good", "*"},
		{"short Ed25519", document(good, okpJWK("x").with("x", b64(make([]byte, 31)))), "good", "*"},
		{"unknown kty", document(good, members{"kty": "XYZ", "kid": "x"}), "good", "*"},
		{"private key", document(good, good.with("kid", "x").with("d", "AAAA")), "good", "it is a private key, published"},
		{"for encryption", document(good, good.with("kid", "x").with("use", "enc")), "good", "its use is not sig"},
		{"for wrapping", document(good, good.with("kid", "x").with("key_ops", []string{"wrapKey"})), "good", "its key_ops do not contain verify"},
		{"long kid", document(good, good.with("kid", strings.Repeat("k", 257))), "good", "its kid is longer than 256 bytes"},
		{"member twice", []byte(`{"keys":[` + text(good) + `,{"kty":"oct","kty":"RSA","kid":"x"}]}`), "good", `it has "kty" twice`},
		{"certificates are not read", document(good.with("x5c", []string{"nonsense"}).with("x5t", "nonsense")), "good", ""},
		{"no object", []byte(`{"keys":[` + text(good) + `,7,null]}`), "good", "*"},
	} {
		set, err := identity.ParseJWKS(c.doc, true)
		if err != nil {
			expect(t, c.name, err.Error(), c.want)
			if c.kids != "" {
				t.Errorf("%s: refused", c.name)
			}
			continue
		}
		for _, kid := range strings.Fields(c.kids) {
			if set.Find(kid) == nil {
				t.Errorf("%s: no key %s", c.name, kid)
			}
		}
		if set.Len() != len(strings.Fields(c.kids)) {
			t.Errorf("%s: %d usable keys, want %s", c.name, set.Len(), c.kids)
		}
		for _, l := range set.LeftOut {
			expect(t, c.name, l.Why, c.want)
		}
		if (len(set.LeftOut) == 0) != (c.want == "") {
			t.Errorf("%s: left out %q, want %q", c.name, set.LeftOut, c.want)
		}
	}
}

// TestEncodeIsCanonical: the replicated form does not depend on order, white
// space and members that are not used, and reads back as the same set.
func TestEncodeIsCanonical(t *testing.T) {
	a := keySet(t, jwkOf("RSA", "a"), jwkOf("EC", "b").with("alg", "ES256"), jwkOf("OKP", "c"))
	b := keySet(t, jwkOf("OKP", "c").with("x5u", "https://x.test"), jwkOf("EC", "b").with("alg", "ES256").with("use", "sig"), jwkOf("RSA", "a").with("extra", "x"))
	first, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Encode()
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("%v\n%s\n%s", err, first, second)
	}
	again, err := identity.ParseJWKS(first, false)
	if err != nil || again.Len() != 3 || again.Secret() {
		t.Fatalf("%v, %+v", err, again)
	}
	if third, err := again.Encode(); err != nil || !bytes.Equal(first, third) {
		t.Errorf("%v\n%s\n%s", err, first, third)
	}
	if !keySet(t, jwkOf("oct", "k")).Secret() {
		t.Error("a shared secret is not reported")
	}
}
