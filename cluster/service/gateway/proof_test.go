// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// stranger is another client of the same member, from elsewhere.
func (c *client) stranger() *client {
	s := newClient(c.t, c.e, gateway.Config{})
	s.g, s.conn = c.g, &server.ConnState{Source: "203.0.113.66:1"}
	return s
}

func people(tokens map[string]string) func(context.Context, string, protocol.Secret) (string, *protocol.Error) {
	return func(_ context.Context, _ string, token protocol.Secret) (string, *protocol.Error) {
		if who := tokens[string(token)]; who != "" {
			return who, nil
		}
		return "", protocol.Refusef(protocol.CodeIdentityRejected, "identity verification rejected: nope")
	}
}

// A stranger who has a token of his own and reads a node's public key does not
// become the person that the node belongs to.
func TestStrangerCannotTakeIdentity(t *testing.T) {
	e := newEngine(t)
	counted := 0
	policy := gateway.Config{Outside: gateway.Outside{Webhook: people(map[string]string{"ta": "alice@corp", "tm": "mallory@corp"})}, Metrics: counting{identity: func() { counted++ }}}
	alice := newClient(t, e, policy)
	alice.configure(protocol.IDPSAML, "https://hook.example/verify")
	if r := alice.registerWith("ta"); r["external_id"] != "alice@corp" {
		t.Fatal(r)
	}
	e.catchUp()
	before := e.machine.Root().Digest()
	mallory := alice.stranger()
	take := func(more ...string) map[string]any {
		f := map[string]any{"type": "register", "public_key": alice.public(), "listen_addr": ":1", "identity_token": "tm"}
		for i := 0; i < len(more); i += 2 {
			f[more[i]] = more[i+1]
		}
		return mallory.call(f)
	}
	for name, r := range map[string]map[string]any{
		"unsigned":             take(),
		"with a wrong token":   take("admin_token", "guess"),
		"a replayed challenge": take("signature", alice.sign("register::1:"+alice.public())),
	} {
		if r["code"] != protocol.CodeSignatureRequired {
			t.Errorf("%s: %v", name, r)
		}
	}
	if e.machine.Root().Digest() != before {
		t.Error("something changed")
	}
	if r := alice.registerWith("ta"); r["type"] != "register_ok" || r["external_id"] != "alice@corp" {
		t.Errorf("the same token again: %v", r)
	}
	// Alice herself may become somebody else, with a signed request.
	if r := alice.send(alice.seal(0, map[string]any{"type": "register", "public_key": alice.public(), "identity_token": "tm"}, nil)); r["external_id"] != "mallory@corp" {
		t.Errorf("a signed request: %v", r)
	}
	if counted != 0 {
		t.Errorf("%d registrations counted as unsigned identities", counted)
	}
}

func TestUnsignedIdentityIsCounted(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		e := newEngine(t)
		counted := 0
		c := newClient(t, e, gateway.Config{Policy: gateway.Policy{UnsignedIdentity: allowed}, Outside: gateway.Outside{Webhook: people(map[string]string{"ta": "alice@corp", "tm": "mallory@corp"})}, Metrics: counting{identity: func() { counted++ }}})
		c.register()
		c.configure(protocol.IDPSAML, "https://hook.example/verify")
		r := c.registerWith("ta")
		if got := r["external_id"] == "alice@corp"; got != allowed || !allowed && r["code"] != protocol.CodeSignatureRequired {
			t.Errorf("allowed %t: %v", allowed, r)
		}
		if allowed {
			c.registerWith("ta")
			if r := c.registerWith("tm"); r["code"] != protocol.CodeSignatureRequired {
				t.Errorf("another person: %v", r)
			}
		}
		if want := map[bool]int{true: 1}[allowed]; counted != want {
			t.Errorf("allowed %t: counted %d, want %d", allowed, counted, want)
		}
	}
}

