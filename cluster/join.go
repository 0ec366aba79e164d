// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"

	"github.com/google/uuid"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// JoinConfig is what a new member brings.
type JoinConfig struct {
	// DataDir must not hold a member yet.
	DataDir string
	// Token came from Init or Member.JoinToken.
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
	Epoch     uint64            `json:"epoch,omitempty"`
}

// Join obtains certificate and keyring from the cluster that issued the token
// and prepares the data directory. Start then adds the member.
func Join(ctx context.Context, cfg JoinConfig) error {
	token, err := peer.ParseToken(cfg.Token)
	if err != nil {
		return err
	}
	if err := CheckAdvertise(cfg.PeerAdvertise); err != nil {
		return err
	}
	orDefault(&cfg.LevelMin, 1)
	orDefault(&cfg.LevelMax, fsm.LevelMax)
	dir, err := openNew(ctx, cfg.DataDir)
	if err != nil {
		return err
	}
	defer dir.close()
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
	return dir.writeMember(memberFile{ClusterID: reply.ClusterID, MemberID: memberID, NonVoter: reply.NonVoter, Seeds: reply.Members, Epoch: reply.Epoch})
}

// CheckAdvertise refuses addresses that no other machine can dial.
func CheckAdvertise(addr string) error {
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
