// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func marksIn(t *testing.T, dir string, ids ...string) *marks {
	t.Helper()
	m := &marks{self: newTestSelf(t, Config{}), dir: &dataDir{path: dir}, roster: fakeRoster{raftOf(len(ids), ids...)}}
	must(t, m.load())
	return m
}

// TestMarks: what is known only grows, until the log begins anew, and nobody
// keeps a mark of himself or of members that are gone.
func TestMarks(t *testing.T) {
	t.Parallel()
	m := marksIn(t, t.TempDir(), "a", "b", "c")
	m.acknowledged("a", 9, 1, 1)
	m.acknowledged("b", 9, 2, 2)
	m.acknowledged("b", 7, 1, 3)
	m.acknowledged("gone", 7, 1, 3)
	m.prune()
	if len(m.known) != 1 || m.of("b") != (mark{Index: 9, Term: 2, Seen: 3}) {
		t.Errorf("known: %+v", m.known)
	}
	for end, behind := range map[logEnd]bool{
		{9, 2, 3}: false, {10, 4, 4}: false, {8, 2, 3}: true, {9, 1, 3}: true, {9, 2, 2}: true,
	} {
		if m.of("b").behind(end) != behind {
			t.Errorf("%+v behind %+v, want %v", end, m.of("b"), behind)
		}
	}
	if since := m.anew("b", 20); since != 20 || m.of("b") != (mark{Since: 20}) {
		t.Errorf("anew: %d, %+v", since, m.of("b"))
	}
	if _, e := m.handleMarks([]byte(`{"b":{"index":9,"term":2,"seen":3},"c":{"index":4}}`)); e != nil || m.of("b").Index != 0 || m.of("c").Index != 4 {
		t.Errorf("a leader that has not heard of the repair: %v, %+v", e, m.known)
	}
	if since := m.anew("b", 15); since != 21 {
		t.Errorf("a second repair begins at %d", since)
	}
}

// TestMarksOnDisk: they are there after a restart, and damage is no reason not to start.
func TestMarksOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := marksIn(t, dir, "a", "b")
	m.acknowledged("b", 9, 2, 2)
	must(t, m.save())
	if again := marksIn(t, dir, "a", "b"); again.of("b") != m.of("b") {
		t.Errorf("read %+v", again.known)
	}
	file := filepath.Join(dir, fileMarks)
	written, err := os.Stat(file)
	must(t, err)
	must(t, m.save())
	if now, err := os.Stat(file); err != nil || !os.SameFile(written, now) {
		t.Error("written again without a change")
	}
	flipBit(t, file)
	if again := marksIn(t, dir, "a", "b"); len(again.known) != 0 {
		t.Errorf("read damaged marks: %+v", again.known)
	}
}

// TestLeadersShareMarks: each member is told once of each change, and one that
// does not know the request is not asked again.
func TestLeadersShareMarks(t *testing.T) {
	t.Parallel()
	m := marksIn(t, t.TempDir(), "a", "b", "c", "d")
	var mu sync.Mutex
	told := map[string]int{}
	m.peers = fakePeers(func(_ context.Context, id string, typ byte, _ []byte) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		told[id]++
		switch {
		case typ != rpcMarks:
			t.Errorf("request %s", rpcName(typ))
		case id == "c":
			return nil, protocol.NotAppliedf(protocol.CodeNotImplemented, "what?")
		case id == "d":
			return nil, lost("d")
		}
		return []byte("{}"), nil
	})
	share := m.share()
	for range 2 {
		m.acknowledged("b", 9, 2, 2)
		share(t.Context(), nil)
	}
	if told["b"] != 1 || told["c"] != 1 || told["d"] != 2 || told["a"] != 0 {
		t.Errorf("told: %v", told)
	}
}

