// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// serveTenant serves a provider where the product page has Microsoft's:
// issuer and key set at paths of a tenant.
func serveTenant(t *testing.T, ca *authority) (base string, p *idp) {
	t.Helper()
	mux := http.NewServeMux()
	base = ca.serve(mux)
	p = newIDP(t, base+"/tenant/v2.0")
	mux.Handle("/tenant/v2.0/", http.StripPrefix("/tenant/v2.0", p.handler))
	mux.Handle("/tenant/.well-known/jwks", http.StripPrefix("/tenant", p.handler))
	return base, p
}

// The page's requests, with the host of the provider made local.
const (
	pageSetIDP = `{
"type": "set_idp_config",
"admin_token": "$TOKEN",
"provider_type": "oidc",
"url": "https://login.microsoftonline.com/tenant/.well-known/jwks",
"issuer": "https://login.microsoftonline.com/tenant/v2.0",
"client_id": "your-app-client-id"
}`
	pageValidate = `{
"type": "validate_token",
"admin_token": "$TOKEN",
"token": "eyJhbGciOiJSUzI1NiI..."
}`
	pageHost, pageToken, pageAudience = "https://login.microsoftonline.com", "eyJhbGciOiJSUzI1NiI...", "your-app-client-id"
)

// A provider that others run in earnest issues the tokens; the registry is
// told of it in the page's words, and then by its issuer alone.
func TestExampleOIDC(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	base, provider := serveTenant(t, ca)
	c := harness.Start(t, harness.Options{Set: []string{"outbound.ca_file=" + ca.File}})
	w := follower(t, c)
	configure := strings.ReplaceAll(pageSetIDP, pageHost, base)
	issuer := base + "/tenant/v2.0"
	byIssuer := strings.Replace(configure, base+"/tenant/.well-known/jwks", issuer, 1)
	for name, request := range map[string]string{"the page's key set": configure, "the issuer": byIssuer} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			if r := w.send(request); r["type"] != "set_idp_config_ok" || r["status"] != "enabled" {
				t.Fatal(r)
			}
			w.verifies(provider, issuer)
			w.joins(provider)
		})
	}
	t.Run("a new key", func(t *testing.T) {
		onlyE2E(t, "keys are fetched at most once a minute")
		w.in(t).rotates(provider)
	})
}

// verifies sends the page's validate_token, as it is and with tokens of the provider.
func (s *sender) verifies(p *idp, issuer string) {
	s.t.Helper()
	if r := s.try(pageValidate); r["verified"] == true {
		s.t.Errorf("the page's abbreviated token: %v", r)
	}
	validate := func(token string) map[string]any { return s.try(strings.Replace(pageValidate, pageToken, token, 1)) }
	r := validate(p.token("alice@acme.com", pageAudience, time.Hour))
	if r["type"] != "validate_token_ok" || r["verified"] != true || r["subject"] != "alice@acme.com" || r["issuer"] != issuer {
		s.t.Errorf("a good token: %v", r)
	}
	for what, token := range badTokens(s.t, p, issuer) {
		if r := validate(token); r["verified"] == true {
			s.t.Errorf("%s: %v", what, r)
		}
		r := s.try(`{"type":"register","listen_addr":":4000","identity_token":"` + token + `",` + newcomer(s.t) + `}`)
		if r["type"] != "error" || r["node_id"] != nil {
			s.t.Errorf("a registration with %s: %v", what, r)
		}
	}
}

// badTokens are tokens of the provider that must not count, and one of a
// provider that claims to be it.
func badTokens(t *testing.T, p *idp, issuer string) map[string]string {
	t.Helper()
	good := p.token("alice@acme.com", pageAudience, time.Hour)
	head, signature := good[:strings.LastIndex(good, ".")], good[strings.LastIndex(good, "."):]
	other := p.token("mallory@acme.com", pageAudience, time.Hour)
	return map[string]string{
		"a token of a forger":                 newIDP(t, issuer).token("alice@acme.com", pageAudience, time.Hour),
		"an expired token":                    p.token("alice@acme.com", pageAudience, -2*time.Minute),
		"a token for another audience":        p.token("alice@acme.com", "somebody-else", time.Hour),
		"a token with another's claims":       other[:strings.LastIndex(other, ".")] + signature,
		"a token without its signature":       head + ".",
		"a token of another issuer, our keys": p.as(t, "https://elsewhere.example").token("alice@acme.com", pageAudience, time.Hour),
	}
}

// as is a provider with the same keys under another name.
func (p *idp) as(t *testing.T, issuer string) *idp {
	t.Helper()
	other := newIDP(t, issuer)
	p.mu.Lock()
	defer p.mu.Unlock()
	other.keys = p.keys
	return other
}

