// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// engine is a cluster of one state machine whose member may lag: it shows an
// old root until a confirmed index is waited for.
type engine struct {
	mu         sync.Mutex
	t          *testing.T
	machine    *fsm.Machine
	shown      *fsm.Root
	keys       *keyring.Keyring
	index      uint64
	rounds     int
	proposals  []fsm.Envelope
	noLeader   bool
	quarantine string
	fresh      bool
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	k, err := keyring.Create(filepath.Join(t.TempDir(), "keyring"))
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{t: t, machine: fsm.New(), keys: k}
	mac, err := k.MAC(k.Latest(), cluster.PurposeAdmin, "admin secret")
	if err != nil {
		t.Fatal(err)
	}
	e.internal(fsm.KindClusterInit, fsm.ClusterInit{ClusterID: "test", Level: fsm.LevelMax})
	e.internal(fsm.KindTermStart, fsm.TermStart{Term: 1, LeaderID: "m1"})
	e.internal(fsm.KindActivateKey, fsm.ActivateKey{Key: k.Latest(), Term: 1})
	e.internal(fsm.KindPutToken, fsm.PutToken{Kind: fsm.TokenAdmin, Name: "initial", MAC: mac})
	if mac, err = k.MAC(k.Latest(), cluster.PurposeReplication, "replication secret"); err != nil {
		t.Fatal(err)
	}
	e.internal(fsm.KindPutToken, fsm.PutToken{Kind: fsm.TokenReplication, Name: "initial", MAC: mac})
	e.catchUp()
	return e
}

func (e *engine) internal(kind protocol.Code, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		e.t.Fatal(err)
	}
	e.apply(fsm.Envelope{Code: kind, Body: raw})
}

func (e *engine) apply(env fsm.Envelope) fsm.Result {
	e.index++
	results, err := e.machine.Apply(e.index, 1, fsm.AppendEntry(nil, &fsm.Entry{Time: 1_800_000_000_000 + int64(e.index), Term: 1, Envelopes: []fsm.Envelope{env}}))
	if err != nil {
		e.t.Fatal(err)
	}
	return results[0]
}

func (e *engine) catchUp() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shown = e.machine.Root()
}

func (e *engine) Propose(_ context.Context, env fsm.Envelope) (fsm.Result, *protocol.Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.proposals = append(e.proposals, env)
	if e.noLeader {
		return fsm.Result{}, protocol.NotAppliedf(protocol.CodeNoLeader, "no leader")
	}
	return e.apply(env), nil
}

func (e *engine) ReadIndex(context.Context) (uint64, *protocol.Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rounds++
	if e.noLeader {
		return 0, protocol.NotAppliedf(protocol.CodeNoLeader, "no leader")
	}
	return e.index, nil
}

func (e *engine) WaitApplied(_ context.Context, index uint64) *protocol.Error {
	if index > e.Root().Index() {
		e.catchUp()
	}
	return nil
}

func (e *engine) Root() *fsm.Root {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shown
}

func (e *engine) FreshWithin(time.Duration) bool                             { return e.fresh }
func (e *engine) DataAge() time.Duration                                     { return 90 * time.Second }
func (e *engine) Keyring() *keyring.Keyring                                  { return e.keys }
func (e *engine) Quarantined() (string, bool)                                { return e.quarantine, e.quarantine != "" }
func (e *engine) Status(context.Context) (s protocol.ClusterStatusReply)     { return s }
func (e *engine) Members(context.Context) []protocol.ClusterMember           { return nil }
func (e *engine) TransferLeadership(context.Context, string) *protocol.Error { return nil }
func (e *engine) ID() string                                                 { return "m1" }
func (e *engine) LeaderID() string                                           { return "m1" }
func (e *engine) Promote(context.Context, string) *protocol.Error            { return nil }
func (e *engine) Repair(context.Context, string) *protocol.Error             { return nil }
func (e *engine) Remove(context.Context, string, bool) *protocol.Error       { return nil }
func (e *engine) JoinToken(context.Context, bool, time.Duration) (string, time.Time, *protocol.Error) {
	return "token", time.Unix(1, 0), nil
}

// client is one connection.
type client struct {
	t    *testing.T
	e    *engine
	g    *gateway.Gateway
	conn *server.ConnState
	key  ed25519.PrivateKey
}

func newClient(t *testing.T, e *engine, p gateway.Config) *client {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t: t, e: e, g: gateway.New(e, p, hclog.NewNullLogger()), conn: &server.ConnState{Source: "192.0.2.7:5000"}, key: private}
}

func (c *client) public() string {
	return base64.StdEncoding.EncodeToString(c.key.Public().(ed25519.PublicKey))
}

