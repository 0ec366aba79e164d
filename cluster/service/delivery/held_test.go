// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"testing"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// A sink of a restored cluster gets nothing, from no leader, until it is
// configured again; then it goes on where the backup was.
func TestASinkIsHeldBackAfterARestore(t *testing.T) {
	l := newLab(t)
	siem := &protocol.AuditSinkPut{Name: "siem", Kind: "export", Format: "json", Endpoint: "https://siem"}
	l.do("audit_sink_put", siem)
	l.events(3)
	from := sink(l.m.Root(), "siem").Seq + 1
	if err := l.m.Refound(&fsm.Refounding{ClusterID: "another", Time: l.now, Term: 2, Action: protocol.EventClusterRestored, HoldSinks: true}); err != nil {
		t.Fatal(err)
	}
	held := newReceiver()
	for term := uint64(3); term < 6; term++ {
		l.term = term
		l.must(fsm.KindTermStart, fsm.TermStart{Term: term, LeaderID: "m1"})
		end := l.lead(only("siem", held))
		for range 5 { // the others are served meanwhile
			l.events(1)
			l.until("the structured log goes on", caughtUp(protocol.SinkNameLog))
		}
		end()
	}
	if got := held.list(); len(got) > 0 || !sink(l.m.Root(), "siem").Held() {
		t.Fatalf("a sink that is held back got %v; %+v", got, sink(l.m.Root(), "siem"))
	}
	end := l.lead(only("siem", held))
	l.do("audit_sink_put", siem) // the same configuration, said again
	l.until("the sink goes on", caughtUp("siem"))
	end()
	if got := held.list(); len(got) == 0 || got[0] != from {
		t.Errorf("it went on with %v, want from %d on", got, from)
	}
	if s := sink(l.m.Root(), "siem"); s.Held() || s.Problem != "" {
		t.Errorf("the sink still says %q", s.Problem)
	}
}
