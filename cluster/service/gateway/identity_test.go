// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// idp is an identity provider with one key, k1 or k2.
type idp struct{ seed byte }

func (i idp) key() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{i.seed}, 32))
}

func (i idp) keys() []byte {
	x := base64.RawURLEncoding.EncodeToString(i.key().Public().(ed25519.PublicKey))
	return fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k%d","x":%q}]}`, i.seed, x)
}

func (i idp) token(claims string) string {
	input := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"EdDSA","kid":"k%d"}`, i.seed)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	return input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(i.key(), []byte(input)))
}

const alice = `{"iss":"https://idp.test","aud":"registry","sub":"alice@idp","exp":1800000300}`

func (c *client) configure(kind, url string) {
	c.t.Helper()
	r := c.call(map[string]any{"type": "set_idp_config", "idp_type": kind, "url": url, "issuer": "https://idp.test", "client_id": "registry", "admin_token": "admin secret"})
	if r["type"] != "set_idp_config_ok" {
		c.t.Fatal(r)
	}
}

func (e *engine) putKeys(i idp, url string) {
	e.internal(fsm.KindPutJWKS, fsm.PutJWKS{Term: 1, URL: url, Doc: i.keys()})
}

// registerWith registers the client's key with an identity token.
func (c *client) registerWith(token string, more ...string) map[string]any {
	c.t.Helper()
	f := map[string]any{"type": "register", "public_key": c.public(), "listen_addr": "10.0.0.1:4000", "identity_token": token}
	for i := 0; i < len(more); i += 2 {
		f[more[i]] = more[i+1]
	}
	return c.call(f)
}

const keysURL = "https://idp.example/keys"

func TestRegisterWithATokenOfTheProvider(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	c.configure(protocol.IDPOIDC, keysURL)
	e.putKeys(idp{1}, keysURL)
	tok := idp{1}.token(alice)
	r := c.registerWith(tok, "hostname", "Not_A_Name")
	if r["external_id"] != "alice@idp" || r["hostname_error"] == nil {
		t.Errorf("a wrong hostname must not drop the identity: %v", r)
	}
	for _, env := range e.proposals {
		if bytes.Contains(env.Body, []byte(tok)) || bytes.Contains(env.Body, []byte("identity_token")) {
			t.Fatalf("the log holds the token: %s", env.Body)
		}
	}
	if r := c.call(map[string]any{"type": "get_identity", "node_id": r["node_id"], "admin_token": "admin secret"}); r["external_id"] != "alice@idp" {
		t.Error(r)
	}
}

func TestRegisterWithATokenThatIsNotGood(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	c.configure(protocol.IDPOIDC, keysURL)
	for _, x := range []struct{ name, token, code, text string }{
		{"no keys yet", idp{1}.token(alice), protocol.CodeJWKS, "JWKS: the identity provider's keys have not been fetched yet"},
		{"no token", "hello", protocol.CodeTokenInvalid, "invalid token: "},
		{"another audience", idp{1}.token(strings.Replace(alice, "registry", "other", 1)), protocol.CodeIdentityRejected, "identity verification failed: audience mismatch"},
		{"expired", idp{1}.token(strings.Replace(alice, "1800000300", "1700000000", 1)), protocol.CodeIdentityRejected, "identity verification failed: token expired at 1700000000"},
		{"forged", idp{1}.token(alice)[:120] + "A" + idp{1}.token(alice)[121:], "", ""},
		{"no subject", idp{1}.token(strings.Replace(alice, "alice@idp", "", 1)), protocol.CodeIdentityRejected, "identity verification failed: the token has no subject (sub)"},
		{"unprintable subject", idp{1}.token(strings.Replace(alice, "alice@idp", `a\u0000b`, 1)), protocol.CodeIdentityRejected, "identity verification failed: invalid external identity: it contains characters that do not print"},
	} {
		r := c.registerWith(x.token)
		if r["type"] != "error" || x.code != "" && r["code"] != x.code || !strings.HasPrefix(r["error"].(string), x.text) {
			t.Errorf("%s: %v", x.name, r)
		}
		if strings.Contains(fmt.Sprint(r), x.token[max(0, len(x.token)-20):]) && len(x.token) > 20 {
			t.Errorf("%s: the refusal quotes the token", x.name)
		}
		e.putKeys(idp{1}, keysURL)
	}
	if len(e.proposals) != 1 {
		t.Errorf("%d proposals, want the configuration's only", len(e.proposals))
	}
}

func TestWithoutAProviderATokenMeansNothing(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{Outside: gateway.Outside{Webhook: func(context.Context, string, protocol.Secret) (string, *protocol.Error) {
		t.Error("somebody was asked")
		return "", nil
	}}})
	if r := c.registerWith("whatever"); r["type"] != "register_ok" || r["external_id"] != nil {
		t.Error(r)
	}
}

func TestRegisterAsksTheWebhookOnce(t *testing.T) {
	for _, setup := range []func(*client){
		func(c *client) { c.configure(protocol.IDPSAML, "https://hook.example/verify") },
		func(c *client) {
			c.call(map[string]any{"type": "set_identity_webhook", "url": "https://hook.example/verify", "admin_token": "admin secret"})
		},
	} {
		e := newEngine(t)
		var asked []string
		answer := func() (string, *protocol.Error) { return "bob", nil }
		c := newClient(t, e, gateway.Config{Outside: gateway.Outside{Webhook: func(_ context.Context, url string, token protocol.Secret) (string, *protocol.Error) {
			asked = append(asked, url+" "+string(token))
			return answer()
		}}})
		setup(c)
		e.shown = fsm.New().Root() // a member that has seen nothing of it must not ignore the token
		before := len(e.proposals)
		if r := c.registerWith("tok", "request_id", "r1"); r["external_id"] != "bob" {
			t.Error(r)
		}
		answer = func() (string, *protocol.Error) {
			return "", protocol.Refusef(protocol.CodeIdentityRejected, "identity verification rejected: nope")
		}
		if r := c.registerWith("tok", "request_id", "r1"); r["external_id"] != "bob" || r["replayed"] != true {
			t.Errorf("the same request again: %v", r)
		}
		if len(asked) != 1 || asked[0] != "https://hook.example/verify tok" {
			t.Errorf("asked %q", asked)
		}
		if r := c.registerWith("tok2"); r["code"] != protocol.CodeIdentityRejected || r["error"] != "identity verification rejected: nope" {
			t.Error(r)
		}
		answer = func() (string, *protocol.Error) {
			return "", protocol.NotAppliedf(protocol.CodeIdentityFailed, "identity webhook returned status 500")
		}
		if r := c.registerWith("tok3"); r["code"] != protocol.CodeIdentityFailed || r["outcome"] != string(protocol.OutcomeNotApplied) {
			t.Error(r)
		}
		if n := len(e.proposals) - before; n != 1 {
			t.Errorf("%d registrations were proposed, want 1", n)
		}
	}
}

func TestARegistrationThatIsRefusedAsksNobody(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{Policy: gateway.Policy{Register: gateway.AccessAdmin}, Outside: gateway.Outside{Webhook: func(context.Context, string, protocol.Secret) (string, *protocol.Error) {
		t.Error("the webhook was asked")
		return "", nil
	}}})
	c.configure(protocol.IDPSAML, "https://hook.example/verify")
	if r := c.registerWith("tok"); r["code"] != protocol.CodePermissionDenied {
		t.Error(r)
	}
}

// A key that is not known is asked for once, and then not again for a minute.
func TestAnUnknownKeyIsAskedForOnce(t *testing.T) {
	e := newEngine(t)
	refreshes := 0
	c := newClient(t, e, gateway.Config{Outside: gateway.Outside{RefreshKeys: func(context.Context, bool) *protocol.Error {
		refreshes++
		e.putKeys(idp{2}, keysURL)
		return nil
	}}})
	c.configure(protocol.IDPEntra, keysURL)
	e.putKeys(idp{1}, keysURL)
	e.catchUp()
	if r := c.registerWith(idp{2}.token(alice)); r["external_id"] != "alice@idp" || refreshes != 1 {
		t.Errorf("%d refreshes, %v", refreshes, r)
	}
	for range 3 {
		if r := c.registerWith(idp{3}.token(alice)); r["code"] != protocol.CodeJWKSKey || refreshes != 1 {
			t.Errorf("%d refreshes, %v", refreshes, r)
		}
	}
}

// Who configures the provider as it is has a reason to: the keys are fetched at
// once. A change is a fetch anyway.
func TestConfiguringTheSameProviderFetches(t *testing.T) {
	e := newEngine(t)
	fetched := make(chan bool, 9)
	c := newClient(t, e, gateway.Config{Outside: gateway.Outside{RefreshKeys: func(_ context.Context, urgent bool) *protocol.Error {
		fetched <- urgent
		return nil
	}}})
	c.configure(protocol.IDPOIDC, keysURL)
	e.catchUp()
	c.configure(protocol.IDPOIDC, keysURL+"/2")
	e.catchUp()
	if len(fetched) != 0 {
		t.Error("a change has asked for keys")
	}
	c.configure(protocol.IDPOIDC, keysURL+"/2")
	if urgent := <-fetched; !urgent {
		t.Error("it is not urgent")
	}
	if r := c.call(map[string]any{"type": "set_idp_config", "idp_type": protocol.IDPOIDC, "url": keysURL + "/2", "issuer": "https://idp.test", "admin_token": "wrong"}); r["type"] != "error" {
		t.Fatal(r)
	}
	c.configure(protocol.IDPLDAP, "https://hook.example/verify")
	e.catchUp()
	c.configure(protocol.IDPLDAP, "https://hook.example/verify")
	if len(fetched) != 0 {
		t.Error("a stranger, or a provider without keys, has asked for keys")
	}
}

func TestOldKeysAreNotUsed(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	c.configure(protocol.IDPOIDC, keysURL)
	e.putKeys(idp{1}, keysURL)
	e.index += 24*60*60*1000 + 10 // the clock goes with the index
	e.internal(fsm.KindTick, struct{}{})
	tok := idp{1}.token(strings.Replace(alice, "1800000300", "1900000000", 1))
	if r := c.registerWith(tok); r["code"] != protocol.CodeJWKS || !strings.Contains(r["error"].(string), "used no longer") {
		t.Error(r)
	}
}

func TestValidateToken(t *testing.T) {
	e := newEngine(t)
	hook := func(context.Context, string, protocol.Secret) (string, *protocol.Error) {
		return "", protocol.Refusef(protocol.CodeIdentityRejected, "identity verification rejected: nope")
	}
	c := newClient(t, e, gateway.Config{Outside: gateway.Outside{Webhook: hook}})
	ask := func(token, admin string) string {
		raw, err := json.Marshal(c.call(map[string]any{"type": "validate_token", "token": token, "admin_token": admin}))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	const admin = "admin secret"
	for _, x := range []struct{ name, got, want string }{
		{"wrong admin token", ask("t", "wrong"), `{"code":"admin_token_invalid","error":"invalid admin token","type":"error"}`},
		{"no token", ask("", admin), `{"code":"invalid_argument","error":"token is required","type":"error"}`},
		{"no provider", ask("t", admin), `{"code":"idp_not_configured","error":"no identity provider configured; configure one with set_idp_config","type":"error"}`},
	} {
		if x.got != x.want {
			t.Errorf("%s: %s", x.name, x.got)
		}
	}
	c.configure(protocol.IDPOIDC, keysURL)
	e.putKeys(idp{1}, keysURL)
	before := e.machine.Root().Digest()
	for _, x := range []struct{ name, token, want string }{
		{"good", idp{1}.token(alice), `{"issuer":"https://idp.test","subject":"alice@idp","type":"validate_token_ok","verified":true}`},
		{"no subject", idp{1}.token(strings.Replace(alice, "alice@idp", "", 1)), `{"error":"the token has no subject (sub)","type":"validate_token_ok","verified":false}`},
		{"unknown key", idp{2}.token(alice), `{"code":"jwks_key_not_found","error":"JWKS: JWKS key \"k2\" not found: the provider's keys are \"k1\" OKP, fetched 2027-01-15T08:00:00Z","type":"error"}`},
		{"issuer", idp{1}.token(`{"iss":"x"}`), `{"error":"issuer mismatch: got \"x\", want \"https://idp.test\"","type":"validate_token_ok","verified":false}`},
		{"no token", "x", `{"code":"token_invalid","error":"invalid token: invalid JWT: expected 3 parts, got 1","type":"error"}`},
	} {
		if got := ask(x.token, admin); got != x.want {
			t.Errorf("%s: %s", x.name, got)
		}
	}
	if e.machine.Root().Digest() != before {
		t.Error("validate_token changed the state")
	}
	c.configure(protocol.IDPLDAP, "https://hook.example/verify")
	if got, want := ask("t", admin), `{"error":"identity verification rejected: nope","type":"validate_token_ok","verified":false}`; got != want {
		t.Error(got)
	}
}

// hook is an identity webhook that knows bob.
type hook struct {
	mu    sync.Mutex
	asked int
	hold  chan struct{}
	// most, when not 0, is how often it may be asked; then tooMany is closed.
	most    int
	tooMany chan struct{}
}

func (h *hook) ask(ctx context.Context, _ string, token protocol.Secret) (string, *protocol.Error) {
	h.mu.Lock()
	if h.asked++; h.asked == h.most+1 && h.most > 0 {
		close(h.tooMany)
	}
	h.mu.Unlock()
	if h.hold != nil {
		select {
		case <-h.hold:
		case <-ctx.Done():
		}
	}
	if strings.HasPrefix(string(token), "bob") {
		return "bob@corp", nil
	}
	return "", protocol.Refusef(protocol.CodeIdentityRejected, "identity verification rejected: unknown")
}

func (h *hook) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked
}

// A daemon that registers again with the same token costs the webhook nothing,
// and whoever repeats a wrong one costs it one question in a while.
func TestTheWebhookIsNotAskedAgainForTheSame(t *testing.T) {
	e, h := newEngine(t), &hook{}
	c := newClient(t, e, gateway.Config{Outside: gateway.Outside{Webhook: h.ask}})
	c.configure(protocol.IDPSAML, "https://hook.example/verify")
	for range 5 {
		if r := c.registerWith("bob"); r["external_id"] != "bob@corp" {
			t.Fatal(r)
		}
	}
	if h.count() != 1 {
		t.Errorf("asked %d times for a token that was verified", h.count())
	}
	for range 5 {
		if r := c.registerWith("junk"); r["code"] != protocol.CodeIdentityRejected {
			t.Fatal(r)
		}
	}
	if h.count() != 2 {
		t.Errorf("asked %d times, want once more for a token that was refused", h.count())
	}
	e.pass(5_001)
	e.catchUp()
	c.registerWith("junk")
	if h.count() != 3 {
		t.Error("a refusal is remembered for ever")
	}
	other := newClient(t, e, gateway.Config{})
	other.g = c.g
	other.registerWith("bob")
	if h.count() != 4 {
		t.Error("another key with the token of somebody was not verified")
	}
	e.pass(10 * 60_000)
	e.catchUp()
	c.registerWith("bob")
	if h.count() != 5 {
		t.Error("a token without an expiry is believed for ever")
	}
}

// What a known key brings counts against the registration limit unless it was
// verified for the same key.
func TestANewTokenOfAKnownKeyIsNoRepetition(t *testing.T) {
	e, h := newEngine(t), &hook{}
	c := newClient(t, e, gateway.Config{Outside: gateway.Outside{Webhook: h.ask}})
	repeats := func(token protocol.Secret) bool {
		return c.g.Repeats(&protocol.Register{PublicKey: c.public(), IdentityToken: token})
	}
	if repeats("") {
		t.Error("an unknown key repeats nothing")
	}
	c.register()
	e.catchUp()
	if !repeats("") || !repeats("anything") {
		t.Error("without a way to verify it a token means nothing")
	}
	c.configure(protocol.IDPSAML, "https://hook.example/verify")
	e.catchUp()
	if !repeats("") || repeats("bob") || repeats("junk") {
		t.Error("a token that nobody has verified counts as a repetition")
	}
	c.registerWith("bob")
	e.catchUp()
	if !repeats("bob") || repeats("junk") {
		t.Error("only the token that was verified is a repetition")
	}
}

// One source that floods the webhook must not keep others from registering.
func TestOneSourceCannotTakeAllVerifications(t *testing.T) {
	const part = 8
	e, h := newEngine(t), &hook{hold: make(chan struct{}), most: part, tooMany: make(chan struct{})}
	free := sync.OnceFunc(func() { close(h.hold) })
	defer free()
	c := newClient(t, e, gateway.Config{Outside: gateway.Outside{Webhook: h.ask}})
	c.configure(protocol.IDPSAML, "https://hook.example/verify")
	e.catchUp()
	flood := make(chan map[string]any, 20)
	ask := func(source, token string) map[string]any {
		who := newClient(t, e, gateway.Config{})
		who.g, who.conn = c.g, &server.ConnState{Source: source}
		return who.call(map[string]any{"type": "validate_token", "token": token, "admin_token": "admin secret"})
	}
	for i := range cap(flood) {
		go func() { flood <- ask("198.51.100.1:1", fmt.Sprint("junk", i)) }()
	}
	for range cap(flood) - part { // what is beyond its part is answered at once
		var r map[string]any
		select {
		case r = <-flood:
		case <-h.tooMany:
			t.Fatalf("one source has more than %d verifications under way", part)
		}
		if !strings.Contains(fmt.Sprint(r), "too many identity verifications are under way for 198.51.100.1") {
			t.Fatal(r)
		}
	}
	honest := make(chan map[string]any)
	go func() { honest <- ask("192.0.2.1:1", "bob") }()
	<-h.tooMany // another source has its own part
	free()
	if r := <-honest; r["verified"] != true {
		t.Errorf("another source: %v", r)
	}
	for range part {
		<-flood
	}
}

// What the configured claims say becomes the external id and the roles.
func TestClaimsAreWhatIsConfigured(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	for i := range 9 {
		c.call(blueprint(func(b map[string]any) { b["name"] = fmt.Sprint("net-", i); delete(b, "audit_export") }))
	}
	set := map[string]any{"type": "set_idp_config", "idp_type": "oidc", "url": keysURL, "issuer": "https://idp.test", "client_id": "registry", "admin_token": "admin secret",
		"external_id_claim": "oid", "role_claim": "groups",
		"role_map": []any{map[string]any{"value": "ops", "network_id": 7, "role": "admin"}, map[string]any{"value": "ops", "network_id": 9, "role": "member"}}}
	if r := c.call(set); r["type"] != "set_idp_config_ok" {
		t.Fatal(r)
	}
	e.putKeys(idp{1}, keysURL)
	claims := strings.Replace(alice, `"sub":`, `"oid":"o-1","groups":["dev","ops"],"sub":`, 1)
	if r := c.registerWith(idp{1}.token(claims)); r["external_id"] != "o-1" {
		t.Error(r)
	}
	if body := string(e.proposals[len(e.proposals)-1].Body); !strings.Contains(body, `"claimed_roles":[{"network_id":7,"admin":true},{"network_id":9}]`) {
		t.Error(body)
	}
	r := c.call(map[string]any{"type": "validate_token", "token": idp{1}.token(claims), "admin_token": "admin secret"})
	if r["subject"] != "alice@idp" || r["external_id"] != "o-1" || fmt.Sprint(r["role_values"]) != "[dev ops]" {
		t.Error(r)
	}
	if r := c.call(map[string]any{"type": "get_idp_config", "admin_token": "admin secret"}); r["external_id_claim"] != "oid" || r["role_claim"] != "groups" || r["role_map"] == nil {
		t.Error(r)
	}
	if r := c.registerWith(idp{1}.token(alice)); r["code"] != protocol.CodeIdentityRejected {
		t.Errorf("a token without the claim: %v", r)
	}
}
