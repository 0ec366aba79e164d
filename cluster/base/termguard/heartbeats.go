// SPDX-License-Identifier: Apache-2.0

package termguard

import (
	"errors"

	"github.com/hashicorp/raft"
)

// errTermLeft ends a heartbeat that raft is about to follow into a term that
// it has left in the meantime.
var errTermLeft = errors.New("the term of this heartbeat was left while it was handled")

// heartbeat hands a heartbeat to raft on the goroutine of its connection, so
// that a slow disk does not silence the member, and reports whether it did.
//
// Raft lets such a heartbeat change the state and the term beside its main
// loop. A heartbeat that would do so has to wait for the main loop instead: it
// could take the member to a newer term in the middle of something, and back
// to a term that the main loop has just left by a vote.
func (g *Guard) heartbeat(rpc raft.RPC, handle func(raft.RPC)) (handled bool) {
	g.heartbeats.RLock()
	defer g.heartbeats.RUnlock()
	if !g.opts.Overtake && !g.settled(rpc) {
		return false
	}
	defer func() {
		handled = true // raft has answered in either case
		if p := recover(); p != nil && p != any(errTermLeft) {
			panic(p)
		}
	}()
	handle(rpc)
	return true
}

// settled reports whether a heartbeat tells raft nothing new.
func (g *Guard) settled(rpc raft.RPC) bool {
	a, ok := rpc.Command.(*raft.AppendEntriesRequest)
	r := g.raft.Load()
	return ok && r != nil && a.Term <= r.CurrentTerm() && r.State() == raft.Follower
}

// setTerm stores the current term. Raft asks for it just before it enters the
// term. Only its main loop enters newer ones, and not before the heartbeats
// that are being handled are done. One of them can still meet a candidate, whom
// it makes a follower of the heartbeat's term: that must not be an older one.
func (s *stableStore) setTerm(term uint64) error {
	if s.g.opts.Overtake {
		return s.StableStore.SetUint64([]byte(keyTerm), term)
	}
	switch known := s.g.term.Load(); {
	case term < known:
		panic(errTermLeft) // up to heartbeat, which continues
	case term == known:
		return nil
	}
	s.g.heartbeats.Lock()
	defer s.g.heartbeats.Unlock()
	if err := s.StableStore.SetUint64([]byte(keyTerm), term); err != nil {
		return err
	}
	s.g.term.Store(term)
	return nil
}

// GetUint64 reads a number. Raft reads the current term once, when it starts.
func (s *stableStore) GetUint64(key []byte) (uint64, error) {
	val, err := s.StableStore.GetUint64(key)
	if err == nil && string(key) == keyTerm {
		s.g.term.Store(val)
	}
	return val, err
}
