// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// mutual makes a world in which one side's word opens nothing.
func mutual(t *testing.T) *world {
	w := newWorld(t)
	w.do("set_setting", &protocol.SetSetting{Name: protocol.SettingTrustMode, Value: protocol.TrustMutual}, admin)
	if got := w.lastEvent(protocol.EventSettingChanged); got != "token:root name=trust.mode old=compatible new=mutual" {
		t.Errorf("event %q", got)
	}
	return w
}

func (w *world) report(a, b uint32) {
	w.do("report_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a))
}

func (w *world) ask(a, b uint32) {
	w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: a, ToNodeID: b}, as(a))
}

func (w *world) answer(a, b uint32, accept bool) {
	w.do("respond_handshake", &protocol.RespondHandshake{NodeID: a, PeerID: b, Accept: accept}, as(a))
}

// meets says whether the first node sees the second's endpoint in every way.
func (w *world) meets(a, b uint32) bool {
	w.t.Helper()
	_, resolve := w.try("resolve", &protocol.Resolve{RequesterID: a, NodeID: b}, as(a))
	_, punch := w.try("punch", &protocol.Punch{RequesterID: a, NodeA: a, NodeB: b}, as(a))
	trusted := w.do("check_trust", &protocol.Trust{NodeID: a, PeerID: b}, nil).(*protocol.CheckTrustReply).Trusted
	if (resolve == nil) != trusted || (punch == nil) != trusted {
		w.t.Errorf("resolve %v, punch %v, trusted %t", resolve, punch, trusted)
	}
	return trusted
}

// Two deployed programs still meet: each of their ways to trust ends in it.
func TestProgramsMeetUnderMutualTrust(t *testing.T) {
	const a, b = 1, 2
	for name, flow := range map[string][]func(*world){
		"a handshake":                             {func(w *world) { w.ask(a, b) }, func(w *world) { w.answer(b, a, true) }},
		"a handshake to the lower id":             {func(w *world) { w.ask(b, a) }, func(w *world) { w.answer(a, b, true) }},
		"a handshake, then both report":           {func(w *world) { w.ask(a, b) }, func(w *world) { w.answer(b, a, true) }, func(w *world) { w.report(b, a); w.report(a, b) }},
		"both ask, one accepts":                   {func(w *world) { w.ask(a, b); w.ask(b, a) }, func(w *world) { w.answer(b, a, true) }},
		"a handshake between themselves":          {func(w *world) { w.report(a, b) }, func(w *world) { w.report(b, a) }},
		"one accepts unasked, the other reports":  {func(w *world) { w.answer(a, b, true) }, func(w *world) { w.report(b, a) }},
		"one reports, the other asks":             {func(w *world) { w.report(a, b) }, func(w *world) { w.ask(b, a) }},
		"turned down, asked again, accepted":      {func(w *world) { w.ask(a, b); w.answer(b, a, false); w.poll(b); w.ask(a, b) }, func(w *world) { w.answer(b, a, true) }},
		"revoked, then each reports":              {func(w *world) { w.report(a, b); w.report(b, a); w.revoke(a, b); w.report(b, a) }, func(w *world) { w.report(a, b) }},
		"both register again and report as usual": {func(w *world) { w.report(a, b) }, func(w *world) { w.report(b, a) }, func(w *world) { w.register(1); w.register(2); w.report(a, b); w.report(b, a) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := mutual(t)
			w.register(1)
			w.register(2)
			for i, step := range flow {
				step(w)
				if last := i >= 1; w.meets(a, b) != last || w.meets(b, a) != last {
					t.Errorf("step %d: they meet %t and %t, want %t", i, w.meets(a, b), w.meets(b, a), last)
				}
			}
			if err := w.m.Restore(bytes.NewReader(snapshotOf(t, w.m))); err != nil {
				t.Fatal(err)
			}
			if !w.meets(a, b) {
				t.Error("forgotten by a snapshot")
			}
		})
	}
}

