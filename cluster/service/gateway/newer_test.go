// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"crypto/ed25519"
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Both what older and what newer clients sign rotates a key, and a lost reply
// can be had again. What is signed by the newer form covers the new key.
func TestNewerClientsCanRotateTheirKey(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	e.catchUp()
	rotate := func(c *client, next, signed string) map[string]any {
		r := c.call(map[string]any{"type": "rotate_key", "node_id": id, "new_public_key": next, "signature": c.sign(signed)})
		e.catchUp()
		return r
	}
	other := func() *client {
		n := newClient(t, e, gateway.Config{})
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		n.key = key
		return n
	}
	second, third := other(), other()
	newer := func(next string) string { return fmt.Sprintf("rotate:%d:%s", id, next) }
	if r := rotate(c, second.public(), newer(third.public())); r["code"] != protocol.CodeSignatureInvalid {
		t.Fatalf("a signature over another key: %v", r)
	}
	if r := rotate(c, second.public(), newer(second.public())); r["type"] != "rotate_key_ok" {
		t.Fatalf("the newer form: %v", r)
	}
	for _, signed := range []string{newer(second.public()), fmt.Sprintf("rotate:%d", id)} {
		if r := rotate(c, second.public(), signed); r["type"] != "rotate_key_ok" || r["public_key"] != second.public() {
			t.Errorf("again: %v", r)
		}
		if r := rotate(c, third.public(), signed); r["code"] != protocol.CodeSignatureInvalid {
			t.Errorf("the former key brings another one: %v", r)
		}
	}
	if r := rotate(second, third.public(), fmt.Sprintf("rotate:%d", id)); r["type"] != "rotate_key_ok" {
		t.Errorf("the older form: %v", r)
	}
	if r := rotate(c, second.public(), newer(second.public())); r["code"] != protocol.CodeSignatureInvalid {
		t.Errorf("the key before the last: %v", r)
	}
}

// A node whose control connection leaves by another address is dialled where
// it says it is, when it has signed that.
func TestSignedPublicAddressIsKept(t *testing.T) {
	e := newEngine(t)
	for listen, want := range map[string]string{
		"203.0.113.77:4000":      "203.0.113.77:4000",
		"[2001:db8::1]:4000":     "[2001:db8::1]:4000",
		"node.example.net:4000":  "node.example.net:4000",
		"10.0.0.1:4000":          "203.0.113.9:4000",
		"0.0.0.0:4000":           "203.0.113.9:4000",
		"[::ffff:10.0.0.1]:4000": "203.0.113.9:4000",
		"127.0.0.1:4000":         "203.0.113.9:4000",
		"localhost:4000":         "203.0.113.9:4000",
		"169.254.1.1:4000":       "203.0.113.9:4000",
		"0.0.0.0:0":              "203.0.113.9:0",
		":4000":                  "203.0.113.9:4000",
	} {
		c := newClient(t, e, gateway.Config{})
		c.conn.Source = "203.0.113.9:555"
		register := map[string]any{"type": "register", "public_key": c.public(), "listen_addr": listen}
		if r := c.call(register); listen != "0.0.0.0:0" && r["observed_addr"] != "203.0.113.9:4000" {
			t.Errorf("unsigned %s: %v", listen, r)
		}
		register["signature"] = c.sign("register:" + listen + ":" + c.public())
		if r := c.call(register); r["observed_addr"] != want {
			t.Errorf("signed %s: %v, want %s", listen, r, want)
		}
	}
	c := newClient(t, e, gateway.Config{})
	if r := c.send(c.seal(0, map[string]any{"type": "register", "public_key": c.public(), "listen_addr": "203.0.113.77:4000"}, nil)); r["observed_addr"] != "203.0.113.77:4000" {
		t.Errorf("a signed request: %v", r)
	}
}
