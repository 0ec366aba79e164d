// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Operations that the leader carries out outside the state machine.
const (
	opJoinToken  = "join_token"
	opPromote    = "promote"
	opRemove     = "remove"
	opRepair     = "repair"
	opTransfer   = "transfer"
	opLeave      = "leave"
	opStatus     = "status"
	opMembers    = "members"
	opRotateKeys = "rotate_keys"
)

// Limits of a join token's validity.
const (
	joinTokenTTL    = time.Hour
	joinTokenMaxTTL = 30 * 24 * time.Hour
)

type adminRequest struct {
	Op       string `json:"op"`
	ID       string `json:"id,omitempty"`
	NonVoter bool   `json:"nonvoter,omitempty"`
	Force    bool   `json:"force,omitempty"`
	TTLMS    int64  `json:"ttl_ms,omitempty"`
	// Lead marks a request that another member has already routed to its leader.
	Lead bool `json:"lead,omitempty"`
	// By names the caller, as reported by the member that was asked.
	By asker `json:"by,omitzero"`
}

type adminReply struct {
	Token   string                      `json:"token,omitempty"`
	Expires int64                       `json:"expires,omitempty"`
	Status  protocol.ClusterStatusReply `json:"status,omitzero"`
	Members []protocol.ClusterMember    `json:"members,omitempty"`
	// KeyVersion is the keyring version in force after a rotation.
	KeyVersion uint32 `json:"key_version,omitempty"`
}

// JoinToken mints a token that lets one new member in, for ttl (1 h when 0).
func (n *Member) JoinToken(ctx context.Context, nonvoter bool, ttl time.Duration) (token string, expires time.Time, e *protocol.Error) {
	if ttl < 0 || ttl > joinTokenMaxTTL {
		return "", time.Time{}, protocol.Errorf(protocol.CodeInvalid, "a join token cannot be valid for %s: want more than nothing and at most 720h, which is 30 days", ttl)
	}
	orDefault(&ttl, joinTokenTTL)
	r, e := n.onLeader(ctx, adminRequest{Op: opJoinToken, NonVoter: nonvoter, TTLMS: ttl.Milliseconds()})
	return r.Token, time.UnixMilli(r.Expires), e
}

// Promote makes a non-voting member a voter, without waiting for it to catch up.
func (n *Member) Promote(ctx context.Context, memberID string) *protocol.Error {
	_, e := n.onLeader(ctx, adminRequest{Op: opPromote, ID: memberID})
	return e
}

// Remove takes a member out of the cluster for good. Without force it is
// refused when the remaining voters that answer are not a majority.
func (n *Member) Remove(ctx context.Context, memberID string, force bool) *protocol.Error {
	_, e := n.onLeader(ctx, adminRequest{Op: opRemove, ID: memberID, Force: force})
	return e
}

// Repair gives a quarantined member the log and state of the others.
func (n *Member) Repair(ctx context.Context, memberID string) *protocol.Error {
	_, e := n.onLeader(ctx, adminRequest{Op: opRepair, ID: memberID})
	return e
}

// TransferLeadership hands leadership to a voter, to any when memberID is empty.
func (n *Member) TransferLeadership(ctx context.Context, memberID string) *protocol.Error {
	_, e := n.onLeader(ctx, adminRequest{Op: opTransfer, ID: memberID})
	return e
}

// RotateKeys gives the cluster a new keyring version for new secrets: every
// member gets it, then it is put into force, then secrets that can be read back
// are encrypted with it. Tokens stay valid: their MACs name the version they
// were made with, and no version is taken away. It may be repeated after an
// error and then continues where it stopped. The error names a member that
// could not be reached.
func (n *Member) RotateKeys(ctx context.Context) (version uint32, e *protocol.Error) {
	r, e := n.onLeader(ctx, adminRequest{Op: opRotateKeys})
	return r.KeyVersion, e
}

