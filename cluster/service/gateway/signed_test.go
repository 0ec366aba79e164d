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
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/cluster/service/gateway"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

const minute = int64(60_000)

// seal puts a request into a signed one of cluster "test", signed now. change
// may alter that before it is signed.
func (c *client) seal(node uint32, fields map[string]any, change func(*protocol.Signed)) *protocol.Signed {
	c.t.Helper()
	payload, err := json.Marshal(fields)
	if err != nil {
		c.t.Fatal(err)
	}
	s := &protocol.Signed{NodeID: node, TS: c.e.machine.Root().Now(), Nonce: fmt.Sprintf("%032x", len(c.e.proposals)+1), Payload: string(payload)}
	if change != nil {
		change(s)
	}
	s.Signature = protocol.Secret(base64.StdEncoding.EncodeToString(ed25519.Sign(c.key, s.Text("test"))))
	return s
}

// send sends a signed request as it is, over another connection.
func (c *client) send(s *protocol.Signed) map[string]any {
	c.t.Helper()
	raw, err := s.Encode()
	if err != nil {
		c.t.Fatal(err)
	}
	return c.sendRaw(raw)
}

func (c *client) sendRaw(raw []byte) map[string]any {
	c.t.Helper()
	req, err := protocol.ParseRequest(raw)
	if err != nil {
		c.t.Fatal(err)
	}
	if req.Malformed != nil {
		c.t.Fatal(req.Malformed)
	}
	if e := req.Options.Validate(req.Command); e != nil {
		c.t.Fatal(e)
	}
	if e := req.Body.Validate(); e != nil {
		c.t.Fatal(e)
	}
	return object(c.t, c.g.Serve(context.Background(), &server.ConnState{Source: "192.0.2.9:1"}, req))
}

// pass moves log time on.
func (e *engine) pass(ms int64) {
	e.index += uint64(ms) // the clock goes with the index
	e.internal(fsm.KindTick, struct{}{})
}

func tags(node uint32, tag string) map[string]any {
	return map[string]any{"type": "set_tags", "node_id": node, "tags": []string{tag}}
}

func (c *client) tags(node uint32) string {
	r := c.call(map[string]any{"type": "lookup", "node_id": node})
	return fmt.Sprint(r["tags"])
}

func TestASignedRequestHasItsEffectOnce(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	first := c.seal(id, tags(id, "a"), nil)
	r := c.send(first)
	if r["type"] != "set_tags_ok" || r["replayed"] != nil {
		t.Fatal(r)
	}
	if r := c.send(c.seal(id, tags(id, "b"), nil)); r["type"] != "set_tags_ok" {
		t.Fatal(r)
	}
	e.catchUp()
	digest := e.machine.Root().Digest()
	for range 2 {
		again := c.send(first)
		if again["replayed"] != true || fmt.Sprint(again["tags"]) != fmt.Sprint(r["tags"]) || again["index"] != r["index"] {
			t.Errorf("a replay inside the window: %v, first %v", again, r)
		}
	}
	if e.machine.Root().Digest() != digest || c.tags(id) != "[b]" {
		t.Errorf("the replay had an effect: tags %s", c.tags(id))
	}
}

// The decision is Apply's: members that have not seen the first sending
// propose the second, and it does nothing.
func TestApplyRecognisesAReplay(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	e.catchUp()
	lagging := e.shown
	first := c.seal(id, tags(id, "a"), nil)
	c.send(first)
	c.send(c.seal(id, tags(id, "b"), nil))
	e.shown = lagging
	before := len(e.proposals)
	if r := c.send(first); r["replayed"] != true || len(e.proposals) != before+1 {
		t.Errorf("%v after %d proposals", r, len(e.proposals)-before)
	}
	if c.tags(id) != "[b]" {
		t.Error("the replay had an effect")
	}
	// Outside the window Apply refuses what a lagging member let through.
	second := c.seal(id, tags(id, "c"), nil)
	e.catchUp()
	lagging = e.shown
	e.pass(5*minute + 10)
	e.shown = lagging
	if r := c.send(second); r["code"] != protocol.CodeSignatureExpired || r["index"] == nil {
		t.Errorf("Apply let it through: %v", r)
	}
}

