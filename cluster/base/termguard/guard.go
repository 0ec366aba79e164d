// SPDX-License-Identifier: Apache-2.0

package termguard

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/pilotregistry/pilotregistry/cluster/base/store"
)

// ErrNotElected refuses an entry, or a message to a follower, in a term in
// which this member was not elected or no longer leads. A refused entry is in
// no log. Raft steps down when it meets this error.
var ErrNotElected = errors.New("this member does not lead the term: another member has begun a newer one")

// Options of a guard. Withheld, Acknowledged and Logger may be left out.
type Options struct {
	// Member is the id of this member.
	Member string
	// OnFork is called when this member's log and another member's hold
	// different entries at one place, or two members lead one term. Nothing may
	// be applied from then on. It must not block.
	OnFork func(reason string)
	// OnStale is called when raft keeps in memory what its log does not hold: a
	// configuration whose entry was refused, or the end of a log that a
	// snapshot has replaced. Only a restart makes it forget. It must not block.
	OnStale func(reason string)
	// Applied is the index of the last entry in the state machine.
	Applied func() uint64
	// Withheld says whether this member keeps its vote to itself, and whether it
	// takes no entries either: nobody has confirmed yet that its log is not an
	// old copy.
	Withheld func() (vote, entries bool)
	// Acknowledged is called with what another member is known to have on its
	// disk: its log reaches at least a committed entry, of a term when that is not
	// 0, and it has been in term seen. It must not block.
	Acknowledged func(member string, index, term, seen uint64)
	// Overtake lets heartbeats change the term beside raft's main loop, as raft
	// alone does. It is for tests of what the guard does then.
	Overtake bool
	Logger   hclog.Logger
}

// Guard is one member's guard. Its parts, made by Logs, Stable and Transport,
// all go into one raft instance, which Watch makes known.
type Guard struct {
	opts    Options
	raft    atomic.Pointer[raft.Raft]
	logs    raft.LogStore
	leaders leaders

	// candidacy is the newest term in which this member voted for itself, 0
	// after a vote for somebody else. Together with the state Leader it means
	// that this member was elected in that term: raft becomes Leader only where
	// it counts the votes of its newest candidacy.
	candidacy atomic.Uint64
	// voteTerm is the term of the vote that is being cast; raft's main loop only.
	voteTerm uint64
	// term is raft's current term, or the one that it is about to enter.
	term atomic.Uint64
	// heartbeats are being handled beside raft's main loop by the reading goroutine; the
	// main loop enters a term when there are none.
	heartbeats sync.RWMutex
	// forked is set for good when a fork was seen.
	forked atomic.Pointer[string]
	// installing is the index of the snapshot that raft was last given.
	installing atomic.Uint64
	// beheaded is set for good when raft remembers the end of a log that is gone.
	beheaded atomic.Pointer[string]
	// refusals counts refused entries.
	refusals atomic.Uint64
}

// New makes a guard.
func New(opts Options) *Guard {
	if opts.Logger == nil {
		opts.Logger = hclog.NewNullLogger()
	}
	if opts.Withheld == nil {
		opts.Withheld = func() (vote, entries bool) { return false, false }
	}
	if opts.Acknowledged == nil {
		opts.Acknowledged = func(string, uint64, uint64, uint64) {}
	}
	return &Guard{opts: opts}
}

// Watch makes the raft instance known. Until then no entry of this member's
// own making is stored.
func (g *Guard) Watch(r *raft.Raft) { g.raft.Store(r) }

// Refused is how many entries of this member's own making were refused.
func (g *Guard) Refused() uint64 { return g.refusals.Load() }

// elected says whether this member was elected in a term: ErrNotElected if not.
func (g *Guard) elected(term uint64) error {
	if reason := g.beheaded.Load(); reason != nil {
		return fmt.Errorf("%w: %s", ErrNotElected, *reason)
	}
	if c := g.candidacy.Load(); c != term {
		return fmt.Errorf("%w: term %d, last candidate in term %d", ErrNotElected, term, c)
	}
	return nil
}

// mayMake says whether this member may make an entry of a term now. Reading
// the state last is enough: a heartbeat of a newer term sets Follower before
// it sets the term, and only raft's main loop, which is the caller, sets Leader.
func (g *Guard) mayMake(term uint64) error {
	if err := g.elected(term); err != nil {
		return err
	}
	if r := g.raft.Load(); r == nil || r.State() != raft.Leader {
		return fmt.Errorf("%w: term %d, not the leader", ErrNotElected, term)
	}
	return nil
}

// fork stops this member's raft for good.
func (g *Guard) fork(format string, args ...any) error {
	reason := fmt.Sprintf(format, args...)
	if g.forked.CompareAndSwap(nil, &reason) {
		g.opts.OnFork(reason)
	}
	return errors.New(reason)
}

