// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bytes"
	"slices"
	"sort"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// mayGoWithoutEntry reports whether an acknowledged write may have been
// answered without an entry, if it changed nothing: it brought no request id,
// or is the deregistration of a node that is not there.
func (s *state) mayGoWithoutEntry() bool {
	return s.request != nil && s.Outcome == history.OK && s.Index != 0 && s.Writes() && !s.row.Soft &&
		(s.RequestID == "" || s.Command == "deregister")
}

// findUnchanged tells the writes that were answered without an entry from
// those that stand in the log. Of several alike at one index, those called
// first are the ones in the log. One that was called when its index had been
// shown is not, when the command there can be that of a write without a reply.
func (r *replay) findUnchanged() {
	var open []*state
	known, unknown := map[*state]uint64{}, map[commandPrint][]*state{}
	inOrder(r.states, func(s *state, _, shown *witness) {
		known[s] = shown.index
		if s.request != nil && s.Outcome == history.Unknown && s.Writes() {
			print := commandPrint{s.print, s.RequestID}
			unknown[print] = append(unknown[print], s)
		}
	})
	for _, s := range r.states {
		if s.mayGoWithoutEntry() && (len(r.log.Entries) == 0 || s.Index <= r.log.Last) {
			open = append(open, s)
		}
	}
	sort.SliceStable(open, func(i, j int) bool { return open[i].Call < open[j].Call })
	logged, copies := map[uint64]map[commandPrint]int{}, r.copies()
	for _, s := range open {
		held, ok := logged[s.Index]
		if !ok {
			held = r.printsAt(s.Index, copies)
			logged[s.Index] = held
		}
		print := commandPrint{s.print, s.RequestID}
		s.unsure = held == nil
		others := known[s] >= s.Index && slices.ContainsFunc(unknown[print], func(u *state) bool { return known[u] < s.Index })
		s.unchanged = held != nil && (others || held[print] == 0)
		if held[print] > 0 && !others {
			held[print]--
		}
	}
}

// commandPrint is a command in the log: what it asks for, and under which id.
type commandPrint struct{ print, requestID string }

// place is where a command stands in the log.
type place struct {
	index uint64
	of    int
}

// copies are the commands that a member proposed again, for all that it knew
// they were not in the log: only the first of each has an effect.
func (r *replay) copies() map[place]bool {
	type minted struct {
		session fsm.SessionID
		seq     uint64
	}
	seen, copies := map[minted]bool{}, map[place]bool{}
	for i := range r.log.Entries {
		if r.log.Entries[i].Kind != EntryCommand {
			continue
		}
		entry, err := fsm.ParseEntry(r.log.Entries[i].Data)
		if err != nil { // reported when it is applied
			continue
		}
		for j := range entry.Envelopes {
			c := &entry.Envelopes[j]
			if c.Session == (fsm.SessionID{}) || c.RequestID != "" {
				continue
			}
			m := minted{c.Session, c.Seq}
			copies[place{r.log.Entries[i].Index, j}] = seen[m]
			seen[m] = true
		}
	}
	return copies
}

// printsAt counts the commands of an entry that may have an effect there, nil
// when the log does not hold it.
func (r *replay) printsAt(index uint64, copies map[place]bool) map[commandPrint]int {
	entries := r.log.Entries
	i := sort.Search(len(entries), func(i int) bool { return entries[i].Index >= index })
	if i == len(entries) || entries[i].Index != index {
		return nil
	}
	held := map[commandPrint]int{}
	if entries[i].Kind != EntryCommand {
		return held
	}
	entry, err := fsm.ParseEntry(entries[i].Data)
	if err != nil { // reported when it is applied
		return held
	}
	for j := range entry.Envelopes {
		env := &entry.Envelopes[j]
		if row := protocol.ByCode(env.Code); row == nil || row.Soft || copies[place{index, j}] {
			continue
		}
		if print, err := envelopePrint(env); err == nil {
			held[commandPrint{print, clientID(env.RequestID)}]++
		}
	}
	return held
}

// nothingToDo holds a write that was answered without an entry against the
// state that it was answered from.
func (r *replay) nothingToDo(s *state, root *fsm.Root) {
	unchanged, e := root.Decide(s.callOn(root))
	if e != nil || unchanged == nil {
		r.out.blame(CheckerReplay, RuleLostWrite, []*history.Op{s.Op}, "%s was acknowledged by %s at index %d, where the log does not hold it, and the state shows that it was still to be done", s.Command, s.Member, s.Index)
		return
	}
	result := fsm.Result{Reply: unchanged}
	if reply := result.JSON(); !bytes.Equal(reply, s.Reply) {
		r.out.blame(CheckerReplay, RuleWrongReply, []*history.Op{s.Op}, "%s was answered %s by %s; the log's state answers %s at index %d", s.Command, s.Reply, s.Member, reply, s.Index)
	}
}
