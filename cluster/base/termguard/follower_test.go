// SPDX-License-Identifier: Apache-2.0

//lint:file-ignore SA1019 raft itself still reads the fields Leader and Candidate

package termguard

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// follower is a world whose instance follows the first hand-made member, who
// leads term 10 and has sent it entries 2 to 4.
func follower(t *testing.T) (*world, *handMade) {
	t.Helper()
	w := newWorld(func() {}, time.Hour, false)
	t.Cleanup(w.close)
	p := w.peers[0]
	w.claim(10, p.id)
	p.must(t, raft.AppendEntriesRequest{Term: 10, PrevLogEntry: 1, PrevLogTerm: 1, Entries: []*raft.Log{p.entry(2, 10), p.entry(3, 10), p.entry(4, 10)}})
	return w, p
}

func (p *handMade) must(t *testing.T, a raft.AppendEntriesRequest) {
	t.Helper()
	if resp, err := p.append(a); err != nil || !resp.Success {
		t.Fatalf("refused: %+v %v", resp, err)
	}
}

func (w *world) await(t *testing.T, index uint64) {
	t.Helper()
	w.until(t, fmt.Sprintf("entry %d is applied", index), func() bool { return w.fsm.last.Load() >= index })
}

func (w *world) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestAFollowerCommitsOnlyWhatItWasShown: a new leader has committed up to 4,
// but has shown this member no more than that entry 2 matches. Its entries 3
// and 4 are left over from an older term.
func TestAFollowerCommitsOnlyWhatItWasShown(t *testing.T) {
	t.Parallel()
	w, old := follower(t)
	p := w.peers[1]
	w.claim(11, p.id)
	p.must(t, raft.AppendEntriesRequest{Term: 11, PrevLogEntry: 2, PrevLogTerm: 10, LeaderCommitIndex: 4})
	p.must(t, raft.AppendEntriesRequest{Term: 11, PrevLogEntry: 2, PrevLogTerm: 10, LeaderCommitIndex: 4,
		Entries: []*raft.Log{p.entry(3, 11), p.entry(4, 11)}})
	w.await(t, 4)
	for index, want := range map[uint64]*raft.Log{2: old.entry(2, 10), 3: p.entry(3, 11), 4: p.entry(4, 11)} {
		if got := w.fsm.applied(index); got != string(want.Data) {
			t.Errorf("entry %d applied as %q, want %q", index, got, want.Data)
		}
	}
}

// TestAnOldSnapshotDoesNotTurnBack: a snapshot that arrives late, of what the
// state holds already, takes nothing away. Not even from a member that has
// stopped hearing from its leader and asks whether the others would vote for it.
func TestAnOldSnapshotDoesNotTurnBack(t *testing.T) {
	t.Parallel()
	for name, alone := range map[string]bool{"a follower": false, "a member that looks for a leader": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := follower(t)
			p.must(t, raft.AppendEntriesRequest{Term: 10, PrevLogEntry: 4, PrevLogTerm: 10, LeaderCommitIndex: 3})
			w.await(t, 3)
			if alone {
				w.loseLeader(t)
			}
			if resp, err := p.install(10, 2); err != nil || !resp.Success {
				t.Fatalf("refused: %+v %v", resp, err)
			}
			if last, _ := w.store.LastIndex(); last != 4 || w.fsm.last.Load() != 3 {
				t.Errorf("the log ends at %d and the state at %d, want 4 and 3", last, w.fsm.last.Load())
			}
			if resp, err := p.install(10, 9); err != nil || !resp.Success {
				t.Fatalf("refused: %+v %v", resp, err)
			}
			if w.fsm.last.Load() != 9 {
				t.Errorf("a newer snapshot was not taken: the state is at %d", w.fsm.last.Load())
			}
		})
	}
}

// TestASnapshotWithinTheLog: a snapshot ends within the log. When the log holds
// its last entry, nothing is thrown away. When it holds another one, which was
// never committed, raft remembers the end of a log that is gone: the member
// takes part in nothing until it is started again.
func TestASnapshotWithinTheLog(t *testing.T) {
	t.Parallel()
	w, p := follower(t)
	if resp, err := p.install(10, 3); err != nil || !resp.Success {
		t.Fatalf("refused: %+v %v", resp, err)
	}
	if last, _ := w.store.LastIndex(); last != 4 || w.stale.Load() {
		t.Fatalf("the log ends at %d, want 4; stale: %v", last, w.stale.Load())
	}
	q := w.peers[1]
	w.claim(11, q.id)
	if resp, err := q.install(11, 3); err != nil || !resp.Success {
		t.Fatalf("refused: %+v %v", resp, err)
	}
	if last, _ := w.store.LastIndex(); last != 0 || !w.stale.Load() {
		t.Fatalf("the log ends at %d, want none; stale: %v", last, w.stale.Load())
	}
	if resp, err := q.append(raft.AppendEntriesRequest{Term: 11, PrevLogEntry: 4, PrevLogTerm: 10}); err == nil && resp.Success {
		t.Error("it claims an entry that is gone")
	}
	w.trans.stand()
	w.until(t, "an election is over", func() bool { return w.raft.CurrentTerm() > 11 && w.raft.State() == raft.Follower })
	if last := w.raft.LastIndex(); last != 4 || w.guard.Refused() == 0 {
		t.Errorf("it wrote as leader: its log ends at %d, %d entries were refused", last, w.guard.Refused())
	}
}