// joins registers a node with a token and sees that it gets the role that was
// assigned to its external id before.
func (s *sender) joins(p *idp) {
	s.t.Helper()
	person := fmt.Sprintf("bob-%d@acme.com", time.Now().UnixNano())
	network := s.send(fmt.Sprintf(`{"type":"provision_network","admin_token":"$TOKEN","blueprint":{"name":"%s","join_rule":"open","enterprise":true,"roles":[{"external_id":%q,"role":"admin"}]}}`,
		strings.ReplaceAll(strings.TrimSuffix(person, "@acme.com"), "@", "-"), person))["network_id"]
	a, err := harness.NewAgent()
	if err != nil {
		s.t.Fatal(err)
	}
	r := s.send(fmt.Sprintf(`{"type":"register","listen_addr":":4000","public_key":%q,"identity_token":%q}`, a.PublicKey(), p.token(person, pageAudience, time.Hour)))
	if r["external_id"] != person {
		s.t.Fatalf("the registration got %v", r)
	}
	id := fmt.Sprintf("%.0f", r["node_id"])
	if r := s.send(`{"type":"get_identity","admin_token":"$TOKEN","node_id":` + id + `}`); r["external_id"] != person {
		s.t.Errorf("get_identity: %v", r)
	}
	s.send(fmt.Sprintf(`{"type":"join_network","node_id":%s,"network_id":%v,"signature":%q}`, id, network, a.Sign(fmt.Sprintf("join_network:%s:%v", id, network))))
	if r := s.send(fmt.Sprintf(`{"type":"get_member_role","network_id":%v,"target_node_id":%s}`, network, id)); r["role"] != "admin" {
		s.t.Errorf("the role on joining: %v", r)
	}
}

// rotates changes the provider's key: tokens of the new one count soon, those
// of the old one do not any more.
func (s *sender) rotates(p *idp) {
	s.t.Helper()
	old := p.token("alice@acme.com", pageAudience, time.Hour)
	p.rotate(s.t)
	fresh := p.token("alice@acme.com", pageAudience, time.Hour)
	validate := func(token string) any { return s.try(strings.Replace(pageValidate, pageToken, token, 1))["verified"] }
	awaitLong(s.t, "the new key", 3*time.Minute, func() (any, bool) { return "it is not known", validate(fresh) == true })
	if validate(old) == true {
		s.t.Error("the old key counts although the provider took it away")
	}
}

// Leaders change, tokens are validated through every member all along: none of
// them is refused, and the provider hardly notices.
func TestLeaderChangesAreNoFetches(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	var fetches atomic.Int64
	mux := http.NewServeMux()
	base := ca.serve(mux)
	p := newIDP(t, base)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fetches.Add(1)
		p.handler.ServeHTTP(w, r)
	})
	c := harness.Start(t, harness.Options{Set: []string{"outbound.ca_file=" + ca.File}})
	w := follower(t, c)
	if r := w.send(`{"type":"set_idp_config","admin_token":"$TOKEN","idp_type":"oidc","url":"` + base + `/.well-known/jwks","issuer":"` + base + `","client_id":"a"}`); r["status"] != "enabled" {
		t.Fatal(r)
	}
	token := p.token("alice@acme.com", "a", time.Hour)
	for _, addr := range c.Addrs() { // the first fetch is over
		awaitLong(t, "the provider's keys", time.Minute, func() (any, bool) {
			r := askAt(t, addr, map[string]any{"type": "validate_token", "admin_token": c.AdminToken, "token": token})
			return r, r["verified"] == true
		})
	}
	// Tokens are validated all along, through every member.
	var validated atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var validators sync.WaitGroup
	validators.Go(func() {
		var members []*harness.Wire
		for _, addr := range c.Addrs() {
			cl, err := harness.Dial(addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer cl.Close()
			members = append(members, cl)
		}
		for i := 0; ctx.Err() == nil; i++ {
			if r, err := members[i%len(members)].Call(map[string]any{"type": "validate_token", "admin_token": c.AdminToken, "token": token}); err != nil || r["verified"] != true {
				t.Errorf("member %d: %v %v", i%len(members), r, err)
				return
			}
			validated.Add(1)
		}
	})
	for changed, tries := 0, 0; changed < 20; tries++ {
		// On a busy machine a voter can be too late to take over: nothing has changed then.
		switch out, err := ctl(t, c, "cluster", "transfer-leadership"); {
		case err == nil:
			changed++
		case tries == 60 || !strings.Contains(fmt.Sprint(err), "leadership was not handed over"):
			stop()
			validators.Wait()
			t.Fatal(out, err)
		}
	}
	stop()
	validators.Wait()
	t.Logf("%d validations, %d fetches", validated.Load(), fetches.Load())
	if validated.Load() < 20 {
		t.Error("the test tests nothing")
	}
	if n := fetches.Load(); n > 3 {
		t.Errorf("%d fetches at the provider", n)
	}
}
