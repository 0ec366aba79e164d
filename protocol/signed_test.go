// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

const testNonce = "000102030405060708090a0b0c0d0e0f"

// TestSignedText are the test vectors of signed requests: who implements them
// elsewhere can compare every byte. The key has the seed 00 01 02 … 1f.
func TestSignedText(t *testing.T) {
	t.Parallel()
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = byte(i)
	}
	key := ed25519.NewKeyFromSeed(seed)
	for _, c := range []struct {
		name, cluster string
		signed        protocol.Signed
		text          string // in full, or its SHA-256
		signature     string
	}{
		{
			"heartbeat", "c1", protocol.Signed{NodeID: 7, TS: 1_800_000_000_000, Nonce: testNonce, Payload: `{"type":"heartbeat","node_id":7}`},
			"00000020" + hex.EncodeToString([]byte("pilot registry signed request v2")) +
				"00000002" + hex.EncodeToString([]byte("c1")) + "00000004" + "00000007" + "00000008" + "000001a3185c5000" +
				"00000010" + testNonce + "00000020" + hex.EncodeToString([]byte(`{"type":"heartbeat","node_id":7}`)),
			"ubpEVJlSU73dsQvS4u8P5jQ8vumh8mdcntexpvDDWbNRJBE34cNT//gB2tWRk9HcLbVecX+gr5uJCBwwplBFDw==",
		},
		{
			"registration, text beyond ASCII", "8c7f5b9e-0d3c-4f0e-9f0b-3f6b7c2f1a55",
			protocol.Signed{TS: 1, Nonce: strings.Repeat("f", 32), Payload: `{"type":"register","owner":"zoë","public_key":"A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="}`},
			"c3e06ba08cf30f8c88bd6db5223758ce34bdd17733f503ab0d936c7208db6a0f",
			"bWM1Jn0UxS6FDDmOu5C7vSD4ZxPK/5XlyPw12Es8mCZ4iSWI25nxh9sJ86mAZQKGvwJoA4VNkG3UQZKQD1SyDg==",
		},
	} {
		text := c.signed.Text(c.cluster)
		sum := sha256.Sum256(text)
		if got := hex.EncodeToString(text); got != c.text && hex.EncodeToString(sum[:]) != c.text {
			t.Errorf("%s: text %s", c.name, got)
		}
		if got := base64.StdEncoding.EncodeToString(ed25519.Sign(key, text)); got != c.signature {
			t.Errorf("%s: signature %s", c.name, got)
		}
	}
}

// TestSignedTextIsUnambiguous: moving a byte from one field to the next is another text.
func TestSignedTextIsUnambiguous(t *testing.T) {
	t.Parallel()
	base := protocol.Signed{NodeID: 7, TS: 5, Nonce: testNonce, Payload: "{}"}
	seen := map[string]string{}
	add := func(name, cluster string, change func(*protocol.Signed)) {
		s := base
		change(&s)
		text := string(s.Text(cluster))
		if other, ok := seen[text]; ok {
			t.Errorf("%s signs the same text as %s", name, other)
		}
		seen[text] = name
	}
	add("base", "c1", func(*protocol.Signed) {})
	add("cluster", "c2", func(*protocol.Signed) {})
	add("longer cluster", "c1\x00", func(*protocol.Signed) {})
	add("no cluster", "", func(s *protocol.Signed) { s.Payload = "c1{}" })
	add("node", "c1", func(s *protocol.Signed) { s.NodeID = 8 })
	add("time", "c1", func(s *protocol.Signed) { s.TS = 6 })
	add("nonce", "c1", func(s *protocol.Signed) { s.Nonce = strings.Repeat("0", 32) })
	add("payload", "c1", func(s *protocol.Signed) { s.Payload = "{} " })
}