// loseLeader makes the instance a candidate that nobody would vote for, which
// leaves its term as it is.
func (w *world) loseLeader(t *testing.T) {
	t.Helper()
	for _, p := range w.peers {
		p.refuses.Store(true)
	}
	short := w.raft.ReloadableConfig()
	short.HeartbeatTimeout = 10 * time.Millisecond
	if err := w.raft.ReloadConfig(short); err != nil {
		t.Fatal(err)
	}
	w.until(t, "the member is a candidate", func() bool { return w.raft.State() == raft.Candidate })
	if term := w.raft.CurrentTerm(); term != 10 {
		t.Fatalf("in term %d, want 10", term)
	}
}

// TestATermThatWasLeftStaysLeft: a heartbeat of term 11 and a request for a
// vote in term 13 arrive together. Who has voted in term 13 must not go back to
// term 11: it would acknowledge entries that the leader of term 13, whom it
// elected, does not have, and could vote a second time in term 13.
func TestATermThatWasLeftStaysLeft(t *testing.T) {
	t.Parallel()
	w, p := follower(t)
	q := w.peers[1]
	w.claim(11, q.id)
	begun, voted, answered := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	w.store.onSet = func(key string, val uint64) error {
		if key == keyTerm && val == 11 {
			close(begun)
			select {
			case <-voted:
			case <-time.After(300 * time.Millisecond): // the vote waits for the heartbeat, as it should
			}
		}
		return nil
	}
	go func() {
		_, err := q.append(raft.AppendEntriesRequest{Term: 11})
		answered <- err
	}()
	<-begun
	granted := p.vote(t, 13, 4, 10)
	close(voted)
	if err := <-answered; err != nil || !granted {
		t.Fatalf("vote granted: %v, heartbeat: %v", granted, err)
	}
	if resp, err := q.append(raft.AppendEntriesRequest{Term: 11, PrevLogEntry: 4, PrevLogTerm: 10, Entries: []*raft.Log{q.entry(5, 11)}}); err != nil || resp.Success {
		t.Errorf("an entry of term 11 was acknowledged after a vote in term 13: %+v %v", resp, err)
	}
	if q.vote(t, 12, 4, 10); q.vote(t, 13, 4, 10) {
		t.Error("voted for two members in term 13")
	}
	if term := w.raft.CurrentTerm(); term != 13 {
		t.Errorf("in term %d, want 13", term)
	}
}

// TestAHeartbeatIsOvertaken: a heartbeat meets a candidate that is about to
// enter a newer term. The newer term waits for the heartbeat; one that comes
// too late is dropped before raft follows it.
func TestAHeartbeatIsOvertaken(t *testing.T) {
	t.Parallel()
	w, p := follower(t)
	stable := w.guard.Stable(w.store)
	beat := raft.RPC{Command: &raft.AppendEntriesRequest{RPCHeader: p.header(), Term: 10}}
	entered, followed := make(chan error, 1), false
	handled := w.guard.heartbeat(beat, func(raft.RPC) {
		go func() { entered <- stable.SetUint64([]byte(keyTerm), 11) }()
		w.until(t, "the main loop waits", func() bool {
			if w.guard.heartbeats.TryRLock() {
				w.guard.heartbeats.RUnlock()
				return false
			}
			return true
		})
		if term, _ := w.store.GetUint64([]byte(keyTerm)); term != 10 {
			t.Errorf("term %d was entered beside a heartbeat", term)
		}
		must(stable.SetUint64([]byte(keyTerm), 10))
		followed = true
	})
	if err := <-entered; err != nil || !handled || !followed {
		t.Fatalf("entered: %v, handled: %v, followed: %v", err, handled, followed)
	}
	followed = false
	handled = w.guard.heartbeat(beat, func(raft.RPC) {
		_ = stable.SetUint64([]byte(keyTerm), 10)
		followed = true
	})
	if term, _ := w.store.GetUint64([]byte(keyTerm)); !handled || followed || term != 11 {
		t.Errorf("handled: %v, followed into term 10: %v, stored term %d", handled, followed, term)
	}
	beat.Command.(*raft.AppendEntriesRequest).Term = 12
	if w.guard.heartbeat(beat, func(raft.RPC) { t.Error("a newer term came past the main loop") }) {
		t.Error("a newer term came past the main loop")
	}
}

