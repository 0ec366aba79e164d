// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// dialAll connects to every member, the leader last.
func dialAll(t *testing.T, c *harness.Cluster) []*harness.Wire {
	t.Helper()
	r, err := c.Ready()
	if err != nil {
		t.Fatal(err)
	}
	var followers, leader []*harness.Wire
	for _, n := range r.Nodes {
		w, err := harness.Dial(n.Wire)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Close() })
		if n.ID == r.Leader {
			leader = append(leader, w)
		} else {
			followers = append(followers, w)
		}
	}
	return append(followers, leader...)
}

func call(t *testing.T, w *harness.Wire, fields map[string]any) map[string]any {
	t.Helper()
	reply, err := w.Call(fields)
	if err != nil {
		t.Fatalf("%v: %v", fields["type"], err)
	}
	return reply
}

// envelope signs a request for a cluster.
func envelope(t *testing.T, a harness.Agent, cluster string, at time.Time, fields map[string]any) map[string]any {
	t.Helper()
	payload, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	s := protocol.Signed{NodeID: a.ID, TS: at.UnixMilli(), Nonce: fmt.Sprintf("%032x", at.UnixNano()), Payload: string(payload)}
	return map[string]any{"type": protocol.TypeSigned, "payload": s.Payload, "node_id": s.NodeID, "ts": s.TS, "nonce": s.Nonce,
		"signature": a.Sign(string(s.Text(cluster)))}
}

// A signed request counts once, whichever members it is sent to.
func TestSignedRequestsThroughEveryMember(t *testing.T) {
	c := sharedCluster(t)
	wires := dialAll(t, c)
	hello := call(t, wires[0], map[string]any{"type": "cluster_id"})
	cluster, _ := hello["cluster_id"].(string)
	if cluster == "" || hello["signed_requests"] != true {
		t.Fatal(hello)
	}
	a, err := wires[0].Register()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	first := envelope(t, a, cluster, now, map[string]any{"type": "set_tags", "node_id": a.ID, "tags": []string{"first"}})
	if r := call(t, wires[0], first); r["type"] != "set_tags_ok" || r["replayed"] == true {
		t.Fatal(r)
	}
	second := envelope(t, a, cluster, now.Add(1), map[string]any{"type": "set_tags", "node_id": a.ID, "tags": []string{"second"}})
	if r := call(t, wires[1], second); r["type"] != "set_tags_ok" {
		t.Fatal(r)
	}
	for i, w := range wires {
		if r := call(t, w, first); r["replayed"] != true {
			t.Errorf("member %d: a replay: %v", i, r)
		}
		if r := call(t, w, map[string]any{"type": "lookup", "node_id": a.ID}); fmt.Sprint(r["tags"]) != "[second]" {
			t.Errorf("member %d: the replay had an effect: %v", i, r)
		}
		read := map[string]any{"type": "poll_invites", "node_id": a.ID}
		if r := call(t, w, envelope(t, a, cluster, time.Now(), read)); r["type"] != "poll_invites_ok" {
			t.Errorf("member %d: a signed read: %v", i, r)
		}
		for name, wrong := range map[string]map[string]any{
			protocol.CodeSignatureExpired: envelope(t, a, cluster, now.Add(-6*time.Minute), read),
			protocol.CodeSignatureInvalid: envelope(t, a, "another", now, read),
		} {
			if r := call(t, w, wrong); r["code"] != name {
				t.Errorf("member %d: got %v, want %s", i, r, name)
			}
		}
	}
}

// provider is an OIDC provider with one Ed25519 key.
func provider(t *testing.T) (url string, token func(claims string) string) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	b64 := base64.RawURLEncoding.EncodeToString
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, s.URL, s.URL+"/keys")
		case "/keys":
			fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":%q}]}`, b64(key.Public().(ed25519.PublicKey)))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, func(claims string) string {
		input := b64([]byte(`{"alg":"EdDSA","kid":"k"}`)) + "." + b64([]byte(claims))
		return input + "." + b64(ed25519.Sign(key, []byte(input)))
	}
}

// Every member verifies the tokens of the configured provider by the same keys.
func TestIdentityTokensThroughEveryMember(t *testing.T) {
	c := harness.Start(t, harness.Options{})
	wires := dialAll(t, c)
	issuer, token := provider(t)
	r := call(t, wires[0], map[string]any{"type": "set_idp_config", "provider_type": "oidc", "url": issuer, "issuer": issuer, "client_id": "registry", "admin_token": c.AdminToken})
	if r["type"] != "set_idp_config_ok" || r["status"] != "enabled" {
		t.Fatal(r)
	}
	claims := func(aud string) string {
		return fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"alice@example.com","exp":%d.5}`, issuer, aud, time.Now().Unix()+300)
	}
	for i, w := range wires {
		a, err := harness.NewAgent()
		if err != nil {
			t.Fatal(err)
		}
		register := map[string]any{"type": "register", "listen_addr": ":4000", "public_key": a.PublicKey(), "hostname": "NOT VALID", "identity_token": token(claims("registry"))}
		if r := call(t, w, register); r["external_id"] != "alice@example.com" || r["hostname_error"] == nil {
			t.Errorf("member %d: register: %v", i, r)
		}
		register["identity_token"] = token(claims("another"))
		if r := call(t, w, register); r["code"] != protocol.CodeIdentityRejected || !strings.Contains(fmt.Sprint(r["error"]), "audience mismatch") {
			t.Errorf("member %d: a token for somebody else: %v", i, r)
		}
		validate := map[string]any{"type": "validate_token", "token": token(claims("registry")), "admin_token": c.AdminToken}
		if r := call(t, w, validate); r["verified"] != true || r["subject"] != "alice@example.com" || r["issuer"] != issuer {
			t.Errorf("member %d: validate_token: %v", i, r)
		}
		metadata := map[string]any{"type": "set_idp_config", "idp_type": "oidc", "url": "http://169.254.169.254/keys", "admin_token": c.AdminToken}
		if r := call(t, w, metadata); r["code"] != protocol.CodeURLRefused {
			t.Errorf("member %d: a metadata service as provider: %v", i, r)
		}
	}
}
