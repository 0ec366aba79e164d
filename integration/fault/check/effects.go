// SPDX-License-Identifier: Apache-2.0

package check

import (
	"strings"

	"bytes"
	"encoding/hex"
	"sort"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// effect finds the operation that made a command of the log.
func (r *replay) effect(index uint64, env *fsm.Envelope, result *fsm.Result) {
	row := protocol.ByCode(env.Code)
	if row == nil || row.Soft { // the cluster's own, or nothing that is remembered
		return
	}
	print, err := envelopePrint(env)
	switch {
	case err != nil && result.Err == nil:
		r.fault(RulePhantomWrite, "entry %d holds a %s that took effect and does not decode: %v", index, row.Name, err)
	case err != nil:
	case env.RequestID != "":
		r.effectByID(index, env, result, print)
	case result.Err != nil:
		for _, s := range r.byPrint[print] {
			s.refusedIn = append(s.refusedIn, result.Err.Code)
		}
	case !result.Replayed:
		r.effectByPrint(index, env, result, print)
	}
}

// clientID is the id that the client gave a request: a signed request stands
// in the log with its time before it.
func clientID(id string) string {
	rest, signed := strings.CutPrefix(id, protocol.SignedIDPrefix)
	if _, own, ok := strings.Cut(rest, "."); signed && ok {
		return own
	}
	return id
}

func (r *replay) effectByID(index uint64, env *fsm.Envelope, result *fsm.Result, print string) {
	s := r.byID[clientID(env.RequestID)]
	switch {
	case s == nil && result.Err == nil && !result.Replayed:
		r.phantom(index, env, print)
		return
	case s == nil || result.Replayed:
		return
	case result.Err != nil:
		s.refusedIn = append(s.refusedIn, result.Err.Code)
		return
	case s.print != print:
		r.out.blame(CheckerReplay, RulePhantomWrite, []*history.Op{s.Op}, "entry %d holds %s under the request id of %s", index, print, s.print)
		return
	case s.applied != 0:
		r.out.blame(CheckerReplay, RuleDoubledWrite, []*history.Op{s.Op}, "%s with request id %s took effect at index %d and again at %d", s.Command, s.RequestID, s.applied, index)
		return
	}
	r.settle(s, index, result)
}

// settle notes the effect of an operation and compares what it was told.
func (r *replay) settle(s *state, index uint64, result *fsm.Result) {
	s.applied = index
	ops := []*history.Op{s.Op}
	switch {
	case s.Outcome == history.Fail:
		r.out.blame(CheckerReplay, RuleAbortedWrite, ops, "%s was reported as failed (%s: %s) and took effect at index %d", s.Command, s.Code, s.Text, index)
	case s.Outcome == history.Unknown:
		r.stats.Resolved++
		if index <= s.known {
			r.out.blame(CheckerReplay, RuleRealTime, ops, "%s of unknown outcome took effect at index %d, although index %d had been shown before it was called", s.Command, index, s.known)
		}
	case s.Index != index:
		r.out.blame(CheckerReplay, RuleWrongIndex, ops, "%s was acknowledged with index %d and took effect at %d", s.Command, s.Index, index)
	default:
		r.stats.Writes++
		r.compareReply(s, index, result)
	}
}

func (r *replay) compareReply(s *state, index uint64, result *fsm.Result) {
	if !bytes.Equal(result.JSON(), s.Reply) {
		r.out.blame(CheckerReplay, RuleWrongReply, []*history.Op{s.Op}, "%s was answered %s by %s; the log's state decides %s at index %d", s.Command, s.Reply, s.Member, result.JSON(), index)
	}
}

// effectByPrint gives an effect without request id to an operation that was
// acknowledged with its index, or keeps it for those of unknown outcome.
func (r *replay) effectByPrint(index uint64, env *fsm.Envelope, result *fsm.Result, print string) {
	var taker *state
	for _, s := range r.acks[ackKey{index, print}] {
		if s.consumed {
			continue
		}
		if taker == nil || bytes.Equal(result.JSON(), s.Reply) {
			taker = s
		}
	}
	switch {
	case taker != nil:
		taker.consumed, taker.applied = true, index
		r.stats.Writes++
		r.compareReply(taker, index, result)
	case r.byPrint[print] == nil:
		r.phantom(index, env, print)
	default:
		r.leftover[print] = append(r.leftover[print], index)
	}
}

// phantom reports an effect on something of ours that nobody asked for. What
// others do to their own nodes on the same cluster is their business.
func (r *replay) phantom(index uint64, env *fsm.Envelope, print string) {
	if r.subjects[subject(protocol.ByCode(env.Code).Name, env.Body)] {
		r.fault(RulePhantomWrite, "entry %d holds %s (request id %q), which no operation asked for", index, print, env.RequestID)
	}
}

// finish settles what can only be settled at the end of the log.
func (r *replay) finish() {
	root := r.machine.Root()
	digest := root.Digest()
	r.stats.Last, r.stats.Digest = r.at, hex.EncodeToString(digest[:])
	for print, indexes := range r.leftover {
		r.assign(print, indexes)
	}
	for _, s := range r.states {
		if s.request != nil && wrote(s) && s.applied == 0 {
			r.missing(s)
		}
	}
	for index, list := range r.byIndex {
		for _, s := range list {
			if index > r.log.Last {
				r.out.blame(CheckerReplay, RuleWrongRead, []*history.Op{s.Op}, "%s was served by %s at index %d; the committed log ends at %d", s.Command, s.Member, index, r.log.Last)
			} else {
				r.stats.Uncovered++
			}
		}
	}
	for _, s := range r.pending {
		r.neverTrue(s)
	}
	r.stats.Uncovered += len(r.refusals)
}

// missing reports an acknowledged write whose effect was not found.
func (r *replay) missing(s *state) {
	switch {
	case s.Index > r.log.Last:
		r.out.blame(CheckerReplay, RuleLostWrite, []*history.Op{s.Op}, "%s was acknowledged by %s at index %d; the committed log ends at %d", s.Command, s.Member, s.Index, r.log.Last)
	case r.saw(s.Index):
		r.out.blame(CheckerReplay, RuleLostWrite, []*history.Op{s.Op}, "%s was acknowledged by %s at index %d, where the log does not hold it", s.Command, s.Member, s.Index)
	default:
		r.stats.Uncovered++
	}
}

// assign gives the effects of one request to operations of unknown outcome
// that were called before them. Which of them gets which does not matter: one
// that is early enough for an effect is early enough for every later one.
func (r *replay) assign(print string, indexes []uint64) {
	var open []*state
	for _, s := range r.byPrint[print] {
		if s.Outcome == history.Unknown {
			open = append(open, s)
		}
	}
	sort.SliceStable(open, func(i, j int) bool { return open[i].known < open[j].known })
	for _, index := range indexes {
		if len(open) > 0 && open[0].known < index {
			open[0].applied = index
			open = open[1:]
			r.stats.Resolved++
			continue
		}
		r.unasked(print, index, open)
	}
}

// unasked reports an effect that no operation explains, under the name that
// fits best.
func (r *replay) unasked(print string, index uint64, open []*state) {
	var failed, acked []*history.Op
	for _, s := range r.byPrint[print] {
		switch s.Outcome {
		case history.Fail:
			failed = append(failed, s.Op)
		case history.OK:
			acked = append(acked, s.Op)
		}
	}
	switch {
	case len(open) > 0:
		r.out.blame(CheckerReplay, RuleRealTime, []*history.Op{open[0].Op}, "%s took effect at index %d, although index %d had been shown before it was called", print, index, open[0].known)
	case len(failed) > 0:
		r.out.blame(CheckerReplay, RuleAbortedWrite, failed, "%s was reported as failed and took effect at index %d", print, index)
	case len(acked) > 0:
		r.out.blame(CheckerReplay, RuleDoubledWrite, acked, "%s took effect at index %d, besides the index it was acknowledged with", print, index)
	default:
		r.fault(RulePhantomWrite, "%s took effect at index %d more often than it was asked for", print, index)
	}
}
