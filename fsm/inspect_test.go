// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Each side of a pair sees what it said itself and what the other said, and
// the setting decides whether that is trust.
func TestInspectionShowsBothSidesOfTrust(t *testing.T) {
	for mode, want := range map[string]string{
		protocol.TrustCompatible: "[{2 true false false false true} {3 false true false false true} {4 true true false false true} {5 false false false true false}]",
		protocol.TrustMutual:     "[{2 true false false false false} {3 false true false false false} {4 true true false false true} {5 false false false true false}]",
	} {
		w := newWorld(t)
		if mode != protocol.TrustCompatible {
			w = mutual(t)
		}
		for i := range 5 {
			w.register(i)
		}
		w.report(1, 2)
		w.report(3, 1)
		w.report(1, 4)
		w.report(4, 1)
		w.ask(5, 1)
		d, _ := w.m.Root().Inspect().Node(1, 10)
		if got := fmt.Sprint(d.Trust); got != want {
			t.Errorf("%s: %s, want %s", mode, got, want)
		}
		other, _ := w.m.Root().Inspect().Node(3, 10)
		if got := fmt.Sprint(other.Trust[0].Reported, other.Trust[0].PeerReported); got != "true false" {
			t.Errorf("%s: node 3 sees %s", mode, got)
		}
		if d.Peers != 4 || d.Handshakes != 1 || len(d.Waiting) != 1 || d.Waiting[0].From != 5 || d.Waiting[0].Answer {
			t.Errorf("%s: %d peers, %d handshakes, %+v", mode, d.Peers, d.Handshakes, d.Waiting)
		}
		if few, _ := w.m.Root().Inspect().Node(1, 2); len(few.Trust) != 2 || few.Peers != 4 {
			t.Errorf("%s: %d of %d pairs", mode, len(few.Trust), few.Peers)
		}
		w.answer(1, 5, true)
		if asker, _ := w.m.Root().Inspect().Node(5, 10); len(asker.Waiting) != 1 || !asker.Waiting[0].Answer || !asker.Waiting[0].Accepted || asker.Waiting[0].From != 1 {
			t.Errorf("%s: waiting for the asker: %+v", mode, asker.Waiting)
		}
	}
}

// A list of nodes has those that are silent, and says what ends first.
func TestInspectionListsNodesAndEnds(t *testing.T) {
	w := newWorld(t)
	owner, guest, silent, gone := w.register(1), w.register(2), w.register(3), w.register(4)
	net := w.network("prod", owner, protocol.JoinInvite, true)
	w.do("invite_to_network", &protocol.InviteToNetwork{InviterID: owner, NetworkID: net, TargetNodeID: guest, ForSeconds: 3600}, as(owner))
	w.do("respond_invite", &protocol.RespondInvite{NodeID: guest, NetworkID: net, Accept: true}, as(guest))
	w.do("promote_member", &protocol.PromoteMember{NetworkID: net, TargetNodeID: guest, ForSeconds: 60}, admin)
	w.do("deregister", &protocol.NodeRequest{NodeID: gone}, as(gone))
	w.internal(KindSweep, Sweep{Term: 1, Offline: []uint32{silent}}) // nothing yet: it is not silent long enough
	w.tick(10 * hour)
	w.do("heartbeat", &protocol.NodeRequest{NodeID: owner}, as(owner))
	w.internal(KindSweep, Sweep{Term: 1, Offline: []uint32{silent}})
	var got []string
	w.m.Root().Inspect().EachNode(func(s NodeSummary) bool {
		ends := int64(0)
		if s.Ends > 0 {
			ends = s.Ends - startTime
		}
		got = append(got, fmt.Sprint(s.ID, s.Online, s.OfflineSince > 0, ends, s.Networks))
		return true
	})
	if want := fmt.Sprintf("[%d true false 0 1 %d true false %d 1 %d false true 0 0]", owner, guest, 60*aSecond, silent); fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	d, _ := w.m.Root().Inspect().Node(guest, 10)
	if got := fmt.Sprint(d.Memberships); got != fmt.Sprintf("[{%d prod admin %d %d}]", net, startTime+hour, startTime+minute) {
		t.Errorf("memberships %s", got)
	}
	if _, found := w.m.Root().Inspect().Node(gone, 10); found {
		t.Error("a deregistered node is shown")
	}
	if _, found := w.m.Root().Inspect().Node(99, 10); found {
		t.Error("a node that never was is shown")
	}
}

// The lag that is sampled is the one that the list of sinks shows.
func TestInspectionCountsWhatSinksAreToBeGiven(t *testing.T) {
	w := newWorld(t)
	w.do("audit_sink_put", &protocol.AuditSinkPut{Name: "siem", Kind: protocol.SinkExport, Format: "json", Endpoint: "https://siem"}, admin)
	w.register(1)
	w.register(2)
	if lags := w.m.Root().Inspect().SinkLags(); len(lags) != len(w.m.Root().Sinks()) || lags["siem"] != w.sink("siem").Lag || lags["siem"] < 2 {
		t.Errorf("%v, want %d", lags, w.sink("siem").Lag)
	}
	w.deliver("siem", 1000)
	if lags := w.m.Root().Inspect().SinkLags(); lags["siem"] != w.sink("siem").Lag {
		t.Errorf("%v, want %d", lags, w.sink("siem").Lag)
	}
	if names := w.m.Root().Inspect().FailingSinks(); len(names) != 0 {
		t.Errorf("failing: %v", names)
	}
	b, _ := w.m.Root().SinkBatch("siem", 1)
	p := b.Progress
	p.Term, p.To, p.Passed, p.Problem, p.Tries = w.m.Root().LeaderTerm(), p.From, [2]uint64{}, "it answered 503", 1
	w.internal(KindSinkProgress, p)
	if names := w.m.Root().Inspect().FailingSinks(); fmt.Sprint(names) != "[siem]" {
		t.Errorf("failing: %v", names)
	}
}

// Tokens are shown by name, never with what they are recognised by.
func TestInspectionShowsNoMAC(t *testing.T) {
	w := newWorld(t)
	w.internal(KindPutToken, PutToken{Kind: TokenJoin, Name: "join", MAC: testMAC(8)})
	tokens := w.m.Root().Inspect().Tokens()
	if len(tokens) != 1 || tokens[0].Name != "root" || len(tokens[0].MAC.Sum) != 0 || tokens[0].Generation == 0 {
		t.Errorf("%+v", tokens)
	}
}
