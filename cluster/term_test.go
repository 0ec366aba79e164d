// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// fakeSeeds are the first commands of a cluster.
type fakeSeeds struct{ cmds []fsm.Envelope }

func (f *fakeSeeds) seedCommands() ([]fsm.Envelope, error) { return f.cmds, nil }
func (f *fakeSeeds) seeded() error                         { f.cmds = nil; return nil }

// newTestTerm is the term of a member whose raft is driven by the test.
func newTestTerm(t *testing.T, s *self, rf *fakeRaft, duties ...Duty) (*term, *fakeWrites) {
	t.Helper()
	w := &fakeWrites{t: t, self: s}
	clock := &leaderClock{source: systemClock{}}
	return &term{self: s, raft: rf, roster: fakeRoster{rf}, reads: fakeReads{clocks: []time.Time{time.Now()}}, writes: w, health: &fakeHealth{},
		clock: clock, seeds: &fakeSeeds{}, changes: newMetrics().leaderChanges, duties: func() []Duty { return duties }}, w
}

// witness is a duty that notes the terms in which it runs.
type witness struct {
	mu      sync.Mutex
	log     []string
	running atomic.Int64
}

func (w *witness) Name() string { return "witness" }

func (w *witness) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *witness) notes() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.log, ", ")
}

func (w *witness) Run(ctx context.Context, d DutyEnv) {
	if w.running.Add(1) > 1 {
		w.note("two at once")
	}
	w.note("begin %d", d.Term())
	<-ctx.Done()
	time.Sleep(10 * time.Millisecond) // the next term must wait
	w.note("end %d", d.Term())
	w.running.Add(-1)
}

// Duties begin once in a term, when its first command is applied here, and are
// over before those of the next term begin.
func TestDutiesRunOncePerTerm(t *testing.T) {
	t.Parallel()
	s := begun(t, Config{})
	rf := raftOf(1, "a")
	duty := &witness{}
	tm, w := newTestTerm(t, s, rf, duty)
	hold := make(chan struct{})
	var held atomic.Bool
	held.Store(true)
	w.before = func(code protocol.Code) *protocol.Error {
		if code == fsm.KindTermStart && held.Load() {
			<-hold
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	notify, done := make(chan bool, 16), make(chan struct{})
	go func() { tm.watch(ctx, notify); close(done) }()

	time.Sleep(30 * time.Millisecond)
	if duty.notes() != "" || code(tm.mayLead()) != codeNotReady || tm.leading(7) {
		t.Errorf("before term_start is applied: duties %q, %v", duty.notes(), tm.mayLead())
	}
	held.Store(false)
	close(hold)
	soon(t, "the duty runs", func() bool { return duty.notes() == "begin 7" })
	if e := tm.mayLead(); e != nil || !tm.leading(7) {
		t.Errorf("in the term: %v", e)
	}
	for range 5 { // raft says so again
		notify <- true
	}
	rf.set(func(r *fakeRaft) { r.term = 9 }) // leadership was lost and won again
	notify <- true
	soon(t, "the duty of the next term runs", func() bool { return strings.HasSuffix(duty.notes(), "begin 9") })
	rf.set(func(r *fakeRaft) { r.state = raft.Follower })
	notify <- false
	soon(t, "the duty ends", func() bool { return strings.HasSuffix(duty.notes(), "end 9") })
	if got := duty.notes(); got != "begin 7, end 7, begin 9, end 9" {
		t.Errorf("duties: %s", got)
	}
	if tm.readyTerm.Load() != 0 || code(tm.mayLead()) != codeNotLeader {
		t.Errorf("after the term: %v", tm.mayLead())
	}
	cancel()
	<-done
}

// Duties end with the member.
func TestDutiesEndWithTheMember(t *testing.T) {
	t.Parallel()
	duty := &witness{}
	tm, _ := newTestTerm(t, begun(t, Config{}), raftOf(1, "a"), duty)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { tm.watch(ctx, make(chan bool)); close(done) }()
	soon(t, "the duty runs", func() bool { return duty.notes() == "begin 7" })
	cancel()
	<-done
	if got := duty.notes(); got != "begin 7, end 7" {
		t.Errorf("duties: %s", got)
	}
}

// The seeds of a new cluster come before its first term_start, once.
func TestTheFirstTermSeedsTheCluster(t *testing.T) {
	t.Parallel()
	s := newTestSelf(t, Config{})
	tm, w := newTestTerm(t, s, raftOf(1, "a"))
	seed := command(t, fsm.KindClusterInit, fsm.ClusterInit{ClusterID: s.clusterID, Level: 1})
	seeds := &fakeSeeds{cmds: []fsm.Envelope{seed}}
	tm.seeds = seeds
	for range 2 {
		if err := tm.beginTerm(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := w.proposed(), []protocol.Code{fsm.KindClusterInit, fsm.KindTermStart, fsm.KindTermStart}; !slices.Equal(got, want) {
		t.Errorf("proposed %v, want %v", got, want)
	}
	// A crash after the seeds were applied leaves them on the disk: they are refused, and the term begins.
	seeds.cmds = []fsm.Envelope{seed}
	if err := tm.beginTerm(t.Context(), 8); err != nil {
		t.Errorf("seeds that were applied before: %v", err)
	}
}

// A log of another cluster ends the member.
func TestATermInAForeignLogEndsTheMember(t *testing.T) {
	t.Parallel()
	s := begun(t, Config{})
	tm, _ := newTestTerm(t, s, raftOf(1, "a"))
	s.clusterID = "another"
	h := &fakeHealth{}
	tm.health = h
	if err := tm.beginTerm(t.Context(), 7); err == nil {
		t.Error("the term began")
	}
	if calls := h.calls(); len(calls) != 1 || calls[0].code != ExitDamaged {
		t.Errorf("ended with %v, want code %d", calls, ExitDamaged)
	}
}

// A leader that cannot begin its term gives leadership away.
func TestATermThatCannotBeginIsGivenAway(t *testing.T) {
	t.Parallel()
	rf := raftOf(3, "a", "b", "c")
	duty := &witness{}
	tm, w := newTestTerm(t, begun(t, Config{}), rf, duty)
	ctx, cancel := context.WithCancel(t.Context())
	w.before = func(protocol.Code) *protocol.Error {
		rf.set(func(r *fakeRaft) { r.term++ }) // so that it does not try for five seconds
		return protocol.Unknownf(protocol.CodeOutcomeUnknown, "lost")
	}
	r := tm.reign(ctx, 7)
	soon(t, "leadership is given away", func() bool { return slices.Equal(get(rf, &rf.asked), []string{"transfer"}) })
	cancel()
	r.end()
	if duty.notes() != "" {
		t.Errorf("duties: %s", duty.notes())
	}
}

func TestMayLead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state        raft.RaftState
		ready        uint64
		health       *fakeHealth
		write, reads string
	}{
		"leads":          {state: raft.Leader, ready: 7},
		"follows":        {state: raft.Follower, ready: 7, write: codeNotLeader, reads: codeNotLeader},
		"has just begun": {state: raft.Leader, ready: 6, write: codeNotReady, reads: codeNotLeader},
		"is quarantined": {state: raft.Leader, ready: 7, health: &fakeHealth{reason: "sick"}, write: codeNotLeader, reads: protocol.CodeQuarantined},
		"nobody agrees":  {state: raft.Leader, ready: 7, health: &fakeHealth{stopped: "diverged"}, write: protocol.CodeQuarantined},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rf := raftOf(1, "a")
			rf.state = c.state
			tm, _ := newTestTerm(t, begun(t, Config{}), rf)
			if c.health != nil {
				tm.health = c.health
			}
			tm.readyTerm.Store(c.ready)
			if e := tm.mayLead(); code(e) != c.write {
				t.Errorf("write: %v, want %q", e, c.write)
			}
			if e := tm.mayRead(7); code(e) != c.reads {
				t.Errorf("read: %v, want %q", e, c.reads)
			}
		})
	}
}

