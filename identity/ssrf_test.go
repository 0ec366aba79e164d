// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func targets(t testing.TB, list ...string) identity.Targets {
	t.Helper()
	out, err := identity.ParseTargets(list)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestGuardText: what the text of a URL already shows.
func TestGuardText(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{"https://idp.example.com/keys", ""},
		{"http://93.184.216.34:8080/", ""},
		{"https://[2606:2800:220:1::1]/", ""},
		{"ftp://idp.test", `u: URL must use http or https scheme, got "ftp"`},
		{"file:///etc/passwd", `u: URL must use http or https scheme, got "file"`},
		{"idp.test/keys", `u: URL must use http or https scheme, got ""`},
		{"", `u: URL must use http or https scheme, got ""`},
		{"https://", "u: URL must have a host"},
		{"https:///keys", "u: URL must have a host"},
		{"http://:80/", "u: URL must have a host"},
		{"http://a b/", `u: invalid URL: invalid character " " in host name`},
		{"http://user:hunter2@idp.test/", "u: invalid URL: it must not contain a user name or password; URLs are shown and logged"},
		{"http://idp.test:0/", "u: invalid URL: port 0 does not exist"},
		{"http://idp.test:99999/", "u: invalid URL: port 99999 does not exist"},
		{"http://2130706433/", "u: invalid URL: host 2130706433 is neither a name nor an IP address"},
		{"http://0x7f.1/", "u: invalid URL: host 0x7f.1 is neither a name nor an IP address"},
		{"http://0177.0.0.1/", "u: invalid URL: host 0177.0.0.1 is neither a name nor an IP address"},
		{"http://127.1/", "u: invalid URL: host 127.1 is neither a name nor an IP address"},
		{"http://169.254.169.254/latest", "u: URL cannot target link-local address 169.254.169.254"},
		{"http://[fe80::1%25eth0]/", "u: URL cannot target link-local address fe80::1%eth0"},
		{"http://[::ffff:169.254.169.254]/", "u: URL cannot target link-local address ::ffff:169.254.169.254"},
		{"http://224.0.0.1/", "u: URL cannot target link-local address 224.0.0.1"},
		{"http://[ff02::1]/", "u: URL cannot target link-local address ff02::1"},
		{"http://metadata.google.internal/", "u: URL cannot target cloud metadata endpoint metadata.google.internal"},
		{"http://METADATA.google.internal./", "u: URL cannot target cloud metadata endpoint METADATA.google.internal."},
		{"http://instance-data-service.ec2.internal/", "u: URL cannot target cloud metadata endpoint instance-data-service.ec2.internal"},
		{"http://127.0.0.1/", "u: URL cannot be called: 127.0.0.1 is a loopback address; *"},
		{"http://localhost:8080/", "u: URL cannot be called: localhost resolves to 127.0.0.1, which is a loopback address; *"},
		{"http://x.localhost./", "u: URL cannot be called: x.localhost resolves to 127.0.0.1, which is a loopback address; *"},
		{"http://[::1]/", "u: URL cannot be called: ::1 is a loopback address; *"},
		{"http://[::ffff:127.0.0.1]/", "u: URL cannot be called: 127.0.0.1 is a loopback address; *"},
		{"http://[64:ff9b::7f00:1]/", "u: URL cannot be called: 127.0.0.1 is a loopback address; *"},
		{"http://[2002:a00:1::]/", "u: URL cannot be called: 10.0.0.1 is a private address; *"},
		{"http://0.0.0.0/", "u: URL cannot be called: 0.0.0.0 is an unspecified address; *"},
		{"http://[::]/", "u: URL cannot be called: :: is an unspecified address; *"},
		{"http://10.1.2.3/", "u: URL cannot be called: 10.1.2.3 is a private address; *"},
		{"http://172.31.0.1/", "u: URL cannot be called: 172.31.0.1 is a private address; *"},
		{"http://192.168.0.1/", "u: URL cannot be called: 192.168.0.1 is a private address; *"},
		{"http://100.64.0.1/", "u: URL cannot be called: 100.64.0.1 is a private address; *"},
		{"http://[fd12::1]/", "u: URL cannot be called: fd12::1 is a private address; *"},
		{"http://[fd00:ec2::254]/", "u: URL cannot be called: fd00:ec2::254 is a cloud metadata address; *"},
		{"http://239.1.1.1/", "u: URL cannot be called: 239.1.1.1 is a multicast address; *"},
		{"http://255.255.255.255/", "u: URL cannot be called: 255.255.255.255 is a reserved address; *"},
		{"https://idp.test/" + strings.Repeat("a", 2048), "u: URL too long (max 2048 bytes)"},
	} {
		_, e := new(identity.URLGuard).CheckURL("u", c.url)
		got := ""
		if e != nil {
			got = e.Text
			if e.Code != protocol.CodeURLRefused {
				t.Errorf("%s: code %s", c.url, e.Code)
			}
		}
		expect(t, c.url, got, c.want)
		if strings.Contains(got, "hunter2") {
			t.Errorf("%s: the refusal quotes the password", c.url)
		}
	}
}