func TestClockWindows(t *testing.T) {
	for _, x := range []struct {
		name   string
		offset int64
		code   string
	}{
		{"now", 0, ""}, {"four minutes old", -4 * minute, ""}, {"four minutes ahead", 4 * minute, ""},
		{"just old enough", -5*minute + 50, ""}, {"too old", -5*minute - 50, protocol.CodeSignatureExpired}, {"just ahead enough", 5*minute - 50, ""}, {"too far ahead", 5*minute + 50, protocol.CodeSignatureEarly},
		{"seconds for milliseconds", -1_800_000_000_000 + 1_800_000_000, protocol.CodeSignatureExpired},
	} {
		e := newEngine(t)
		c := newClient(t, e, gateway.Config{})
		id := c.register()
		move := func(s *protocol.Signed) { s.TS += x.offset }
		r := c.send(c.seal(id, tags(id, "a"), move))
		if got := r["type"] == "set_tags_ok"; got != (x.code == "") || !got && r["code"] != x.code {
			t.Errorf("write, %s: %v", x.name, r)
		}
		r = c.send(c.seal(id, map[string]any{"type": "poll_invites", "node_id": id}, move))
		if got := r["type"] == "poll_invites_ok"; got != (x.code == "") || !got && r["code"] != x.code {
			t.Errorf("read, %s: %v", x.name, r)
		}
		r = c.send(c.seal(id, map[string]any{"type": "heartbeat", "node_id": id}, move))
		if got := r["type"] == "heartbeat_ok"; got != (x.code == "") || !got && r["code"] != x.code {
			t.Errorf("heartbeat, %s: %v", x.name, r)
		}
	}
}

// However far ahead the clock of the signer was: while a request is accepted
// by its time, it is remembered.
func TestARequestIsRememberedAsLongAsItCouldCount(t *testing.T) {
	for _, offset := range []int64{-4 * minute, 0, 4*minute + 30_000} {
		e := newEngine(t)
		c := newClient(t, e, gateway.Config{})
		id := c.register()
		first := c.seal(id, tags(id, "a"), func(s *protocol.Signed) { s.TS += offset })
		if r := c.send(first); r["type"] != "set_tags_ok" {
			t.Fatal(r)
		}
		c.send(c.seal(id, tags(id, "b"), nil))
		for range 24 {
			e.pass(minute / 2)
			e.catchUp()
			r := c.send(first)
			if r["replayed"] != true && r["code"] != protocol.CodeSignatureExpired {
				t.Fatalf("offset %d: %v", offset, r)
			}
			if c.tags(id) != "[b]" {
				t.Fatalf("offset %d: the replay had an effect", offset)
			}
		}
		if r := c.send(first); r["code"] != protocol.CodeSignatureExpired {
			t.Errorf("offset %d, twelve minutes later: %v", offset, r)
		}
	}
}