func (c *client) sign(text string) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(c.key, []byte(text)))
}

func (c *client) call(fields map[string]any) map[string]any {
	c.t.Helper()
	raw, err := json.Marshal(fields)
	if err != nil {
		c.t.Fatal(err)
	}
	req, err := protocol.ParseRequest(raw)
	if err != nil {
		c.t.Fatal(err)
	}
	if e := req.Body.Validate(); e != nil {
		c.t.Fatal(e)
	}
	return object(c.t, c.g.Serve(context.Background(), c.conn, req))
}

// object is a reply as a client reads it.
func object(t *testing.T, reply server.Reply) (fields map[string]any) {
	t.Helper()
	encoded, err := reply.JSON()
	if err == nil {
		err = json.Unmarshal(encoded, &fields)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

func (c *client) register() uint32 {
	c.t.Helper()
	r := c.call(map[string]any{"type": "register", "public_key": c.public(), "listen_addr": "10.0.0.1:4000"})
	id, ok := r["node_id"].(float64)
	if !ok {
		c.t.Fatalf("register: %v", r)
	}
	return uint32(id)
}

func TestARefusalOfAMemberThatLagsIsConfirmedFirst(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register() // the member still shows the root without the node
	r := c.call(map[string]any{"type": "set_tags", "node_id": id, "tags": []string{"a"}, "signature": c.sign(fmt.Sprintf("set_tags:%d", id))})
	if r["type"] != "set_tags_ok" {
		t.Fatalf("a member that lags refused what another had made true: %v", r)
	}
	if e.rounds == 0 {
		t.Error("no confirm round was run")
	}
}

func TestASuccessWithoutProofIsConfirmedToo(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	r := c.call(map[string]any{"type": "deregister", "node_id": id, "signature": c.sign(fmt.Sprintf("deregister:%d", id))})
	if r["type"] != "deregister_ok" {
		t.Fatalf("%v", r)
	}
	if _, _, _, live := e.machine.Root().NodeKey(id); live {
		t.Error("the node is still there")
	}
}

func TestAWrongRefusalIsNotGivenWithoutALeader(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	e.noLeader = true
	r := c.call(map[string]any{"type": "set_tags", "node_id": id, "tags": []string{"a"}, "signature": c.sign(fmt.Sprintf("set_tags:%d", id))})
	if r["code"] != protocol.CodeNoLeader || r["outcome"] != string(protocol.OutcomeNotApplied) {
		t.Errorf("want no_leader, not_applied; got %v", r)
	}
}

func TestAWriteIsAcknowledgedOnlyWhenItIsDecided(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	e.catchUp()
	e.noLeader = true
	r := c.call(map[string]any{"type": "set_tags", "node_id": id, "tags": []string{"a"}, "signature": c.sign(fmt.Sprintf("set_tags:%d", id))})
	if r["type"] != "error" || r["outcome"] != string(protocol.OutcomeNotApplied) {
		t.Errorf("nothing was decided, and the answer is %v", r)
	}
}

func TestBadInputIsRefusedWithoutARoundAndWithoutAProposal(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{Policy: gateway.Policy{Register: gateway.AccessOpen}})
	before, proposals := e.machine.Root().Digest(), len(e.proposals)
	r := c.call(map[string]any{"type": "register", "public_key": c.public(), "listen_addr": "x", "signature": "AAAA"})
	if r["code"] != protocol.CodeSignatureInvalid || e.rounds != 0 || len(e.proposals) != proposals || e.machine.Root().Digest() != before {
		t.Errorf("reply %v, rounds %d, proposals %d", r, e.rounds, len(e.proposals)-proposals)
	}
}

func TestRequestIDsGiveTheFirstAnswer(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	add := map[string]any{"type": "update_polo_score", "node_id": id, "delta": 5, "request_id": "r1"}
	first := c.call(add)
	c.conn = &server.ConnState{Source: "192.0.2.7:1"} // the same client, another connection
	second := c.call(add)
	if first["polo_score"] != 5.0 || second["polo_score"] != 5.0 || second["replayed"] != true || first["index"] != second["index"] {
		t.Errorf("first %v, second %v", first, second)
	}
	add["delta"] = 6
	if r := c.call(add); r["code"] != protocol.CodeRequestIDReused {
		t.Errorf("the id was used for something else: %v", r)
	}
	rotate := newClient(t, e, gateway.Config{})
	req := map[string]any{"type": "rotate_key", "node_id": id, "new_public_key": rotate.public(), "signature": c.sign(fmt.Sprintf("rotate:%d", id)), "request_id": "r2"}
	if r := c.call(req); r["type"] != "rotate_key_ok" {
		t.Fatalf("%v", r)
	}
	if r := c.call(req); r["type"] != "rotate_key_ok" || r["replayed"] != true {
		t.Errorf("a resent rotation, signed with the old key, got %v", r)
	}
}

func TestCredentialsDoNotEnterTheLog(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	r := c.call(map[string]any{"type": "create_network", "node_id": id, "name": "lab", "join_rule": "token", "token": "join secret",
		"network_admin_token": "network secret", "admin_token": "admin secret"})
	if r["type"] != "create_network_ok" {
		t.Fatalf("%v", r)
	}
	joiner := newClient(t, e, gateway.Config{})
	jid := joiner.register()
	for token, want := range map[string]string{"wrong secret": "error", "join secret": "join_network_ok"} {
		r = joiner.call(map[string]any{"type": "join_network", "node_id": jid, "network_id": r["network_id"], "token": token,
			"signature": joiner.sign(fmt.Sprintf("join_network:%d:1", jid))})
		if token == "wrong secret" && r["type"] != "error" {
			t.Errorf("join with the %s: %v, want %s", token, r, want)
		}
		r = map[string]any{"network_id": 1}
	}
	for _, env := range e.proposals {
		entry := string(fsm.AppendEntry(nil, &fsm.Entry{Envelopes: []fsm.Envelope{env}}))
		for _, secret := range []string{"join secret", "network secret", "admin secret", "wrong secret", c.sign("x")} {
			if strings.Contains(entry, secret) {
				t.Errorf("%q is in the log: %q", secret, entry)
			}
		}
	}
}

func TestReadLevels(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	other := newClient(t, e, gateway.Config{}) // has written nothing
	lookup := func(extra map[string]any) map[string]any {
		fields := map[string]any{"type": "lookup", "node_id": id}
		for k, v := range extra {
			fields[k] = v
		}
		return other.call(fields)
	}
	if r := lookup(map[string]any{"consistency": "stale"}); r["code"] != protocol.CodeNotFound || e.rounds != 0 {
		t.Errorf("a stale read on a member that lags: %v after %d rounds", r, e.rounds)
	}
	e.fresh = true
	if r := lookup(map[string]any{"consistency": "bounded", "max_staleness_ms": 50}); r["code"] != protocol.CodeNotFound || e.rounds != 0 {
		t.Errorf("a bounded read on a member that is fresh enough: %v after %d rounds", r, e.rounds)
	}
	e.noLeader = true
	if r := lookup(map[string]any{"consistency": "stale"}); r["code"] != protocol.CodeNotFound {
		t.Errorf("a stale read needs a leader: %v", r)
	}
	if r := lookup(nil); r["code"] != protocol.CodeNoLeader {
		t.Errorf("a linearizable read without a leader: %v", r)
	}
	e.noLeader = false
	if r := lookup(nil); r["type"] != "lookup_ok" || r["index"] != nil {
		t.Errorf("a linearizable read: %v", r)
	}
	if r := lookup(map[string]any{"consistency": "linearizable"}); r["index"] != float64(e.index) {
		t.Errorf("a read that asked for a level carries no index: %v", r)
	}
}

func TestPolicyClosesWhatIsOpen(t *testing.T) {
	e := newEngine(t)
	signed := newClient(t, e, gateway.Config{Policy: gateway.Policy{Register: gateway.AccessSigned, Polo: gateway.AccessAdmin}})
	fields := map[string]any{"type": "register", "public_key": signed.public(), "listen_addr": ":1"}
	if r := signed.call(fields); r["code"] != protocol.CodeSignatureRequired {
		t.Errorf("unsigned: %v", r)
	}
	fields["signature"] = signed.sign("register::1:" + signed.public())
	if r := signed.call(fields); r["type"] != "register_ok" {
		t.Errorf("signed: %v", r)
	}
	score := map[string]any{"type": "set_polo_score", "node_id": 1, "polo_score": 3}
	if r := signed.call(score); r["code"] != protocol.CodePermissionDenied {
		t.Errorf("polo without the admin token: %v", r)
	}
	score["admin_token"] = "admin secret"
	if r := signed.call(score); r["type"] != "set_polo_score_ok" {
		t.Errorf("polo with the admin token: %v", r)
	}
}

func TestAQuarantinedMemberAnswersOnlyAboutTheCluster(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	e.quarantine = "its state differs"
	if r := c.call(map[string]any{"type": "list_networks"}); r["code"] != protocol.CodeQuarantined {
		t.Errorf("%v", r)
	}
	if r := c.call(map[string]any{"type": "cluster_status", "admin_token": "admin secret"}); r["type"] != "cluster_status_ok" {
		t.Errorf("%v", r)
	}
}
