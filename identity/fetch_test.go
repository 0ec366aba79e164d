// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// serve answers by path; what it does not know is 404. {base} in a text is
// the server's URL.
func serve(t *testing.T, pages map[string]string) string {
	t.Helper()
	var base string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(strings.ReplaceAll(page, "{base}", base)))
	}))
	base = s.URL
	t.Cleanup(s.Close)
	return base
}

func fetcher(t *testing.T) *identity.Fetcher {
	g := &identity.URLGuard{AllowLoopback: true}
	client := g.NewHTTPClient(identity.ClientOptions{Timeout: 10 * time.Second})
	t.Cleanup(client.CloseIdleConnections)
	return &identity.Fetcher{Guard: g, Client: client}
}

// TestFetch: where keys may be, and what is not taken for them.
func TestFetch(t *testing.T) {
	keysDoc := string(document(jwkOf("RSA", "k")))
	const wk = "/.well-known/openid-configuration"
	for _, c := range []struct {
		name         string
		pages        map[string]string
		path, issuer string
		from, want   string
	}{
		{"the key set", map[string]string{"/keys": keysDoc}, "/keys", "", "/keys", ""},
		{"the issuer", map[string]string{wk: `{"issuer":"{base}","jwks_uri":"{base}/keys"}`, "/keys": keysDoc}, "", "{base}", "/keys", ""},
		{"the issuer with a slash", map[string]string{wk: `{"issuer":"{base}/","jwks_uri":"{base}/keys"}`, "/keys": keysDoc}, "/", "{base}/", "/keys", ""},
		{"an issuer with a page of its own", map[string]string{"/t": "<html>", "/t" + wk: `{"issuer":"{base}/t","jwks_uri":"{base}/keys"}`, "/keys": keysDoc}, "/t", "", "/keys", ""},
		{"the discovery document", map[string]string{wk: `{"issuer":"{base}","jwks_uri":"{base}/keys"}`, "/keys": keysDoc}, wk, "", "/keys", ""},
		{"a configured issuer elsewhere", map[string]string{wk: `{"issuer":"https://sts.test/x","jwks_uri":"{base}/keys"}`, "/keys": keysDoc}, wk, "https://sts.test/x", "/keys", ""},
		{"another issuer", map[string]string{wk: `{"issuer":"https://evil.test","jwks_uri":"{base}/keys"}`, "/keys": keysDoc}, wk, "{base}", "", `JWKS: the discovery document is of issuer "https://evil.test", want "http://127.0.0.1*`},
		{"another issuer, none configured", map[string]string{wk: `{"issuer":"https://evil.test","jwks_uri":"{base}/keys"}`}, "", "", "", `JWKS: the discovery document is of issuer "https://evil.test", which does not match its URL; set the issuer`},
		{"metadata as jwks_uri", map[string]string{wk: `{"issuer":"{base}","jwks_uri":"http://169.254.169.254/keys"}`}, wk, "", "", "JWKS: jwks_uri: URL cannot target link-local address 169.254.169.254"},
		{"private jwks_uri", map[string]string{wk: `{"issuer":"{base}","jwks_uri":"http://10.0.0.1/keys"}`}, wk, "", "", "JWKS: jwks_uri: URL cannot be called: 10.0.0.1 is a private address*"},
		{"discovery that leads to discovery", map[string]string{wk: `{"issuer":"{base}","jwks_uri":"{base}` + wk + `"}`}, wk, "", "", `JWKS: parse JWKS: the document has no member "keys"`},
		{"nothing", nil, "/keys", "", "", "JWKS: JWKS endpoint returned status 404"},
		{"a page", map[string]string{"/keys": "<html>"}, "/keys", "", "", `JWKS: the document is neither a key set nor a discovery document: it is not JSON: line 1, column 1 has "<" where that cannot be`},
		{"another document", map[string]string{"/keys": "{}"}, "/keys", "", "", "JWKS: the document is neither a key set nor a discovery document"},
		{"cut off", map[string]string{"/keys": keysDoc[:40]}, "/keys", "", "", "JWKS: the document is neither a key set nor a discovery document: it ends too early; was it cut off?"},
		{"oversize", map[string]string{"/keys": keysDoc + strings.Repeat(" ", identity.MaxJWKSBytes)}, "/keys", "", "", "JWKS: the document is longer than 1048576 bytes"},
		{"no usable key", map[string]string{"/keys": string(document(jwkOf("oct", "k")))}, "/keys", "", "", "JWKS: the key set has no usable key: *"},
	} {
		base := serve(t, c.pages)
		set, from, e := fetcher(t).FetchJWKS(context.Background(), base+c.path, strings.ReplaceAll(c.issuer, "{base}", base), false)
		if e != nil {
			expect(t, c.name, e.Text, c.want)
			if e.Code != protocol.CodeJWKS || e.Outcome != protocol.OutcomeNotApplied {
				t.Errorf("%s: %+v", c.name, e)
			}
			continue
		}
		if c.want != "" || from != base+c.from || set.Find("k") == nil {
			t.Errorf("%s: got keys from %s, want %q", c.name, from, c.want)
		}
	}
}

