// SPDX-License-Identifier: Apache-2.0

//lint:file-ignore SA1019 the checksum of the previous entry travels in the field Leader, which raft leaves alone

package termguard

import (
	"bytes"
	"errors"
	"io"

	"github.com/hashicorp/raft"

	"github.com/pilotregistry/pilotregistry/cluster/base/store"
)

// previousTag marks a checksum in the field Leader of an AppendEntries
// request. Raft looks at that field only in messages without RPCHeader.Addr,
// which it has filled in since protocol version 3.
var previousTag = []byte("\x00sum")

// signPrevious adds the checksum of the entry before the first one sent, so
// that the follower compares content, not only index and term.
func (g *Guard) signPrevious(a *raft.AppendEntriesRequest) {
	var prev raft.Log
	if a.PrevLogEntry == 0 || len(a.Addr) == 0 || g.logs.GetLog(a.PrevLogEntry, &prev) != nil || prev.Term != a.PrevLogTerm {
		return // in a snapshot, or raft's log has just changed
	}
	a.Leader = append(bytes.Clone(previousTag), prev.Extensions...)
}

// admit reports whether raft may see a request. One that it may not see is answered.
func (g *Guard) admit(rpc raft.RPC) bool {
	err := g.refusal()
	if err == nil {
		err = g.withhold(rpc.Command)
	}
	switch a := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		if err == nil {
			err = g.inspect(a)
		}
		shownOnly(a)
		if err == nil {
			g.acknowledged(string(a.ID), a)
		}
	case *raft.InstallSnapshotRequest:
		if err == nil {
			err = g.leads(a.Term, string(a.ID))
		}
		if err != nil || g.has(a) {
			go discard(rpc, a, err) // the sender streams it anyway
			return false
		}
		g.installing.Store(a.LastLogIndex)
	}
	if err != nil {
		log := g.opts.Logger.Error
		if errors.Is(err, ErrWithheld) {
			log = g.opts.Logger.Debug
		}
		log("request of another member refused", "error", err)
		rpc.Respond(nil, err)
		return false
	}
	return true
}

// refusal is the answer to everything after a fork, and while this member
// waits for its restart.
func (g *Guard) refusal() error {
	if reason := g.beheaded.Load(); reason != nil {
		return errors.New(*reason)
	}
	if reason := g.forked.Load(); reason != nil {
		return g.fork("%s", *reason)
	}
	return nil
}

// leads notes the member that sends as leader of a term; two of them are a fork.
func (g *Guard) leads(term uint64, member string) error {
	if member == "" {
		return nil
	}
	if other, contradicted := g.leaders.claim(term, member); contradicted {
		return g.fork("members %s and %s both lead term %d", other, member, term)
	}
	return nil
}

// inspect compares a request with what this member knows and has.
func (g *Guard) inspect(a *raft.AppendEntriesRequest) error {
	if err := newerThan(a); err != nil {
		return err
	}
	if err := whole(a.Entries); err != nil {
		return err
	}
	if err := g.leads(a.Term, string(a.ID)); err != nil {
		return err
	}
	if sum, ok := bytes.CutPrefix(a.Leader, previousTag); ok {
		a.Leader = a.Addr
		if err := g.same(a.PrevLogEntry, a.PrevLogTerm, sum, string(a.ID)); err != nil {
			return err
		}
	}
	var last uint64
	if r := g.raft.Load(); r != nil {
		last = r.LastIndex()
	}
	for _, e := range a.Entries {
		if maker := store.Maker(e); maker != "" {
			if other, contradicted := g.leaders.claim(e.Term, maker); contradicted {
				return g.fork("entry %d of term %d, sent by member %s, was made by member %s, but member %s leads that term", e.Index, e.Term, a.ID, maker, other)
			}
		}
		if e.Index <= last {
			if err := g.same(e.Index, e.Term, e.Extensions, string(a.ID)); err != nil {
				return err
			}
		}
	}
	return nil
}

// whole refuses damaged entries before raft makes room for them. Raft deletes
// its own entries first, and when the new ones cannot be stored it no longer
// knows where its log ends.
func whole(entries []*raft.Log) error {
	for _, e := range entries {
		if err := store.Verify(e); err != nil {
			return err
		}
	}
	return nil
}

// same compares another member's entry with this member's of the same index
// and term, if there is one. It may run beside raft's main loop: no two
// entries with one index and term may ever differ, whenever they are read.
func (g *Guard) same(index, term uint64, sum []byte, from string) error {
	var own raft.Log
	if g.logs.GetLog(index, &own) != nil || own.Term != term || bytes.Equal(own.Extensions, sum) {
		return nil
	}
	return g.fork("entry %d of term %d differs from member %s's (made by %s here, checksum %x against %x)",
		index, term, from, store.Maker(&own), own.Extensions, sum)
}

// has reports whether this member's state or log holds everything in a
// snapshot already. Raft would go back to it, and throw away entries that it
// has acknowledged since. It would also do so while it asks whether the others
// would vote for it, which changes no term; so its state does not matter here.
func (g *Guard) has(a *raft.InstallSnapshotRequest) bool {
	r := g.raft.Load()
	if r == nil || r.CurrentTerm() != a.Term {
		return false
	}
	if a.LastLogIndex <= g.opts.Applied() {
		return true
	}
	var own raft.Log
	return g.logs.GetLog(a.LastLogIndex, &own) == nil && own.Term == a.LastLogTerm
}

// discard reads a snapshot to its end and answers.
func discard(rpc raft.RPC, a *raft.InstallSnapshotRequest, err error) {
	_, copyErr := io.Copy(io.Discard, rpc.Reader)
	if err == nil {
		err = copyErr
	}
	if err != nil {
		rpc.Respond(nil, err)
		return
	}
	rpc.Respond(&raft.InstallSnapshotResponse{Term: a.Term, Success: true}, nil)
}
