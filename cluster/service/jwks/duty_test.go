// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// world is a leader of one state machine, with a clock and a provider to turn.
type world struct {
	t       *testing.T
	machine *fsm.Machine
	ring    *keyring.Keyring
	clock   int64
	index   uint64
	log     [][]byte

	doc     string // what the provider serves, "" when it is down
	fetches int
	keeper  *keeper
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ring, err := keyring.Create(filepath.Join(t.TempDir(), "keyring"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, machine: fsm.New(), ring: ring, clock: 1_800_000_000_000}
	mac, err := ring.MAC(ring.Latest(), "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	w.internal(fsm.KindClusterInit, fsm.ClusterInit{ClusterID: "test", Level: fsm.LevelMax})
	w.internal(fsm.KindTermStart, fsm.TermStart{Term: 1, LeaderID: "m1"})
	w.internal(fsm.KindActivateKey, fsm.ActivateKey{Key: ring.Latest(), Term: 1})
	w.internal(fsm.KindPutToken, fsm.PutToken{Kind: fsm.TokenAdmin, Name: "initial", MAC: mac})
	w.keeper = &keeper{Duty: New(w.fetch)}
	return w
}

func (w *world) internal(kind protocol.Code, body any) {
	w.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	if r, e := w.Propose(context.Background(), fsm.Envelope{Code: kind, Body: raw}); e != nil || r.Err != nil {
		w.t.Fatal(e, r.Err)
	}
}

func (w *world) configure(r protocol.SetIDPConfig) {
	w.t.Helper()
	raw, err := json.Marshal(r)
	if err != nil {
		w.t.Fatal(err)
	}
	tokens := w.Root().Tokens(fsm.TokenAdmin)
	env := fsm.Envelope{Code: protocol.Must("set_idp_config").Code, Actor: fsm.Actor{Token: tokens[0].Name, TokenGen: tokens[0].Generation}, Body: raw}
	if r, e := w.Propose(context.Background(), env); e != nil || r.Err != nil {
		w.t.Fatal(e, r.Err)
	}
}

func (w *world) fetch(_ context.Context, url, _ string, allowHS256 bool) (*identity.KeySet, string, *protocol.Error) {
	w.fetches++
	set, err := identity.ParseJWKS([]byte(w.doc), allowHS256)
	if err != nil {
		return nil, "", protocol.NotAppliedf(protocol.CodeJWKS, "JWKS: %v", err)
	}
	return set, url, nil
}

func (w *world) Term() uint64              { return 1 }
func (w *world) Now() time.Time            { return time.UnixMilli(w.clock) }
func (w *world) Root() *fsm.Root           { return w.machine.Root() }
func (w *world) Keyring() *keyring.Keyring { return w.ring }
func (w *world) Logger() hclog.Logger      { return hclog.NewNullLogger() }

func (w *world) Applied(context.Context, uint64) error { return nil }

func (w *world) Propose(_ context.Context, env fsm.Envelope) (fsm.Result, *protocol.Error) {
	w.index++
	entry := fsm.AppendEntry(nil, &fsm.Entry{Time: w.clock, Term: 1, Envelopes: []fsm.Envelope{env}})
	w.log = append(w.log, entry)
	results, err := w.machine.Apply(w.index, 1, entry)
	if err != nil {
		w.t.Fatal(err)
	}
	return results[0], nil
}

func (w *world) look(byAsking bool) *protocol.Error {
	return w.keeper.look(context.Background(), w, map[bool]reason{true: asked}[byAsking])
}

func (w *world) expect(what string, fetches int) {
	w.t.Helper()
	if w.fetches != fetches {
		w.t.Errorf("%s: %d fetches, want %d", what, w.fetches, fetches)
	}
}

func (w *world) pass(d time.Duration) { w.clock += d.Milliseconds() }

// okp is a key set with one Ed25519 key, another one for every n.
func okp(n byte) string {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)).Public().(ed25519.PublicKey)
	return fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k%d","x":%q}]}`, n, base64.RawURLEncoding.EncodeToString(key))
}

var oidc = protocol.SetIDPConfig{IDPType: protocol.IDPOIDC, URL: "https://idp.test/keys"}

func TestKeysAreFetchedWhenTheyAreDue(t *testing.T) {
	w := newWorld(t)
	w.doc = okp(1)
	_ = w.look(false)
	w.expect("nothing configured", 0)
	w.configure(protocol.SetIDPConfig{IDPType: protocol.IDPLDAP, URL: "https://idp.test/hook"})
	_ = w.look(false)
	w.expect("a webhook has no keys", 0)
	w.configure(oidc)
	_ = w.look(false)
	w.expect("configured", 1)
	_ = w.look(false)
	w.expect("nothing changed", 1)
	w.pass(ttl - refreshAhead - time.Millisecond)
	_ = w.look(false)
	w.expect("not due", 1)
	w.pass(time.Millisecond)
	_ = w.look(false)
	w.expect("due", 2)
	changed := oidc
	changed.Issuer = "https://idp.test"
	w.configure(changed)
	_ = w.look(false)
	w.expect("configuration changed", 3)
	if _, fetched, ok := w.Root().JWKS(); !ok || fetched != w.clock {
		t.Errorf("fetched at %d, %v", fetched, ok)
	}
}