func (w *world) revoke(a, b uint32) {
	w.do("revoke_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a))
}

// What a stranger says about a private node does not show where it is.
func TestStrangerDoesNotSeeAPrivateNode(t *testing.T) {
	const victim, stranger = 1, 2
	for name, say := range map[string]func(*world){
		"report_trust":                func(w *world) { w.report(stranger, victim) },
		"accept without a request":    func(w *world) { w.answer(stranger, victim, true) },
		"ask":                         func(w *world) { w.ask(stranger, victim) },
		"ask and report":              func(w *world) { w.ask(stranger, victim); w.report(stranger, victim) },
		"ask, be turned down, report": func(w *world) { w.ask(stranger, victim); w.answer(victim, stranger, false); w.report(stranger, victim) },
		"report again after a revoke": func(w *world) {
			w.report(stranger, victim)
			w.report(victim, stranger)
			w.revoke(victim, stranger)
			w.report(stranger, victim)
		},
		"the victim asked and withdrew": func(w *world) { w.ask(victim, stranger); w.revoke(victim, stranger); w.answer(stranger, victim, true) },
	} {
		w := mutual(t)
		w.register(1)
		w.register(2)
		say(w)
		if w.meets(stranger, victim) {
			t.Errorf("%s: the stranger sees the victim", name)
		}
		if w.meets(victim, stranger) {
			t.Errorf("%s: the victim sees the stranger", name)
		}
	}
	w := newWorld(t) // deployed programs rely on it
	w.register(1)
	w.register(2)
	w.report(stranger, victim)
	if !w.meets(stranger, victim) {
		t.Error("the compatible mode is not the default")
	}
	w.do("set_setting", &protocol.SetSetting{Name: protocol.SettingTrustMode, Value: protocol.TrustMutual}, admin)
	if w.meets(stranger, victim) {
		t.Error("what was said before the mode changed counts on")
	}
	w.report(victim, stranger)
	if got := w.lastEvent(protocol.EventTrustCreated); !w.meets(stranger, victim) || got != "node:1 node_a=1 node_b=2" {
		t.Errorf("both have reported: event %q", got)
	}
}

// Trust is bounded per node, by what the node itself says, and ends with it.
func TestTrustPairsAreBoundedAndGoWithTheNode(t *testing.T) {
	w := newWorld(t)
	hub, victim := w.register(1), w.register(2)
	for i := range uint32(maxOffers - 1) {
		w.m.x.setSides(hub, 1000+i, reportedLow)
	}
	w.tick(0)
	w.report(hub, victim)
	third := w.register(3)
	const full = "node 1 has 4096 trust pairs, which is the most; revoke one first"
	w.refused("report_trust", &protocol.Trust{NodeID: hub, PeerID: third}, as(hub), protocol.CodeLimitReached, full)
	w.refused("respond_handshake", &protocol.RespondHandshake{NodeID: hub, PeerID: third, Accept: true}, as(hub), protocol.CodeLimitReached, full)
	w.refused("request_handshake", &protocol.RequestHandshake{FromNodeID: hub, ToNodeID: third}, as(hub), protocol.CodeLimitReached, full)
	w.answer(hub, third, false)
	w.report(hub, victim) // known already
	w.report(third, hub)  // counted for the other
	w.report(victim, third)
	if n, _ := w.m.Root().trust.offers.Get(hub); n != maxOffers {
		t.Errorf("%d offers", n)
	}
	w.do("deregister", &protocol.NodeRequest{NodeID: hub}, as(hub))
	if r := w.m.Root(); r.trust.pairs.Len() != 1 || r.trust.byPeer.Len() != 2 || r.trust.offers.Len() != 1 {
		t.Errorf("left: %d pairs, %d peers, %d offers", r.trust.pairs.Len(), r.trust.byPeer.Len(), r.trust.offers.Len())
	}
	if w.register(1) != hub || w.meets(hub, victim) {
		t.Error("who comes back is trusted as before")
	}
}

func TestSidesKeepTheirForm(t *testing.T) {
	for s := sides(1); s < 16; s++ {
		d := table.NewDecoder(s.AppendTo(nil, LevelMax))
		if got := readSides(d, LevelMax); got != s || d.Failed() || d.Left() > 0 {
			t.Errorf("%04b became %04b", s, got)
		}
	}
	for _, b := range []byte{0, 3, 16, 255} {
		if d := table.NewDecoder([]byte{b}); readSides(d, LevelMax) > 0 && !d.Failed() {
			t.Error(fmt.Sprint("accepted ", b))
		}
	}
}

func TestSettings(t *testing.T) {
	w := newWorld(t)
	if len(settingNames) != len(protocol.Settings) {
		t.Fatal("a setting has no place in the state")
	}
	for i, s := range protocol.Settings {
		if settingNames[i] != s.Name {
			t.Errorf("setting %d is %s here and %s there", i, settingNames[i], s.Name)
		}
		for j := range s.Values {
			value := s.Values[len(s.Values)-1-j]
			w.do("set_setting", &protocol.SetSetting{Name: s.Name, Value: value}, admin)
			if err := w.m.Restore(bytes.NewReader(snapshotOf(t, w.m))); err != nil {
				t.Fatal(err)
			}
			list := w.do("list_settings", &protocol.ListSettings{}, admin).(*protocol.ListSettingsReply)
			if list.Settings[i].Value != value {
				t.Errorf("%+v, want %s", list.Settings[i], value)
			}
		}
	}
	w.refused("set_setting", &protocol.SetSetting{Name: "trust.mode", Value: "mutual"}, as(w.register(1)), protocol.CodeAdminToken, "invalid admin token")
	w.refused("set_setting", &protocol.SetSetting{Name: "trust.mode", Value: "none"}, admin, protocol.CodeInvalid, `invalid value "none" of trust.mode: want one of compatible, mutual`)
	w.refused("set_setting", &protocol.SetSetting{Name: "trust", Value: "none"}, admin, protocol.CodeInvalid, `invalid name "trust": want one of trust.mode, privacy.external_id`)
}
