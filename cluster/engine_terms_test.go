// SPDX-License-Identifier: Apache-2.0

//lint:file-ignore SA1019 raft itself still reads the fields Leader and Candidate

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// TestNoEntryInAnotherLeadersTerm: a heartbeat of a newer term comes between
// the leader's last look at its term and the moment when raft stores a
// client's command. Raft alone would store it in the term of the new leader.
// The heartbeat has to wait for raft's main loop; if it came beside it all the
// same, the log would refuse the entry.
func TestNoEntryInAnotherLeadersTerm(t *testing.T) {
	t.Parallel()
	for name, beside := range map[string]bool{"by raft's main loop": false, "beside raft's main loop": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			noEntryInAnotherLeadersTerm(t, beside)
		})
	}
}

func noEntryInAnotherLeadersTerm(t *testing.T, beside bool) {
	const tries = 200
	done, refused := 0, uint64(0)
	for done < tries {
		n, r := overtaken(t, beside, tries-done)
		if n == 0 {
			t.Fatal("a member stopped at once")
		}
		done, refused = done+n, refused+r
	}
	if beside && refused == 0 {
		t.Error("not one entry came too late: the test has tried nothing")
	}
	t.Logf("%d entries refused in %d tries", refused, done)
}

// overtaken plays at most the given tries with a new member and says how many it
// played, and how many entries came too late. A heartbeat that comes beside
// raft's main loop may also meet an election of the member, so that both lead
// one term: the member stops then, which ends the tries.
func overtaken(t *testing.T, beside bool, tries int) (done int, refused uint64) {
	var armed atomic.Pointer[func()]
	c := newCluster(t, 1, func(i int, cfg *Config) {
		cfg.Timeouts = Timeouts{Heartbeat: 60 * time.Millisecond, Election: 60 * time.Millisecond, LeaderLease: 60 * time.Millisecond}
		cfg.hooks.overtake = beside
		if i == 0 {
			cfg.hooks.apply = func() {
				if overtake := armed.Swap(nil); overtake != nil {
					(*overtake)()
				}
			}
		}
	})
	a, b := c.members[0], c.join(1, true)
	c.ready(a, b)
	node := c.node(a)
	other := c.impostor(b, a)
	foreign := map[uint64]bool{}
	overtake := func() {
		term := a.engine.raft.CurrentTerm() + 1
		foreign[term] = true // only the batcher comes here
		if _, err := other.send(raft.AppendEntriesRequest{Term: term}); err != nil {
			t.Errorf("heartbeat of term %d: %v", term, err)
		}
	}
	bothLead := func() bool {
		reason, yes := a.Quarantined()
		return beside && yes && strings.Contains(reason, "both lead term")
	}
	for done < tries {
		c.ready(a)
		armed.Store(&overtake)
		if !a.increments(node, fmt.Sprint("try-", done), bothLead) {
			break
		}
		done++
	}
	if !bothLead() {
		if got := a.mustRead(node); got != int64(done) {
			t.Errorf("%d increments were acknowledged, %d took effect", done, got)
		}
		if len(foreign) != done {
			t.Errorf("%d terms of another leader, want %d", len(foreign), done)
		}
	}
	for _, l := range a.entries() {
		if foreign[l.Term] && store.Maker(l) == a.id {
			t.Errorf("entry %d of type %s is in term %d, which belongs to member %s", l.Index, l.Type, l.Term, other.id)
		}
	}
	return done, a.engine.terms.Refused()
}

// increments adds one and reports whether it did; a failure is the test's
// unless it is excused.
func (m *member) increments(node uint32, id string, excused func() bool) bool {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, e := m.Propose(ctx, increment(m.t, node, id))
	if e != nil && !excused() {
		m.t.Fatalf("%s: %s (%s)", e.Code, e.Text, e.Outcome)
	}
	return e == nil
}

