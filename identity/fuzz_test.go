// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"bytes"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// FuzzToken: whatever arrives is judged without a panic, nothing is verified
// that the tests did not sign, and no refusal repeats a whole token.
func FuzzToken(f *testing.F) {
	set := keySet(f, jwkOf("RSA", "r"), jwkOf("EC", "e"), jwkOf("OKP", "o"), jwkOf("oct", "h"))
	signed := map[string]bool{}
	for alg, kid := range map[string]string{"RS256": "r", "ES256": "e", "EdDSA": "o", "HS256": "h"} {
		tok := string(token(alg, kid, claims()))
		signed[tok] = true
		f.Add(tok)
		f.Add(tok[:len(tok)-2])
		f.Add(string(sign(text(members{"alg": "none", "kid": kid}), text(claims()), "none", nil)))
	}
	f.Add("..")
	f.Fuzz(func(t *testing.T, tok string) {
		v, e := identity.Validate(provider, protocol.Secret(tok), set, now)
		if e == nil && v.Verified && !signed[tok] && !sameInput(signed, tok) {
			t.Fatalf("verified: %q", tok)
		}
		if e != nil && e.Code == "" || e == nil && !v.Verified && v.Reason == "" {
			t.Fatalf("no reason: %+v %+v", v, e)
		}
		if e != nil && len(tok) > 300 && strings.Contains(e.Text, tok) {
			t.Fatal("the refusal quotes the token")
		}
	})
}

// sameInput allows other signatures of what was signed: ECDSA has several, and
// the fuzzer knows one of each pair.
func sameInput(signed map[string]bool, tok string) bool {
	for s := range signed {
		if s[:strings.LastIndexByte(s, '.')+1] == tok[:strings.LastIndexByte(tok, '.')+1] {
			return true
		}
	}
	return false
}

// FuzzJWKS: what is accepted encodes to a canonical form that is accepted again, unchanged.
func FuzzJWKS(f *testing.F) {
	f.Add(document(jwkOf("RSA", "a"), jwkOf("EC", "b"), jwkOf("OKP", "c"), jwkOf("oct", "d")))
	f.Add(document(rsaJWK("w", keys().weak)))
	f.Add([]byte(`{"keys":[{}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		set, err := identity.ParseJWKS(doc, true)
		if err != nil {
			return
		}
		first, err := set.Encode()
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		again, err := identity.ParseJWKS(first, true)
		if err != nil || again.Len() != set.Len() {
			t.Fatalf("%s became %s: %v", doc, first, err)
		}
		if second, err := again.Encode(); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%s became %s became %s: %v", doc, first, second, err)
		}
	})
}

// FuzzURLGuard: a URL that passes has a host that is no address, or a public
// one; and it is one by the reckoning of the standard library, which dials it.
func FuzzURLGuard(f *testing.F) {
	for _, s := range []string{
		"https://idp.test/keys", "http://127.0.0.1", "http://[::ffff:10.0.0.1]:80/", "http://0x7f.1", "http://a@b", "http://[fe80::1%25x]/", "//x", "http://169.254.169.254.", "HTTP://LOCALHOST",
	} {
		f.Add(s)
	}
	g := new(identity.URLGuard)
	f.Fuzz(func(t *testing.T, raw string) {
		u, e := g.CheckURL("", raw)
		if e != nil {
			if e.Code != protocol.CodeURLRefused || e.Text == "" {
				t.Fatalf("%q: %+v", raw, e)
			}
			return
		}
		again, err := url.Parse(raw)
		if err != nil || again.String() != u.String() || protocol.CheckURL("", raw) != nil {
			t.Fatalf("%q passes the guard and not the check of its text: %v", raw, err)
		}
		host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
		if host == "" || host == "localhost" {
			t.Fatalf("%q passes with host %q", raw, host)
		}
		host, _, _ = strings.Cut(host, "%")
		if ip, err := netip.ParseAddr(host); err == nil {
			if ip = ip.Unmap(); ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
				t.Fatalf("%q passes with address %s", raw, ip)
			}
		}
	})
}
