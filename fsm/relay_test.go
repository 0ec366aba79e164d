// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// A node that only a relay reaches is reached: no daemon dials an empty
// address. What it gets is never the node's own one.
func TestRelayOnlyNodeIsReachedThroughARelay(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	b := w.registerAs(&protocol.Register{PublicKey: testKey(2).String(), RelayOnly: true, LANAddrs: []string{"10.0.0.2:1"}}).NodeID
	w.do("set_visibility", &protocol.SetVisibility{NodeID: b, Public: true}, as(b))
	want := func(addr string) {
		t.Helper()
		r := w.do("resolve", &protocol.Resolve{RequesterID: a, NodeID: b}, as(a)).(*protocol.ResolveReply)
		if r.RealAddr != addr || !r.RelayOnly || r.LANAddrs != nil {
			t.Errorf("resolve: %+v, want %q", r, addr)
		}
		if l := w.lookup(b); l.RealAddr != addr || l.Endpoint != addr || !l.RelayOnly {
			t.Errorf("lookup: %+v, want %q", l, addr)
		}
		p := w.do("punch", &protocol.Punch{RequesterID: a, NodeA: a, NodeB: b}, as(a)).(*protocol.PunchReply)
		if p.NodeBAddr != "" {
			t.Errorf("punch: %+v", p)
		}
	}
	want("")
	for _, beacon := range []struct {
		id   uint32
		addr string
		by   who
		want string
	}{
		{3, "stranger.example:9001", nil, "stranger.example:9001"},
		{2, "lower.example:9001", nil, "lower.example:9001"},
		{9, "node.example:9001", as(a), "node.example:9001"},
		{12, "operator.example:9001", admin, "operator.example:9001"},
		{1, "later.example:9001", nil, "operator.example:9001"},
	} {
		if e := w.announce("203.0.113.9:1", beacon.id, beacon.addr, beacon.by); e != nil {
			t.Fatal(e)
		}
		want(beacon.want)
	}
	// The same beacon is announced by somebody else.
	if e := w.announce("203.0.113.9:1", 3, "stranger.example:9001", admin); e != nil {
		t.Fatal(e)
	}
	want("stranger.example:9001")
	c := w.call("resolve", &protocol.Resolve{RequesterID: a, NodeID: b}, as(a))
	c.Relay = "relay.example:9001"
	if r, e := w.m.Root().Read(c); e != nil || r.Reply.(*protocol.ResolveReply).RealAddr != "relay.example:9001" {
		t.Errorf("with a configured relay: %+v %v", r, e)
	}
	w.do("set_visibility", &protocol.SetVisibility{NodeID: b}, as(b))
	if l := w.lookup(b); l.RealAddr != "" || l.RelayOnly || l.Endpoint != "" {
		t.Errorf("lookup of a private node: %+v", l)
	}
}

// Who asks for the same rotation again, because the reply was lost, does not
// lose the node: it hears that the new key counts.
func TestLostReplyOfARotationCostsNoNode(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	rotate := &protocol.RotateKey{NodeID: a, NewPublicKey: testKey(2).String()}
	before := as(a)
	old := w.call("rotate_key", rotate, before)
	w.do("rotate_key", rotate, as(a))
	resend := func(at int64, now int) bool {
		t.Helper()
		former, gen, ok := w.m.Root().ReplacedKey(a, testKey(now))
		if ok && (former != testKey(1) || gen != old.Actor.KeyGen) {
			t.Errorf("generation %d of %v", gen, former)
		}
		w.now += at
		reply, e := w.m.Root().Decide(old)
		return ok && e == nil && reply != nil
	}
	if !resend(0, 2) {
		t.Error("the resend is refused")
	}
	if resend(0, 3) {
		t.Error("the former key counts for another one")
	}
	// It counts for nothing else, and not for long.
	tags := w.call("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"x"}}, nil)
	tags.Actor = old.Actor
	if _, e := w.m.Root().Decide(tags); e == nil {
		t.Error("the former key sets tags")
	}
	other := w.call("rotate_key", &protocol.RotateKey{NodeID: a, NewPublicKey: testKey(3).String()}, nil)
	other.Actor = old.Actor
	if _, e := w.m.Root().Decide(other); e == nil {
		t.Error("the former key brings another one")
	}
	w.tick(replacedFor + 1)
	if resend(0, 2) {
		t.Error("the former key still counts")
	}
}