// TestAllowTargets: what each kind of entry opens, and what it leaves shut.
func TestAllowTargets(t *testing.T) {
	for _, c := range []struct {
		allow, url string
		open       bool
	}{
		{"10.0.0.0/8", "http://10.1.2.3/", true},
		{"10.0.0.0/8", "http://[::ffff:10.1.2.3]/", true},
		{"10.0.0.0/8", "http://11.1.2.3/", true}, // public anyway
		{"10.0.0.0/8", "http://192.168.1.1/", false},
		{"10.1.2.3", "http://10.1.2.3:99/", true},
		{"10.1.2.3:443", "https://10.1.2.3/", true},
		{"10.1.2.3:443", "http://10.1.2.3/", false},
		{"[fd12::1]:443", "https://[fd12::1]/", true},
		{"::ffff:10.1.2.3", "http://10.1.2.3/", true},
		{"localhost", "http://localhost:99/", true},
		{"localhost:98", "http://localhost:99/", false},
		{"0.0.0.0/0", "http://127.0.0.1/", true},
		{"0.0.0.0/0", "http://169.254.1.1/", true},
		{"0.0.0.0/0", "http://169.254.169.254/", false},
		{"169.254.169.254/32", "http://169.254.169.254/", false},
		{"169.254.169.254", "http://169.254.169.254/", true},
		{"fd00::/8", "http://[fd00:ec2::254]/", false},
		{"fd00:ec2::254", "http://[fd00:ec2::254]/", true},
		{"metadata.google.internal", "http://metadata.google.internal/", true},
		{"google.internal", "http://metadata.google.internal/", false},
	} {
		g := &identity.URLGuard{Allow: targets(t, c.allow)}
		if _, e := g.CheckURL("", c.url); (e == nil) != c.open {
			t.Errorf("allow %s: %s: %v", c.allow, c.url, e)
		}
	}
	for _, bad := range []string{"", "http://a", "10.0.0.0/33", "a:b", "a:0", "a:99999", "a b", "[::1", "user@host", "*.corp"} {
		if _, err := identity.ParseTargets([]string{bad}); err == nil {
			t.Errorf("allow_targets entry %q was accepted", bad)
		}
	}
}

// call fetches a URL through a guarded client and says how the guard stopped it.
func call(g *identity.URLGuard, url string) (status int, blocked *identity.BlockedError, err error) {
	client := g.NewHTTPClient(identity.ClientOptions{Timeout: 10 * time.Second})
	defer client.CloseIdleConnections()
	res, err := client.Get(url)
	if err != nil {
		errors.As(err, &blocked)
		return 0, blocked, err
	}
	res.Body.Close()
	return res.StatusCode, nil, nil
}

