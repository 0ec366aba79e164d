// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// transfer hands leadership over because somebody asked for it. It returns when
// the next leader has put that into the audit log.
func (n *Member) transfer(ctx context.Context, req adminRequest) *protocol.Error {
	if req.ID == n.id {
		return nil
	}
	term := n.raft.CurrentTerm()
	if err := n.yield(req.ID); err != nil {
		return err
	}
	next := n.successor(ctx, term)
	switch next {
	case "":
		return protocol.Unknownf(protocol.CodeOutcomeUnknown, "member %s has given leadership up, but no new leader is known yet; look at `pilotctl cluster status`", n.id)
	case n.id:
		return protocol.Errorf(protocol.CodeConflict, "leadership was not handed over: the others elected member %s again; try again", n.id)
	}
	n.log.Info("leadership was handed over", "to", next)
	body := fsm.LeadershipTransferred{From: n.id, To: next, AskedAt: req.By.At}
	err := n.proposeFor(ctx, req.By, fsm.KindLeadershipTransferred, body)
	if err != nil && err.Code != protocol.CodeFeatureNotActive {
		return protocol.Unknownf(err.Code, "member %s leads now, but that may be missing in the audit log: %s", next, err.Text)
	}
	return nil
}

// yield gives leadership to a voter, to any when id is empty.
func (n *Member) yield(id string) *protocol.Error {
	if len(n.voters()) < 2 {
		return protocol.Errorf(protocol.CodeConflict, "member %s is the only voter: nobody can take over", n.id)
	}
	var err error
	if id == "" {
		err = n.raft.LeadershipTransfer().Error()
	} else {
		s, perr := n.configuredServer(id)
		if perr != nil {
			return perr
		}
		if s.Suffrage != raft.Voter {
			return protocol.Errorf(protocol.CodeConflict, "member %s has no vote: promote it first", id)
		}
		err = n.raft.LeadershipTransferToServer(s.ID, s.Address).Error()
	}
	if err != nil {
		return protocol.Errorf(protocol.CodeConflict, "leadership was not handed over: %v; check that the member is up and try again", err)
	}
	return nil
}

// successor waits for the leader of a later term, "" when ctx ends before.
// A new term begins without a leader, so the term is read first.
func (n *Member) successor(ctx context.Context, term uint64) string {
	for {
		changed := n.changed.next()
		if later := n.raft.CurrentTerm() > term; later {
			if leader := n.leaderID(); leader != "" {
				return leader
			}
		}
		if !rest(ctx, changed, retryMin) {
			return ""
		}
	}
}