func TestGoodKeysStayWhenTheProviderFails(t *testing.T) {
	w := newWorld(t)
	w.doc = okp(1)
	w.configure(oidc)
	_ = w.look(false)
	before, fetched, _ := w.Root().JWKS()
	w.doc = ""
	w.pass(ttl)
	if e := w.look(false); e == nil || e.Code != protocol.CodeJWKS {
		t.Errorf("the failure is not reported: %v", e)
	}
	w.expect("first failure", 2)
	_ = w.look(false)
	w.expect("held back", 2)
	w.pass(retryFirst)
	_ = w.look(false)
	w.expect("second failure", 3)
	w.pass(retryFirst)
	_ = w.look(false)
	w.expect("held back longer", 3)
	if after, at, ok := w.Root().JWKS(); !ok || !bytes.Equal(before, after) || at != fetched {
		t.Error("the keys did not stay as they were")
	}
	w.doc = okp(2)
	w.pass(retryFirst)
	if e := w.look(false); e != nil {
		t.Error(e)
	}
	if set := w.keys(false); set.Find("k2") == nil || set.Find("k1") != nil {
		t.Error("the new keys are not there")
	}
}

func (w *world) keys(allowHS256 bool) *identity.KeySet {
	w.t.Helper()
	doc, _, ok := w.Root().JWKS()
	if !ok {
		w.t.Fatal("no keys")
	}
	set, err := Decode(doc, w.ring, allowHS256, w.Root().KeyStatus().LeftOut)
	if err != nil {
		w.t.Fatal(err)
	}
	return set
}

func TestNudgesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.doc = okp(1)
	w.configure(oidc)
	_ = w.look(false)
	_ = w.look(true)
	w.expect("keys of this minute", 1)
	w.pass(nudgeEvery)
	_ = w.look(true)
	w.expect("older keys", 2)
	w.doc = ""
	w.pass(nudgeEvery)
	if e := w.look(true); e == nil {
		t.Error("the failure is not reported")
	}
	w.pass(nudgeEvery - time.Millisecond)
	_ = w.look(true)
	w.expect("the failed one counts too", 3)
	w.pass(time.Millisecond)
	_ = w.look(true)
	w.expect("a minute later", 4)
}

// A person who asks has a reason that the cache does not know.
func TestAPersonGetsAFetchAtOnce(t *testing.T) {
	w := newWorld(t)
	urgently := func() *protocol.Error { return w.keeper.look(context.Background(), w, urgently) }
	w.doc = okp(1)
	w.configure(oidc)
	_ = w.look(false)
	_ = urgently()
	w.expect("the keys are of this moment", 1)
	w.pass(lookEvery)
	w.doc = okp(2)
	if e := urgently(); e != nil || w.keys(false).Find("k2") == nil {
		t.Error("the new key is not there", e)
	}
	w.expect("asked for", 2)
	w.pass(lookEvery)
	w.doc = ""
	if e := urgently(); e == nil {
		t.Error("the failure is not reported")
	}
	w.doc = okp(3)
	if e := urgently(); e != nil || w.keys(false).Find("k3") == nil {
		t.Error("it was held back after a failure", e)
	}
}

func TestUnchangedKeysAreNoEvent(t *testing.T) {
	w := newWorld(t)
	w.doc = okp(1)
	w.configure(oidc)
	_ = w.look(false)
	events := w.Root().Chain(protocol.ClassSecurity).HeadSeq
	w.pass(ttl)
	_ = w.look(false)
	if w.expect("refreshed", 2); w.Root().Chain(protocol.ClassSecurity).HeadSeq != events {
		t.Error("the same keys caused an event")
	}
	w.doc = okp(2)
	w.pass(ttl)
	_ = w.look(false)
	if w.Root().Chain(protocol.ClassSecurity).HeadSeq == events {
		t.Error("other keys caused no event")
	}
}

func TestSharedSecretsAreSealed(t *testing.T) {
	w := newWorld(t)
	secret := base64.RawURLEncoding.EncodeToString([]byte("a secret that nobody may see in a log"))
	w.doc = `{"keys":[{"kty":"oct","kid":"h","k":"` + secret + `"}]}`
	c := oidc
	w.configure(c)
	if e := w.look(false); e != nil {
		t.Fatal(e)
	}
	for _, entry := range w.log {
		if bytes.Contains(entry, []byte(secret)) || bytes.Contains(entry, []byte(base64.StdEncoding.EncodeToString([]byte(secret)))) {
			t.Fatal("the log holds the secret")
		}
	}
	doc, _, _ := w.Root().JWKS()
	if bytes.Contains(doc, []byte(secret)) {
		t.Fatal("the state holds the secret")
	}
	if w.keys(true).Find("h") == nil {
		t.Error("the key cannot be read back")
	}
	events := w.Root().Chain(protocol.ClassSecurity).HeadSeq
	w.pass(ttl)
	_ = w.look(false)
	if again, _, _ := w.Root().JWKS(); !bytes.Equal(doc, again) || w.Root().Chain(protocol.ClassSecurity).HeadSeq != events {
		t.Error("the same secret was sealed again")
	}
}