// TestACrashedVoteHelpsNobody: a member stops while it writes down for whom it
// votes. When it is back, it must not take that term's vote for the one of an
// older term: it would grant it again, whatever the candidate's log lacks.
func TestACrashedVoteHelpsNobody(t *testing.T) {
	t.Parallel()
	w, p := follower(t)
	q := w.peers[1]
	if !q.vote(t, 11, 4, 10) {
		t.Fatal("no vote in term 11")
	}
	w.claim(12, p.id)
	p.must(t, raft.AppendEntriesRequest{Term: 12, PrevLogEntry: 4, PrevLogTerm: 10, Entries: []*raft.Log{p.entry(5, 12)}})
	written := 0
	w.store.onSet = func(key string, _ uint64) error {
		if key == keyVoteTerm || key == keyVoteCandidate {
			if written++; written > 1 {
				return errors.New("the member has crashed")
			}
		}
		return nil
	}
	if p.vote(t, 13, 5, 12) || written != 2 {
		t.Fatalf("voted after %d writes", written)
	}
	w.store.onSet = nil
	w.restart()
	if q.vote(t, 13, 4, 10) {
		t.Error("voted for a member whose log lacks an entry that this one has acknowledged")
	}
	if !p.vote(t, 13, 5, 12) {
		t.Error("no vote for a member that lacks nothing")
	}
}

// vote asks the instance for its vote.
func (p *handMade) vote(t *testing.T, term, last, lastTerm uint64) bool {
	t.Helper()
	req := raft.RequestVoteRequest{RPCHeader: p.header(), Term: term, Candidate: []byte(p.id), LastLogIndex: last, LastLogTerm: lastTerm, LeadershipTransfer: true}
	var err error
	for range 4 { // connections from before a restart
		var resp raft.RequestVoteResponse
		if err = p.trans.RequestVote(raft.ServerID(self), raft.ServerAddress(self), &req, &resp); err == nil {
			return resp.Granted
		}
	}
	t.Fatal(err)
	return false
}

// TestForks: whatever shows that two logs differ at one place, or that two
// members lead one term, stops the member before it applies anything.
func TestForks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		send func(p, q *handMade) raft.AppendEntriesRequest
		want string
	}{
		"two leaders of a term": {
			func(p, q *handMade) raft.AppendEntriesRequest {
				return raft.AppendEntriesRequest{Term: 10, PrevLogEntry: 4, PrevLogTerm: 10, LeaderCommitIndex: 4}
			}, "both lead term 10",
		},
		"another entry at the same place": {
			func(p, q *handMade) raft.AppendEntriesRequest {
				e := p.entry(4, 10)
				e.Data = []byte("something else")
				sign(e, p.id)
				return raft.AppendEntriesRequest{Term: 11, PrevLogEntry: 3, PrevLogTerm: 10, LeaderCommitIndex: 4, Entries: []*raft.Log{e}}
			}, "entry 4 of term 10 differs",
		},
		"another entry just before": {
			func(p, q *handMade) raft.AppendEntriesRequest {
				e := p.entry(4, 10)
				e.Extensions[1]++
				return raft.AppendEntriesRequest{Term: 11, PrevLogEntry: 4, PrevLogTerm: 10, LeaderCommitIndex: 4, Leader: append(previousTag[:4:4], e.Extensions...)}
			}, "entry 4 of term 10 differs",
		},
		"made by somebody who did not lead": {
			func(p, q *handMade) raft.AppendEntriesRequest {
				return raft.AppendEntriesRequest{Term: 11, PrevLogEntry: 4, PrevLogTerm: 10, LeaderCommitIndex: 4, Entries: []*raft.Log{q.entry(5, 10)}}
			}, "was made by member " + peers[1],
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := follower(t)
			q := w.peers[1]
			if resp, err := q.append(c.send(p, q)); err == nil {
				t.Errorf("accepted: %+v", resp)
			}
			if reason := w.forked.Load(); reason == nil || !strings.Contains(*reason, c.want) {
				t.Fatalf("noticed %v, want %q", reason, c.want)
			}
			if _, err := p.append(raft.AppendEntriesRequest{Term: 12, PrevLogEntry: 4, PrevLogTerm: 10, LeaderCommitIndex: 4}); err == nil {
				t.Error("a message was accepted after the fork")
			}
			if got := w.fsm.last.Load(); got != 0 {
				t.Errorf("applied up to %d after the fork", got)
			}
		})
	}
}

