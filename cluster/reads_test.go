// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// newTestReads are the reads of a leader of term 7 with the voters a, b and c.
func newTestReads(t *testing.T, rf *fakeRaft, peers fakePeers) (*reads, *fakeTerm) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	term := &fakeTerm{leader: "a", refuseReadsAfter: -1}
	r := newReads(ctx, &reads{self: begun(t, Config{}), raft: rf, peers: peers, roster: fakeRoster{rf}, term: term, health: &fakeHealth{},
		clock: &leaderClock{source: systemClock{}}, begun: newMetrics().rounds})
	t.Cleanup(func() { cancel(); r.rounds.wg.Wait() })
	return r, term
}

// answer is a voter's answer to a round, with its term.
func answer(payload []byte, term uint64) []byte {
	out := binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(payload))
	out = binary.BigEndian.AppendUint64(out, term)
	return binary.BigEndian.AppendUint64(out, uint64(time.Now().UnixMilli()))
}

// Reads that arrive while a round is under way share the next one.
func TestReadsShareOneRound(t *testing.T) {
	t.Parallel()
	var rounds atomic.Int64
	begun, release := make(chan struct{}, 10), make(chan struct{})
	r, term := newTestReads(t, raftOf(3, "a", "b", "c"), func(_ context.Context, id string, typ byte, _ []byte) ([]byte, error) {
		if id != "b" || typ != rpcReadIndex {
			t.Errorf("request %d to %s", typ, id)
		}
		n := rounds.Add(1)
		begun <- struct{}{}
		<-release
		return binary.BigEndian.AppendUint64(nil, 100+uint64(n)), nil
	})
	term.lead("b")
	var wg sync.WaitGroup
	read := func(want uint64) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if index, e := r.readIndex(t.Context()); e != nil || index != want {
				t.Errorf("index %d, %v, want %d: a round that began before the read may be too old for it", index, e, want)
			}
		}()
	}
	read(101)
	<-begun
	for range 20 {
		read(102)
	}
	time.Sleep(50 * time.Millisecond) // for the reads to join
	close(release)
	wg.Wait()
	if n := rounds.Load(); n != 2 {
		t.Errorf("%d rounds for 21 reads, want 2", n)
	}
}

// The commit index is noted before the voters are asked: what is committed
// during the round may be the write of another leader.
func TestReadIndexIsNotedBeforeTheRound(t *testing.T) {
	t.Parallel()
	rf := raftOf(3, "a", "b", "c")
	r, _ := newTestReads(t, rf, func(_ context.Context, _ string, _ byte, payload []byte) ([]byte, error) {
		rf.set(func(r *fakeRaft) { r.commit = 99 })
		return answer(payload, 7), nil
	})
	if index, e := r.leaderIndex(t.Context()); e != nil || index != 10 {
		t.Errorf("index %d, %v, want 10", index, e)
	}
}

// Without a majority of the voters, in this very round and term, there is no index.
func TestReadsFailHonestly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		b, c func(payload []byte) ([]byte, error)
		raft *fakeRaft
		want error // nil for success
	}{
		"two of three":                {b: yes, c: silent},
		"one of three":                {b: silent, c: silent, want: errAny},
		"answers to another round":    {b: otherRound, c: otherRound, want: errAny},
		"answers that cannot be read": {b: short, c: short, want: errAny},
		"one knows a newer term":      {b: newer, c: silent, want: errDeposed},
		"only a non-voter":            {b: silent, c: silent, raft: raftOf(3, "a", "b", "c", "n"), want: errAny},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rf := c.raft
			if rf == nil {
				rf = raftOf(3, "a", "b", "c")
			}
			r, _ := newTestReads(t, rf, func(_ context.Context, id string, _ byte, payload []byte) ([]byte, error) {
				switch id {
				case "b":
					return c.b(payload)
				case "c":
					return c.c(payload)
				}
				return yes(payload)
			})
			err := r.provesTerm(t.Context(), 7)
			if (err == nil) != (c.want == nil) || c.want == errDeposed && !errors.Is(err, errDeposed) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if index, e := r.leaderIndex(t.Context()); (e == nil) != (c.want == nil) || e != nil && (index != 0 || e.Outcome != protocol.OutcomeNotApplied) {
				t.Errorf("index %d, %+v", index, e)
			}
		})
	}
}

var errAny = errors.New("any error")

func yes(payload []byte) ([]byte, error)   { return answer(payload, 7), nil }
func newer(payload []byte) ([]byte, error) { return answer(payload, 8), nil }
func silent([]byte) ([]byte, error)        { return nil, errors.New("no answer") }
func short([]byte) ([]byte, error)         { return []byte{1}, nil }
func otherRound(payload []byte) ([]byte, error) {
	out := answer(payload, 7)
	out[0]++
	return out, nil
}

// A leader that is deposed during the round has proved nothing.
func TestReadsOfALeaderThatIsDeposed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fakeRaft){
		"it follows":      func(r *fakeRaft) { r.state = raft.Follower },
		"in another term": func(r *fakeRaft) { r.term = 8 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rf := raftOf(3, "a", "b", "c")
			r, _ := newTestReads(t, rf, func(_ context.Context, _ string, _ byte, payload []byte) ([]byte, error) {
				rf.set(change)
				return answer(payload, 7), nil
			})
			if err := r.provesTerm(t.Context(), 7); !errors.Is(err, errDeposed) {
				t.Errorf("%v, want %v", err, errDeposed)
			}
		})
	}
	r, term := newTestReads(t, raftOf(1, "a"), nil)
	term.refuseReadsAfter = 1 // allowed before the round, not after it
	if index, e := r.leaderIndex(t.Context()); code(e) != codeNotLeader {
		t.Errorf("index %d, %v: the term ended during the round", index, e)
	}
}

// A member that is quarantined neither reads nor confirms.
func TestReadsOfAQuarantinedMember(t *testing.T) {
	t.Parallel()
	r, _ := newTestReads(t, raftOf(1, "a"), nil)
	r.health = &fakeHealth{reason: "sick"}
	if _, e := r.readIndex(t.Context()); code(e) != protocol.CodeQuarantined {
		t.Errorf("read: %v", e)
	}
	if _, e := r.handleConfirm(make([]byte, 24)); code(e) != protocol.CodeQuarantined {
		t.Errorf("confirmed a round: %v", e)
	}
	if r.freshWithin(time.Hour) {
		t.Error("its state counts as fresh")
	}
}

// A read without a leader ends with its deadline and says that nothing was changed.
func TestReadsWithoutALeader(t *testing.T) {
	t.Parallel()
	r, term := newTestReads(t, raftOf(3, "a", "b", "c"), nil)
	term.lead("")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, e := r.readIndex(ctx); code(e) != protocol.CodeNoLeader || e.Outcome != protocol.OutcomeNotApplied {
		t.Errorf("%+v", e)
	}
}
