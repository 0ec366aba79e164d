// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/identity"
)

func TestKeyringsAreNotInterchangeable(t *testing.T) {
	key := func(seed byte) (ed25519.PrivateKey, string) {
		k := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+seed)), 32)))
		return k, base64.StdEncoding.EncodeToString(k.Public().(ed25519.PublicKey))
	}
	hot, hotText := key(1)
	cold, coldText := key(2)
	v, err := identity.NewVerifier("k="+hotText, "k="+coldText)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(k ed25519.PrivateKey, text string) string {
		return base64.StdEncoding.EncodeToString(ed25519.Sign(k, []byte(text)))
	}
	const badge, enrolment, recovery = "pilotbadge:v1:7:github:1:0:k:", "pilotenroll:v1:7:github:c:1:k", "pilotrecover:v1:7:N=:c:9:n:k"
	for _, x := range []struct {
		what string
		key  ed25519.PrivateKey
		good bool
	}{{"hot", hot, true}, {"cold", cold, false}} {
		if e := v.CheckBadge(badge, sign(x.key, badge)); (e == nil) != x.good {
			t.Errorf("badge signed by the %s key: %v", x.what, e)
		}
		if e := v.CheckEnrollment(enrolment, sign(x.key, enrolment)); (e == nil) != x.good {
			t.Errorf("enrolment signed by the %s key: %v", x.what, e)
		}
		if e := v.CheckRecovery(recovery, sign(x.key, recovery)); (e == nil) == x.good {
			t.Errorf("recovery signed by the %s key: %v", x.what, e)
		}
	}
	for _, bad := range []string{
		"", "pilotbadge", "pilotbadge:v2:7:github:1:0:k:", "pilotbadge:v1:07:github:1:0:k:", "pilotbadge:v1:+7:github:1:0:k:", "pilotbadge:v1:7::1:0:k:",
		"pilotbadge:v1:7:github:1:0::", "pilotbadge:v1:7:github:1:0:k::", "pilotbadge:v1:4294967296:github:1:0:k:", "pilotbadge:v1:7:github:-1:0:k:",
		"pilotbadge:v1:7:git\x1bhub:1:0:k:", enrolment, "pilotbadge:v1:7:github:1:0:other:", "pilotbadge:v1:7:github:1:99999999999999999999:k:",
	} {
		if e := v.CheckBadge(bad, sign(hot, bad)); e == nil || !strings.HasPrefix(e.Text, "badge verification failed: ") {
			t.Errorf("%q: %v", bad, e)
		}
	}
	if e := v.CheckBadge("pilotbadge:v1:7:github:1:0:other:", "x"); e.Text != `badge verification failed: badgeverify: no pinned issuer key for badge kid "other"` {
		t.Error(e)
	}
	if _, err := identity.NewVerifier("a="+hotText, "b="+hotText); err == nil {
		t.Error("one key is in both rings")
	}
	for _, ring := range []string{"nonsense", "a=AAAA", "a=" + base64.StdEncoding.EncodeToString(make([]byte, 32)), "a=" + hotText + ",a=" + coldText, "=" + hotText} {
		if _, err := identity.NewVerifier(ring, ""); err == nil {
			t.Errorf("%q is a ring", ring)
		}
	}
	if _, err := identity.NewVerifier(identity.DefaultBadgeIssuers, identity.DefaultRecoveryKeys); err != nil {
		t.Error(err)
	}
}