// Leave takes this member out of the cluster for good. The caller shuts it down next.
func (n *Member) Leave(ctx context.Context) *protocol.Error {
	if e := n.Remove(ctx, n.self.id, false); e != nil {
		return e
	}
	m, err := n.dir.member()
	if err == nil {
		m.Left = true
		err = n.dir.writeMember(m)
	}
	if err != nil {
		return protocol.Unknownf(protocol.CodeInternal, "this member has left the cluster, but that could not be noted in %s: %v; do not start it again", n.dir.path, err)
	}
	return nil
}

// onLeader brings an operation to the leader and tries again while there is
// none. All operations may be repeated.
func (n *Member) onLeader(ctx context.Context, req adminRequest) (adminReply, *protocol.Error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	req.Lead, req.By = true, askedAt(ctx, n.self.id)
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		changed := n.self.changed.next()
		reply, e := n.adminOnce(ctx, req)
		if e == nil || (e.Outcome != protocol.OutcomeNotApplied) || final(e) {
			return reply, e
		}
		if !rest(ctx, changed, pause) {
			return reply, protocol.NotAppliedf(protocol.CodeNoLeader, "nothing was done: no leader could do this in time (%s; %s); check `pilotctl cluster status`", e.Text, n.roster.reachability())
		}
	}
}

func (n *Member) adminOnce(ctx context.Context, req adminRequest) (reply adminReply, _ *protocol.Error) {
	switch leader := n.term.leaderID(); leader {
	case "":
		return reply, protocol.NotAppliedf(protocol.CodeNoLeader, "no leader is known")
	case n.self.id:
		return n.lead(ctx, req)
	default:
		if err := callJSON(ctx, n.engine.client, leader, rpcAdmin, req, &reply); err != nil {
			return reply, transportOutcome(err)
		}
		return reply, nil
	}
}

// lead carries out an operation on the leader.
func (n *Member) lead(ctx context.Context, req adminRequest) (adminReply, *protocol.Error) {
	if e := n.term.mayLead(); e != nil {
		return adminReply{}, e
	}
	switch req.Op {
	case opJoinToken:
		return n.roster.mintJoinToken(ctx, req)
	case opPromote:
		return adminReply{}, n.roster.promote(ctx, req)
	case opRemove:
		return adminReply{}, n.roster.remove(ctx, req)
	case opRepair:
		return adminReply{}, n.roster.repair(ctx, req)
	case opTransfer:
		return adminReply{}, n.term.transfer(ctx, req)
	case opRotateKeys:
		version, e := n.keys.rotateKeys(ctx, req.By)
		return adminReply{KeyVersion: version}, e
	}
	return adminReply{}, protocol.Errorf(protocol.CodeNotImplemented, "unknown cluster operation %q", req.Op)
}

// handleAdmin serves other members' requests for the leader, and the local
// command line, which comes with this member's own certificate and is the only
// one that this member does as it is told by.
func (n *Member) handleAdmin(ctx context.Context, from string, payload []byte) ([]byte, *protocol.Error) {
	var req adminRequest
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "cluster operation cannot be read")
	}
	if from != n.self.id && (!req.Lead || req.Op == opLeave) {
		return nil, protocol.Errorf(protocol.CodePermissionDenied,
			"member %s cannot tell member %s to do %s: only an operator on its machine can", from, n.self.id, req.Op)
	}
	var reply adminReply
	var e *protocol.Error
	switch {
	case req.Op == opStatus:
		reply.Status = n.report.status(ctx)
	case req.Op == opMembers:
		reply.Members = n.report.members(ctx)
	case req.Op == opLeave:
		if e = n.Leave(ctx); e == nil {
			peer.AfterReply(ctx, n.leftOnce)
		}
	case req.Lead:
		reply, e = n.lead(ctx, req)
	default:
		reply, e = n.onLeader(ctx, req)
	}
	if e != nil {
		return nil, e
	}
	return encodeJSON(reply)
}