// TestWhoHasVotedStaysInThatTerm: the disk is slow when a heartbeat of one term
// and a request for a vote in a later one arrive together. Whoever has voted
// must not acknowledge entries of the earlier term: the leader it has elected
// does not have them.
func TestWhoHasVotedStaysInThatTerm(t *testing.T) {
	t.Parallel()
	var armed atomic.Pointer[func()]
	c := newCluster(t, 3, func(i int, cfg *Config) {
		if i == 0 {
			cfg.hooks.storeOp = func(name string) {
				if name != "set_uint64" {
					return
				}
				if slow := armed.Swap(nil); slow != nil {
					(*slow)()
				}
			}
		}
	})
	a := c.members[0]
	older, newer := c.impostor(c.members[1], a), c.impostor(c.members[2], a)
	log := a.entries()
	last, term := log[len(log)-1], a.engine.raft.CurrentTerm()
	begun, voted := make(chan struct{}), make(chan struct{})
	slow := func() {
		close(begun)
		select {
		case <-voted:
		case <-time.After(500 * time.Millisecond): // the vote waits for the heartbeat, as it should
		}
	}
	armed.Store(&slow)
	answered := make(chan error, 1)
	go func() {
		_, err := older.send(raft.AppendEntriesRequest{Term: term + 1})
		answered <- err
	}()
	<-begun
	vote, err := newer.vote(term+3, last)
	close(voted)
	if err := errors.Join(err, <-answered); err != nil || !vote.Granted {
		t.Fatalf("vote: %+v, %v", vote, err)
	}
	resp, err := older.send(raft.AppendEntriesRequest{Term: term + 1, PrevLogEntry: last.Index, PrevLogTerm: last.Term})
	if err != nil || resp.Success || a.engine.raft.CurrentTerm() < term+3 {
		t.Errorf("in term %d after a vote in term %d; a message of term %d: %+v %v", a.engine.raft.CurrentTerm(), term+3, term+1, resp, err)
	}
}

// TestADamagedEntryIsSentAgain: a damaged entry comes in the place of one that
// was never committed. It is refused before raft gives up its own entry: after
// that raft would not know where its log ends, could not take the next entry,
// and as leader would leave a hole.
func TestADamagedEntryIsSentAgain(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	a := c.members[0]
	older, newer := c.impostor(c.members[1], a), c.impostor(c.members[2], a)
	log := a.entries()
	last, term := log[len(log)-1], a.engine.raft.CurrentTerm()
	after := func(i *impostor, term uint64, damaged bool) (raft.AppendEntriesResponse, error) {
		e := i.entry(last.Index+1, term)
		if damaged {
			e.Data = []byte("damaged")
		}
		return i.send(raft.AppendEntriesRequest{Term: term, PrevLogEntry: last.Index, PrevLogTerm: last.Term, Entries: []*raft.Log{e}})
	}
	if resp, err := after(older, term+1, false); err != nil || !resp.Success {
		t.Fatalf("refused: %+v %v", resp, err)
	}
	if resp, err := after(newer, term+2, true); err == nil && resp.Success {
		t.Fatal("a damaged entry was accepted")
	}
	if got := a.entries(); got[len(got)-1].Index != last.Index+1 {
		t.Errorf("the log ends at %d after a damaged entry, want %d", got[len(got)-1].Index, last.Index+1)
	}
	if resp, err := after(newer, term+2, false); err != nil || !resp.Success {
		t.Errorf("refused after a damaged one: %+v %v", resp, err)
	}
}

// end is how a member that must stop does.
func (m *member) end() fatalCall {
	m.t.Helper()
	select {
	case f := <-m.fatal:
		return f
	case <-time.After(patience):
		m.t.Fatal("the member did not stop")
		return fatalCall{}
	}
}

// entries are all entries of a member's log.
func (m *member) entries() []*raft.Log {
	m.t.Helper()
	first, err := m.engine.store.FirstIndex()
	last, err2 := m.engine.store.LastIndex()
	if err := errors.Join(err, err2); err != nil {
		m.t.Fatal(err)
	}
	var out []*raft.Log
	for i := first; i <= last; i++ {
		l := new(raft.Log)
		if err := m.engine.store.GetLog(i, l); err != nil {
			m.t.Fatal(err)
		}
		out = append(out, l)
	}
	return out
}

// TestTooLateIsNotApplied: the caller learns that an entry which came too late
// is in no log, so that it can be tried again at once.
func TestTooLateIsNotApplied(t *testing.T) {
	t.Parallel()
	var armed atomic.Pointer[func()]
	c := newCluster(t, 1, func(i int, cfg *Config) {
		cfg.hooks.overtake = true
		cfg.hooks.apply = func() {
			if overtake := armed.Swap(nil); overtake != nil {
				(*overtake)()
			}
		}
	})
	a, b := c.members[0], c.join(1, true)
	c.ready(a, b)
	other := c.impostor(b, a)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		refused := a.engine.terms.Refused()
		overtake := func() { _, _ = other.send(raft.AppendEntriesRequest{Term: a.engine.raft.CurrentTerm() + 1}) }
		armed.Store(&overtake)
		_, e := a.writes.batch.submit(ctx, increment(t, 1, ""), 0)
		cancel()
		if a.engine.terms.Refused() > refused { // else raft's main loop was faster
			if e == nil || e.Outcome != protocol.OutcomeNotApplied || e.Code != codeNotLeader {
				t.Errorf("got %+v, want not_applied %s", e, codeNotLeader)
			}
			return
		}
		c.ready(a)
	}
}

