// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/cluster/base/guess"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// maxVersionBytes bounds what a joining machine says of its version.
const maxVersionBytes = 128

// JoinConfig is what a new member brings.
type JoinConfig struct {
	// DataDir must not hold a member yet.
	DataDir string
	// Token came from Init or Node.JoinToken.
	Token string
	// PeerAdvertise is the host:port at which the others will reach this member.
	PeerAdvertise string
	Version       string
	// LevelMin and LevelMax are the feature levels this binary can run at.
	LevelMin, LevelMax uint32

	dial peer.DialFunc
}

// joinRequest is what a joining machine sends; the secret travels only inside
// the pinned TLS connection and between members.
type joinRequest struct {
	MemberID  string `json:"member_id"`
	CSR       []byte `json:"csr"`
	Name      string `json:"name"`
	Secret    string `json:"secret"`
	Peer      string `json:"peer"`
	Version   string `json:"version"`
	LevelMin  uint32 `json:"level_min"`
	LevelMax  uint32 `json:"level_max"`
	Forwarded bool   `json:"forwarded,omitempty"`
}

type joinReply struct {
	ClusterID string            `json:"cluster_id"`
	CA        []byte            `json:"ca"`
	Cert      []byte            `json:"cert"`
	Keyring   []byte            `json:"keyring"`
	Members   map[string]string `json:"members"`
	NonVoter  bool              `json:"nonvoter,omitempty"`
}

// Join obtains certificate and keyring from the cluster that issued the token
// and prepares the data directory. Start then adds the member.
func Join(ctx context.Context, cfg JoinConfig) error {
	token, err := peer.ParseToken(cfg.Token)
	if err != nil {
		return err
	}
	if err := checkAdvertise(cfg.PeerAdvertise); err != nil {
		return err
	}
	orDefault(&cfg.LevelMin, 1)
	orDefault(&cfg.LevelMax, fsm.LevelMax)
	dir, err := openDataDir(cfg.DataDir)
	if err != nil {
		return err
	}
	defer dir.close()
	if err := dir.requireEmpty(); err != nil {
		return err
	}
	key, csr, err := peer.NewMemberKey()
	if err != nil {
		return err
	}
	memberID := uuid.NewString()
	raw, err := json.Marshal(joinRequest{MemberID: memberID, CSR: csr, Name: token.Name, Secret: token.Secret,
		Peer: cfg.PeerAdvertise, Version: cfg.Version, LevelMin: cfg.LevelMin, LevelMax: cfg.LevelMax})
	if err != nil {
		return err
	}
	answer, err := peer.CallJoin(ctx, token, cfg.dial, raw)
	if err != nil {
		return fmt.Errorf("the cluster did not let this member in: %w", err)
	}
	var reply joinReply
	if err := json.Unmarshal(answer, &reply); err != nil || reply.ClusterID != token.ClusterID {
		return errors.New("the cluster's answer to the join request cannot be read")
	}
	if _, err := peer.NewIdentity(reply.ClusterID, memberID, reply.CA, reply.Cert, key); err != nil {
		return err
	}
	if err := dir.remove(fileKeyring); err != nil {
		return err
	}
	if _, err := keyring.Import(dir.file(fileKeyring), reply.Keyring); err != nil {
		return fmt.Errorf("store keyring: %w", err)
	}
	if err := dir.writeTLS(reply.CA, reply.Cert, key); err != nil {
		return err
	}
	return dir.writeMember(memberFile{ClusterID: reply.ClusterID, MemberID: memberID, NonVoter: reply.NonVoter, Seeds: reply.Members})
}

// checkAdvertise refuses addresses that no other machine can dial.
func checkAdvertise(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "0" || host != "" && !protocol.IsHostPort(addr) {
		return fmt.Errorf("peer advertise address %q is not host:port: set it to a name or address that the other members can dial, an IPv6 address in brackets, as in [fd00::1]:9100", addr)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		return fmt.Errorf("peer advertise address %q names no host: set it to a name or address that the other members can dial", addr)
	}
	return nil
}

// isLoopback reports whether the address can only be dialled on its own machine.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// checkReach refuses to mix loopback addresses with others: such members could
// never reach one another.
func checkReach(addr, self string, servers []raft.Server) *protocol.Error {
	if err := checkAdvertise(addr); err != nil {
		return protocol.Errorf(protocol.CodeInvalid, "%v", err)
	}
	for _, s := range servers {
		if string(s.ID) != self && isLoopback(string(s.Address)) != isLoopback(addr) {
			return protocol.Errorf(protocol.CodeInvalid,
				"peer address %s does not go with %s of member %s: loopback addresses work only when all members use them; set peer_advertise", addr, s.Address, s.ID)
		}
	}
	return nil
}

// handleJoiner serves a machine that wants to join, of which nothing is known.
func (n *Member) handleJoiner(ctx context.Context, remote string, payload []byte) ([]byte, *protocol.Error) {
	if e := n.cfg.Guesses.Admit(ctx, remote, guess.Join); e != nil {
		return nil, e
	}
	reply, e := n.handleJoin(ctx, payload)
	if e == nil {
		return reply, nil
	}
	if e.Code == protocol.CodeTokenInvalid || e.Code == protocol.CodeInvalid {
		n.cfg.Guesses.Wrong(remote, guess.Join) // what cannot be read has no right token either
	}
	// Little of the request is written: whoever reaches the port has made it.
	n.log.Warn("join refused", "remote", remote, "code", e.Code, "error", identity.Clean(e.Text))
	return nil, e
}