// asking is member "a" of a cluster, whose log ends at entry 10 of term 3.
func asking(t *testing.T, answers map[string]func() ([]byte, error), ids ...string) (*confirmation, *fakePeers) {
	peers := fakePeers(func(_ context.Context, id string, typ byte, _ []byte) ([]byte, error) {
		if answer := answers[id]; answer != nil && typ == rpcMark {
			return answer()
		}
		return nil, lost(id)
	})
	s := newTestSelf(t, Config{})
	c := &confirmation{self: s, marks: &marks{self: s, known: map[string]mark{}}, peers: peers, roster: fakeElectorate{ids}, began: time.Now(),
		end: func() logEnd { return logEnd{10, 3, 4} }, kick: make(chan struct{}, 1), confirmed: map[string]bool{}}
	return c, &peers
}

// confirmed is of a member that votes.
func confirmed() *confirmation {
	c := &confirmation{}
	c.given.Store(true)
	return c
}

type fakeElectorate struct{ ids []string }

func (f fakeElectorate) voters() []string { return f.ids }
func (f fakeElectorate) known() []string  { return []string{"x", "y"} }

func knows(m mark) func() ([]byte, error) {
	return func() ([]byte, error) {
		raw, e := encodeJSON(markReply{Mark: m})
		if e != nil {
			return nil, e
		}
		return raw, nil
	}
}

// TestConfirmation: whose word confirms a log, and whose word makes it old.
func TestConfirmation(t *testing.T) {
	t.Parallel()
	fine, ahead := knows(mark{Index: 10, Term: 3, Seen: 4}), knows(mark{Index: 11, Term: 3, Seen: 4})
	older := func() ([]byte, error) { return nil, protocol.NotAppliedf(protocol.CodeNotImplemented, "what?") }
	quarantined := func() ([]byte, error) { return []byte(`{"mark":{},"quarantined":true}`), nil }
	type answers = map[string]func() ([]byte, error)
	for name, c := range map[string]struct {
		voters  []string
		answers answers
		given   bool
		old     string
	}{
		"alone":                        {voters: []string{"a"}, given: true},
		"one of two others":            {voters: []string{"a", "b", "c"}, answers: answers{"b": fine}, given: true},
		"one of four others":           {voters: []string{"a", "b", "c", "d", "e"}, answers: answers{"b": fine}},
		"nobody":                       {voters: []string{"a", "b", "c"}},
		"of an older version":          {voters: []string{"a", "b", "c"}, answers: answers{"c": older}, given: true},
		"quarantined":                  {voters: []string{"a", "b", "c"}, answers: answers{"c": quarantined}},
		"one knows more":               {voters: []string{"a", "b", "c"}, answers: answers{"b": fine, "c": ahead}, old: "member c knows"},
		"before a repair":              {voters: []string{"a", "b", "c"}, answers: answers{"b": knows(mark{Since: 9})}, old: "before the repair"},
		"a mark of before the repair":  {voters: []string{"a", "b", "c"}, answers: answers{"b": knows(mark{Since: 2, Index: 99})}, given: true},
		"without a configuration":      {answers: answers{"x": fine, "y": fine}, given: true},
		"without a configuration, two": {answers: answers{"x": fine}, given: true},
		"a word of a stranger":         {voters: []string{"a", "b", "c"}, answers: answers{"x": ahead, "b": fine}, given: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := asking(t, c.answers, c.voters...)
			a.since = 5
			if !strings.Contains(name, "repair") {
				a.since = 0
			}
			var old string
			a.old = func(reason string) { old = reason }
			if vote, entries := a.withheld(); !vote || !entries {
				t.Errorf("before it asks: vote withheld %v, entries %v", vote, entries)
			}
			settled := a.round(t.Context())
			if settled != (c.given || c.old != "") || a.given.Load() != c.given || !strings.Contains(old, c.old) || (old == "") != (c.old == "") {
				t.Errorf("settled %v, confirmed %v, old: %q", settled, a.given.Load(), old)
			}
			a.began = time.Now().Add(-holdEntries)
			if vote, entries := a.withheld(); vote == c.given || entries {
				t.Errorf("later: vote withheld %v, entries %v", vote, entries)
			}
		})
	}
}

