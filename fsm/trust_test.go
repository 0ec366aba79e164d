// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestTrust(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.register(1), w.register(2), w.register(3)
	trusted := func(x, y uint32) bool {
		return w.do("check_trust", &protocol.Trust{NodeID: x, PeerID: y}, nil).(*protocol.CheckTrustReply).Trusted
	}
	if trusted(a, b) || trusted(77, 78) {
		t.Error("strangers trust each other")
	}
	w.do("report_trust", &protocol.Trust{NodeID: b, PeerID: a}, as(b))
	if !trusted(a, b) || !trusted(b, a) || trusted(a, c) {
		t.Error("trust is not mutual or spreads")
	}
	if got := w.lastEvent(protocol.EventTrustCreated); got != "node:2 node_a=2 node_b=1" {
		t.Errorf("event %q", got)
	}
	w.do("report_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a)) // again is harmless
	w.goOffline(b)
	w.beat(a)
	if !trusted(a, b) {
		t.Error("trust did not survive a departure")
	}
	w.do("revoke_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a)) // the peer need not be live
	w.refused("revoke_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a), protocol.CodeNotFound, "no trust pair between 1 and 2")
	w.refused("revoke_trust", &protocol.Trust{NodeID: a, PeerID: b}, forged, protocol.CodeSignatureInvalid, "signature verification failed")
	if w.lastEvent(protocol.EventTrustRevoked) != "node:1 node_a=1 node_b=2" || trusted(a, b) {
		t.Error(w.lastEvent(protocol.EventTrustRevoked))
	}

	w.register(2)
	w.register(3)
	net := w.network("lab", a, "open", false)
	w.join(net, c)
	if !trusted(a, c) || trusted(a, b) {
		t.Error("a common network does not count, or the backbone does")
	}
	w.goOffline(c)
	if trusted(a, c) {
		t.Error("a common network counts for an offline node")
	}
	w.register(1)
	w.do("report_trust", &protocol.Trust{NodeID: a, PeerID: a}, as(a)) // with oneself is accepted
}

func (w *world) poll(id uint32) *protocol.PollHandshakesReply {
	w.t.Helper()
	c := w.call("poll_handshakes", &protocol.PollHandshakes{NodeID: id}, as(id))
	read, e := w.m.Root().Read(c)
	if e != nil {
		w.t.Fatal(e)
	}
	shown := read.Reply.(*protocol.PollHandshakesReply)
	if !read.Propose {
		if len(shown.Requests)+len(shown.Responses) > 0 {
			w.t.Error("something is there and would not be taken away")
		}
		return shown
	}
	r := w.apply(envelope(c))[0]
	if r.Err != nil {
		w.t.Fatal(r.Err)
	}
	if len(r.JSON()) > maxPollBytes {
		w.t.Errorf("the reply has %d bytes", len(r.JSON()))
	}
	got := &protocol.PollHandshakesReply{}
	if err := json.Unmarshal(r.JSON(), got); err != nil {
		w.t.Fatal(err)
	}
	return got
}

func TestHandshake(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	empty, _ := json.Marshal(w.poll(b))
	if string(empty) != `{"requests":[],"responses":[],"type":"poll_handshakes_ok"}` {
		t.Errorf("an empty poll is %s", empty)
	}
	ask := &protocol.RequestHandshake{FromNodeID: a, ToNodeID: b, Justification: "hello"}
	w.refused("request_handshake", ask, nobody, protocol.CodeSignatureRequired, "handshake request requires signature")
	w.refused("request_handshake", ask, badEncoding, protocol.CodeSignatureInvalid, "invalid signature encoding: illegal base64 data at input byte 0")
	w.refused("request_handshake", ask, forged, protocol.CodeSignatureInvalid, "handshake request signature verification failed")
	w.refused("request_handshake", ask, admin, protocol.CodeSignatureRequired, "handshake request requires signature")
	if r := w.do("request_handshake", ask, as(a)).(*protocol.RequestHandshakeReply); r.Status != "delivered" {
		t.Errorf("reply %+v", r)
	}
	if got := w.lastEvent(protocol.EventHandshakeRelayed); got != "node:1 from_node_id=1 to_node_id=2" {
		t.Errorf("event %q", got)
	}
	w.refused("request_handshake", ask, as(a), protocol.CodeAlreadyExists, "handshake request already pending from node 1")

	got := w.poll(b)
	if len(got.Requests) != 1 || got.Requests[0] != (protocol.HandshakeRequest{FromNodeID: a, Justification: "hello", Timestamp: w.now / 1000}) || got.More {
		t.Errorf("poll %+v", got)
	}
	if got := w.poll(b); len(got.Requests) != 0 {
		t.Errorf("a second poll %+v", got)
	}

	answer := &protocol.RespondHandshake{NodeID: b, PeerID: a, Accept: true}
	w.refused("respond_handshake", answer, nobody, protocol.CodeSignatureRequired, "handshake response requires signature")
	w.refused("respond_handshake", answer, forged, protocol.CodeSignatureInvalid, "handshake response signature verification failed")
	r := w.do("respond_handshake", answer, as(b)).(*protocol.RespondHandshakeReply)
	if !r.Accept || r.PeerID != a || w.lastEvent(protocol.EventHandshakeResponded) != "node:2 node_id=2 peer_id=1 accept=true" {
		t.Errorf("reply %+v, event %q", r, w.lastEvent(protocol.EventHandshakeResponded))
	}
	w.do("respond_handshake", &protocol.RespondHandshake{NodeID: b, PeerID: a}, as(b))
	if !w.m.Root().trusts(a, b) {
		t.Error("accepting made no trust, or rejecting ended it")
	}
	got = w.poll(a)
	if len(got.Responses) != 2 || !got.Responses[0].Accept || got.Responses[1].Accept || got.Responses[0].FromNodeID != b {
		t.Errorf("poll %+v", got)
	}
	if w.m.Root().trust.requests.Len()+w.m.Root().trust.responses.Len() != 0 {
		t.Error("something is left in the queues")
	}
}

func TestHandshakeCaps(t *testing.T) {
	w := newWorld(t)
	to := w.register(0)
	for i := 1; i <= protocol.MaxHandshakeInbox+1; i++ {
		id := w.register(i)
		ask := &protocol.RequestHandshake{FromNodeID: id, ToNodeID: to, Justification: strings.Repeat("<", protocol.MaxTextBytes)}
		if i > protocol.MaxHandshakeInbox {
			w.refused("request_handshake", ask, asFrom(id, i), protocol.CodeLimitReached, fmt.Sprintf("handshake inbox full for node %d", to))
			break
		}
		w.do("request_handshake", ask, asFrom(id, i))
	}
	for i := range protocol.MaxHandshakeResponses + 5 {
		w.do("respond_handshake", &protocol.RespondHandshake{NodeID: uint32(i%90) + 2, PeerID: to, Accept: i%2 == 0}, as(uint32(i%90)+2))
	}
	var from []uint32
	responses := 0
	for {
		got := w.poll(to)
		for _, q := range got.Requests {
			from = append(from, q.FromNodeID)
		}
		responses += len(got.Responses)
		if !got.More {
			break
		}
		if len(got.Requests)+len(got.Responses) == 0 {
			t.Fatal("more was promised and nothing came")
		}
	}
	if len(from) != protocol.MaxHandshakeInbox || responses != protocol.MaxHandshakeResponses {
		t.Fatalf("%d requests, %d responses", len(from), responses)
	}
	for i, id := range from {
		if id != uint32(i)+2 {
			t.Fatalf("request %d is from node %d: not oldest first", i, id)
		}
	}
}

// A poll takes away what it was shown, not what came meanwhile, and answers
// with what it took.
func TestPollTakesWhatItWasShown(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.register(1), w.register(2), w.register(3)
	w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: a, ToNodeID: c}, as(a))
	shown := w.call("poll_handshakes", &protocol.PollHandshakes{NodeID: c}, as(c))
	if r, e := w.m.Root().Read(shown); e != nil || !r.Propose {
		t.Fatal(r, e)
	}
	w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: b, ToNodeID: c}, as(b))
	w.do("respond_handshake", &protocol.RespondHandshake{NodeID: b, PeerID: c}, as(b))
	first := w.apply(envelope(shown))[0]
	if !strings.Contains(string(first.JSON()), `"from_node_id":1`) || strings.Contains(string(first.JSON()), `"from_node_id":2`) || !strings.Contains(string(first.JSON()), `"more":true`) {
		t.Errorf("reply %s", first.JSON())
	}
	again := w.apply(envelope(shown))[0]
	if strings.Contains(string(again.JSON()), "from_node_id") {
		t.Errorf("taken twice: %s", again.JSON())
	}
	if got := w.poll(c); len(got.Requests) != 1 || len(got.Responses) != 1 {
		t.Errorf("left %+v", got)
	}
}