// Leadership is handed over only to a voter that somebody named, and the next
// leader puts it into the audit log.
func TestTransfer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raft      *fakeRaft
		to, code  string
		asked     string
		successor string
	}{
		"to a voter":        {raft: raftOf(2, "a", "b"), to: "b", asked: "transfer to b", successor: "b"},
		"to any":            {raft: raftOf(2, "a", "b"), asked: "transfer", successor: "b"},
		"to itself":         {raft: raftOf(2, "a", "b"), to: "a"},
		"to a non-voter":    {raft: raftOf(2, "a", "b", "n"), to: "n", code: protocol.CodeConflict},
		"to a stranger":     {raft: raftOf(2, "a", "b"), to: "z", code: protocol.CodeNotFound},
		"of the only voter": {raft: raftOf(1, "a", "n"), code: protocol.CodeConflict},
		"that came back":    {raft: raftOf(2, "a", "b"), to: "b", asked: "transfer to b", successor: "a", code: protocol.CodeConflict},
		"that nobody took":  {raft: raftOf(2, "a", "b"), to: "b", asked: "transfer to b", successor: "", code: protocol.CodeOutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tm, w := newTestTerm(t, begun(t, Config{}), c.raft)
			time.AfterFunc(20*time.Millisecond, func() {
				c.raft.set(func(r *fakeRaft) { r.term, r.leader = 8, c.successor })
			})
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			e := tm.transfer(ctx, adminRequest{ID: c.to, By: asker{At: "a"}})
			if code(e) != c.code {
				t.Errorf("answer %v, want code %q", e, c.code)
			}
			if got := strings.Join(get(c.raft, &c.raft.asked), ", "); got != c.asked {
				t.Errorf("raft was asked for %q, want %q", got, c.asked)
			}
			if audited := slices.Equal(w.proposed(), []protocol.Code{fsm.KindLeadershipTransferred}); audited != (c.code == "" && c.asked != "") {
				t.Errorf("proposed %v", w.proposed())
			}
		})
	}
}

// A leader whose clock is wrong for three comparisons in a row gives leadership
// away, unless it cannot be known whose clock is wrong.
func TestAWrongClockGivesLeadershipAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		voters []string
		err    error
		off    time.Duration
		gives  bool
	}{
		"wrong":                {voters: []string{"a", "b", "c"}, off: time.Minute, gives: true},
		"right":                {voters: []string{"a", "b", "c"}},
		"one of two":           {voters: []string{"a", "b"}, off: time.Minute},
		"no majority answered": {voters: []string{"a", "b", "c"}, off: time.Minute, err: errors.New("no majority")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begun(t, Config{})
			rf := raftOf(len(c.voters), c.voters...)
			tm, _ := newTestTerm(t, s, rf)
			tm.reads = fakeReads{clocks: []time.Time{time.Now().Add(-c.off)}, proves: func() error { return c.err }}
			g := &clockGuard{term: tm}
			for i := range 3 {
				if len(rf.asked) > 0 {
					t.Errorf("given away after %d comparisons", i)
				}
				g.look(t.Context(), dutyEnv{in: tm, term: 7, log: s.log})
			}
			if gives := len(rf.asked) > 0; gives != c.gives {
				t.Errorf("raft was asked for %v", rf.asked)
			}
		})
	}
}
