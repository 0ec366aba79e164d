// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// transfer hands leadership over because somebody asked for it. It returns when
// the next leader has put that into the audit log.
func (t *term) transfer(ctx context.Context, req adminRequest) *protocol.Error {
	if req.ID == t.id {
		return nil
	}
	term := t.raft.CurrentTerm()
	if e := t.yield(req.ID); e != nil {
		return e
	}
	next := t.successor(ctx, term)
	switch next {
	case "":
		return protocol.Unknownf(protocol.CodeOutcomeUnknown, "member %s has given leadership up, but no new leader is known yet; look at `pilotctl cluster status`", t.id)
	case t.id:
		return protocol.Errorf(protocol.CodeConflict, "leadership was not handed over: the others elected member %s again; try again", t.id)
	}
	t.log.Info("leadership was handed over", "to", next)
	body := fsm.LeadershipTransferred{From: t.id, To: next, AskedAt: req.By.At}
	e := t.writes.proposeFor(ctx, req.By, fsm.KindLeadershipTransferred, body)
	if e != nil && e.Code != protocol.CodeFeatureNotActive {
		return protocol.Unknownf(e.Code, "member %s leads now, but that may be missing in the audit log: %s", next, e.Text)
	}
	return nil
}

// yield gives leadership to a voter, to any when id is empty.
func (t *term) yield(id string) *protocol.Error {
	if len(t.roster.voters()) < 2 {
		return protocol.Errorf(protocol.CodeConflict, "member %s is the only voter: nobody can take over", t.id)
	}
	var err error
	if id == "" {
		err = t.raft.LeadershipTransfer().Error()
	} else {
		s, e := t.roster.named(id)
		if e != nil {
			return e
		}
		if s.Suffrage != raft.Voter {
			return protocol.Errorf(protocol.CodeConflict, "member %s has no vote: promote it first", id)
		}
		err = t.raft.LeadershipTransferToServer(s.ID, s.Address).Error()
	}
	if err != nil {
		return protocol.Errorf(protocol.CodeConflict, "leadership was not handed over: %v; check that the member is up and try again", err)
	}
	return nil
}

// successor waits for the leader of a later term, "" when ctx ends before.
// A new term begins without a leader, so the term is read first.
func (t *term) successor(ctx context.Context, term uint64) string {
	for {
		changed := t.changed.next()
		if later := t.raft.CurrentTerm() > term; later {
			if leader := t.leaderID(); leader != "" {
				return leader
			}
		}
		if !rest(ctx, changed, retryMin) {
			return ""
		}
	}
}

func (t *term) handOver(ctx context.Context) {
	for try := 0; try < transferTries && t.raft.State() == raft.Leader && len(t.roster.voters()) > 1 && ctx.Err() == nil; try++ {
		if err := t.raft.LeadershipTransfer().Error(); err != nil {
			t.log.Warn("leadership was not handed over", "try", try+1, "error", err)
			continue
		}
		fault.Hit(fault.DrainTransferAfter)
		t.awaitSuccessor(ctx)
	}
}

// awaitSuccessor waits until another leader is known, so that members that
// still ask this one are sent on.
func (t *term) awaitSuccessor(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*t.cfg.Timeouts.Election)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for leader := t.leaderID(); leader == "" || leader == t.id; leader = t.leaderID() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
