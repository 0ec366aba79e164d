// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxVersionBytes bounds what a joining machine says of its version.
const maxVersionBytes = 128

// handleJoiner serves a machine that wants to join, of which nothing is known.
func (r *roster) handleJoiner(ctx context.Context, remote string, payload []byte) ([]byte, *protocol.Error) {
	if e := r.cfg.Guesses.Admit(ctx, remote, guess.Join); e != nil {
		return nil, e
	}
	reply, e := r.handleJoin(ctx, payload)
	if e == nil {
		return reply, nil
	}
	if e.Code == protocol.CodeTokenInvalid || e.Code == protocol.CodeInvalid {
		r.cfg.Guesses.Wrong(remote, guess.Join) // what cannot be read has no right token either
	}
	// Log little of the request: anyone who reaches the port can make one.
	r.log.Warn("join refused", "remote", remote, "code", e.Code, "error", identity.Clean(e.Text))
	return nil, e
}

// handleJoin serves a joining machine; a member that does not lead asks the leader.
func (r *roster) handleJoin(ctx context.Context, payload []byte) ([]byte, *protocol.Error) {
	var req joinRequest
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "join request cannot be read")
	}
	return r.router.once(ctx, rpcJoin, &req.Forwarded, &req, func(ctx context.Context) ([]byte, *protocol.Error) {
		return r.admit(ctx, req)
	})
}

// admit lets a new member in, on the leader: the token is spent first, so that
// it is good for one member with one key; that member may ask again.
func (r *roster) admit(ctx context.Context, req joinRequest) ([]byte, *protocol.Error) {
	if id, err := uuid.Parse(req.MemberID); err != nil || id.String() != req.MemberID { // one spelling for each member
		return nil, protocol.Errorf(protocol.CodeInvalid, "member id is not a UUID in small letters with hyphens")
	}
	if len(req.Version) > maxVersionBytes || protocol.HasControl(req.Version) {
		return nil, protocol.Errorf(protocol.CodeInvalid, "version is longer than %d bytes or holds a control character", maxVersionBytes)
	}
	// The token must be judged on a state that has everything acknowledged so far.
	index, e := r.reads.readIndex(ctx)
	if e == nil {
		e = r.reads.waitApplied(ctx, index)
	}
	if e != nil {
		return nil, e
	}
	root := r.Root()
	token, ok := root.Token(fsm.TokenJoin, req.Name)
	if !ok || !r.ring.Verify(token.MAC, PurposeJoin, req.Secret) {
		return nil, protocol.Errorf(protocol.CodeTokenInvalid, "the join token is not valid: it was used, has expired or was never issued here; make a new one with `pilotctl cluster join-token`")
	}
	if token.Expires != 0 && r.clock.now().UnixMilli() > token.Expires {
		return nil, protocol.Errorf(protocol.CodeTokenInvalid, "the join token has expired; make a new one with `pilotctl cluster join-token`")
	}
	if e := r.checkLevels(req.Version, req.LevelMin, req.LevelMax); e != nil {
		return nil, e
	}
	if e := r.checkReach(req.Peer, req.MemberID); e != nil {
		return nil, e
	}
	if r.has(req.MemberID) {
		return nil, protocol.Errorf(protocol.CodeAlreadyExists, "member %s is already in the cluster", req.MemberID)
	}
	ca, err := r.authority(root)
	if err != nil {
		return nil, protocol.NotAppliedf(protocol.CodeInternal, "%v", err)
	}
	cert, err := ca.SignMember(req.CSR, r.clusterID, req.MemberID, r.clock.now())
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "%v", err)
	}
	key, err := peer.KeyHash(req.CSR)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "%v", err)
	}
	if e := r.writes.proposeDecided(ctx, fsm.KindSpendToken, fsm.SpendToken{Name: req.Name, MemberID: req.MemberID, Key: key}); e != nil {
		return nil, e
	}
	fault.Hit(fault.JoinSpent)
	// From here on the other members accept the new one's connections.
	record := fsm.MemberRecord{ID: req.MemberID, Peer: req.Peer, Version: req.Version, LevelMin: req.LevelMin, LevelMax: req.LevelMax, NonVoter: token.NonVoter}
	if e := r.writes.proposeDecided(ctx, fsm.KindMemberHello, record); e != nil {
		return nil, e
	}
	fault.Hit(fault.JoinAnswered)
	r.log.Info("join token accepted", "member", req.MemberID, "peer", req.Peer, "token", req.Name)
	return encodeJSON(joinReply{ClusterID: r.clusterID, CA: ca.CertPEM(), Cert: cert, Keyring: r.ring.Export(), Members: r.addresses(), NonVoter: token.NonVoter, Epoch: r.epoch})
}

// authority opens the CA key that is sealed in the state.
func (r *roster) authority(root *fsm.Root) (*peer.CA, error) {
	sealed, public, ok := root.Sealed(sealedCA)
	if !ok {
		return nil, errors.New("the cluster's CA key is not in the state yet; try again")
	}
	key, err := r.ring.Unseal(sealed, sealedCA)
	if err != nil {
		return nil, fmt.Errorf("open the cluster's CA key: %w", err)
	}
	return peer.ParseCA(public, key)
}

func (r *roster) mintJoinToken(ctx context.Context, req adminRequest) (adminReply, *protocol.Error) {
	t := peer.Token{ClusterID: r.clusterID, CASHA256: r.identity.CAHash(), Name: "join-" + uuid.NewString(), Secret: newSecret()}
	for _, s := range r.servers() {
		t.Addrs = append(t.Addrs, string(s.Address))
	}
	version := r.Root().ActiveKey()
	orDefault(&version, r.ring.Latest())
	mac, err := r.ring.MAC(version, PurposeJoin, t.Secret)
	if err != nil {
		return adminReply{}, protocol.NotAppliedf(protocol.CodeInternal, "MAC of the join token: %v", err)
	}
	body := fsm.PutToken{Kind: fsm.TokenJoin, Name: t.Name, MAC: mac, ExpiresInMS: req.TTLMS, NonVoter: req.NonVoter}
	if e := r.writes.proposeFor(ctx, req.By, fsm.KindPutToken, body); e != nil {
		return adminReply{}, e
	}
	return adminReply{Token: t.String(), Expires: r.clock.now().UnixMilli() + req.TTLMS}, nil
}