// A signature is good for one request of one node in one cluster.
func TestSignedRequestsCannotBeRebound(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	other := &client{t: t, e: e, g: c.g, conn: c.conn, key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))}
	otherID := other.register()
	e.catchUp()
	seal := func() *protocol.Signed { return c.seal(id, tags(id, "a"), nil) }
	for name, change := range map[string]func(*protocol.Signed){
		"another command":  func(s *protocol.Signed) { s.Payload = strings.Replace(s.Payload, "set_tags", "deregister", 1) },
		"another argument": func(s *protocol.Signed) { s.Payload = strings.Replace(s.Payload, `"a"`, `"b"`, 1) },
		"a space":          func(s *protocol.Signed) { s.Payload += " " },
		"another node inside": func(s *protocol.Signed) {
			s.Payload = strings.Replace(s.Payload, fmt.Sprintf(`"node_id":%d`, id), fmt.Sprintf(`"node_id":%d`, otherID), 1)
		},
		"another node outside": func(s *protocol.Signed) { s.NodeID = otherID },
		"another node everywhere": func(s *protocol.Signed) {
			s.NodeID = otherID
			s.Payload = strings.Replace(s.Payload, fmt.Sprintf(`"node_id":%d`, id), fmt.Sprintf(`"node_id":%d`, otherID), 1)
		},
		"another time":    func(s *protocol.Signed) { s.TS++ },
		"another nonce":   func(s *protocol.Signed) { s.Nonce = strings.Repeat("e", 32) },
		"another cluster": func(s *protocol.Signed) { s.Signature = c.signature(s.Text("other")) },
		"the challenge":   func(s *protocol.Signed) { s.Signature = c.signature([]byte(fmt.Sprintf("set_tags:%d", id))) },
		"the payload":     func(s *protocol.Signed) { s.Signature = c.signature([]byte(s.Payload)) },
		"another's key":   func(s *protocol.Signed) { s.Signature = other.signature(s.Text("test")) },
	} {
		s := seal()
		change(s)
		before := len(e.proposals)
		if r := c.send(s); r["code"] != protocol.CodeSignatureInvalid || len(e.proposals) != before {
			t.Errorf("%s: %v", name, r)
		}
		// An admin token next to a wrong signed request does not make it right.
		s.Payload = strings.Replace(s.Payload, "{", `{"admin_token":"admin secret",`, 1)
		if r := c.send(s); r["code"] != protocol.CodeSignatureInvalid {
			t.Errorf("%s with an admin token: %v", name, r)
		}
	}
	// What a node signs properly for another node is not its own to ask, even with an admin token.
	foreign := tags(otherID, "a")
	foreign["admin_token"] = "admin secret"
	want := fmt.Sprintf("signature verification failed: node %d signed a set_tags of node %d (node_id)", id, otherID)
	if r := c.send(c.seal(id, foreign, nil)); r["code"] != protocol.CodeSignatureInvalid || r["error"] != want {
		t.Errorf("signed for another node: %v", r)
	}
	if r := c.send(seal()); r["type"] != "set_tags_ok" {
		t.Errorf("unchanged: %v", r)
	}
	if r := c.send(c.seal(id, map[string]any{"type": "lookup", "node_id": id}, nil)); r["code"] != protocol.CodeInvalid {
		t.Errorf("lookup is never signed: %v", r)
	}
}

func (c *client) signature(text []byte) protocol.Secret {
	return protocol.Secret(base64.StdEncoding.EncodeToString(ed25519.Sign(c.key, text)))
}

func TestANonceIsForOneRequest(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	id := c.register()
	nonce := func(s *protocol.Signed) { s.Nonce = strings.Repeat("1", 32) }
	if r := c.send(c.seal(id, tags(id, "a"), nonce)); r["type"] != "set_tags_ok" {
		t.Fatal(r)
	}
	if r := c.send(c.seal(id, tags(id, "b"), nonce)); r["code"] != protocol.CodeRequestIDReused {
		t.Errorf("the same nonce for another request: %v", r)
	}
	// A request with an id of its own can be signed again and stays the same request.
	mine := tags(id, "c")
	mine["request_id"] = "mine"
	if r := c.send(c.seal(id, mine, nil)); r["type"] != "set_tags_ok" || r["replayed"] != nil {
		t.Fatal(r)
	}
	e.pass(minute)
	if r := c.send(c.seal(id, mine, func(s *protocol.Signed) { s.Nonce = strings.Repeat("2", 32) })); r["replayed"] != true {
		t.Errorf("the same request, signed again: %v", r)
	}
}

func TestSignedRegistration(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{Policy: gateway.Policy{Register: gateway.AccessSigned}})
	body := map[string]any{"type": "register", "public_key": c.public(), "listen_addr": "10.0.0.1:4000"}
	r := c.send(c.seal(0, body, nil))
	if r["type"] != "register_ok" {
		t.Fatal(r)
	}
	id := uint32(r["node_id"].(float64))
	if r := c.send(c.seal(id, body, nil)); r["type"] != "register_ok" {
		t.Errorf("with the node id: %v", r)
	}
	if r := c.send(c.seal(id+1, body, nil)); r["code"] != protocol.CodeSignatureInvalid {
		t.Errorf("with another's node id: %v", r)
	}
	other := &client{t: t, e: e, g: c.g, conn: c.conn, key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))}
	if r := other.send(other.seal(0, body, nil)); r["code"] != protocol.CodeSignatureInvalid {
		t.Errorf("with another's key: %v", r)
	}
}

func TestSignedRequestsNeedACluster(t *testing.T) {
	e := newEngine(t)
	c := newClient(t, e, gateway.Config{})
	if r := c.call(map[string]any{"type": "cluster_id"}); r["cluster_id"] != "test" || r["signed_requests"] != true {
		t.Error(r)
	}
	e.machine = fsm.New()
	e.shown = e.machine.Root()
	if r := c.call(map[string]any{"type": "cluster_id"}); r["signed_requests"] != false {
		t.Error(r)
	}
}