// TestFetchKeepsHTTPS: discovery cannot lead from https to http.
func TestFetchKeepsHTTPS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"issuer":"https://x.test","jwks_uri":"http://x.test/keys"}`))
	}))
	defer s.Close()
	f := &identity.Fetcher{Guard: &identity.URLGuard{AllowLoopback: true}, Client: s.Client()}
	_, _, e := f.FetchJWKS(context.Background(), s.URL, "https://x.test", false)
	if e == nil || e.Text != "JWKS: the discovery document names a jwks_uri without https" {
		t.Error(e)
	}
}

// TestFetchServerError: a provider that is down is not asked for discovery too.
func TestFetchServerError(t *testing.T) {
	hits := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits++
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer s.Close()
	_, _, e := fetcher(t).FetchJWKS(context.Background(), s.URL+"/keys?secret=hunter2", "", false)
	if e == nil || e.Text != "JWKS: JWKS endpoint returned status 502" || hits != 1 {
		t.Errorf("%v after %d calls", e, hits)
	}
	s.Close()
	_, _, e = fetcher(t).FetchJWKS(context.Background(), s.URL+"/keys?secret=hunter2", "", false)
	if e == nil || !strings.HasPrefix(e.Text, "JWKS: fetch JWKS: dial tcp 127.0.0.1:") || strings.Contains(e.Text, "hunter2") {
		t.Error(e)
	}
}

// TestWebhook: what the service may say, and what becomes of it.
func TestWebhook(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		status       int
		id, code     string
		want         string
	}{
		{"verified", `{"verified":true,"external_id":"alice@example.com"}`, 200, "alice@example.com", "", ""},
		{"no", `{"verified":false,"error":"token expired"}`, 200, "", protocol.CodeIdentityRejected, "identity verification rejected: token expired"},
		{"no, without a word", `{"verified":false}`, 200, "", protocol.CodeIdentityRejected, "identity verification rejected: token not verified"},
		{"no, with control characters", `{"verified":false,"error":"a\r\nb\u001b[2Jc\u202ed\u0000"}`, 200, "", protocol.CodeIdentityRejected, "identity verification rejected: a  b[2Jcd"},
		{"no, at length", `{"verified":false,"error":"` + strings.Repeat("é", 300) + `"}`, 200, "", protocol.CodeIdentityRejected, "identity verification rejected: " + strings.Repeat("é", 128)},
		{"empty id", `{"verified":true}`, 200, "", protocol.CodeIdentityFailed, "identity webhook returned empty external_id"},
		{"long id", `{"verified":true,"external_id":"` + strings.Repeat("a", 1025) + `"}`, 200, "", protocol.CodeTooLarge, "external identity too long (max 1024 bytes)"},
		{"unprintable id", `{"verified":true,"external_id":"a\nb"}`, 200, "", protocol.CodeInvalid, "invalid external identity: it contains characters that do not print"},
		{"blank id", `{"verified":true,"external_id":" \u00a0 "}`, 200, "", protocol.CodeInvalid, "invalid external identity: it is blank, and names nobody"},
		{"said twice", `{"verified":false,"external_id":"root","verified":true}`, 200, "", protocol.CodeIdentityFailed, "parse identity response: it has \"verified\" twice"},
		{"verified as text", `{"verified":"true","external_id":"root"}`, 200, "", protocol.CodeIdentityFailed, `parse identity response: "verified" wants true or false, not a text`},
		{"no JSON", `OK`, 200, "", protocol.CodeIdentityFailed, "parse identity response: it is not JSON: line 1, column 1 has \"O\" where that cannot be"},
		{"nothing", ``, 200, "", protocol.CodeIdentityFailed, "parse identity response: it is empty"},
		{"too long", `{"verified":true,"external_id":"root"}` + strings.Repeat(" ", 4096), 200, "", protocol.CodeIdentityFailed, "parse identity response: longer than 4096 bytes"},
		{"created", `{"verified":true,"external_id":"root"}`, 201, "", protocol.CodeIdentityFailed, "identity webhook returned status 201"},
		{"error", `{"verified":true,"external_id":"root"}`, 500, "", protocol.CodeIdentityFailed, "identity webhook returned status 500"},
	} {
		var asked []string
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var body strings.Builder
			buf := make([]byte, 1024)
			for {
				n, err := r.Body.Read(buf)
				body.Write(buf[:n])
				if err != nil {
					break
				}
			}
			asked = append(asked, r.Method+" "+r.Header.Get("Content-Type")+" "+r.Header.Get("Authorization")+body.String())
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.answer))
		}))
		f := fetcher(t)
		id, e := (&identity.Webhook{Guard: f.Guard, Client: f.Client}).Verify(context.Background(), s.URL, `the "token"`)
		s.Close()
		if e == nil {
			e = &protocol.Error{}
		}
		expect(t, c.name, e.Text, c.want)
		if e.Code != c.code || (e.Code == "" && id != c.id) {
			t.Errorf("%s: id %q, code %s", c.name, id, e.Code)
		}
		if len(asked) != 1 || asked[0] != `POST application/json {"token":"the \"token\""}` {
			t.Errorf("%s: asked %q", c.name, asked)
		}
	}
}

// TestWebhookFailureNamesNoURL: the URL and the token may be secret.
func TestWebhookFailureNamesNoURL(t *testing.T) {
	w := &identity.Webhook{Guard: new(identity.URLGuard), Client: new(identity.URLGuard).NewHTTPClient(identity.ClientOptions{Timeout: time.Second})}
	_, e := w.Verify(context.Background(), "http://127.0.0.1/?key=hunter2", "hunter3")
	if e == nil || e.Code != protocol.CodeIdentityFailed || strings.Contains(e.Text, "hunter") || !strings.Contains(e.Text, "outbound.allow_targets") {
		t.Error(e)
	}
}
