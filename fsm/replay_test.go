// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// A remembered reply is given to who proves to have asked, and to nobody else.
func TestStrangerDoesNotGetARememberedReply(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: b, ToNodeID: a, Justification: "the code is 4711"}, as(b))
	poll := func(by who) *Call {
		return withID(w.call("poll_handshakes", &protocol.PollHandshakes{NodeID: a, DrainFacts: protocol.DrainFacts{UpToRequest: 1 << 60, UpToResponse: 1 << 60}}, by), "poll-1", 1)
	}
	first := w.apply(envelope(poll(as(a))))[0]
	if first.Err != nil || !bytes.Contains(first.JSON(), []byte("4711")) {
		t.Fatalf("%s %v", first.JSON(), first.Err)
	}
	for name, by := range map[string]who{"nobody": nobody, "a wrong signature": forged, "another node": as(b), "an administrator": admin} {
		c := poll(by)
		c.Source = name // a refusal of one must not affect the next
		if r, known, e := w.m.Root().Replay(c); known || e != nil {
			t.Errorf("%s: the front door answers %s %v", name, r.JSON(), e)
		}
		if r := w.apply(envelope(c))[0]; r.Err == nil || r.Replayed {
			t.Errorf("%s: Apply answers %s", name, r.JSON())
		}
	}
	again := poll(as(a))
	if r, known, _ := w.m.Root().Replay(again); !known || !bytes.Equal(r.JSON(), first.JSON()) {
		t.Errorf("who asked gets %s", r.JSON())
	}
	// A key that was replaced since does not get it either, and what is
	// remembered stays.
	w.do("rotate_key", &protocol.RotateKey{NodeID: a, NewPublicKey: testKey(3).String()}, as(a))
	if r := w.apply(envelope(again))[0]; r.Err == nil || r.Err.Code != protocol.CodeSignatureInvalid || r.Replayed {
		t.Errorf("the key before got %s %v", r.JSON(), r.Err)
	}
	if r := w.apply(envelope(poll(as(a))))[0]; !r.Replayed || !bytes.Equal(r.JSON(), first.JSON()) {
		t.Errorf("the key now gets %s %v", r.JSON(), r.Err)
	}
}

// A token that was replaced does not get the replies of the one before.
func TestAReplacedTokenGetsNoRememberedReply(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	c := withID(w.call("create_network", &protocol.CreateNetwork{NodeID: a, Name: "lab"}, admin), "r", 1)
	w.apply(envelope(c))
	if r := w.apply(envelope(c))[0]; !r.Replayed {
		t.Fatalf("%+v", r)
	}
	w.internal(KindPutToken, PutToken{Kind: TokenAdmin, Name: "root", MAC: testMAC(8)})
	if r := w.apply(envelope(c))[0]; r.Replayed || r.Err == nil || r.Err.Code != protocol.CodeAdminToken {
		t.Errorf("%+v", r)
	}
}

// What takes the signer's key away is still known by that key: rotate_key
// happens once, however often it is sent, and so does deregister.
func TestARequestThatEndsItsKeyHappensOnce(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	rotate := withID(w.call("rotate_key", &protocol.RotateKey{NodeID: a, NewPublicKey: testKey(2).String()}, as(a)), "r", 1)
	first := w.apply(envelope(rotate))[0]
	w.do("rotate_key", &protocol.RotateKey{NodeID: a, NewPublicKey: testKey(3).String()}, as(a))
	leave := withID(w.call("deregister", &protocol.NodeRequest{NodeID: a}, as(a)), "d", 1)
	left := w.apply(envelope(leave))[0]
	if err := w.m.Restore(bytes.NewReader(snapshotOf(t, w.m))); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		c     *Call
		id    string
		first Result
		seed  int
	}{{rotate, "r", first, 1}, {leave, "d", left, 3}} {
		if r := w.apply(envelope(x.c))[0]; !r.Replayed || !bytes.Equal(r.JSON(), x.first.JSON()) || r.Index != x.first.Index {
			t.Errorf("%s again: %s %v at %d, first at %d", x.c.Row.Name, r.JSON(), r.Err, r.Index, x.first.Index)
		}
		key, gen, ok := w.m.Root().FormerKey(x.c.Row, a, x.id)
		if !ok || gen != x.c.Actor.KeyGen || key != testKey(x.seed) {
			t.Errorf("%s was signed by %v, generation %d, %t", x.c.Row.Name, key, gen, ok)
		}
		if _, _, ok := w.m.Root().FormerKey(x.c.Row, a, "other"); ok {
			t.Error("the former key stands for another request too")
		}
	}
	if _, _, ok := w.m.Root().FormerKey(protocol.Must("set_tags"), a, "r"); ok {
		t.Error("the former key stands for another command too")
	}
}

// Who proves nothing is told apart by where it is.
func TestAnonymousRequestIDsBelongToTheirSource(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	from := func(source string) Result {
		c := withID(plusOne(w, a), "r", 1)
		c.Source = source
		return w.apply(envelope(c))[0]
	}
	if r := from("203.0.113.9:1"); r.Replayed || r.Err != nil {
		t.Fatal(r)
	}
	if r := from("203.0.113.9:2"); !r.Replayed {
		t.Error("another connection of the same machine: not remembered")
	}
	if r := from("203.0.113.10:1"); r.Replayed {
		t.Error("another machine got the reply")
	}
	if got := w.polo(a); got != 2 {
		t.Errorf("score %d", got)
	}
}
