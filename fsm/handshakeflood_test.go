// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// asFrom is as, from one of many machines.
func asFrom(id uint32, machine int) who {
	return func(w *world, c *Call) {
		as(id)(w, c)
		c.Source = fmt.Sprintf("198.51.100.%d:4000", machine)
	}
}

// Whoever registers many nodes at one machine, or in one IPv6 site, does not
// keep others from asking a node for a handshake.
func TestOneMachineCannotFillAnInbox(t *testing.T) {
	for name, source := range map[string]func(i int) string{
		"one address": func(int) string { return "203.0.113.66:5000" },
		"one network": func(i int) string { return fmt.Sprintf("[2001:db8:1:1::%x]:1", i+1) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			victim := w.register(0)
			for i := range 2 * protocol.MaxHandshakeInbox {
				id := w.register(100 + i)
				w.try("request_handshake", &protocol.RequestHandshake{FromNodeID: id, ToNodeID: victim}, func(w *world, c *Call) {
					as(id)(w, c)
					c.Source = source(i)
				})
			}
			for i := range 20 {
				friend := w.register(1000 + i)
				w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: friend, ToNodeID: victim}, asFrom(friend, i))
			}
		})
	}
}

// Anybody can respond to anybody, asked or not. What a node has asked for must
// not be pushed out by that, nor what others refuse it.
func TestUnaskedResponsesPushNothingOut(t *testing.T) {
	w := newWorld(t)
	victim := w.register(0)
	friend, other := w.register(1), w.register(2)
	for _, peer := range []uint32{friend, other} {
		w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: victim, ToNodeID: peer}, as(victim))
	}
	w.do("respond_handshake", &protocol.RespondHandshake{NodeID: friend, PeerID: victim, Accept: true}, as(friend))
	w.do("respond_handshake", &protocol.RespondHandshake{NodeID: other, PeerID: victim}, as(other))
	foe := w.register(3)
	w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: victim, ToNodeID: foe}, as(victim))
	flooders := []uint32{foe, w.register(4), w.register(5)}
	for i := range 4 * protocol.MaxHandshakeResponses {
		sender := flooders[i%len(flooders)]
		w.do("respond_handshake", &protocol.RespondHandshake{NodeID: sender, PeerID: victim, Accept: true}, as(sender))
	}
	left := map[uint32]int{}
	for more := true; more; {
		got := w.poll(victim)
		more = got.More
		for _, r := range got.Responses {
			left[r.FromNodeID]++
		}
	}
	total := 0
	for _, n := range left {
		total += n
	}
	if left[friend] != 1 || left[other] != 1 || total != protocol.MaxHandshakeResponses {
		t.Errorf("responses left, by node: %v, want one of node %d and one of node %d", left, friend, other)
	}
}

// The accepted ones stay also when very many nodes respond once each.
func TestManyNodesPushOutNoAnswerThatWasAskedFor(t *testing.T) {
	w := newWorld(t)
	victim, friend := w.register(0), w.register(1)
	w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: victim, ToNodeID: friend}, as(victim))
	w.do("respond_handshake", &protocol.RespondHandshake{NodeID: friend, PeerID: victim, Accept: true}, as(friend))
	for i := range 2 * protocol.MaxHandshakeResponses {
		stranger := w.register(100 + i)
		w.do("respond_handshake", &protocol.RespondHandshake{NodeID: stranger, PeerID: victim, Accept: true}, as(stranger))
	}
	for more := true; more; {
		got := w.poll(victim)
		more = got.More
		for _, r := range got.Responses {
			if r.FromNodeID == friend {
				return
			}
		}
	}
	t.Error("the friend's answer is gone")
}
