// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// signer is one of the keys of a verifier of accounts.
type signer struct {
	name string
	key  ed25519.PrivateKey
}

func newSigner(t *testing.T, name string) signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return signer{name, key}
}

func (s signer) setting() string {
	return s.name + "=" + base64.StdEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey))
}

func (s signer) sign(format string, args ...any) (text, signature string) {
	text = fmt.Sprintf(format, args...)
	return text, base64.StdEncoding.EncodeToString(ed25519.Sign(s.key, []byte(text)))
}

// A node shows its badge, loses its key, and gets another one through another
// member while the leader dies; no key of the verifier counts for what the
// other signs.
func TestAccountsRecoverNodes(t *testing.T) {
	t.Parallel()
	issuer, cold := newSigner(t, "bdg-t"), newSigner(t, "rec-t")
	c := harness.Start(t, harness.Options{Set: []string{"accounts.badge_issuers=" + issuer.setting(), "accounts.recovery_keys=" + cold.setting()}})
	p := newPerson(t, c)
	pilotctl := func(args ...string) {
		t.Helper()
		if out, err := anyone(t, c, append(args, "--identity", p.file)...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	badge, badgeSig := issuer.sign("pilotbadge:v1:%.0f:github:1786000000:0:bdg-t:octo", p.id)
	pilotctl("badge", "submit", badge, badgeSig)
	enrolment, enrolmentSig := issuer.sign("pilotenroll:v1:%.0f:github:c0ffee:1786000000:bdg-t", p.id)
	pilotctl("recovery", "enroll", enrolment, enrolmentSig)
	for _, addr := range c.Addrs() {
		if r := askAt(t, addr, map[string]any{"type": "lookup", "node_id": p.id}); r["verified"] != true || r["badge"] != badge {
			t.Errorf("lookup at %s: %v", addr, r)
		}
	}

	next, err := harness.NewAgent()
	if err != nil {
		t.Fatal(err)
	}
	statement := fmt.Sprintf("pilotrecover:v1:%.0f:%s:c0ffee:%d:8f3a:", p.id, next.PublicKey(), time.Now().Add(20*time.Minute).Unix())
	recover := func(text, signature string) map[string]any {
		return map[string]any{"type": "recover_identity", "node_id": p.id, "recovery": text, "recovery_sig": signature, "new_public_key": next.PublicKey()}
	}
	for _, by := range []struct{ signs, named signer }{{issuer, issuer}, {issuer, cold}, {newSigner(t, "x"), cold}} {
		r := askAt(t, c.Addrs()[0], recover(by.signs.sign("%s%s", statement, by.named.name)))
		if r["code"] != protocol.CodeIdentityRejected {
			t.Errorf("signed by %s as %s: %v", by.signs.name, by.named.name, r)
		}
	}
	text, signature := cold.sign("%s%s", statement, cold.name)
	leaderGone(t, c)
	for _, addr := range c.Addrs() { // the first counts, the others hear so
		if r := askAt(t, addr, recover(text, signature)); r["type"] != "recover_identity_ok" || r["public_key"] != next.PublicKey() {
			t.Errorf("recovery at %s: %v", addr, r)
		}
	}
	for _, addr := range c.Addrs() {
		if r := askAt(t, addr, map[string]any{"type": "lookup", "node_id": p.id}); r["public_key"] != next.PublicKey() || r["verified"] != nil {
			t.Errorf("lookup at %s: %v", addr, r)
		}
	}
	if out, err := anyone(t, c, "heartbeat", "--identity", p.file); err == nil {
		t.Errorf("the former key is still good: %s", out)
	}
	next.ID = uint32(p.id)
	if r := askAt(t, c.Addrs()[1], signed(next, map[string]any{"type": "heartbeat", "node_id": next.ID})); r["type"] != "heartbeat_ok" {
		t.Errorf("the new key: %v", r)
	}
}

func askAt(t *testing.T, addr string, request map[string]any) map[string]any {
	t.Helper()
	w, err := harness.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	reply, err := w.Call(request)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}
