// SPDX-License-Identifier: Apache-2.0

package termguard

import (
	"errors"

	"github.com/hashicorp/raft"
)

// ErrWithheld refuses a vote, or an entry, while nobody has confirmed that the
// log of this member is not an old copy.
var ErrWithheld = errors.New("this member withholds its vote until other members have confirmed that its log is not an old copy")

// withhold refuses what a member must not take part in before its log is confirmed.
func (g *Guard) withhold(command any) error {
	vote, entries := g.opts.Withheld()
	switch a := command.(type) {
	case *raft.RequestVoteRequest, *raft.RequestPreVoteRequest, *raft.TimeoutNowRequest:
		if vote {
			return ErrWithheld
		}
	case *raft.AppendEntriesRequest:
		if entries && len(a.Entries) > 0 {
			return ErrWithheld
		}
	case *raft.InstallSnapshotRequest:
		if entries {
			return ErrWithheld
		}
	}
	return nil
}

// acknowledged reports what a message of a leader says of a member. Of a
// follower that has taken it: its log holds what was shown, as far as that is
// committed. Of the leader that sent it: it stores entries before it sends them.
// The rest may still be replaced by another leader's entries.
func (g *Guard) acknowledged(member string, a *raft.AppendEntriesRequest) {
	index, term := a.PrevLogEntry, a.PrevLogTerm
	if n := len(a.Entries); n > 0 {
		index, term = a.Entries[n-1].Index, a.Entries[n-1].Term
	}
	if index > a.LeaderCommitIndex {
		index, term = a.LeaderCommitIndex, 0
	}
	g.opts.Acknowledged(member, index, term, a.Term)
}