func TestParseSigned(t *testing.T) {
	t.Parallel()
	good := map[string]any{"type": "signed_request", "payload": `{"type":"heartbeat","node_id":7}`, "node_id": 7, "ts": 5, "nonce": testNonce, "signature": "AAAA"}
	with := func(name string, v any) []byte {
		m := map[string]any{}
		for k, old := range good {
			m[k] = old
		}
		m[name] = v
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	req := parse(t, string(with("extra", 1)))
	if req.Malformed != nil || req.Type != "heartbeat" || req.RequestID != testNonce || req.Signature != "" || req.Signed == nil ||
		req.Signed.NodeID != 7 || req.Signed.TS != 5 || req.Signed.Signature != "AAAA" || protocol.SignerID(req.Command, req.Body) != 7 {
		t.Errorf("%+v", req)
	}
	encoded, err := req.Signed.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if again := parse(t, string(encoded)); !bytes.Equal(again.Signed.Text("c"), req.Signed.Text("c")) || again.Signed.Signature != "AAAA" {
		t.Errorf("%s", encoded)
	}
	if req := parse(t, string(with("payload", `{"type":"heartbeat","request_id":"mine"}`))); req.RequestID != "mine" {
		t.Errorf("the request's own id is lost: %+v", req.Options)
	}
	if req := parse(t, string(with("node_id", nil))); req.Malformed != nil || req.Signed.NodeID != 0 {
		t.Errorf("a registration has no node id: %+v", req.Malformed)
	}
	for _, c := range []struct {
		name string
		raw  []byte
		text string
	}{
		{"node_id text", with("node_id", "7"), "node_id is not a node id"},
		{"node_id fraction", with("node_id", 7.5), "node_id is not a node id"},
		{"node_id beyond", with("node_id", 1<<32), "node_id is not a node id"},
		{"no ts", with("ts", nil), "ts is not a time in Unix milliseconds"},
		{"negative ts", with("ts", -1), "ts is not a time in Unix milliseconds"},
		{"short nonce", with("nonce", testNonce[1:]), "nonce is not 32 lower-case hexadecimal digits"},
		{"upper case nonce", with("nonce", strings.ToUpper(testNonce)), "nonce is not 32 lower-case hexadecimal digits"},
		{"no payload", with("payload", ""), "payload is required: the request as JSON text"},
		{"payload object", with("payload", map[string]any{"type": "heartbeat"}), "payload is required: the request as JSON text"},
		{"payload list", with("payload", "[]"), "payload is not a JSON object"},
		{"payload null", with("payload", "null"), "payload is not a JSON object"},
		{"no signature", with("signature", ""), "signature is required"},
		{"nested", with("payload", string(with("a", 1))), "payload is a signed_request itself"},
		{"two signatures", with("payload", `{"type":"heartbeat","signature":"AAAA"}`), "payload carries another signature; leave it out"},
	} {
		req := parse(t, string(c.raw))
		if req.Malformed == nil || req.Malformed.Text != "invalid signed_request: "+c.text || req.Command != nil {
			t.Errorf("%s: %+v", c.name, req.Malformed)
		}
	}
}

// FuzzParseSigned: a signed request is refused or gives a request whose text can be
// rendered, and survives being sent again.
func FuzzParseSigned(f *testing.F) {
	f.Add(`{"type":"heartbeat","node_id":7}`, 7.0, 5.0, testNonce, "AAAA")
	f.Add(`{"type":"signed_request"}`, -1.0, 1e300, "x", "")
	f.Add("\xff{}", 0.5, 0.0, testNonce, "A")
	f.Fuzz(func(t *testing.T, payload string, node, ts float64, nonce, signature string) {
		raw, err := json.Marshal(map[string]any{"type": "signed_request", "payload": payload, "node_id": node, "ts": ts, "nonce": nonce, "signature": signature})
		if err != nil {
			t.Skip("not a request: ", err)
		}
		req, err := protocol.ParseRequest(raw)
		if err != nil {
			t.Fatal(err)
		}
		if req.Malformed != nil {
			if req.Command != nil || req.Malformed.Code != protocol.CodeInvalid {
				t.Fatalf("%+v", req)
			}
			return
		}
		again, err := req.Signed.Encode()
		if err != nil {
			t.Fatal(err)
		}
		second, err := protocol.ParseRequest(again)
		if err != nil || second.Malformed != nil || !bytes.Equal(second.Signed.Text("c"), req.Signed.Text("c")) || second.Type != req.Type || second.RequestID != req.RequestID {
			t.Fatalf("%s became %s: %v", raw, again, err)
		}
	})
}
