// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func (w *world) sweep() Sweep {
	w.t.Helper()
	s := w.m.Root().SweepCandidates(w.now, 1000)
	w.internal(KindSweep, s)
	return s
}

func TestHeartbeat(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	net := w.network("lab", a, "open", true)
	w.tick(minute)
	r := w.apply(envelope(w.call("heartbeat", &protocol.NodeRequest{NodeID: a}, as(a))))[0]
	if want := fmt.Sprintf(`{"time":%d,"type":"heartbeat_ok"}`, w.now/1000); string(r.JSON()) != want {
		t.Errorf("reply %s, want %s", r.JSON(), want)
	}
	if got := w.do("list_nodes", &protocol.ListNodes{NetworkID: net}, nil).(*protocol.ListNodesReply).Nodes[0].LastSeen; got != utc(w.now) {
		t.Errorf("last seen %s, want %s", got, utc(w.now))
	}
	events := w.m.Root().meta.eventSeq
	w.beat(a)
	if w.m.Root().meta.eventSeq != events {
		t.Error("a heartbeat was audited")
	}

	expire := func(at int64) {
		w.do("set_key_expiry", &protocol.SetKeyExpiry{NodeID: a, ExpiresAt: utc(at)}, as(a))
	}
	warned := func() bool {
		return w.do("heartbeat", &protocol.NodeRequest{NodeID: a}, as(a)).(*protocol.HeartbeatReply).KeyExpiryWarning
	}
	expire(w.now + 30*24*hour)
	if warned() {
		t.Error("warned a month before")
	}
	end := w.now + 12*hour
	expire(end)
	if !warned() {
		t.Error("not warned half a day before")
	}
	w.tick(end - w.now) // exactly then the key is still good
	w.beat(a)
	w.tick(1)
	text := fmt.Sprintf("node %d: key expired at %s", a, utc(end))
	blocked := w.call("heartbeat", &protocol.NodeRequest{NodeID: a}, as(a))
	if r := w.apply(envelope(blocked))[0]; r.Err == nil || r.Err.Text != text || r.Err.Code != protocol.CodeKeyExpired {
		t.Fatalf("got %v", r.Err)
	}
	// Within an hour it is refused at the front door and not audited again.
	w.refused("heartbeat", blocked.Body, as(a), protocol.CodeKeyExpired, text)
	if n := w.countEvents(protocol.EventHeartbeatBlocked); n != 1 {
		t.Errorf("%d events", n)
	}
	w.tick(hour)
	if e := w.m.Root().Check(blocked); e != nil {
		t.Errorf("the front door kept the hourly note from the log: %v", e)
	}
	w.apply(envelope(blocked))
	if n := w.countEvents(protocol.EventHeartbeatBlocked); n != 2 {
		t.Errorf("%d events after an hour", n)
	}
	// Registering still works, and does not clear the expiry.
	w.register(1)
	w.refused("heartbeat", blocked.Body, as(a), protocol.CodeKeyExpired, text)
}

