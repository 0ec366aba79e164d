// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Operations that the leader carries out outside the state machine.
const (
	opJoinToken  = "join_token"
	opPromote    = "promote"
	opRemove     = "remove"
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
	// By is who wants it, as the member says that was asked.
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
func (n *Member) JoinToken(ctx context.Context, nonvoter bool, ttl time.Duration) (token string, expires time.Time, err *protocol.Error) {
	if ttl < 0 || ttl > joinTokenMaxTTL {
		return "", time.Time{}, protocol.Errorf(protocol.CodeInvalid, "a join token cannot be valid for %s: want more than nothing and at most 720h, which is 30 days", ttl)
	}
	orDefault(&ttl, joinTokenTTL)
	r, err := n.onLeader(ctx, adminRequest{Op: opJoinToken, NonVoter: nonvoter, TTLMS: ttl.Milliseconds()})
	return r.Token, time.UnixMilli(r.Expires), err
}

// Promote makes a non-voting member a voter, without waiting for it to catch up.
func (n *Member) Promote(ctx context.Context, memberID string) *protocol.Error {
	_, err := n.onLeader(ctx, adminRequest{Op: opPromote, ID: memberID})
	return err
}

// Remove takes a member out of the cluster for good. Without force it is
// refused when the remaining voters that answer are no majority.
func (n *Member) Remove(ctx context.Context, memberID string, force bool) *protocol.Error {
	_, err := n.onLeader(ctx, adminRequest{Op: opRemove, ID: memberID, Force: force})
	return err
}

// TransferLeadership hands leadership to a voter, to any when memberID is empty.
func (n *Member) TransferLeadership(ctx context.Context, memberID string) *protocol.Error {
	_, err := n.onLeader(ctx, adminRequest{Op: opTransfer, ID: memberID})
	return err
}

// Leave takes this member out of the cluster for good. The caller shuts it down next.
func (n *Member) Leave(ctx context.Context) *protocol.Error {
	if err := n.Remove(ctx, n.id, false); err != nil {
		return err
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
	req.Lead, req.By = true, n.askerOf(ctx)
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		changed := n.changed.next()
		reply, err := n.adminOnce(ctx, req)
		if err == nil || (err.Outcome != protocol.OutcomeNotApplied) || final(err) {
			return reply, err
		}
		if !rest(ctx, changed, pause) {
			return reply, protocol.NotAppliedf(protocol.CodeNoLeader, "nothing was done: no leader could do this in time (%s; %s); check `pilotctl cluster status`", err.Text, n.reachability())
		}
	}
}

func (n *Member) adminOnce(ctx context.Context, req adminRequest) (reply adminReply, _ *protocol.Error) {
	switch leader := n.leaderID(); leader {
	case "":
		return reply, protocol.NotAppliedf(protocol.CodeNoLeader, "no leader is known")
	case n.id:
		return n.lead(ctx, req)
	default:
		if err := n.callJSON(ctx, leader, rpcAdmin, req, &reply); err != nil {
			return reply, transportOutcome(err)
		}
		return reply, nil
	}
}

// lead carries out an operation on the leader.
func (n *Member) lead(ctx context.Context, req adminRequest) (adminReply, *protocol.Error) {
	if err := n.mayLead(); err != nil {
		return adminReply{}, err
	}
	switch req.Op {
	case opJoinToken:
		return n.mintJoinToken(ctx, req)
	case opPromote:
		return adminReply{}, n.promote(ctx, req)
	case opRemove:
		return adminReply{}, n.remove(ctx, req)
	case opTransfer:
		return adminReply{}, n.transfer(ctx, req)
	case opRotateKeys:
		version, err := n.rotateKeys(ctx, req.By)
		return adminReply{KeyVersion: version}, err
	}
	return adminReply{}, protocol.Errorf(protocol.CodeNotImplemented, "unknown cluster operation %q", req.Op)
}

func (n *Member) mintJoinToken(ctx context.Context, req adminRequest) (adminReply, *protocol.Error) {
	t := peer.Token{ClusterID: n.clusterID, CASHA256: n.caHash, Name: "join-" + uuid.NewString(), Secret: newSecret()}
	for _, s := range n.servers() {
		t.Addrs = append(t.Addrs, string(s.Address))
	}
	version := n.Root().ActiveKey()
	orDefault(&version, n.ring.Latest())
	mac, err := n.ring.MAC(version, PurposeJoin, t.Secret)
	if err != nil {
		return adminReply{}, protocol.NotAppliedf(protocol.CodeInternal, "MAC of the join token: %v", err)
	}
	body := fsm.PutToken{Kind: fsm.TokenJoin, Name: t.Name, MAC: mac, ExpiresInMS: req.TTLMS, NonVoter: req.NonVoter}
	if err := n.proposeFor(ctx, req.By, fsm.KindPutToken, body); err != nil {
		return adminReply{}, err
	}
	return adminReply{Token: t.String(), Expires: n.clock.now().UnixMilli() + req.TTLMS}, nil
}

func (n *Member) configuredServer(id string) (raft.Server, *protocol.Error) {
	for _, s := range n.servers() {
		if string(s.ID) == id {
			return s, nil
		}
	}
	return raft.Server{}, protocol.Errorf(protocol.CodeNotFound, "no member %s in this cluster; `pilotctl cluster members` lists them", id)
}

func (n *Member) promote(ctx context.Context, req adminRequest) *protocol.Error {
	n.membership.Lock()
	defer n.membership.Unlock()
	s, err := n.configuredServer(req.ID)
	if err != nil {
		return err
	}
	if s.Suffrage == raft.Voter {
		return nil
	}
	fault.Hit(fault.MembershipBefore)
	if err := changeOutcome(n.raft.AddVoter(s.ID, s.Address, 0, changeTimeout).Error()); err != nil {
		return err
	}
	err = n.proposeFor(ctx, req.By, fsm.KindMemberPromoted, fsm.MemberPromoted{MemberID: req.ID, AskedAt: req.By.At})
	if err != nil && err.Code != protocol.CodeFeatureNotActive {
		return protocol.Unknownf(err.Code, "member %s has a vote now, but that may be missing in the audit log: %s", req.ID, err.Text)
	}
	return nil
}

// remove takes a member out of the cluster: first its record, then its place
// in the configuration. In the other order a leader that changes in between
// would find a record without a place, which is what a member has that just
// joined, and add it back.
func (n *Member) remove(ctx context.Context, req adminRequest) *protocol.Error {
	n.membership.Lock()
	defer n.membership.Unlock()
	id := req.ID
	_, recorded := n.record(id)
	s, perr := n.configuredServer(id)
	switch {
	case perr != nil && !recorded:
		return perr
	case perr != nil: // an earlier attempt got half-way, or it never started
		return n.proposeFor(ctx, req.By, fsm.KindMemberForget, fsm.MemberForget{ID: id})
	}
	if err := n.removable(ctx, s, req.Force); err != nil {
		return err
	}
	if id == n.id {
		// The next leader removes this member: a leader that removes itself
		// leaves the others to find out by election timeout.
		if err := n.raft.LeadershipTransfer().Error(); err != nil {
			return protocol.NotAppliedf(codeNotLeader, "leadership could not be handed over before the removal: %v", err)
		}
		return protocol.NotAppliedf(codeNotLeader, "leadership was handed over")
	}
	if err := n.proposeFor(ctx, req.By, fsm.KindMemberForget, fsm.MemberForget{ID: id}); err != nil {
		return err
	}
	fault.Hit(fault.MembershipBefore)
	return changeOutcome(n.raft.RemoveServer(s.ID, 0, changeTimeout).Error())
}

// removable refuses what would leave no majority of answering voters.
func (n *Member) removable(ctx context.Context, s raft.Server, force bool) *protocol.Error {
	if s.Suffrage != raft.Voter {
		return nil
	}
	rest, answering := 0, 0
	for _, v := range n.voters() {
		if v.ID == s.ID {
			continue
		}
		rest++
		if _, err := n.askStatus(ctx, string(v.ID)); string(v.ID) == n.id || err == nil {
			answering++
		}
	}
	switch {
	case rest == 0:
		return protocol.Errorf(protocol.CodeConflict, "member %s is the only voter: add another one first", s.ID)
	case !force && answering < rest/2+1:
		return protocol.Errorf(protocol.CodeConflict, "without member %s only %d of %d voters would answer, which is no majority: bring the others back first, or use force", s.ID, answering, rest)
	}
	return nil
}

// changeOutcome classifies errors of configuration changes.
func changeOutcome(err error) *protocol.Error {
	fault.Hit(fault.MembershipAfter)
	switch {
	case err == nil:
		return nil
	case neverLogged(err):
		return protocol.NotAppliedf(codeNotLeader, "%v", err)
	default:
		return protocol.Unknownf(protocol.CodeOutcomeUnknown, "the change of the configuration may or may not have happened: %v; look at `pilotctl cluster members`", err)
	}
}

// handleAdmin serves other members' requests for the leader, and the local
// command line, which comes with this member's own certificate and is the only
// one that this member does as it is told by.
func (n *Member) handleAdmin(ctx context.Context, from string, payload []byte) ([]byte, *protocol.Error) {
	var req adminRequest
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "cluster operation cannot be read")
	}
	if from != n.id && (!req.Lead || req.Op == opLeave) {
		return nil, protocol.Errorf(protocol.CodePermissionDenied,
			"member %s cannot tell member %s to do %s: only an operator on its machine can", from, n.id, req.Op)
	}
	var reply adminReply
	var perr *protocol.Error
	switch {
	case req.Op == opStatus:
		reply.Status = n.Status(ctx)
	case req.Op == opMembers:
		reply.Members = n.Members(ctx)
	case req.Op == opLeave:
		if perr = n.Leave(ctx); perr == nil {
			peer.AfterReply(ctx, n.leftOnce)
		}
	case req.Lead:
		reply, perr = n.lead(ctx, req)
	default:
		reply, perr = n.onLeader(ctx, req)
	}
	if perr != nil {
		return nil, perr
	}
	return encodeJSON(reply)
}
