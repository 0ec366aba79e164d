// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func (w *world) counts() (c counts) {
	for i := range c {
		c[i], _ = w.m.Root().Count(Count(i))
	}
	return c
}

// countsStory plays one story in which everything that is counted happens. After each
// step it tells what was done and what that should have added.
func countsStory(w *world, step func(what string, added ...Count)) {
	var a, b uint32
	a = w.registerAs(&protocol.Register{PublicKey: testKey(1).String(), Hostname: testHost(1)}).NodeID
	step("a first registration", CountRegistrations)
	w.registerAs(&protocol.Register{PublicKey: testKey(1).String(), Hostname: testHost(1)})
	step("the same registration again")
	w.registerAs(&protocol.Register{PublicKey: testKey(1).String(), Hostname: testHost(1), RegisterFacts: protocol.RegisterFacts{Endpoint: "198.51.100.7:4000"}})
	step("a registration from elsewhere", CountRegistrations)
	b = w.register(2)
	c := w.register(3)
	d := w.registerAs(&protocol.Register{PublicKey: testKey(4).String(), RegisterFacts: protocol.RegisterFacts{ExternalID: "dora@x", Proven: true}}).NodeID
	step("three more", CountRegistrations, CountRegistrations, CountRegistrations)
	countsOfTrust(w, a, b, step)
	countsOfRoles(w, a, b, c, d, step)
	w.do("rotate_key", &protocol.RotateKey{NodeID: a, NewPublicKey: testKey(9).String()}, as(a))
	step("a key rotated", CountKeyRotations)
	w.do("deregister", &protocol.NodeRequest{NodeID: c}, as(c))
	step("a node deregistered", CountDeregistrations)
	w.do("deregister", &protocol.NodeRequest{NodeID: c}, as(c))
	step("the same again")
	w.goOffline(b)
	step("a node that falls silent")
}