// handleJoin serves a joining machine; a member that does not lead asks the leader.
func (n *Member) handleJoin(ctx context.Context, payload []byte) ([]byte, *protocol.Error) {
	var req joinRequest
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "join request cannot be read")
	}
	return n.routeOnce(ctx, rpcJoin, &req.Forwarded, &req, func(ctx context.Context) ([]byte, *protocol.Error) {
		return n.admit(ctx, req)
	})
}

// admit lets a new member in, on the leader: the token is spent first, so that
// it is good for one member with one key; that member may ask again.
func (n *Member) admit(ctx context.Context, req joinRequest) ([]byte, *protocol.Error) {
	if id, err := uuid.Parse(req.MemberID); err != nil || id.String() != req.MemberID { // one spelling for each member
		return nil, protocol.Errorf(protocol.CodeInvalid, "member id is not a UUID in small letters with hyphens")
	}
	if len(req.Version) > maxVersionBytes || protocol.HasControl(req.Version) {
		return nil, protocol.Errorf(protocol.CodeInvalid, "version is longer than %d bytes or holds a control character", maxVersionBytes)
	}
	// The token must be judged on a state that has everything acknowledged so far.
	index, perr := n.ReadIndex(ctx)
	if perr == nil {
		perr = n.WaitApplied(ctx, index)
	}
	if perr != nil {
		return nil, perr
	}
	root := n.Root()
	token, ok := root.Token(fsm.TokenJoin, req.Name)
	if !ok || !n.ring.Verify(token.MAC, PurposeJoin, req.Secret) {
		return nil, protocol.Errorf(protocol.CodeTokenInvalid, "the join token is not valid: it was used, has expired or was never issued here; make a new one with `pilotctl cluster join-token`")
	}
	if token.Expires != 0 && n.clock.now().UnixMilli() > token.Expires {
		return nil, protocol.Errorf(protocol.CodeTokenInvalid, "the join token has expired; make a new one with `pilotctl cluster join-token`")
	}
	if err := n.checkLevels(req.Version, req.LevelMin, req.LevelMax); err != nil {
		return nil, err
	}
	if err := checkReach(req.Peer, req.MemberID, n.servers()); err != nil {
		return nil, err
	}
	for _, s := range n.servers() {
		if string(s.ID) == req.MemberID {
			return nil, protocol.Errorf(protocol.CodeAlreadyExists, "member %s is already in the cluster", req.MemberID)
		}
	}
	ca, err := n.authority(root)
	if err != nil {
		return nil, protocol.NotAppliedf(protocol.CodeInternal, "%v", err)
	}
	cert, err := ca.SignMember(req.CSR, n.clusterID, req.MemberID)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "%v", err)
	}
	key, err := peer.KeyHash(req.CSR)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeInvalid, "%v", err)
	}
	if err := n.proposeDecided(ctx, fsm.KindSpendToken, fsm.SpendToken{Name: req.Name, MemberID: req.MemberID, Key: key}); err != nil {
		return nil, err
	}
	fault.Hit(fault.JoinSpent)
	// From here on the other members accept the new one's connections.
	record := fsm.MemberRecord{ID: req.MemberID, Peer: req.Peer, Version: req.Version, LevelMin: req.LevelMin, LevelMax: req.LevelMax, NonVoter: token.NonVoter}
	if err := n.proposeDecided(ctx, fsm.KindMemberHello, record); err != nil {
		return nil, err
	}
	fault.Hit(fault.JoinAnswered)
	n.log.Info("join token accepted", "member", req.MemberID, "peer", req.Peer, "token", req.Name)
	return encodeJSON(joinReply{ClusterID: n.clusterID, CA: ca.CertPEM(), Cert: cert, Keyring: n.ring.Export(), Members: n.addresses(), NonVoter: token.NonVoter})
}

// authority opens the CA key that is sealed in the state.
func (n *Member) authority(root *fsm.Root) (*peer.CA, error) {
	sealed, public, ok := root.Sealed(sealedCA)
	if !ok {
		return nil, errors.New("the cluster's CA key is not in the state yet; try again")
	}
	key, err := n.ring.Unseal(sealed, sealedCA)
	if err != nil {
		return nil, fmt.Errorf("open the cluster's CA key: %w", err)
	}
	return peer.ParseCA(public, key)
}

// checkLevels refuses binaries that cannot run at the cluster's feature level.
func (n *Member) checkLevels(version string, lo, hi uint32) *protocol.Error {
	if level := n.Root().Level(); level < lo || level > hi {
		return protocol.Errorf(protocol.CodeFeatureNotActive,
			"binary %q runs at feature levels %d to %d, the cluster is at %d; use a version that supports level %d", version, lo, hi, level, level)
	}
	return nil
}

// proposeDecided proposes and treats a decided refusal as an error.
func (n *Member) proposeDecided(ctx context.Context, code protocol.Code, body any) *protocol.Error {
	return n.proposeFor(ctx, asker{}, code, body)
}