// What protects against a replay cannot be switched off by one.
func TestSignedRegister(t *testing.T) {
	c := newClient(t, newEngine(t), gateway.Config{})
	id := c.register()
	set := map[string]any{"type": "set_signed_register", "node_id": id, "require_signed_register": true}
	old := map[string]any{"type": "set_signed_register", "node_id": id, "signature": c.sign(fmt.Sprintf("set_signed_register:%d", id))}
	if r := c.send(c.seal(id, set, nil)); r["type"] != "set_signed_register_ok" || r["require_signed_register"] != true {
		t.Fatal(r)
	}
	register := map[string]any{"type": "register", "public_key": c.public(), "listen_addr": ":4001"}
	for _, signature := range []any{nil, c.sign("register::4001:" + c.public())} {
		if register["signature"] = signature; signature == nil {
			delete(register, "signature")
		}
		if r := c.call(register); r["code"] != protocol.CodeSignatureRequired {
			t.Errorf("register with the signature %v: %v", signature, r)
		}
	}
	delete(register, "signature")
	if r := c.send(c.seal(0, register, nil)); r["type"] != "register_ok" {
		t.Errorf("a signed registration: %v", r)
	}
	if r := c.call(old); r["code"] != protocol.CodeLegacySignature {
		t.Errorf("a signature over the challenge: %v", r)
	}
	if r := c.send(c.seal(id, map[string]any{"type": "set_signed_register", "node_id": id, "require_signed_register": false}, nil)); r["require_signed_register"] != false {
		t.Errorf("ended by the node: %v", r)
	}
	if r := c.call(register); r["code"] != protocol.CodeSignatureRequired {
		t.Errorf("then anybody may again, although the node has signed: %v", r)
	}
	off := map[string]any{"type": "set_signed_register", "node_id": id, "require_signed_register": false, "admin_token": "admin secret"}
	if r := c.call(off); r["require_signed_register"] != false {
		t.Errorf("ended by an administrator: %v", r)
	}
	if r := c.call(register); r["type"] != "register_ok" {
		t.Errorf("then a program that cannot sign may register: %v", r)
	}
}

func TestLegacySignatures(t *testing.T) {
	for _, policy := range []gateway.Legacy{"", gateway.LegacyAllow, gateway.LegacyWarn, gateway.LegacyDeny} {
		e := newEngine(t)
		var log bytes.Buffer
		var counted []string
		nodes := map[uint32]int{}
		c := newClient(t, e, gateway.Config{})
		id := c.register()
		c.g = gateway.New(e, gateway.Config{Policy: gateway.Policy{LegacySignatures: policy}, Metrics: counting{legacy: func(command string) { counted = append(counted, command) }, node: func(node uint32) { nodes[node]++ }}},
			hclog.New(&hclog.LoggerOptions{Output: &log}))
		send := func() map[string]any {
			r := tags(id, "a")
			r["signature"] = c.sign(fmt.Sprintf("set_tags:%d", id))
			return c.call(r)
		}
		for range 3 {
			r := send()
			if denied := r["code"] == protocol.CodeLegacySignature; denied != (policy == gateway.LegacyDeny) {
				t.Errorf("%q: %v", policy, r)
			}
		}
		if len(counted) != 3 || counted[0] != "set_tags" {
			t.Errorf("%q: counted %q", policy, counted)
		}
		if n := nodes[uint32(id)]; n != len(nodes)*3 || (n == 0) != (policy == gateway.LegacyDeny) {
			t.Errorf("%q: counted by node %v, want 3 of node %v", policy, nodes, id)
		}
		warned := func() int { return strings.Count(log.String(), "signs in the old way") }
		want := 0
		if policy == gateway.LegacyWarn {
			want = 1
		}
		if warned() != want {
			t.Errorf("%q: %d warnings, want %d", policy, warned(), want)
		}
		e.pass(60 * minute)
		e.catchUp()
		send()
		if policy == gateway.LegacyWarn && warned() != 2 {
			t.Errorf("an hour later: %d warnings, want 2", warned())
		}
		if r := c.send(c.seal(id, tags(id, "b"), nil)); r["type"] != "set_tags_ok" {
			t.Errorf("%q: a signed request: %v", policy, r)
		}
	}
}
