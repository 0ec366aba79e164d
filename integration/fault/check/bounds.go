// SPDX-License-Identifier: Apache-2.0

package check

import (
	"sort"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// state is an operation with what the replay checker knows about it.
type state struct {
	*history.Op
	*request
	// acked is the highest index of a write or a linearizable read that had
	// ended before this operation began; known of any reply at all.
	acked, known uint64
	// before is the lowest index of a write that began after this operation
	// had ended, 0 when there is none: the operation took place before it.
	before uint64
	// applied is the index of the effect in the log, 0 while none was found.
	applied uint64
	// consumed is set when an effect without request id was given to this operation.
	consumed bool
	// unchanged is set for a write that was answered without an entry, because
	// it would have changed nothing: it is a linearizable read. unsure is set
	// when the log that could tell is gone.
	unchanged, unsure bool
	// refusedIn are the codes with which the log's own decisions refused it.
	refusedIn []string
}

// boundedSlack covers the rounding of the staleness to milliseconds.
const boundedSlack = int64(2e6)

// inOrder visits operations in the order of their calls, with what had been
// shown before each, and returns them in that order and in that of their ends.
func inOrder(states []*state, visit func(s *state, acked, known *witness)) (byCall, byReturn []*state) {
	byReturn = append([]*state(nil), states...)
	sort.SliceStable(byReturn, func(i, j int) bool { return byReturn[i].Return < byReturn[j].Return })
	byCall = append([]*state(nil), states...)
	sort.SliceStable(byCall, func(i, j int) bool { return byCall[i].Call < byCall[j].Call })
	var acked, known witness
	next := 0
	for _, s := range byCall {
		for ; next < len(byReturn) && byReturn[next].Return < s.Call; next++ {
			acked.see(byReturn[next], strong)
			known.see(byReturn[next], shown)
		}
		visit(s, &acked, &known)
	}
	return byCall, byReturn
}

// bound computes acked, known and before, and checks the rules that need
// nothing but the replies: real time, sessions, min_index, bounded staleness.
func bound(states []*state, out *findings) {
	byCall, byReturn := inOrder(states, func(s *state, acked, known *witness) {
		s.acked, s.known = acked.index, known.index
		checkRealTime(s, acked, known, out)
	})
	bounded(byCall, byReturn, out)
	upper(states, byCall)
	sessions(byCall, out)
	digests(byCall, out)
}

// digests checks that members show one digest at one index.
func digests(states []*state, out *findings) {
	first := map[uint64]*state{}
	for _, s := range states {
		if s.Command != history.CommandDigest {
			continue
		}
		if other := first[s.Index]; other == nil {
			first[s.Index] = s
		} else if other.Value != s.Value {
			out.blame(CheckerReplay, RuleDigest, []*history.Op{s.Op, other.Op}, "at index %d %s has digest %s and %s has %s", s.Index, other.Member, other.Value, s.Member, s.Value)
		}
	}
}

// shown, strong and wrote say which replies tell what index had been reached.
func shown(s *state) bool { return s.Outcome == history.OK && s.Index != 0 }

func strong(s *state) bool { return shown(s) && (s.Writes() || s.Level == protocol.Linearizable) }

func wrote(s *state) bool { return shown(s) && s.Writes() && !s.unchanged && !s.unsure }

// reads reports whether an operation shows a state without having changed it.
func (s *state) reads() bool { return !s.Writes() || s.unchanged }

// linearizable reports a read that must show every acknowledged write.
func (s *state) linearizable() bool { return s.unchanged || s.Level == protocol.Linearizable }

// witness is the highest index seen so far and who showed it.
type witness struct {
	index uint64
	by    *state
}

func (w *witness) see(s *state, counts func(*state) bool) {
	if counts(s) && s.Index > w.index {
		w.index, w.by = s.Index, s
	}
}

func (w *witness) ops(s *state) []*history.Op {
	if w.by == nil {
		return []*history.Op{s.Op}
	}
	return []*history.Op{s.Op, w.by.Op}
}

func checkRealTime(s *state, acked, known *witness, out *findings) {
	if s.Outcome != history.OK || s.Command == history.CommandDigest {
		return
	}
	switch {
	case s.Index == 0 && (s.Writes() || s.Level != ""):
		out.blame(CheckerReplay, RuleNoIndex, []*history.Op{s.Op}, "the reply to %s names no index", s.Command)
	case !s.reads() && !s.unsure && s.Index <= known.index:
		out.blame(CheckerReplay, RuleRealTime, known.ops(s),
			"%s took effect at index %d, although index %d had been shown before it was called", s.Command, s.Index, known.index)
	case s.reads() && s.linearizable() && s.Index < acked.index:
		out.blame(CheckerReplay, RuleStaleRead, acked.ops(s),
			"linearizable %s was served by %s at index %d, although index %d was acknowledged before it was called", s.Command, s.Member, s.Index, acked.index)
	}
	if s.Index != 0 && s.Index < s.MinIndex {
		out.blame(CheckerReplay, RuleMinIndex, []*history.Op{s.Op}, "%s was served by %s at index %d and had asked for %d", s.Command, s.Member, s.Index, s.MinIndex)
	}
}

// bounded checks that bounded reads show every write that was acknowledged
// longer ago than they allow.
func bounded(byCall, byReturn []*state, out *findings) {
	var reads []*state
	for _, s := range byCall {
		if shown(s) && s.Level == protocol.Bounded {
			reads = append(reads, s)
		}
	}
	limit := func(s *state) int64 { return s.Call - int64(s.MaxStalenessMS)*1e6 - boundedSlack }
	sort.SliceStable(reads, func(i, j int) bool { return limit(reads[i]) < limit(reads[j]) })
	var written witness
	next := 0
	for _, s := range reads {
		for ; next < len(byReturn) && byReturn[next].Return < limit(s); next++ {
			written.see(byReturn[next], wrote)
		}
		if s.Index < written.index {
			out.blame(CheckerReplay, RuleBounded, written.ops(s),
				"%s with a staleness of at most %d ms was served by %s at index %d; index %d was acknowledged longer ago",
				s.Command, s.MaxStalenessMS, s.Member, s.Index, written.index)
		}
	}
}

// upper computes before.
func upper(states, byCall []*state) {
	lowest := make([]uint64, len(byCall)+1) // of the writes from here on
	for i := len(byCall) - 1; i >= 0; i-- {
		lowest[i] = lowest[i+1]
		if s := byCall[i]; wrote(s) && (lowest[i] == 0 || s.Index < lowest[i]) {
			lowest[i] = s.Index
		}
	}
	for _, s := range states {
		after := sort.Search(len(byCall), func(i int) bool { return byCall[i].Call > s.Return })
		s.before = lowest[after]
	}
}

// sessions checks that a connection's reads never go back in time, and that
// reads other than stale ones show what the connection has written.
func sessions(byCall []*state, out *findings) {
	type seen struct{ read, wrote witness }
	all := map[string]*seen{}
	for _, s := range byCall {
		if s.Session == "" || !shown(s) || s.Command == history.CommandDigest {
			continue
		}
		v := all[s.Session]
		if v == nil {
			v = &seen{}
			all[s.Session] = v
		}
		if !s.reads() {
			v.wrote.see(s, shown)
			continue
		}
		if s.Index < v.read.index {
			out.blame(CheckerReplay, RuleSession, v.read.ops(s), "%s on connection %s was served at index %d after one at %d", s.Command, s.Session, s.Index, v.read.index)
		}
		if s.Level != protocol.Stale && s.Index < v.wrote.index {
			out.blame(CheckerReplay, RuleSession, v.wrote.ops(s), "%s on connection %s was served at index %d after a write at %d", s.Command, s.Session, s.Index, v.wrote.index)
		}
		v.read.see(s, shown)
	}
}
