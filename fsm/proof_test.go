// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// What a registration may change on a key that is known depends on the proof
// it brings: none, a signature that can be replayed, or a signed request.
func TestStrangerCannotTakeIdentity(t *testing.T) {
	const mine, theirs = "alice@corp", "mallory@corp"
	unsigned := func(r *protocol.Register) {}
	challenge := func(r *protocol.Register) { r.Proven = true }
	signed := func(r *protocol.Register) { r.Proven, r.SignedRequest = true, true }
	compat := func(r *protocol.Register) { r.UnsignedIdentity = true }
	for _, x := range []struct {
		name             string
		has, brings      string
		proof            func(*protocol.Register)
		by               who
		refused          string
		owner, relayOnly bool
	}{
		{name: "unsigned without a token", has: mine, proof: unsigned},
		{name: "unsigned by a stranger with a token", has: mine, brings: theirs, proof: unsigned, refused: "belongs to another external identity"},
		{name: "unsigned, the compatible way, by a stranger", has: mine, brings: theirs, proof: compat, refused: "belongs to another external identity"},
		{name: "unsigned, the same person", has: mine, brings: "ALICE@corp", proof: unsigned},
		{name: "unsigned, the first token", brings: theirs, proof: unsigned, refused: "has no external identity"},
		{name: "unsigned, the first token, the compatible way", brings: theirs, proof: compat},
		{name: "a challenge without a token", has: mine, proof: challenge, relayOnly: true},
		{name: "a replayed challenge with another's token", has: mine, brings: theirs, proof: challenge, refused: "belongs to another external identity"},
		{name: "a challenge with the first token", brings: theirs, proof: challenge, refused: "has no external identity"},
		{name: "a signed request with another token", has: mine, brings: theirs, proof: signed, owner: true, relayOnly: true},
		{name: "a signed request with the first token", brings: theirs, proof: signed, owner: true, relayOnly: true},
		{name: "an administrator", has: mine, brings: theirs, proof: unsigned, by: admin},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.registerAs(&protocol.Register{PublicKey: testKey(1).String(), RegisterFacts: protocol.RegisterFacts{ExternalID: x.has}, Owner: "alice", Hostname: "alice"}).NodeID
			r := &protocol.Register{PublicKey: testKey(1).String(), RegisterFacts: protocol.RegisterFacts{ExternalID: x.brings, Endpoint: "203.0.113.66:6666"}, Owner: "mallory", Hostname: "other", RelayOnly: true, Version: "2", LANAddrs: []string{"10.6.6.6:1"}}
			x.proof(r)
			before := w.m.Root().Digest()
			reply, e := w.try("register", r, x.by)
			if x.refused != "" {
				if e == nil || e.Code != protocol.CodeSignatureRequired || !strings.Contains(e.Text, x.refused) || !strings.Contains(e.Text, "pilotctl identity set-external-id 1 ") {
					t.Errorf("got %+v, %v, want a refusal: %s", reply, e, x.refused)
				}
				if w.m.Root().Digest() != before {
					t.Error("the refusal changed the state")
				}
				return
			}
			if e != nil {
				t.Fatal(e)
			}
			n := w.m.Root().nodes.live(id)
			want := x.has
			if protocol.FoldExternalID(x.has) != protocol.FoldExternalID(x.brings) && x.brings != "" {
				want = x.brings
			}
			if got := reply.(*protocol.RegisterReply).ExternalID; n.externalID != want || x.brings != "" && got != want {
				t.Errorf("external id %q, answered %q, want %q", n.externalID, got, want)
			}
			if n.endpoint != r.Endpoint || n.version != "2" || n.hostname != "other" || !slices.Equal(n.lan, r.LANAddrs) {
				t.Errorf("where the node is did not change: %+v", n)
			}
			if changed := n.owner == "mallory"; changed != x.owner {
				t.Errorf("owner %q", n.owner)
			}
			if n.has(flagRelayOnly) != x.relayOnly {
				t.Errorf("relay only: %t", n.has(flagRelayOnly))
			}
			if n.owner != "mallory" && n.owner != "alice" {
				t.Errorf("owner %q", n.owner)
			}
			if want != x.has {
				if got := w.lastEvent(protocol.EventExternalIDSet); !strings.HasSuffix(got, " node_id=1 old_external_id="+x.has+" new_external_id="+want) {
					t.Errorf("event %q", got)
				}
			} else if n := w.countEvents(protocol.EventExternalIDSet); n > 1 || n == 1 && x.has == "" {
				t.Errorf("%d events about an identity that stayed", n)
			}
		})
	}
}

