// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bytes"
	"encoding/hex"
	"sort"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// ReplayStats say what the replay checker looked at.
type ReplayStats struct {
	// Entries were applied, Commands in them; Gaps are stretches of the log
	// that nobody holds any more.
	Entries, Commands, Gaps int
	First, Last             uint64
	// Writes, Reads, Refusals and Digests were compared with the replay;
	// Remembered are writes of a gap that were found in the state after it.
	Writes, Reads, Refusals, Digests, Snapshots, Remembered int
	// Resolved are operations of unknown outcome that turned out to be applied.
	Resolved int
	// Uncovered are replies about indexes in a gap.
	Uncovered int
	// Digest is the replayed state's at index Last.
	Digest string
	// Reaped are nodes that went offline by themselves during the run.
	Reaped map[uint32]bool `json:"-"`
}

// replay holds a history against the committed log.
type replay struct {
	log    *Log
	states []*state
	out    *findings
	stats  ReplayStats

	machine *fsm.Machine
	at      uint64      // every entry up to here is in the machine
	covered [][2]uint64 // effects that were seen, both ends included

	byID     map[string]*state
	byPrint  map[string][]*state
	acks     map[ackKey][]*state // acknowledged without request id
	byIndex  map[uint64][]*state // reads and digests
	refusals []*state            // by the index from which they may be true
	pending  []*state
	subjects map[string]bool

	leftover map[string][]uint64 // effects without request id that nobody acknowledged
	ids      idWatch
	owners   ownerWatch
}

type ackKey struct {
	index uint64
	print string
}

// Replay is the replay checker.
func Replay(ops []history.Op, log *Log) (ReplayStats, []Violation) {
	stats, out := replayed(ops, log)
	return stats, out.sorted()
}

func replayed(ops []history.Op, log *Log) (ReplayStats, *findings) {
	out := newFindings()
	r := newReplay(ops, log, out)
	r.findUnchanged()
	bound(r.states, out)
	r.index()
	r.run()
	r.finish()
	return r.stats, out
}

func newReplay(ops []history.Op, log *Log, out *findings) *replay {
	r := &replay{log: log, out: out, machine: fsm.New(), byID: map[string]*state{}, byPrint: map[string][]*state{},
		acks: map[ackKey][]*state{}, byIndex: map[uint64][]*state{}, subjects: map[string]bool{}, leftover: map[string][]uint64{}}
	r.stats.Reaped = map[uint32]bool{}
	r.owners = ownerWatch{}
	for i := range ops {
		s := &state{Op: &ops[i]}
		if s.Command != history.CommandDigest {
			req, err := decodeRequest(s.Op)
			if err != nil {
				out.blame(CheckerReplay, RuleUnchecked, []*history.Op{s.Op}, "%v", err)
				continue
			}
			s.request = req
		}
		r.states = append(r.states, s)
	}
	return r
}

// index makes the tables in which the log's commands find their operations.
func (r *replay) index() {
	for _, s := range r.states {
		switch {
		case s.request == nil:
			r.byIndex[s.Index] = append(r.byIndex[s.Index], s)
		case !s.reads():
			r.indexWrite(s)
		case s.Outcome == history.OK && s.Index != 0:
			r.byIndex[s.Index] = append(r.byIndex[s.Index], s)
		}
		if s.refusedByState() {
			r.refusals = append(r.refusals, s)
		}
	}
	sort.SliceStable(r.refusals, func(i, j int) bool { return r.refusals[i].acked < r.refusals[j].acked })
}

func (r *replay) indexWrite(s *state) {
	r.subjects[subject(s.Command, []byte(s.print[len(s.Command):]))] = true
	switch {
	case s.RequestID != "":
		if other := r.byID[s.RequestID]; other != nil {
			r.out.blame(CheckerReplay, RuleUnchecked, []*history.Op{s.Op, other.Op}, "two operations have the request id %s", s.RequestID)
		}
		r.byID[s.RequestID] = s
	case s.Outcome == history.OK:
		key := ackKey{s.Index, s.print}
		r.acks[key] = append(r.acks[key], s)
		fallthrough
	default:
		r.byPrint[s.print] = append(r.byPrint[s.print], s)
	}
}

// stateful are refusals that say something about the state.
var stateful = map[string]bool{protocol.CodeNotFound: true, protocol.CodeAlreadyExists: true, protocol.CodeConflict: true, protocol.CodePermissionDenied: true}

// refusedByState reports whether the refusal is itself a linearizable read. The
// replay has no admin token to try again with.
func (s *state) refusedByState() bool {
	if s.request == nil || s.row.Auth == protocol.AuthAdmin || s.Outcome != history.Fail || !stateful[s.Code] {
		return false
	}
	return s.Writes() || s.Level == "" || s.Level == protocol.Linearizable
}

// run applies the log, from its beginning when it is whole, else from the
// oldest snapshot, and over every gap by the next snapshot after it.
func (r *replay) run() {
	if len(r.log.Entries) == 0 || r.log.Entries[0].Index != 1 {
		r.jump()
	} else {
		r.ids.next = 1
	}
	r.stats.First = r.at + 1
	for next := 0; next < len(r.log.Entries); {
		e := &r.log.Entries[next]
		if e.Index <= r.at {
			next++
			continue
		}
		if e.Index != r.at+1 {
			if !r.jump() {
				return
			}
			continue
		}
		if !r.step(e) {
			return
		}
		next++
	}
	for r.jump() { // snapshots after the last entry at hand
	}
}