func TestNudgeReachesTheRunningDuty(t *testing.T) {
	w := newWorld(t)
	w.doc = okp(1)
	w.configure(oidc)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.keeper.Duty.Run(ctx, w) }()
	if e := w.keeper.Duty.Nudge(ctx, false); e != nil {
		t.Error(e)
	}
	cancel()
	<-done
	w.expect("configured and nudged at once", 1)
	if e := w.keeper.Duty.Nudge(ctx, false); e == nil || e.Outcome != protocol.OutcomeNotApplied {
		t.Errorf("nobody runs: %v", e)
	}
}

// newLeader is another member that takes over.
func (w *world) newLeader() { w.keeper = &keeper{Duty: New(w.fetch)} }

// TestANewLeaderDoesNotFetchAtOnce: the keys that the leader before it fetched
// are in the state. Only when leaders do not last are they fetched after an hour.
func TestANewLeaderDoesNotFetchAtOnce(t *testing.T) {
	w := newWorld(t)
	w.doc = okp(1)
	w.configure(oidc)
	_ = w.look(false)
	for range 20 {
		w.pass(20 * time.Second)
		w.newLeader()
		_ = w.look(false)
	}
	w.expect("20 leaders", 1)
	w.pass(ttl - refreshAhead)
	_ = w.look(false)
	w.expect("the last one stays", 2)
	for range 70 {
		w.pass(time.Minute)
		w.newLeader()
		_ = w.look(false)
	}
	w.expect("none lasts for over an hour", 3)
	w.doc = okp(2)
	w.newLeader()
	w.pass(nudgeEvery)
	_ = w.look(true)
	w.expect("a new leader is asked for newer keys", 4)
	w.newLeader()
	changed := oidc
	changed.Issuer = "https://other.test"
	w.configure(changed)
	_ = w.look(false)
	w.expect("the keys were fetched for another issuer", 5)
}

// TestUnchangedKeysAreNoEntry, but once an hour the state is told that they
// are the provider's still.
func TestUnchangedKeysAreNoEntry(t *testing.T) {
	w := newWorld(t)
	w.doc = okp(1)
	w.configure(oidc)
	_ = w.look(false)
	entries := len(w.log)
	for range 11 {
		w.pass(ttl)
		_ = w.look(false)
	}
	if w.expect("refreshed", 12); len(w.log) != entries {
		t.Errorf("%d entries in 55 minutes", len(w.log)-entries)
	}
	w.pass(ttl)
	_ = w.look(false)
	if _, fetched, _ := w.Root().JWKS(); len(w.log) != entries+1 || fetched != w.clock {
		t.Errorf("%d entries in an hour, fetched at %d", len(w.log)-entries, fetched)
	}
}

// TestWhyKeysCannotBeHadIsKnownToAll: the reason is in the state once, until
// it works again, and what is left out of a set is said.
func TestWhyKeysCannotBeHadIsKnownToAll(t *testing.T) {
	w := newWorld(t)
	w.doc = `{"keys":[{"kty":"RSA","kid":"odd","alg":"RSA-OAEP"}]}`
	w.configure(oidc)
	_ = w.look(false)
	since := w.clock
	want := `the key set has no usable key: key "odd": its alg "RSA-OAEP" is none of RS256, HS256, ES256 and EdDSA`
	if of := w.Root().KeyStatus(); of.Failed != want || of.Failing != since {
		t.Errorf("status %+v", of)
	}
	entries := len(w.log)
	w.pass(retryFirst)
	_ = w.look(false)
	if w.expect("tried again", 2); len(w.log) != entries {
		t.Error("the same reason is another entry")
	}
	w.newLeader()
	_ = w.look(false)
	w.expect("a new leader does not try at once", 2)
	w.doc = okp(1)[:len(okp(1))-2] + `,{"kty":"oct","kid":"short","k":"AAAA"}]}`
	w.pass(retryLast)
	_ = w.look(false)
	of := w.Root().KeyStatus()
	if of.Failed != "" || of.Failing != 0 || fmt.Sprint(of.Keys) != `["k1" OKP]` || fmt.Sprint(of.LeftOut) != "[{short its secret has 3 bytes, not 32 to 512}]" {
		t.Errorf("status %+v", of)
	}
	w.doc = ""
	w.pass(ttl)
	_ = w.look(false)
	if of := w.Root().KeyStatus(); of.Failed == "" || of.Failing != w.clock || len(of.Keys) != 1 {
		t.Errorf("good keys with a provider that fails: %+v", of)
	}
}