// TestRebinding: a name is judged by the address that is dialled, whatever it
// resolved to before.
func TestRebinding(t *testing.T) {
	for _, c := range []struct{ to, kind string }{
		{"127.0.0.1", "a loopback address"}, {"127.9.9.9", "a loopback address"}, {"::1", "a loopback address"},
		{"::ffff:127.0.0.1", "a loopback address"}, {"::ffff:169.254.169.254", "a cloud metadata address"}, {"::ffff:10.0.0.1", "a private address"},
		{"64:ff9b::a9fe:a9fe", "a cloud metadata address"}, {"::7f00:1", "a loopback address"},
		{"169.254.169.254", "a cloud metadata address"}, {"169.254.7.7", "a link-local address"}, {"fe80::1", "a link-local address"},
		{"fd00:ec2::254", "a cloud metadata address"}, {"100.100.100.200", "a cloud metadata address"},
		{"10.0.0.1", "a private address"}, {"172.16.0.1", "a private address"}, {"192.168.1.1", "a private address"}, {"100.64.0.1", "a private address"},
		{"fd12::1", "a private address"}, {"0.0.0.0", "an unspecified address"}, {"::", "an unspecified address"}, {"239.0.0.1", "a multicast address"},
	} {
		z := &zone{answers: map[string][][]netip.Addr{"rebind.test.": {addrs(c.to)}}}
		g := &identity.URLGuard{Resolver: z.resolver()}
		if _, e := g.CheckURL("", "http://rebind.test/"); e != nil {
			t.Errorf("the name alone was refused: %v", e)
		}
		_, blocked, err := call(g, "http://rebind.test/")
		if blocked == nil || blocked.Kind != c.kind || blocked.Host != "rebind.test" {
			t.Errorf("%s: got %+v (%v), want %s", c.to, blocked, err, c.kind)
		}
	}
}

// TestRebindingBetweenCalls: the first answer is allowed, the second is not.
func TestRebindingBetweenCalls(t *testing.T) {
	var hits atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer s.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	z := &zone{answers: map[string][][]netip.Addr{"rebind.test.": {addrs("127.0.0.1"), addrs("10.0.0.1")}}}
	g := &identity.URLGuard{Resolver: z.resolver(), Allow: targets(t, "127.0.0.1")}
	if status, _, err := call(g, "http://rebind.test:"+port); err != nil || status != http.StatusOK {
		t.Fatalf("first call: %d, %v", status, err)
	}
	if _, blocked, err := call(g, "http://rebind.test:"+port); blocked == nil || blocked.IP != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("second call: %v", err)
	}
	if hits.Load() != 1 {
		t.Errorf("the server was called %d times", hits.Load())
	}
}

// TestAllowedNameIsNoMetadata: a name the operator allows may resolve to
// private addresses, but not to a metadata service.
func TestAllowedNameIsNoMetadata(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	z := &zone{answers: map[string][][]netip.Addr{"siem.corp.": {addrs("127.0.0.1")}, "meta.corp.": {addrs("169.254.169.254")}}}
	g := &identity.URLGuard{Resolver: z.resolver(), Allow: targets(t, "siem.corp:"+port, "meta.corp")}
	if status, _, err := call(g, "http://SIEM.corp:"+port+"/"); err != nil || status != http.StatusOK {
		t.Errorf("siem.corp: %d, %v", status, err)
	}
	if _, blocked, err := call(g, "http://meta.corp/"); blocked == nil {
		t.Errorf("meta.corp: %v", err)
	}
	if _, blocked, err := call(g, "http://siem.corp/"); blocked == nil {
		t.Errorf("siem.corp on another port: %v", err)
	}
}

// TestNoRedirects: a redirect is an answer and not an order, wherever it leads.
func TestNoRedirects(t *testing.T) {
	var hits atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer inside.Close()
	for _, to := range []string{inside.URL, "http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/", "http://metadata.google.internal/", "file:///etc/passwd"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			}))
			g := &identity.URLGuard{AllowLoopback: true}
			if got, _, err := call(g, s.URL); err != nil || got != status {
				t.Errorf("%d to %s: %d, %v", status, to, got, err)
			}
			client := g.NewHTTPClient(identity.ClientOptions{Timeout: 10 * time.Second})
			_, e := (&identity.Webhook{Guard: g, Client: client}).Verify(context.Background(), s.URL, "t")
			if e == nil || !strings.HasPrefix(e.Text, "identity webhook returned status 30") {
				t.Errorf("webhook, %d to %s: %v", status, to, e)
			}
			_, _, e = (&identity.Fetcher{Guard: g, Client: client}).FetchJWKS(context.Background(), s.URL, "", false)
			if e == nil || !strings.HasPrefix(e.Text, "JWKS: JWKS endpoint returned status 30") {
				t.Errorf("fetch, %d to %s: %v", status, to, e)
			}
			client.CloseIdleConnections()
			s.Close()
		}
	}
	if hits.Load() != 0 {
		t.Errorf("redirects were followed %d times", hits.Load())
	}
}
