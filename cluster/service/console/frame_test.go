// SPDX-License-Identifier: Apache-2.0

package console

import (
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func TestHealthBar(t *testing.T) {
	voters := func(up ...bool) (out []protocol.ClusterMember) {
		for i, u := range up {
			out = append(out, protocol.ClusterMember{ID: string(rune('a' + i)), Suffrage: "voter", Reachable: u, AppliedIndex: 90})
		}
		return append(out, protocol.ClusterMember{ID: "copy", Suffrage: "nonvoter", AppliedIndex: 10})
	}
	for name, c := range map[string]struct {
		status protocol.ClusterStatusReply
		want   health
	}{
		"healthy":    {protocol.ClusterStatusReply{LeaderID: "a", Ready: true, CommitIndex: 100, Members: voters(true, true, true)}, health{Leader: "a", Up: 3, Voters: 3, Tolerates: 1, Lag: 10, State: "ok", Word: "healthy"}},
		"one down":   {protocol.ClusterStatusReply{LeaderID: "a", Ready: true, CommitIndex: 90, Members: voters(true, true, false), Next: "bring c back"}, health{Leader: "a", Up: 2, Voters: 3, State: "warn", Word: "a voter does not answer", Next: "bring c back"}},
		"no leader":  {protocol.ClusterStatusReply{Members: voters(true, false, false)}, health{Up: 1, Voters: 3, State: "bad", Word: "no leader: writes and confirmed reads fail"}},
		"quarantine": {protocol.ClusterStatusReply{LeaderID: "a", Members: voters(true, true, true)}, health{Leader: "a", Up: 3, Voters: 3, Tolerates: 1, State: "bad", Word: "this member does not serve"}},
	} {
		if got := healthOf(c.status); *got != c.want {
			t.Errorf("%s: %+v, want %+v", name, *got, c.want)
		}
	}
}

// What is wrong is never without what to do, also when the status names none.
func TestBarAlwaysSaysWhatToDo(t *testing.T) {
	s := newSite(t)
	cookie := s.login()
	s.checks = []ops.Check{{Name: "leader", OK: true}, {Name: "caught_up", Detail: "still replaying the log"}}
	members := s.status.Members
	next := func() string {
		s.now = s.now.Add(time.Second) // the status is kept for a moment
		_, rest, _ := strings.Cut(s.get("/cluster", cookie).Body.String(), `data-live="next">`)
		text, _, _ := strings.Cut(rest, "<")
		return text
	}
	if got := next(); got != "" {
		t.Errorf("healthy: %q", got)
	}
	s.failing = []string{"audit_webhook", "siem"}
	if got := next(); got != "mend the receiver, see Delivery" || !strings.Contains(s.get("/cluster", cookie).Body.String(), "events do not arrive at audit_webhook, siem") {
		t.Errorf("sinks fail: %q", got)
	}
	s.failing = nil
	s.status.Ready = false
	if got := next(); got != "still replaying the log: wait, and use another member meanwhile" {
		t.Errorf("it does not serve: %q", got)
	}
	s.status.LeaderID = ""
	if got := next(); !strings.HasPrefix(got, "wait ten seconds for the election") {
		t.Errorf("no leader: %q", got)
	}
	s.status.LeaderID, s.status.Ready = "m2", true
	s.status.Members = append([]protocol.ClusterMember{{ID: "m4", Suffrage: "voter"}}, members...)
	if got := next(); got != "start the voter that is down" {
		t.Errorf("a voter is down: %q", got)
	}
	s.status.Next = "start the members that are down; there is more to say"
	if got := next(); got != "start the members that are down" {
		t.Errorf("a long step: %q", got)
	}
	s.status.Next = ""
	s.checks, s.status.Members, s.status.Problems = nil, members, []string{"something"}
	if got := next(); got != "look at the members on the cluster page" {
		t.Errorf("a problem: %q", got)
	}
}