// TestEntriesOfALaterTerm: a message never carries entries of a later term
// than its own. Nothing was stored, so nobody stops.
func TestEntriesOfALaterTerm(t *testing.T) {
	t.Parallel()
	w, p := follower(t)
	if _, err := p.append(raft.AppendEntriesRequest{Term: 10, PrevLogEntry: 4, PrevLogTerm: 10, Entries: []*raft.Log{p.entry(5, 11)}}); err == nil {
		t.Error("accepted")
	}
	if last, _ := w.store.LastIndex(); last != 4 || w.forked.Load() != nil {
		t.Errorf("the log ends at %d, want 4; fork %v", last, w.forked.Load())
	}
}

// TestLeadersAreForgotten: who led is remembered in bounded memory.
func TestLeadersAreForgotten(t *testing.T) {
	t.Parallel()
	var l leaders
	for term := range uint64(3 * maxLeaders) {
		l.claim(term+1, "a")
	}
	if len(l.terms) != maxLeaders || len(l.by) != maxLeaders {
		t.Errorf("%d terms and %d leaders are remembered, want %d", len(l.terms), len(l.by), maxLeaders)
	}
	if other, contradicted := l.claim(3*maxLeaders, "b"); !contradicted || other != "a" {
		t.Errorf("the newest term was forgotten: %q", other)
	}
	if _, contradicted := l.claim(1, "b"); contradicted || len(l.terms) != maxLeaders {
		t.Error("a forgotten term is remembered again")
	}
	if l.newest() != "a" {
		t.Errorf("newest leader %q", l.newest())
	}
}

// TestAWithheldVote: a member that withholds its vote neither gives it nor asks
// for the others', and takes entries only when it says so. What it then
// takes, and who sent it, is reported as far as it is committed.
func TestAWithheldVote(t *testing.T) {
	t.Parallel()
	w, p := follower(t)
	var vote, entries atomic.Bool
	var mu sync.Mutex
	reached := map[string][3]uint64{}
	w.guard.opts.Withheld = func() (bool, bool) { return vote.Load(), entries.Load() }
	w.guard.opts.Acknowledged = func(member string, index, term, seen uint64) {
		mu.Lock()
		defer mu.Unlock()
		reached[member] = [3]uint64{index, term, seen}
	}
	vote.Store(true)
	entries.Store(true)
	next := raft.AppendEntriesRequest{Term: 10, PrevLogEntry: 4, PrevLogTerm: 10, LeaderCommitIndex: 4, Entries: []*raft.Log{p.entry(5, 10)}}
	if resp, err := p.append(next); err == nil && resp.Success {
		t.Error("took an entry")
	}
	if resp, err := p.install(10, 9); err == nil && resp.Success {
		t.Error("took a snapshot")
	}
	p.must(t, raft.AppendEntriesRequest{Term: 10, PrevLogEntry: 4, PrevLogTerm: 10, LeaderCommitIndex: 3})
	if got := reached[p.id]; got != [3]uint64{3, 0, 10} {
		t.Errorf("the leader is known to reach %v", got)
	}
	for name, rpc := range map[string]any{"vote": &raft.RequestVoteRequest{}, "pre-vote": &raft.RequestPreVoteRequest{}, "hand-over": &raft.TimeoutNowRequest{}} {
		if err := w.guard.withhold(rpc); !errors.Is(err, ErrWithheld) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.trans.RequestPreVote(raft.ServerID(p.id), raft.ServerAddress(p.id), &raft.RequestPreVoteRequest{}, nil); !errors.Is(err, ErrWithheld) {
		t.Errorf("asked whether others would vote: %v", err)
	}
	if err := w.trans.RequestVote(raft.ServerID(p.id), raft.ServerAddress(p.id), &raft.RequestVoteRequest{}, nil); !errors.Is(err, ErrWithheld) {
		t.Errorf("asked for a vote: %v", err)
	}
	entries.Store(false)
	p.must(t, next)
	if got := reached[p.id]; got != [3]uint64{4, 0, 10} {
		t.Errorf("the leader is known to reach %v", got)
	}
	p.must(t, raft.AppendEntriesRequest{Term: 10, PrevLogEntry: 5, PrevLogTerm: 10, LeaderCommitIndex: 5})
	if got := reached[p.id]; got != [3]uint64{5, 10, 10} {
		t.Errorf("the leader is known to reach %v", got)
	}
	vote.Store(false)
	for name, rpc := range map[string]any{"vote": &raft.RequestVoteRequest{}, "snapshot": &raft.InstallSnapshotRequest{}} {
		if err := w.guard.withhold(rpc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