// TestAChangeThatCameTooLateRestartsTheMember: raft takes over a configuration
// although its entry was refused.
func TestAChangeThatCameTooLateRestartsTheMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, func(_ int, cfg *Config) { cfg.hooks.overtake = true })
	a, b := c.members[0], c.join(1, true)
	c.ready(a, b)
	other := c.impostor(b, a)
	for {
		term := a.engine.raft.CurrentTerm() + 1
		if _, err := other.send(raft.AppendEntriesRequest{Term: term}); err != nil {
			t.Fatal(err)
		}
		err := a.engine.raft.AddNonvoter("00000000-0000-4000-8000-000000000000", "127.0.0.1:1", 0, patience).Error()
		if e := changeOutcome(err); e == nil || e.Outcome != protocol.OutcomeNotApplied {
			t.Fatalf("change: %v, want not_applied", err)
		}
		if a.engine.terms.Refused() == 0 { // raft's main loop was faster
			c.ready(a)
			continue
		}
		f := a.end()
		if f.code != ExitStalled {
			t.Errorf("ended with %+v, want code %d", f, ExitStalled)
		}
		return
	}
}

// TestAForkStopsTheMember: a leader whose last entry has the same index and
// term as this member's, but other content, makes it stop with code 78 before
// it applies anything.
func TestAForkStopsTheMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	a, b := c.members[0], c.join(1, true)
	c.ready(a, b)
	other := c.impostor(b, a)
	log := a.entries()
	last := log[len(log)-1]
	applied := a.self.applied.index.Load()
	sum := append([]byte("\x00sum"), last.Extensions...)
	sum[len(sum)-1]++
	if _, err := other.send(raft.AppendEntriesRequest{Term: a.engine.raft.CurrentTerm() + 1, PrevLogEntry: last.Index, PrevLogTerm: last.Term, Leader: sum}); err == nil {
		t.Error("accepted")
	}
	f := a.end()
	if f.code != ExitDamaged || !strings.Contains(f.reason, fmt.Sprintf("entry %d of term %d differs", last.Index, last.Term)) {
		t.Errorf("ended with %+v, want code %d and the index", f, ExitDamaged)
	}
	if now := a.self.applied.index.Load(); now > max(applied, last.Index) {
		t.Errorf("applied up to %d after the fork at %d", now, last.Index)
	}
}

// TestRaftRestoreIsNotUsed: raft.Restore makes a snapshot in whatever term raft
// is in by then, past every guard, and leaves a hole in the log.
func TestRaftRestoreIsNotUsed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "raft.Restore"+"(") {
			t.Errorf("%s calls raft.Restore", path)
		}
	}
}

// TestWhereLogsDiffer: the digest check names the first index at which logs differ.
func TestWhereLogsDiffer(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	a, b := c.members[0], c.members[1]
	node := c.node(a)
	for range 3 {
		a.must(increment(t, node, ""))
	}
	c.agree(a, b)
	last := min(a.self.applied.index.Load(), b.self.applied.index.Load())
	if got := a.digests.whereLogsDiffer(t.Context(), b.id, 1, last); !strings.Contains(got, fmt.Sprintf("the same from index 1 to %d", last)) {
		t.Errorf("equal logs: %s", got)
	}
	theirs := b.digests.logSums(1, last)
	theirs[2].Maker, theirs[2].Sum = b.id, "other"
	theirs[3].Sum = "other"
	if got, index := firstDifference(a.digests.logSums(1, last), theirs); index != 3 || !strings.Contains(got, "index 3 ") || !strings.Contains(got, b.id) {
		t.Errorf("different logs: %d, %s", index, got)
	}
	if _, index := firstDifference(a.digests.logSums(1, last), theirs[:2]); index != 2 {
		t.Errorf("compared up to %d, want 2", index)
	}
}
