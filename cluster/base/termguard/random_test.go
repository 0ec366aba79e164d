// SPDX-License-Identifier: Apache-2.0

//lint:file-ignore SA1019 raft itself still reads the fields Leader and Candidate

package termguard

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// schedules is how many the randomised test plays; SCHEDULES sets another number.
func schedules(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("SCHEDULES"))
	if err != nil {
		n = 300
	}
	t.Logf("%d schedules", n)
	return n
}

// TestEntriesBelongToTheirLeader plays random schedules of newer terms, votes,
// conflicting entries, pauses and changes of one server on a raft instance.
// Every entry of its own making must be of a term in which it was elected, and
// so must every message to its followers.
func TestEntriesBelongToTheirLeader(t *testing.T) {
	t.Parallel()
	total := schedules(t)
	var next, refused, made, stale atomic.Uint64
	var wg sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				seed := next.Add(1)
				if seed > uint64(total) || t.Failed() {
					return
				}
				w := play(seed)
				for _, wrong := range w.check() {
					t.Errorf("schedule %d: %s", seed, wrong)
				}
				refused.Add(w.guard.Refused())
				made.Add(uint64(len(w.store.stored())))
				if w.stale.Load() {
					stale.Add(1)
				}
			}
		}()
	}
	wg.Wait()
	t.Logf("%d entries stored, %d refused, %d instances that must be restarted", made.Load(), refused.Load(), stale.Load())
	if refused.Load() == 0 {
		t.Error("not one entry came too late: the schedules have tried nothing")
	}
}

func play(seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 7))
	var mu sync.Mutex
	number := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return rng.IntN(n)
	}
	w := newWorld(func() {
		if n := number(300); n < 100 {
			time.Sleep(time.Duration(n) * time.Microsecond)
		}
	}, 10*time.Millisecond, seed%2 == 0)
	defer w.close()
	w.trans.stand()
	var wg sync.WaitGroup
	for actor := range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 12 {
				if w.stale.Load() { // such a member stops
					return
				}
				w.act(actor, number)
				time.Sleep(time.Duration(number(1500)) * time.Microsecond)
			}
		}()
	}
	wg.Wait()
	return w
}

// act does one random thing. The first actor is the members' clients, the
// others are the hand-made members.
func (w *world) act(actor int, number func(int) int) {
	if actor == 0 {
		w.client(number)
		return
	}
	p := w.peers[actor-1]
	term := w.raft.CurrentTerm() + uint64(number(3))
	switch number(6) {
	case 0, 1, 2: // a heartbeat
		if w.claim(term, p.id) {
			_, _ = p.append(raft.AppendEntriesRequest{Term: term})
		}
	case 3:
		p.overwrite(term, number)
	case 4:
		w.trans.stand()
	case 5:
		last, lastTerm := w.end()
		var resp raft.RequestVoteResponse
		_ = p.trans.RequestVote(raft.ServerID(self), raft.ServerAddress(self),
			&raft.RequestVoteRequest{RPCHeader: p.header(), Term: term, Candidate: []byte(p.id), LastLogIndex: last, LastLogTerm: lastTerm, LeadershipTransfer: true}, &resp)
		if resp.Granted {
			w.vote(term)
		}
		if number(12) == 0 && w.claim(term, p.id) {
			last, _ := w.end()
			_, _ = p.install(term, max(last, w.held())+2)
		}
	}
}

func (w *world) client(number func(int) int) {
	switch number(8) {
	case 0:
		w.raft.AddNonvoter(raft.ServerID(guest), raft.ServerAddress(guest), 0, time.Millisecond)
	case 1:
		w.raft.RemoveServer(raft.ServerID(guest), 0, time.Millisecond)
	case 2:
		w.raft.Barrier(time.Millisecond)
	case 3:
		w.raft.LeadershipTransfer()
	default:
		w.raft.Apply([]byte("command"), time.Millisecond)
	}
}

// end is the last entry of the instance's log.
func (w *world) end() (index, term uint64) {
	last, err := w.store.LastIndex()
	must(err)
	var l raft.Log
	if w.store.InmemStore.GetLog(last, &l) != nil {
		return last, w.raft.CurrentTerm()
	}
	return l.Index, l.Term
}

// overwrite sends entries after one of the instance's last.
func (p *handMade) overwrite(term uint64, number func(int) int) {
	if !p.w.claim(term, p.id) {
		return
	}
	last, err := p.w.store.LastIndex()
	must(err)
	_, ok := p.w.acknowledge(term, 0)
	prev := max(last-min(last, uint64(number(3))), p.w.held(), 1)
	var l raft.Log
	if !ok || p.w.store.InmemStore.GetLog(prev, &l) != nil || l.Term > term {
		return
	}
	a := raft.AppendEntriesRequest{Term: term, PrevLogEntry: l.Index, PrevLogTerm: l.Term}
	for i := range number(3) {
		a.Entries = append(a.Entries, p.entry(prev+1+uint64(i), term))
	}
	_, _ = p.append(a)
}

// install sends a snapshot. It can be an old one: the instance may have
// nothing but a newer snapshot.
func (p *handMade) install(term, index uint64) (resp raft.InstallSnapshotResponse, err error) {
	data := fmt.Append(nil, index)
	servers := []raft.Server{}
	for _, id := range append([]string{self}, peers...) {
		servers = append(servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	err = p.trans.InstallSnapshot(raft.ServerID(self), raft.ServerAddress(self), &raft.InstallSnapshotRequest{
		RPCHeader: p.header(), SnapshotVersion: raft.SnapshotVersionMax, Term: term, LastLogIndex: index, LastLogTerm: term, Size: int64(len(data)),
		Configuration: raft.EncodeConfiguration(raft.Configuration{Servers: servers}), ConfigurationIndex: 1,
	}, &resp, bytes.NewReader(data))
	return resp, err
}
