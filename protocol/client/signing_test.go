// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

const signedServer = `{"type":"cluster_id_ok","cluster_id":"c1","signed_requests":true}`

// opened takes a signed request apart after checking its signature.
func opened(t *testing.T, s seen, cluster string, key protocol.PublicKey) (*protocol.Request, bool) {
	t.Helper()
	raw, err := json.Marshal(s.req)
	if err != nil {
		t.Fatal(err)
	}
	req, err := protocol.ParseRequest(raw)
	if err != nil || req.Malformed != nil {
		t.Fatal(err, req.Malformed)
	}
	if req.Signed == nil {
		return req, false
	}
	signature, err := base64.StdEncoding.DecodeString(string(req.Signed.Signature))
	if err != nil || !ed25519.Verify(key[:], req.Signed.Text(cluster), signature) {
		t.Errorf("%s: the signature does not verify", req.Type)
	}
	return req, true
}

func TestRequestsAreSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := identity(t)
		c := newCluster(&member{addr: "a:1", answer: ok, identity: signedServer})
		cl := c.client(t, client.Options{Identity: id, AdminToken: "t"})
		calls := []func() error{
			func() error { _, err := cl.SetTags(t.Context(), 7, []string{"a"}); return err },
			func() error {
				_, err := cl.SetTags(t.Context(), 7, []string{"a"}, client.WithRequestID("mine"))
				return err
			},
			func() error { _, err := cl.Resolve(t.Context(), 9, 7); return err },
			func() error {
				_, err := cl.Register(t.Context(), protocol.Register{PublicKey: id.PublicKey().String()})
				return err
			},
			func() error { _, err := cl.Lookup(t.Context(), 7); return err },
		}
		for _, call := range calls {
			if err := call(); err != nil {
				t.Fatal(err)
			}
		}
		nonces := map[string]bool{}
		for i, s := range c.requests() {
			req, signed := opened(t, s, "c1", id.PublicKey())
			if signed != (req.Type != "lookup") {
				t.Errorf("%s: signed %v", req.Type, signed)
			}
			if !signed {
				continue
			}
			want := uint32(7)
			if req.Type == "register" {
				want = 0
			}
			if req.Signed.NodeID != want || req.Signed.TS != time.Now().UnixMilli() || nonces[req.Signed.Nonce] {
				t.Errorf("%s: %+v", req.Type, req.Signed)
			}
			nonces[req.Signed.Nonce] = true
			if i == 1 && req.RequestID != "mine" {
				t.Errorf("the caller's request id became %q", req.RequestID)
			}
			if req.Type == "set_tags" && req.AdminToken != "t" {
				t.Error("the admin token was left out")
			}
		}
	})
}

// A request that is sent again is the same to the byte: its nonce is its id.
func TestASignedRequestIsResentAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := identity(t)
		c := newCluster(&member{addr: "a:1", answer: script("", "", `{"type":"set_tags_ok"}`), identity: signedServer})
		cl := c.client(t, client.Options{Identity: id})
		if _, err := cl.SetTags(t.Context(), 7, nil); err != nil {
			t.Fatal(err)
		}
		got := c.requests()
		if len(got) != 3 {
			t.Fatalf("%d sendings", len(got))
		}
		for _, s := range got[1:] {
			for name, v := range got[0].req {
				if s.req[name] != v {
					t.Errorf("%s changed", name)
				}
			}
		}
	})
}

func TestOlderServersGetChallenges(t *testing.T) {
	for name, answer := range map[string]string{
		"a server of the first version": "",
		"the original":                  `{"type":"error","error":"unknown message type: \"cluster_id\""}`,
		"before the upgrade":            `{"type":"cluster_id_ok","cluster_id":"c1","signed_requests":false}`,
		"not initialised":               `{"type":"cluster_id_ok","cluster_id":"","signed_requests":true}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			id := identity(t)
			c := newCluster(&member{addr: "a:1", answer: ok, identity: answer})
			cl := c.client(t, client.Options{Identity: id})
			heartbeat := func() *protocol.Request {
				if _, err := cl.Heartbeat(t.Context(), 7); err != nil {
					t.Fatal(name, err)
				}
				got := c.requests()
				req, _ := opened(t, got[len(got)-1], "c1", id.PublicKey())
				return req
			}
			if req := heartbeat(); req.Signed != nil || req.Signature == "" {
				t.Errorf("%s: %+v", name, req)
			}
			c.set("a:1", func(m *member) { m.identity = signedServer })
			time.Sleep(9 * time.Minute)
			if req := heartbeat(); req.Signed != nil {
				t.Errorf("%s: asked again after nine minutes", name)
			}
			time.Sleep(2 * time.Minute)
			if req := heartbeat(); req.Signed == nil {
				t.Errorf("%s: the upgrade goes unnoticed", name)
			}
		})
	}
}

func TestLegacySignaturesOnRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := identity(t)
		c := newCluster(&member{addr: "a:1", answer: ok, identity: signedServer})
		cl := c.client(t, client.Options{Identity: id, LegacySignatures: true})
		if _, err := cl.Heartbeat(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		if req, signed := opened(t, c.requests()[0], "c1", id.PublicKey()); signed || req.Signature == "" {
			t.Errorf("%+v", req)
		}
	})
}

// A client that knows its cluster asks nobody, and signs nothing else.
func TestAKnownClusterIsNotAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := identity(t)
		c := newCluster(&member{addr: "a:1", answer: ok, record: true})
		cl := c.client(t, client.Options{Identity: id, ClusterID: "c2"})
		if _, err := cl.Heartbeat(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		got := c.requests()
		if req, signed := opened(t, got[0], "c2", id.PublicKey()); len(got) != 1 || !signed || req.Type != "heartbeat" {
			t.Errorf("%d requests, the first %+v", len(got), req)
		}
	})
}

// A cluster that was restored from a backup has another id. A client that was
// bound to the old one asks again, once, and what was refused is signed anew.
func TestARestoredClusterIsLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := identity(t)
		refused := `{"type":"error","error":"signature verification failed","code":"signature_invalid"}`
		c := newCluster(&member{addr: "a:1", answer: script(`{"type":"set_tags_ok"}`, refused, `{"type":"set_tags_ok"}`, refused, refused), identity: signedServer})
		cl := c.client(t, client.Options{Identity: id})
		set := func() error { _, err := cl.SetTags(t.Context(), 7, nil); return err }
		if err := set(); err != nil {
			t.Fatal(err)
		}
		c.set("a:1", func(m *member) { m.identity = `{"type":"cluster_id_ok","cluster_id":"c2","signed_requests":true}` })
		if err := set(); err != nil {
			t.Errorf("after the restore: %v", err)
		}
		got := c.requests()
		for i, cluster := range []string{"c1", "c1", "c2"} {
			opened(t, got[i], cluster, id.PublicKey())
		}
		if err := set(); err == nil || len(c.requests()) != 4 {
			t.Errorf("a signature that the same cluster refuses: %v after %d requests", err, len(c.requests()))
		}
	})
}
