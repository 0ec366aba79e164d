// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// now is when all tests happen.
var now = time.Unix(1_800_000_000, 0)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// keyring are the private keys that the tests sign with, made once.
type keyring struct {
	rsa, weak, rsa2 *rsa.PrivateKey
	ec              *ecdsa.PrivateKey
	ed              ed25519.PrivateKey
	oct             []byte
}

var keys = sync.OnceValue(func() keyring {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	second, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	must(err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	return keyring{big, weak, second, ec, ed, []byte("a secret of thirty-two bytes or s")}
})

// members is a JWK under construction.
type members map[string]any

func (m members) with(name string, v any) members {
	out := members{}
	for k, old := range m {
		out[k] = old
	}
	if v == nil {
		delete(out, name)
	} else {
		out[name] = v
	}
	return out
}

func rsaJWK(kid string, k *rsa.PrivateKey) members {
	return members{"kty": "RSA", "kid": kid, "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
}

func ecJWK(kid string) members {
	raw, err := keys().ec.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return members{"kty": "EC", "kid": kid, "crv": "P-256", "x": b64(raw[1:33]), "y": b64(raw[33:])}
}

func okpJWK(kid string) members {
	return members{"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": b64(keys().ed.Public().(ed25519.PublicKey))}
}

func octJWK(kid string, secret []byte) members {
	return members{"kty": "oct", "kid": kid, "k": b64(secret)}
}

func jwkOf(kty, kid string) members {
	switch kty {
	case "RSA":
		return rsaJWK(kid, keys().rsa)
	case "EC":
		return ecJWK(kid)
	case "OKP":
		return okpJWK(kid)
	}
	return octJWK(kid, keys().oct)
}

func document(list ...members) []byte {
	raw, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		panic(err)
	}
	return raw
}

func keySet(t testing.TB, list ...members) *identity.KeySet {
	t.Helper()
	set, err := identity.ParseJWKS(document(list...), true)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// claims that a provider with issuer iss and client aud accepts.
func claims() members {
	return members{"iss": "https://idp.test", "sub": "alice", "aud": "registry", "exp": now.Unix() + 300}
}

var provider = identity.Provider{Issuer: "https://idp.test", ClientID: "registry", AllowHS256: true}

// sign makes a token. header and claims are JSON texts; how says what to sign
// with: RS256, HS256, ES256, EdDSA, "none" (no signature), or
// HS256 with a secret of one's own.
func sign(header, payload, how string, secret []byte) protocol.Secret {
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch how {
	case "RS256":
		signature, err = rsa.SignPKCS1v15(rand.Reader, keys().rsa, crypto.SHA256, digest[:])
	case "HS256":
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		signature = mac.Sum(nil)
	case "ES256":
		r, s, e := ecdsa.Sign(rand.Reader, keys().ec, digest[:])
		err, signature = e, make([]byte, 64)
		if e == nil {
			r.FillBytes(signature[:32])
			s.FillBytes(signature[32:])
		}
	case "EdDSA":
		signature = ed25519.Sign(keys().ed, []byte(input))
	}
	if err != nil {
		panic(err)
	}
	return protocol.Secret(input + "." + b64(signature))
}

func text(m members) string {
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func token(alg, kid string, c members) protocol.Secret {
	return sign(text(members{"alg": alg, "kid": kid}), text(c), alg, keys().oct)
}

// outcome renders what came of a token: "ok", the reason, or code: text.
func outcome(v identity.Verdict, e *protocol.Error) string {
	switch {
	case e != nil:
		return e.Code + ": " + e.Text
	case v.Verified:
		return "ok " + v.Subject
	}
	return v.Reason
}

func expect(t *testing.T, name string, got, want string) {
	t.Helper()
	if want == got || strings.HasSuffix(want, "*") && strings.HasPrefix(got, strings.TrimSuffix(want, "*")) {
		return
	}
	t.Errorf("%s: got %s, want %s", name, fmt.Sprintf("%q", got), fmt.Sprintf("%q", want))
}