// Whatever changes the external id of a node says so, in the class that
// anonymous traffic cannot flush.
func TestEveryChangeOfAnExternalIDIsASecurityEvent(t *testing.T) {
	w := newWorld(t)
	if protocol.Events[protocol.EventExternalIDSet] != protocol.ClassSecurity {
		t.Error("not a security event")
	}
	want := func(event string) {
		t.Helper()
		if got := w.lastEvent(protocol.EventExternalIDSet); got != event {
			t.Errorf("event %q, want %q", got, event)
		}
	}
	key := testKey(1).String()
	w.registerAs(&protocol.Register{PublicKey: key, RegisterFacts: protocol.RegisterFacts{ExternalID: "a"}, Owner: "o"})
	want("anonymous node_id=1 old_external_id= new_external_id=a")
	w.do("set_external_id", &protocol.SetExternalID{NodeID: 1, ExternalID: "b"}, admin)
	want("token:root node_id=1 old_external_id=a new_external_id=b")
	w.registerAs(&protocol.Register{PublicKey: key, RegisterFacts: protocol.RegisterFacts{ExternalID: "c", Proven: true, SignedRequest: true}})
	want("node:1 node_id=1 old_external_id=b new_external_id=c")
	w.do("deregister", &protocol.NodeRequest{NodeID: 1}, as(1))
	want("node:1 node_id=1 old_external_id=c new_external_id=")
	id := w.registerAs(&protocol.Register{PublicKey: testKey(2).String(), RegisterFacts: protocol.RegisterFacts{ExternalID: "d"}, Owner: "p"}).NodeID
	w.goOffline(id)
	w.registerAs(&protocol.Register{PublicKey: testKey(3).String(), Owner: "p", RegisterFacts: protocol.RegisterFacts{OwnerReclaim: true}})
	want("anonymous node_id=2 old_external_id=d new_external_id=")
}

func TestARegistrationThatRenamesANodeSaysSo(t *testing.T) {
	w := newWorld(t)
	r := &protocol.Register{PublicKey: testKey(1).String(), Hostname: "bank"}
	w.registerAs(r)
	if n := w.countEvents(protocol.EventHostnameChanged); n != 0 {
		t.Errorf("%d events about a new node's first name", n)
	}
	r.Hostname = "pwned"
	w.registerAs(r)
	if got := w.lastEvent(protocol.EventHostnameChanged); got != "anonymous node_id=1 old_hostname=bank new_hostname=pwned" {
		t.Errorf("event %q", got)
	}
}