func countsOfTrust(w *world, a, b uint32, step func(string, ...Count)) {
	w.do("report_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a))
	step("trust", CountTrustReports)
	w.do("report_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a))
	step("trust again")
	w.do("revoke_trust", &protocol.Trust{NodeID: b, PeerID: a}, as(b))
	step("trust revoked", CountTrustRevocations)
	w.do("request_handshake", &protocol.RequestHandshake{FromNodeID: a, ToNodeID: b}, as(a))
	step("a handshake asked for", CountHandshakeRequests)
	w.do("respond_handshake", &protocol.RespondHandshake{NodeID: b, PeerID: a, Accept: true}, as(b))
	step("and answered")
}

func countsOfRoles(w *world, a, b, c, d uint32, step func(string, ...Count)) {
	net := w.network("hidden", a, "invite", true)
	invite := func(to uint32) {
		w.do("invite_to_network", &protocol.InviteToNetwork{InviterID: a, NetworkID: net, TargetNodeID: to}, as(a))
	}
	answer := func(who uint32, accept bool) {
		w.do("respond_invite", &protocol.RespondInvite{NodeID: who, NetworkID: net, Accept: accept}, as(who))
	}
	invite(b)
	step("an invite", CountInvitesSent)
	invite(b)
	step("the same again")
	answer(b, true)
	step("accepted", CountInvitesAccepted)
	invite(c)
	answer(c, false)
	step("another rejected", CountInvitesSent, CountInvitesRejected)
	w.preAssign(net, "dora@x", roleAdmin)
	step("a role that waits")
	invite(d)
	answer(d, true)
	step("and is given", CountInvitesSent, CountInvitesAccepted, CountPreAssigned)
	w.do("promote_member", &protocol.PromoteMember{NodeID: a, NetworkID: net, TargetNodeID: b}, as(a))
	step("promoted", CountPromotions)
	w.do("demote_member", &protocol.DemoteMember{NodeID: a, NetworkID: net, TargetNodeID: d}, as(a))
	step("demoted", CountDemotions)
	w.do("transfer_ownership", &protocol.TransferOwnership{NodeID: a, NetworkID: net, NewOwnerID: b}, as(a))
	step("handed over", CountTransfers)
	w.do("kick_member", &protocol.KickMember{NodeID: b, NetworkID: net, TargetNodeID: d}, as(b))
	step("kicked", CountKicks)
	limit := 9.0
	for _, added := range [][]Count{{CountPolicyChanges}, nil} {
		w.do("set_network_policy", &protocol.SetNetworkPolicy{NodeID: b, NetworkID: net, MaxMembers: &limit}, as(b))
		step("a policy", added...)
	}
	for _, added := range [][]Count{{CountProvisions}, nil} {
		w.do("provision_network", &protocol.ProvisionNetwork{Blueprint: &protocol.Blueprint{Name: "made", JoinRule: "open"}}, admin)
		step("a blueprint", added...)
	}
}

// Every change adds one to its count and nothing to any other; what changes
// nothing adds nothing.
func TestChangesAreCounted(t *testing.T) {
	w := newWorld(t)
	var want counts
	countsStory(w, func(what string, added ...Count) {
		t.Helper()
		for _, c := range added {
			want[c]++
		}
		if got := w.counts(); got != want {
			t.Errorf("%s: counted %v, want %v", what, got, want)
			want = got
		}
	})
	for c, n := range want {
		if n == 0 && Count(c) != CountExportErrors {
			t.Errorf("the story has nothing of count %d", c)
		}
	}
	m := New()
	if err := m.Restore(bytes.NewReader(snapshotOf(t, w.m))); err != nil {
		t.Fatal(err)
	}
	if m.Root().meta.counts != want || m.Root().Digest() != w.m.Root().Digest() {
		t.Errorf("after a restore: %v, want %v", m.Root().meta.counts, want)
	}
}

// A try in vain is one error, and so is an event that becomes a dead letter.
// Saying once more how the last try went is none.
func TestExportErrorsAreCounted(t *testing.T) {
	w := newWorld(t)
	w.do("set_audit_export", &protocol.SetAuditExport{Format: "json", Endpoint: "https://siem"}, admin)
	w.do("set_webhook", &protocol.SetWebhook{URL: "https://hook"}, admin)
	w.register(1)
	report := func(sink string, change func(*SinkBatch)) {
		b, _ := w.m.Root().SinkBatch(sink, 1)
		b.Progress.Term = w.m.Root().LeaderTerm()
		change(&b)
		w.internal(KindSinkProgress, b.Progress)
	}
	inVain := func(problem string, tries uint32) func(*SinkBatch) {
		return func(b *SinkBatch) {
			b.Progress.To, b.Progress.Passed = b.Progress.From, [2]uint64{}
			b.Progress.Problem, b.Progress.Tries = problem, tries
		}
	}
	for i, c := range []struct {
		sink   string
		report func(*SinkBatch)
		want   uint64
	}{
		{protocol.SinkNameExport, inVain("503", 1), 1},
		{protocol.SinkNameExport, inVain("503", 1), 1},
		{protocol.SinkNameExport, inVain("503", 2), 2},
		{protocol.SinkNameExport, inVain("timeout", 2), 3},
		{protocol.SinkNameExport, func(b *SinkBatch) { b.Progress.Dead = []Letter{{Seq: b.Events[0].Seq, Reason: "400"}} }, 4},
		{protocol.SinkNameWebhook, inVain("503", 1), 4},
	} {
		report(c.sink, c.report)
		if got, _ := w.m.Root().Count(CountExportErrors); got != c.want {
			t.Errorf("report %d: %d errors of exports, want %d", i, got, c.want)
		}
	}
}

// Below its level nothing is counted, and a member that restores a snapshot of
// that time holds the same as the others when the level is raised.
func TestCountingBeginsWithItsLevel(t *testing.T) {
	w := worldAt(t, protocol.LevelFirst)
	w.internal(KindMemberHello, MemberRecord{ID: "m1", LevelMin: LevelMin, LevelMax: LevelMax, Keys: []uint32{1}})
	before := worldAt(t, protocol.LevelFirst)
	w.register(1)
	if n, counting := w.m.Root().Count(CountRegistrations); n != 0 || counting {
		t.Errorf("level %d counts: %d", w.m.Root().Level(), n)
	}
	if a, b := len(w.m.Root().meta.AppendTo(nil, 1)), len(before.m.Root().meta.AppendTo(nil, 1)); a > b+2 {
		t.Errorf("the record of level 1 has grown from %d to %d bytes", b, a)
	}
	restored := &world{t: t, m: New(), index: w.index, now: w.now}
	if err := restored.m.Restore(bytes.NewReader(snapshotOf(t, w.m))); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*world{w, restored} {
		w.internal(KindRaiseLevel, RaiseLevel{From: protocol.LevelFirst, To: protocol.LevelCounts, Term: 1})
		if n, counting := w.m.Root().Count(CountRegistrations); n != 0 || !counting {
			t.Errorf("when the level is raised: %d, %t", n, counting)
		}
		w.register(2)
		if n, _ := w.m.Root().Count(CountRegistrations); n != 1 {
			t.Errorf("after the level is raised: %d", n)
		}
	}
	if w.m.Root().Digest() != restored.m.Root().Digest() || fromScratch(w.m.Root()) != w.m.Root().Digest() {
		t.Error("the restored member differs from the other")
	}
}