// jump restores the next snapshot after the present index.
func (r *replay) jump() bool {
	for _, s := range r.log.Snapshots {
		if s.Index <= r.at || s.Data == nil {
			continue
		}
		m := fsm.New()
		if err := m.Restore(bytes.NewReader(s.Data)); err != nil {
			r.fault(RuleHalted, "the snapshot at index %d cannot be restored: %v", s.Index, err)
			return false
		}
		r.stats.Gaps++
		r.machine, r.at = m, s.Index
		r.ids.forget()
		r.behindGap()
		r.observe()
		return true
	}
	return false
}

// fault adds a violation that no single operation is to blame for.
func (r *replay) fault(rule Rule, format string, args ...any) {
	r.out.blame(CheckerReplay, rule, nil, format, args...)
}

// step applies one entry.
func (r *replay) step(e *Entry) bool {
	switch e.Kind {
	case EntryConfiguration:
		r.machine.Configuration(e.Index, e.Term)
	case EntryCommand:
		entry, err := fsm.ParseEntry(e.Data)
		if err != nil {
			r.fault(RuleHalted, "entry %d: %v", e.Index, err)
			return false
		}
		before := r.machine.Root()
		results, err := r.machine.Apply(e.Index, e.Term, e.Data)
		if err != nil {
			r.fault(RuleHalted, "%v", err)
			return false
		}
		r.stats.Commands += len(results)
		r.ids.entry(r, before, entry, results)
		for i := range results {
			r.effect(e.Index, &entry.Envelopes[i], &results[i])
		}
		r.names(entry, results)
		r.owners.entry(r, entry, results)
		r.reaped(entry)
	}
	r.stats.Entries++
	r.at = e.Index
	r.cover(e.Index)
	r.observe()
	return true
}

func (r *replay) cover(index uint64) {
	if n := len(r.covered); n > 0 && r.covered[n-1][1]+1 == index {
		r.covered[n-1][1] = index
		return
	}
	r.covered = append(r.covered, [2]uint64{index, index})
}

// saw reports whether the effects of an index were looked at.
func (r *replay) saw(index uint64) bool {
	i := sort.Search(len(r.covered), func(i int) bool { return r.covered[i][1] >= index })
	return i < len(r.covered) && r.covered[i][0] <= index
}

// observe holds what clients saw of the present state against it.
func (r *replay) observe() {
	root := r.machine.Root()
	for _, s := range r.byIndex[r.at] {
		if s.request == nil {
			r.digest(s, root)
			continue
		}
		if s.Writes() {
			r.stats.Writes++
			r.nothingToDo(s, root)
			continue
		}
		r.stats.Reads++
		if code, reply := s.decide(root); code != "" || !bytes.Equal(reply, s.Reply) {
			r.out.blame(CheckerReplay, RuleWrongRead, []*history.Op{s.Op}, "%s of %s (%s) answered %s at index %d; the log's state answers %s%s",
				s.Command, s.Member, s.levelName(), s.Reply, s.Index, reply, code)
		}
	}
	delete(r.byIndex, r.at)
	for _, s := range r.log.Snapshots {
		if s.Index == r.at {
			r.stats.Snapshots++
			if s.Digest != root.Digest() {
				r.fault(RuleDigest, "the snapshot at index %d has digest %x, the replayed log %x", s.Index, s.Digest, root.Digest())
			}
		}
	}
	r.weigh(root)
}

func (s *state) levelName() string {
	if s.Level == "" {
		return string(protocol.Linearizable)
	}
	return string(s.Level)
}

func (r *replay) digest(s *state, root *fsm.Root) {
	r.stats.Digests++
	if want := root.Digest(); s.Value != hex.EncodeToString(want[:]) {
		r.out.blame(CheckerReplay, RuleDigest, []*history.Op{s.Op}, "%s has digest %s at index %d, the replayed log %x", s.Member, s.Value, s.Index, want)
	}
}

// weigh looks for the moment at which a refusal was true: at some index
// between what was known when the request was called and the first write that
// began after its answer.
func (r *replay) weigh(root *fsm.Root) {
	for len(r.refusals) > 0 && r.refusals[0].acked <= r.at {
		r.pending = append(r.pending, r.refusals[0])
		r.refusals = r.refusals[1:]
	}
	keep := r.pending[:0]
	for _, s := range r.pending {
		code, _ := s.decide(root)
		switch {
		case code == s.Code || s.refusedInLog():
			r.stats.Refusals++
		case s.before != 0 && s.before <= r.at+1:
			r.neverTrue(s)
		default:
			keep = append(keep, s)
		}
	}
	r.pending = keep
}

func (s *state) refusedInLog() bool {
	for _, code := range s.refusedIn {
		if code == s.Code {
			return true
		}
	}
	return false
}

func (r *replay) neverTrue(s *state) {
	if !r.sawAll(s.acked, s.before) {
		r.stats.Uncovered++
		return
	}
	r.out.blame(CheckerReplay, RuleRefusal, []*history.Op{s.Op}, "%s was refused by %s with %s (%s), which was true at no index from %d up to the end of the request",
		s.Command, s.Member, s.Code, s.Text, s.acked)
}

// sawAll reports whether all effects between two indexes were looked at; the
// upper one is that of a later write, 0 for the end of the log.
func (r *replay) sawAll(from, to uint64) bool {
	if to == 0 {
		to = r.at + 1
	}
	for _, c := range r.covered {
		if c[0] <= max(from, 1) && c[1]+1 >= to {
			return true
		}
	}
	return false
}