// A key that has proved itself once is not registered by anybody who cannot.
func TestStrangerCannotMoveAProvenNode(t *testing.T) {
	const text = "node 1: unsigned registration cannot modify a signature-verified key. Sign the registration; if the node's program was rolled back to one that cannot, " +
		"an administrator clears this with: pilotctl node signed-register off --node-id 1 --admin-token-file FILE"
	key := testKey(1).String()
	refused := func(w *world, r *protocol.Register) {
		w.t.Helper()
		w.refused("register", r, nil, protocol.CodeSignatureRequired, text)
	}
	signedTags := func(w *world) {
		c := w.call("set_tags", &protocol.SetTags{NodeID: 1, Tags: []string{"web"}}, as(1))
		if r := w.apply(envelope(withID(c, SignedID(w.now, "nonce"), 1)))[0]; r.Err != nil {
			w.t.Fatal(r.Err)
		}
	}
	for name, prove := range map[string]func(*world){
		"registered over the challenge": func(w *world) {
			w.registerAs(&protocol.Register{PublicKey: key, RegisterFacts: protocol.RegisterFacts{Proven: true}})
		},
		"registered by a signed request": func(w *world) {
			w.registerAs(&protocol.Register{PublicKey: key, RegisterFacts: protocol.RegisterFacts{Proven: true, SignedRequest: true}})
		},
		"acted by a signed request": signedTags,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.registerAs(&protocol.Register{PublicKey: key, Owner: "o"})
			w.registerAs(&protocol.Register{PublicKey: key, Hostname: "bank"}) // nothing is proved yet
			prove(w)
			plain := &protocol.Register{PublicKey: key, RegisterFacts: protocol.RegisterFacts{Endpoint: "203.0.113.66:6666"}, Hostname: "pwned"}
			refused(w, plain)
			refused(w, &protocol.Register{PublicKey: key}) // also when it would change nothing
			refused(w, &protocol.Register{PublicKey: testKey(9).String(), Owner: "o", RegisterFacts: protocol.RegisterFacts{OwnerReclaim: true, Proven: true}})
			w.goOffline(1)
			refused(w, plain)
			w.beat(1)
			w.do("rotate_key", &protocol.RotateKey{NodeID: 1, NewPublicKey: testKey(2).String()}, as(1))
			plain.PublicKey = testKey(2).String()
			refused(w, plain)
			w.do("deregister", &protocol.NodeRequest{NodeID: 1}, as(1))
			refused(w, plain)
			if err := w.m.Restore(bytes.NewReader(snapshotOf(t, w.m))); err != nil {
				t.Fatal(err)
			}
			refused(w, plain)
			w.registerAs(&protocol.Register{PublicKey: plain.PublicKey, RegisterFacts: protocol.RegisterFacts{Proven: true}})
			// The node itself cannot take it back, an administrator can.
			w.do("set_signed_register", &protocol.SetSignedRegister{NodeID: 1}, as(1))
			refused(w, plain)
			w.do("set_signed_register", &protocol.SetSignedRegister{NodeID: 1}, admin)
			w.registerAs(plain)
		})
	}
	t.Run("a failed request proves nothing", func(t *testing.T) {
		w := newWorld(t)
		w.registerAs(&protocol.Register{PublicKey: key})
		c := w.call("set_tags", &protocol.SetTags{NodeID: 1, Tags: []string{"web"}}, forged)
		w.apply(envelope(withID(c, SignedID(w.now, "nonce"), 1)))
		w.registerAs(&protocol.Register{PublicKey: key})
	})
	t.Run("a challenge on another command proves nothing", func(t *testing.T) {
		w := newWorld(t)
		w.registerAs(&protocol.Register{PublicKey: key})
		w.do("set_tags", &protocol.SetTags{NodeID: 1, Tags: []string{"web"}}, as(1))
		w.registerAs(&protocol.Register{PublicKey: key})
	})
}

// Who holds a node's public key only, and tries to move it with that, leaves a
// trace, once an hour.
func TestAttemptsToMoveAProvenNodeAreAudited(t *testing.T) {
	w := newWorld(t)
	key := testKey(1).String()
	w.registerAs(&protocol.Register{PublicKey: key, RegisterFacts: protocol.RegisterFacts{Proven: true}})
	try := func() {
		w.apply(envelope(w.call("register", &protocol.Register{PublicKey: key, RegisterFacts: protocol.RegisterFacts{Endpoint: "203.0.113.66:6666"}}, nil)))
	}
	try()
	if got := w.lastEvent(protocol.EventRatchetRejected); got != "anonymous node_id=1" {
		t.Errorf("event %q", got)
	}
	digest := w.m.Root().Digest()
	for range 5 {
		if proposed, e := w.m.Root().Decide(w.call("register", &protocol.Register{PublicKey: key}, nil)); e == nil || proposed != nil {
			t.Error("the same again is proposed")
		}
	}
	if w.m.Root().Digest() != digest || w.countEvents(protocol.EventRatchetRejected) != 1 {
		t.Error("every attempt is an event: they flush those of others")
	}
	w.tick(61 * minute)
	try()
	if n := w.countEvents(protocol.EventRatchetRejected); n != 2 {
		t.Errorf("%d events after an hour, want 2", n)
	}
}