// Who takes a node out, or revokes, wants nobody to answer what it asked.
func TestNobodyAnswersWhatADepartedNodeAsked(t *testing.T) {
	ask := func(w *world, from, to uint32) {
		w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: from, ToNodeID: to, Justification: "the code is 4711"}, as(from))
	}
	begin := func(t *testing.T) (w *world, gone, other uint32) {
		w = newWorld(t)
		gone, other = w.register(1), w.register(2)
		ask(w, w.register(3), other)
		ask(w, gone, other)
		return w, gone, other
	}
	check := func(t *testing.T, w *world, other uint32) {
		if r := w.poll(other); len(r.Requests) != 1 || r.Requests[0].FromNodeID != 3 {
			t.Errorf("waiting at the other: %+v, want what node 3 asked", r.Requests)
		}
	}
	t.Run("deregistered", func(t *testing.T) {
		w, gone, other := begin(t)
		ask(w, other, gone)
		w.do("respond_handshake", &protocol.RespondHandshake{NodeID: other, PeerID: gone, Accept: true}, as(other))
		w.do("deregister", &protocol.NodeRequest{NodeID: gone}, as(gone))
		if r := w.m.Root(); r.trust.requests.Len() != 1 || r.trust.responses.Len() != 0 {
			t.Errorf("left: %d requests, %d responses", r.trust.requests.Len(), r.trust.responses.Len())
		}
		check(t, w, other)
		w.register(1)
		if r := w.poll(gone); len(r.Requests)+len(r.Responses) != 0 {
			t.Errorf("who comes back is asked what was asked before: %+v", r)
		}
		ask(w, gone, other) // and may ask again
	})
	t.Run("revoked", func(t *testing.T) {
		w, gone, other := begin(t)
		w.do("revoke_trust", &protocol.Trust{NodeID: gone, PeerID: other}, as(gone))
		check(t, w, other)
	})
}
