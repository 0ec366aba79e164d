// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// The cluster page shows of each machine what its member tells, marks what is
// scarce, and says of which nothing is known.
func TestMachines(t *testing.T) {
	s := newSite(t)
	cookie := s.login()
	in := func(d time.Duration) int64 { return s.now.Add(d).UnixMilli() }
	s.hosts = map[string]cluster.MemberHost{
		"m1": {DiskBytes: 100 << 30, DiskFree: 62 << 30, CertificateEnds: in(1000 * time.Hour), CAEnds: in(2000 * time.Hour), ClockOffset: 3 * time.Millisecond, SnapshotAt: in(-time.Minute)},
		"m2": {DiskBytes: 100 << 30, DiskFree: 3 << 30, CertificateEnds: in(6 * 24 * time.Hour), CAEnds: in(2000 * time.Hour), ClockOffset: -11 * time.Second},
	}
	s.status.Members[2].Reachable = false
	body := s.get("/cluster", cookie).Body.String()
	for _, want := range []string{`<span class="ok dot">62 %</span> 62.0 GiB of 100 GiB`, `<span class="ok">&#43;3 ms</span>`, ">1 min ago<", `<span class="bad dot">3 %</span>`, `<span class="bad dot"><time`, `<span class="bad">-11000 ms</span>`, "not known: the member does not answer"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	for _, want := range []string{"<strong>Make room on its machine: a member whose disk is full stops.</strong>", "Member m2 has 3 % of its disk left", "The certificate of member m2 ends on 2026-04-06", "renews itself when two thirds of its life are over"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if strings.Contains(body, "Nothing to do") {
		t.Error("nothing is to be done about a disk that is nearly full")
	}
	s.hosts = nil
	if body := s.get("/cluster", cookie).Body.String(); !strings.Contains(body, "its version does not tell") {
		t.Error(body)
	}
}

func TestUpgradeState(t *testing.T) {
	member := func(id, version string, most uint32) protocol.ClusterMember {
		return protocol.ClusterMember{ID: id, Version: version, LevelMin: 1, LevelMax: most}
	}
	for name, c := range map[string]struct {
		level   uint32
		members []protocol.ClusterMember
		want    string
	}{
		"one version":    {2, []protocol.ClusterMember{member("a", "0.1.0", 2), member("b", "0.1.0", 2)}, ""},
		"half-way":       {2, []protocol.ClusterMember{member("a", "0.1.0", 2), member("b", "0.2.0", 3), member("c", "0.1.0", 2)}, "Versions differ: 2 of 3 members run 0.1.0 (a, c); 1 of 3 members run 0.2.0 (b). The feature level is 2."},
		"level to raise": {2, []protocol.ClusterMember{member("a", "0.2.0", 3), member("b", "0.2.0", 3)}, "All members know feature level 3; the cluster is at 2."},
		"not heard of":   {2, []protocol.ClusterMember{member("a", "0.2.0", 3), member("b", "", 0)}, ""},
		"nobody":         {2, nil, ""},
	} {
		got := ""
		if u := upgradeOf(protocol.ClusterStatusReply{FeatureLevel: c.level, Members: c.members}); u != nil {
			got = u.State
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// The line of changes has joins and leaders, newest first, and nothing else.
func TestLastChanges(t *testing.T) {
	event := func(seq uint64, at int64, action string, attrs ...[2]string) protocol.AuditEntry {
		return protocol.AuditEntry{Seq: seq, TimeMS: at, Action: action, Attrs: attrs}
	}
	got := lastChanges([]protocol.AuditEntry{
		event(9, 90, protocol.EventLeadershipTransferred, [2]string{"from", "m1"}, [2]string{"to", "m2"}),
		event(8, 80, protocol.EventClusterTokenSeeded, [2]string{"name", "join"}),
		event(7, 70, protocol.EventMemberJoined, [2]string{"member_id", "m3"}),
		event(6, 60, protocol.EventMemberRemoved, [2]string{"member_id", "m0"}),
		event(5, 50, protocol.EventClusterMemberPromoted, [2]string{"member_id", "m2"}),
		event(4, 40, protocol.EventFeatureLevelRaised, [2]string{"from", "1"}, [2]string{"to", "2"}),
		event(3, 30, protocol.EventMemberJoined),
	}, []sample{{At: 75, Leader: "m3", From: "m2"}, {At: 76}})
	want := "[{90 leadership handed over m1 → m2 /audit/9} {75 leader m2 → m3 } {70 m3 joined /audit/7} {60 m0 was removed /audit/6} {50 m2 got a vote /audit/5} {40 feature level 2 /audit/4}]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// What is wrong comes with what to do, with ids that people can read.
func TestTroubles(t *testing.T) {
	const long = "1e78e781-1120-4324-ab3f-3614d0f1e2ef"
	down := "does not answer at 127.0.0.1:9: refused"
	got := troubles(&protocol.ClusterStatusReply{
		Members:   []protocol.ClusterMember{{ID: long, Address: "127.0.0.1:9", Problem: down}, {ID: "m2", Reachable: true, Problem: "quarantined: x"}},
		Problems:  []string{"no quorum", "member " + long + ": " + down, "member m2: quarantined: x"},
		NextSteps: []string{"start them", "look at member " + long, "look at member m2"},
	})
	want := []trouble{{"no quorum", "start them"},
		{"member 1e78e7…e2ef does not answer at 127.0.0.1:9", "start member 1e78e7…e2ef again on its machine; if it runs, look at its log and at the network between the members"},
		{"member m2: quarantined: x", "look at member m2"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}