// logStore is raft's log under guard.
type logStore struct {
	raft.LogStore
	g *Guard
}

// Logs puts the log under guard. It belongs above any cache, whose errors hide
// what the store said.
func (g *Guard) Logs(inner raft.LogStore) raft.LogStore {
	g.logs = inner
	return &logStore{LogStore: inner, g: g}
}

// IsMonotonic passes on what the store says (raft.MonotonicLogStore).
func (l *logStore) IsMonotonic() bool {
	m, ok := l.LogStore.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}

// StoreLog stores one entry.
func (l *logStore) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

// StoreLogs stores entries, unless one is of this member's own making in a
// term in which it was not elected.
func (l *logStore) StoreLogs(entries []*raft.Log) error {
	var mine uint64
	for _, e := range entries {
		if !store.Made(e) {
			continue
		}
		if err := l.g.mayMake(e.Term); err != nil {
			l.g.refused(entries)
			return fmt.Errorf("entry %d of type %s: %w", e.Index, e.Type, err)
		}
		mine = e.Term
	}
	if mine != 0 {
		if err := l.g.leads(mine, l.g.opts.Member); err != nil {
			return err
		}
	}
	return l.LogStore.StoreLogs(entries)
}

// DeleteRange deletes entries. Raft deletes on both sides of its newest
// snapshot in one case only: the snapshot came from the leader and ends within
// the log, which holds other entries. Raft then goes on to claim the old end of
// that log in elections, and as leader would look for entries that are gone.
func (l *logStore) DeleteRange(first, last uint64) error {
	err := l.LogStore.DeleteRange(first, last)
	if r := l.g.raft.Load(); r != nil {
		if snapshot := l.g.installing.Load(); first <= snapshot && snapshot < last && lastSnapshot(r) == snapshot {
			l.g.behead(fmt.Sprintf("the leader's snapshot up to entry %d has replaced a log that went on to entry %d without having been committed", snapshot, last))
		}
	}
	return err
}

func (g *Guard) behead(reason string) {
	if g.beheaded.CompareAndSwap(nil, &reason) {
		g.opts.OnStale(reason)
	}
}

// lastSnapshot is the index of raft's newest snapshot, 0 without one. Raft
// tells it in its statistics only.
func lastSnapshot(r *raft.Raft) uint64 {
	index, _ := strconv.ParseUint(r.Stats()["last_snapshot_index"], 10, 64)
	return index
}

// refused sees to what raft does after it could not store a configuration: it
// takes it over nevertheless, and would count votes by it.
func (g *Guard) refused(entries []*raft.Log) {
	g.refusals.Add(uint64(len(entries)))
	g.opts.Logger.Warn("entries refused: another member has begun a newer term", "count", len(entries), "first", entries[0].Index, "term", entries[0].Term)
	for _, e := range entries {
		if e.Type == raft.LogConfiguration {
			g.opts.OnStale(fmt.Sprintf("a change of the configuration at index %d came too late: another member had begun term %d", e.Index, e.Term))
		}
	}
}

// Raft's own names of what it keeps about its term and vote.
const (
	keyTerm          = "CurrentTerm"
	keyVoteTerm      = "LastVoteTerm"
	keyVoteCandidate = "LastVoteCand"
)

// stableStore is raft's term and vote under guard.
type stableStore struct {
	raft.StableStore
	g *Guard
}

// Stable puts term and vote under guard: from them it learns in which terms
// this member is a candidate.
func (g *Guard) Stable(inner raft.StableStore) raft.StableStore {
	return &stableStore{StableStore: inner, g: g}
}

// SetUint64 stores a number. The term of a vote comes before its candidate, and
// is kept until it can be written after it: a crash in between must not leave
// the new term with the candidate of an older vote, who would be taken for one
// that has this term's vote already, whatever its log lacks. The other way
// round is harmless: raft has left the term of the older vote.
func (s *stableStore) SetUint64(key []byte, val uint64) error {
	switch string(key) {
	case keyTerm:
		return s.setTerm(val)
	case keyVoteTerm:
		s.g.candidacy.Store(0)
		s.g.voteTerm = val
		return nil
	}
	return s.StableStore.SetUint64(key, val)
}

// Set stores a value.
func (s *stableStore) Set(key, val []byte) error {
	if err := s.StableStore.Set(key, val); err != nil || string(key) != keyVoteCandidate {
		return err
	}
	if err := s.StableStore.SetUint64([]byte(keyVoteTerm), s.g.voteTerm); err != nil {
		return err
	}
	if memberOf(val) == s.g.opts.Member {
		s.g.candidacy.Store(s.g.voteTerm)
	}
	return nil
}