func TestOfflineAndRelease(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	w.do("set_hostname", &protocol.SetHostname{NodeID: a, Hostname: "alpha"}, as(a))
	w.do("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"x"}}, as(a))
	w.do("set_visibility", &protocol.SetVisibility{NodeID: a, Public: true}, as(a))
	w.do("set_task_exec", &protocol.SetTaskExec{NodeID: a, Enabled: true}, as(a))
	score := 5.0
	w.do("set_polo_score", &protocol.SetPoloScore{NodeID: a, PoloScore: &score}, nil)
	net := w.network("lab", a, "open", true)
	w.do("set_key_expiry", &protocol.SetKeyExpiry{NodeID: a, ExpiresAt: utc(w.now + 48*hour)}, as(a))
	whole := *w.lookup(a)

	keepB := func(d int64) {
		for ; d > 0; d -= 2 * minute {
			w.tick(min(d, 2*minute))
			w.beat(b)
		}
	}
	keepB(3 * minute)
	if s := w.sweep(); !s.Empty() {
		t.Fatalf("swept too early: %+v", s)
	}
	// A sweep that names a node which is not silent does nothing.
	w.internal(KindSweep, Sweep{Term: 1, Offline: []uint32{a, b, 99}, Release: []uint32{a, b, 99}})
	w.lookup(a)
	keepB(2 * aSecond)
	if s := w.sweep(); !slices.Equal(s.Offline, []uint32{a}) {
		t.Fatalf("swept %+v", s)
	}
	w.gone(a)
	if got := w.lastEvent(protocol.EventNodeReaped); got != "system node_id=1 reason=stale_heartbeat last_seen_ago=3m2s networks=2" {
		t.Errorf("event %q", got)
	}
	if w.m.Root().NodeCount() != 1 {
		t.Errorf("%d nodes", w.m.Root().NodeCount())
	}
	listed := w.do("list_nodes", &protocol.ListNodes{NetworkID: net}, nil).(*protocol.ListNodesReply)
	if b, _ := json.Marshal(listed.Nodes); string(b) != `[{"address":"1:0001.0000.0001","node_id":1,"offline":true,"role":"owner"}]` {
		t.Errorf("listed %s", b)
	}

	w.beat(a)
	if got := *w.lookup(a); !slices.Equal(got.Tags, whole.Tags) || got.Hostname != "alpha" || !got.Public || got.PoloScore != 5 || !slices.Equal(got.Networks, whole.Networks) {
		t.Errorf("a heartbeat brought back %+v", got)
	}
	w.goOffline(a)
	w.beat(b)
	keepB(24*hour - minute)
	if s := w.sweep(); len(s.Release) != 0 {
		t.Fatalf("released too early: %+v", s)
	}
	w.do("set_hostname", &protocol.SetHostname{NodeID: b, Hostname: "beta"}, as(b))
	keepB(2 * minute)
	if s := w.sweep(); !slices.Equal(s.Release, []uint32{a}) {
		t.Fatalf("released %+v", s)
	}
	if got := w.lastEvent(protocol.EventNodeReleased); got != "system node_id=1 hostname=alpha" {
		t.Errorf("event %q", got)
	}
	w.do("set_hostname", &protocol.SetHostname{NodeID: b, Hostname: "alpha"}, as(b))
	w.beat(a)
	got := w.lookup(a)
	if got.Hostname != "" || got.Tags != nil || got.Public || got.TaskExec || got.PoloScore != 0 {
		t.Errorf("a released node kept %+v", got)
	}
	if !slices.Equal(got.Networks, whole.Networks) || got.PublicKey != whole.PublicKey {
		t.Errorf("a released node lost %+v", got)
	}
	if r := w.do("get_member_role", &protocol.GetMemberRole{NetworkID: net, TargetNodeID: a}, nil).(*protocol.GetMemberRoleReply); r.Role != "owner" {
		t.Errorf("role %s", r.Role)
	}
	if w.do("get_key_info", &protocol.NodeRequest{NodeID: a}, nil).(*protocol.GetKeyInfoReply).ExpiresAt == "" {
		t.Error("the expiry is gone")
	}
}

// A fail-over must not cost anybody their place: a new term counts as a sign
// of life of everybody.
func TestTermStartGrantsGrace(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	w.tick(10 * minute)
	w.internal(KindTermStart, TermStart{Term: 2})
	if s := w.sweep(); !s.Empty() {
		t.Errorf("swept %+v", s)
	}
	w.internal(KindSweep, Sweep{Term: 2, Offline: []uint32{a}})
	w.lookup(a)
	w.tick(3*minute + aSecond)
	w.sweep()
	w.gone(a)
}

func TestSweepIsFenced(t *testing.T) {
	w := newWorld(t)
	w.register(1)
	w.internal(KindTermStart, TermStart{Term: 3})
	w.tick(10 * minute)
	w.internalErr(KindSweep, Sweep{Term: 2, Offline: []uint32{1}}, protocol.CodeStaleTerm)
	w.internalErr(KindSweep, Sweep{Term: 4, Offline: []uint32{1}}, protocol.CodeStaleTerm)
	w.internalErr(KindTermStart, TermStart{Term: 2}, protocol.CodeStaleTerm)
	w.internalErr(KindRaiseLevel, RaiseLevel{From: 1, To: 2, Term: 2}, protocol.CodeStaleTerm)
	w.internalErr(KindActivateKey, ActivateKey{Key: 1, Term: 2}, protocol.CodeStaleTerm)
	w.internalErr(KindAuditNote, AuditNote{Term: 2, Notes: map[string]uint64{"x": 1}}, protocol.CodeStaleTerm)
	w.internal(KindSweep, Sweep{Term: 3, Offline: []uint32{1}})
	w.gone(1)
}

// Repeated searches find every silent node, however many there are.
func TestSweepCandidatesCoverEverybody(t *testing.T) {
	w := newWorld(t)
	const n = 5000
	for i := range n {
		w.register(i)
	}
	w.tick(4 * minute)
	found := map[uint32]bool{}
	for range 100 {
		for _, id := range w.m.Root().SweepCandidates(w.now, 77).Offline {
			found[id] = true
		}
	}
	if len(found) != n {
		t.Errorf("found %d of %d", len(found), n)
	}
}

func TestBeacons(t *testing.T) {
	w := newWorld(t)
	put := func(id uint32, addr string) {
		w.do("beacon_register", &protocol.BeaconRegister{BeaconID: id, Addr: addr}, nil)
	}
	list := func() string {
		b, _ := json.Marshal(w.do("beacon_list", &protocol.BeaconList{}, nil))
		return string(b)
	}
	if got := list(); got != `{"beacons":[],"type":"beacon_list_ok"}` {
		t.Errorf("list %s", got)
	}
	put(9, "b:1")
	put(4, "a:1")
	put(4, "a:1")
	if n := w.countEvents(protocol.EventBeaconRegistered); n != 2 {
		t.Errorf("%d events: a refresh was audited", n)
	}
	put(4, "a:2")
	if got := w.lastEvent(protocol.EventBeaconRegistered); got != "anonymous beacon_id=4 addr=a:2" {
		t.Errorf("event %q", got)
	}
	if got := list(); got != `{"beacons":[{"addr":"a:2","id":4},{"addr":"b:1","id":9}],"type":"beacon_list_ok"}` {
		t.Errorf("list %s", got)
	}
	w.tick(minute)
	put(9, "b:1")
	w.tick(aSecond)
	if got := list(); !strings.Contains(got, `"id":9`) || strings.Contains(got, `"id":4`) {
		t.Errorf("list %s", got)
	}
	if s := w.sweep(); !slices.Equal(s.Beacons, []uint32{4}) || w.m.Root().beacons.records.Len() != 1 {
		t.Errorf("swept %+v", s)
	}
	w.refused("beacon_register", &protocol.BeaconRegister{Addr: "a:1"}, nil, protocol.CodeInvalid, "beacon_id required")
	w.refused("beacon_register", &protocol.BeaconRegister{BeaconID: 1}, nil, protocol.CodeInvalid, "addr required")
}