// TestConfirmationIsKept: words that were given at different times count
// together, and a member that asks is asked back at once, but once.
func TestConfirmationIsKept(t *testing.T) {
	t.Parallel()
	fine, silent := knows(mark{}), func() ([]byte, error) { return nil, errors.New("no answer") }
	answers := map[string]func() ([]byte, error){"b": fine, "c": silent, "d": silent, "e": silent}
	a, _ := asking(t, answers, "a", "b", "c", "d", "e")
	if a.round(t.Context()) {
		t.Fatal("two of five confirmed")
	}
	kicked := func(from string) bool {
		if _, e := a.handleMark(from, false); e != nil {
			t.Fatal(e)
		}
		select {
		case <-a.kick:
			return true
		default:
			return false
		}
	}
	if kicked("b") || !kicked("c") {
		t.Error("asks back whom it need not ask, or not whom it must")
	}
	answers["b"], answers["c"] = silent, fine
	if !a.round(t.Context()) || kicked("d") {
		t.Error("three of five did not confirm")
	}
}

func TestEndOf(t *testing.T) {
	t.Parallel()
	stats := map[string]string{"last_log_index": "7", "last_log_term": "2", "term": "5", "last_snapshot_index": "6", "last_snapshot_term": "1"}
	if got := endOf(stats); got != (logEnd{7, 2, 5}) {
		t.Errorf("%+v", got)
	}
	stats["last_snapshot_index"], stats["last_snapshot_term"] = "9", "4"
	if got := endOf(stats); got != (logEnd{9, 4, 5}) {
		t.Errorf("%+v", got)
	}
}

// setBack puts a copy of a member's directory in the place of it.
func setBack(t *testing.T, m *member, copied string) {
	t.Helper()
	must(t, os.RemoveAll(m.cfg.DataDir))
	must(t, exec.Command("cp", "-a", copied, m.cfg.DataDir).Run())
}

// copyOf copies the directory of a member that does not run.
func copyOf(t *testing.T, m *member) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy")
	must(t, exec.Command("cp", "-a", m.cfg.DataDir, copied).Run())
	return copied
}

// awaitOld waits until a member says that it is an old copy, and checks that it
// neither votes nor leads.
func (c *cluster) awaitOld(m *member) {
	c.t.Helper()
	var reason string
	c.eventually("the old copy is noticed", func() bool { reason, _ = m.health.Quarantined(); return reason != "" })
	if !strings.Contains(reason, "old copy") || !strings.Contains(reason, "cluster repair "+m.id) {
		c.t.Errorf("quarantined: %s", reason)
	}
	if vote, _ := m.confirm.withheld(); !vote || m.engine.raft.State() == raft.Leader {
		c.t.Errorf("vote withheld: %v, %s", vote, m.engine.raft.State())
	}
	if st := m.Status(c.t.Context()); len(st.NextSteps) == 0 || !strings.Contains(st.NextSteps[0], "cluster repair "+m.id) || st.Ready {
		c.t.Errorf("ready: %v, next: %v", st.Ready, st.NextSteps)
	}
}

// TestAnOldCopyDoesNotVote: each member in turn starts from a copy of its
// directory that was taken before acknowledged writes. One request repairs it.
func TestAnOldCopyDoesNotVote(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	node := c.node(c.leader())
	want := int64(0)
	write := func() {
		for range 10 {
			c.leader().must(increment(t, node, ""))
			want++
		}
	}
	for i, first := range slices.Clone(c.members) {
		m := c.byID(first.id)
		m.kill()
		copied := copyOf(t, m)
		m = c.restart(m)
		c.ready(m)
		c.eventually("it votes", func() bool { return !m.withholds() })
		if i == 0 { // the others follow
			must(t, asError(c.leader().TransferLeadership(t.Context(), m.id)))
		}
		write()
		c.agree(c.members...)
		m.kill()
		setBack(t, m, copied)
		m = c.restart(m)
		c.awaitOld(m)
		rest := c.others(m)
		must(t, asError(c.leader(rest...).Repair(t.Context(), m.id)))
		m.awaitFatal(ExitStalled)
		m = c.restart(m)
		c.ready(m)
		c.eventually("it votes again", func() bool { return isVoter(c.leader(), m.id) && !m.withholds() })
		if got := m.mustRead(node); got != want {
			t.Errorf("it reads %d, want %d", got, want)
		}
		must(t, asError(c.leader().Repair(t.Context(), m.id))) // nothing is left to do
		c.agree(c.members...)
		if aside, _ := filepath.Glob(filepath.Join(m.cfg.DataDir, "before-repair-*", "raft")); len(aside) != 1 {
			t.Errorf("put aside: %v", aside)
		}
	}
}