// A stranger who knows a request id does not get what its owner was answered.
func TestStrangerCannotReadAPollByItsRequestID(t *testing.T) {
	e := newEngine(t)
	alice := newClient(t, e, gateway.Config{})
	bob := alice.stranger()
	a, b := alice.register(), bob.register()
	if r := bob.call(map[string]any{"type": "request_handshake", "from_node_id": b, "to_node_id": a, "justification": "the code is 4711",
		"signature": bob.sign(fmt.Sprintf("handshake:%d:%d", b, a))}); r["type"] != "request_handshake_ok" {
		t.Fatal(r)
	}
	poll := map[string]any{"type": "poll_handshakes", "node_id": a, "request_id": "poll-1"}
	sealed := alice.seal(a, poll, nil)
	first := alice.send(sealed)
	if rs, _ := first["requests"].([]any); len(rs) != 1 {
		t.Fatal(first)
	}
	tagged := map[string]any{"type": "set_tags", "node_id": a, "tags": []string{"x"}, "request_id": "tag-1"}
	if r := alice.send(alice.seal(a, tagged, nil)); r["type"] != "set_tags_ok" {
		t.Fatal(r)
	}
	for _, c := range []*client{alice, bob} { // also from the machine that asked
		for _, f := range []map[string]any{poll, tagged} {
			if r := c.call(f); r["code"] != protocol.CodeSignatureRequired {
				t.Errorf("unsigned %s: %v", f["type"], r)
			}
			f["signature"] = bob.sign("something")
			if r := c.call(f); r["code"] != protocol.CodeSignatureInvalid {
				t.Errorf("wrongly signed %s: %v", f["type"], r)
			}
			delete(f, "signature")
		}
	}
	if r := bob.send(sealed); r["replayed"] != true { // a signed request proves itself
		t.Error(r)
	}
	if r := alice.send(alice.seal(a, poll, func(s *protocol.Signed) { s.Nonce = "ffffffffffffffffffffffffffffffff" })); r["replayed"] != true || fmt.Sprint(r["requests"]) != fmt.Sprint(first["requests"]) {
		t.Errorf("signed again: %v", r)
	}
}

// A rotation whose reply was lost is answered when it is sent again, in both
// forms of signature, although its key is not the node's any more.
func TestARotationWhoseReplyWasLostIsAnsweredAgain(t *testing.T) {
	for _, form := range []string{"challenge", "signed request"} {
		e := newEngine(t)
		c := newClient(t, e, gateway.Config{})
		id := c.register()
		next := newClient(t, e, gateway.Config{})
		f := map[string]any{"type": "rotate_key", "node_id": id, "new_public_key": next.public(), "request_id": "r"}
		if form == "challenge" {
			f["signature"] = c.sign(fmt.Sprintf("rotate:%d", id))
		}
		sealed := c.seal(id, f, nil)
		send := func() map[string]any {
			if form == "challenge" {
				return c.call(f)
			}
			return c.send(sealed)
		}
		first := send()
		e.catchUp()
		again := send()
		if first["type"] != "rotate_key_ok" || again["replayed"] != true || again["index"] != first["index"] || again["public_key"] != next.public() {
			t.Errorf("%s: first %v, again %v", form, first, again)
		}
		// The old key stands for that request and for nothing else.
		other := map[string]any{"type": "rotate_key", "node_id": id, "new_public_key": c.public(), "request_id": "s", "signature": c.sign(fmt.Sprintf("rotate:%d", id))}
		if r := c.call(other); r["code"] != protocol.CodeSignatureInvalid {
			t.Errorf("%s: the old key rotates back: %v", form, r)
		}
		other["request_id"] = "r"
		if r := c.call(other); !slices.Contains([]any{protocol.CodeSignatureInvalid, protocol.CodeRequestIDReused}, r["code"]) {
			t.Errorf("%s: the old key rotates back under the old id: %v", form, r)
		}
	}
}
