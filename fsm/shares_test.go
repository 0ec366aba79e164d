// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// flood sends requests with ids of their own until one is refused, and says
// how many were taken.
func (w *world) flood(make func(i int) *Call) (taken int, refusal *protocol.Error) {
	w.t.Helper()
	for i := range 100_000 {
		c := withID(make(i), fmt.Sprint("flood-", i), byte(i))
		dry := w.m.Root().Check(c)
		r := w.apply(envelope(c))[0]
		if (dry == nil) != (r.Err == nil) || dry != nil && dry.Text != r.Err.Text {
			w.t.Fatalf("the dry run says %v, apply says %v", dry, r.Err)
		}
		if r.Err != nil {
			return i, r.Err
		}
	}
	w.t.Fatal("the flood was never refused")
	return 0, nil
}

func smallIDShares(t *testing.T) {
	known, strangers := idShares, strangerShares
	t.Cleanup(func() { idShares, strangerShares = known, strangers })
	idShares, strangerShares = share.Parts{Total: 256 << 10}, share.Parts{Total: 64 << 10}
}

func from(source string, c *Call) *Call {
	c.Source = source
	return c
}

// A stranger with a fast network sends writes with request ids: it meets its own
// bound, and nodes, administrators and other strangers go on.
func TestStrangersCannotStopWritesWithRequestIDs(t *testing.T) {
	smallIDShares(t)
	w := newWorld(t)
	a := w.register(1)
	for _, site := range []string{"203.0.113.9", "[2001:db8:1::%d]"} {
		taken, e := w.flood(func(i int) *Call {
			at := site
			if site[0] == '[' { // all addresses of a /48
				at = fmt.Sprintf("[2001:db8:1:%x::1]", i%0xffff)
			}
			return from(at+":1", plusOne(w, a))
		})
		if e.Code != protocol.CodeRateLimited || e.Outcome != protocol.OutcomeNotApplied || taken < 30 {
			t.Errorf("%s: refused after %d with %v", site, taken, e)
		}
	}
	for name, c := range map[string]*Call{
		"another stranger": from("198.51.100.7:9", plusOne(w, a)),
		"a node there":     from("203.0.113.9:9", w.call("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"x"}}, as(a))),
		"an administrator": from("203.0.113.9:9", w.call("create_network", &protocol.CreateNetwork{NodeID: a, Name: "n"}, admin)),
	} {
		if r := w.apply(envelope(withID(c, "mine", 1)))[0]; r.Err != nil {
			t.Errorf("%s: %v", name, r.Err)
		}
	}
	w.tick(5*minute + 1)
	for range 200 {
		w.tick(1)
	}
	if s := &w.m.x.once.strangers; s.total.Get() != 0 || s.held.Len() != 0 {
		t.Errorf("after five minutes %d bytes and %d holders are left", s.total.Get(), s.held.Len())
	}
}

// A node floods with its own signature, then with those of other nodes that it
// made: others can still write.
func TestOneNodeCannotStopWritesOfOthers(t *testing.T) {
	smallIDShares(t)
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	tag := func(id uint32, i int) *Call {
		return from("203.0.113.9:1", w.call("set_tags", &protocol.SetTags{NodeID: id, Tags: []string{fmt.Sprint(i)}}, as(id)))
	}
	if taken, e := w.flood(func(i int) *Call { return tag(a, i) }); e.Code != protocol.CodeRateLimited || taken < 100 {
		t.Errorf("refused after %d with %v", taken, e)
	}
	if r := w.apply(envelope(withID(tag(b, 0), "x", 1)))[0]; r.Err == nil || r.Err.Code != protocol.CodeRateLimited {
		t.Errorf("another node of the same source: %v", r.Err)
	}
	if r := w.apply(envelope(withID(from("198.51.100.7:1", tag(b, 0)), "y", 1)))[0]; r.Err != nil {
		t.Errorf("a node elsewhere: %v", r.Err)
	}
	if r := w.apply(envelope(withID(from("198.51.100.7:1", tag(a, -1)), "z", 1)))[0]; r.Err == nil {
		t.Error("the flooding node goes on from elsewhere")
	}
}

// An unsigned registration with somebody's key does not use up that key's share.
func TestUnsignedRegistrationIsAStrangers(t *testing.T) {
	r := &protocol.Register{PublicKey: testKey(1).String()}
	if b := bearerOf(r, Actor{}, "203.0.113.9:1"); b.principal != "" {
		t.Errorf("an unsigned registration counts for %q", b.principal)
	}
	r.Proven = true
	if b := bearerOf(r, Actor{}, "203.0.113.9:1"); b.principal == "" {
		t.Error("a signed registration counts for nobody")
	}
}

// A fleet behind one address comes back after an outage and registers with
// request ids, more of them than strangers may have remembered.
func TestAFleetThatComesBackIsNotRefused(t *testing.T) {
	smallIDShares(t)
	w := newWorld(t)
	register := func(seed int, id string) (*protocol.RegisterReply, int64) {
		body := &protocol.Register{PublicKey: testKey(seed).String(), RegisterFacts: protocol.RegisterFacts{Endpoint: "198.51.100.1:4000"}}
		c := withID(w.call("register", body, nil), id, byte(seed))
		if e := w.m.Root().Check(c); e != nil {
			t.Fatalf("registration %d: %v", seed, e)
		}
		r := w.apply(envelope(c))[0]
		if r.Err != nil {
			t.Fatalf("registration %d: %v", seed, r.Err)
		}
		var reply protocol.RegisterReply
		if err := json.Unmarshal(r.JSON(), &reply); err != nil {
			t.Fatal(err)
		}
		return &reply, w.m.x.once.strangers.total.Get()
	}
	const fleet = 600
	first := map[int]uint32{}
	held := int64(0)
	for i := range fleet {
		reply, total := register(i+1, fmt.Sprint("up-", i))
		first[i], held = reply.NodeID, max(held, total)
	}
	if held > strangerShares.Total {
		t.Errorf("%d bytes are remembered, more than the bound of %d", held, strangerShares.Total)
	}
	for i := range fleet {
		if reply, _ := register(i+1, fmt.Sprint("up-", i)); reply.NodeID != first[i] {
			t.Fatalf("sent again, registration %d made node %d, first it was %d", i, reply.NodeID, first[i])
		}
	}
}