func (c *cluster) byID(id string) *member {
	return c.members[slices.IndexFunc(c.members, func(m *member) bool { return m.id == id })]
}

func (m *member) withholds() bool {
	vote, _ := m.confirm.withheld()
	return vote
}

func asError(e *protocol.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// TestAnOldCopyElectsNobody: with an old copy and a member that lacks what was
// acknowledged there would be a majority. They wait for the third one.
func TestAnOldCopyElectsNobody(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	node := c.node(c.leader())
	leader := c.leader()
	late, old := c.others(leader)[0], c.others(leader)[1]
	old.kill()
	copied := copyOf(t, old)
	old = c.restart(old)
	c.ready(old)
	for range 3 {
		leader.must(increment(t, node, ""))
	}
	c.agree(c.members...)
	index := old.Root().Index()
	c.eventually("the leader has told what it knows", func() bool { return late.marks.of(old.id).Index >= index })
	late.kill()
	for range 7 {
		leader.must(increment(t, node, ""))
	}
	leader.kill()
	old.kill()
	setBack(t, old, copied)
	late, old = c.restart(late), c.restart(old)
	c.awaitOld(old)
	if late.engine.raft.State() == raft.Leader || late.IsLeader() {
		t.Fatal("the old copy has elected a leader")
	}
	leader = c.restart(leader)
	c.ready(leader, late)
	if got := late.mustRead(node); got != 10 {
		t.Errorf("it reads %d, want 10", got)
	}
}

// TestALostTailIsNoOldCopy: a leader that was cut off has entries that nobody
// acknowledged. It comes back by itself, with them and also when they are lost.
func TestALostTailIsNoOldCopy(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		c := newCluster(t, 3, func(_ int, cfg *Config) { // the lease lasts until the tail is made
			cfg.Timeouts = Timeouts{Heartbeat: time.Second, Election: time.Second, LeaderLease: time.Second}
		})
		node := c.node(c.leader())
		m := c.leader()
		m.kill()
		m = c.restart(m)
		c.ready(m)
		must(t, asError(c.leader().TransferLeadership(t.Context(), m.id)))
		c.leader(m).must(increment(t, node, ""))
		c.agree(c.members...)
		c.eventually("all know of the last entry", func() bool {
			for _, o := range c.others(m) {
				if o.marks.of(m.id).Index < m.Root().Index() {
					return false
				}
			}
			return true
		})
		copied := copyOf(t, m) // bolt writes no page in place: a copy of a log at rest is whole
		c.faults.isolate(m, c.others(m)...)
		last := m.engine.raft.LastIndex()
		ctx, cancel := context.WithCancel(t.Context())
		var asked sync.WaitGroup
		asked.Go(func() { _, _ = m.Propose(ctx, increment(t, node, "")) })
		c.eventually("a tail is made", func() bool { return m.engine.raft.LastIndex() > last })
		cancel()
		asked.Wait()
		m.kill()
		rest := c.others(m)
		c.leader(rest...).must(increment(t, node, ""))
		if lost {
			setBack(t, m, copied)
		}
		c.faults.heal()
		m = c.restart(m)
		c.ready(m)
		c.agree(c.members...)
		if reason, yes := m.health.Quarantined(); yes {
			t.Errorf("quarantined: %s", reason)
		}
		c.stop()
	}
}
