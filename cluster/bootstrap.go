// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// sealedCA is the name, and the associated data, of the sealed CA key.
const sealedCA = "cluster-ca"

// Purposes of MACs, so that a token of one kind is never good as another.
const (
	PurposeAdmin       = "admin"
	PurposeReplication = "replication"
	PurposeJoin        = "join"
	// Those of networks.
	PurposeNetwork      = "network-join"
	PurposeNetworkAdmin = "network-admin"
)

// firstTokenName is the name under which init stores admin and replication tokens.
const firstTokenName = "initial"

// InitConfig is what a new cluster starts with.
type InitConfig struct {
	// DataDir must not hold a member yet.
	DataDir string
	// AdminToken and ReplicationToken are stored as MACs only; empty for none.
	AdminToken       string
	ReplicationToken string
	// Level is the first feature level, 1 when 0.
	Level uint32
	// PeerAdvertise, when set, goes into a first join token that is valid for
	// JoinTokenTTL (1 h when 0) from the first start.
	PeerAdvertise string
	JoinTokenTTL  time.Duration
}

// InitResult names what Init made. JoinToken is a secret, and empty without a
// PeerAdvertise.
type InitResult struct {
	ClusterID string
	MemberID  string
	JoinToken string
}

// bootstrapFile is bootstrap.json: what the first leader puts into the state.
// It holds MACs and ciphertexts only.
type bootstrapFile struct {
	Init   fsm.ClusterInit `json:"init"`
	Sealed []fsm.PutSealed `json:"sealed"`
	Tokens []fsm.PutToken  `json:"tokens,omitempty"`
}

// Init prepares the data directory of the first member of a new cluster. It
// works offline; the first Start applies the seeds.
func Init(ctx context.Context, cfg InitConfig) (InitResult, error) {
	if cfg.PeerAdvertise != "" {
		if err := CheckAdvertise(cfg.PeerAdvertise); err != nil {
			return InitResult{}, err
		}
	}
	dir, err := openNew(ctx, cfg.DataDir)
	if err != nil {
		return InitResult{}, err
	}
	defer dir.close()
	res, _, seeds, err := firstMember(dir, cfg)
	if err != nil {
		return InitResult{}, err
	}
	raw, err := json.Marshal(seeds)
	if err != nil {
		return InitResult{}, err
	}
	if err := dir.write(raw, fileBootstrap); err != nil {
		return InitResult{}, err
	}
	return res, dir.writeMember(memberFile{ClusterID: res.ClusterID, MemberID: res.MemberID})
}

// firstMember makes what the first member of a new cluster begins with: ids,
// the keyring, the CA with this member's certificate, and the first tokens.
func firstMember(dir *dataDir, cfg InitConfig) (res InitResult, ring *keyring.Keyring, seeds bootstrapFile, err error) {
	res = InitResult{ClusterID: uuid.NewString(), MemberID: uuid.NewString()}
	ca, err := peer.NewCA(res.ClusterID)
	if err != nil {
		return res, nil, seeds, err
	}
	if err := os.Remove(dir.file(fileKeyring)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return res, nil, seeds, err // left over from an init that did not finish
	}
	if ring, err = keyring.Create(dir.file(fileKeyring)); err != nil {
		return res, nil, seeds, fmt.Errorf("create keyring: %w", err)
	}
	if err := writeOwnCert(dir, ca, res); err != nil {
		return res, nil, seeds, err
	}
	seeds, res.JoinToken, err = makeSeeds(cfg, ca, ring, res)
	return res, ring, seeds, err
}

func writeOwnCert(dir *dataDir, ca *peer.CA, res InitResult) error {
	key, csr, err := peer.NewMemberKey()
	if err != nil {
		return err
	}
	cert, err := ca.SignMember(csr, res.ClusterID, res.MemberID, time.Now())
	if err != nil {
		return err
	}
	return dir.writeTLS(ca.CertPEM(), cert, key)
}

func makeSeeds(cfg InitConfig, ca *peer.CA, ring *keyring.Keyring, res InitResult) (bootstrapFile, string, error) {
	level := max(cfg.Level, 1)
	b := bootstrapFile{Init: fsm.ClusterInit{ClusterID: res.ClusterID, Level: level}}
	caKey, err := ca.KeyPEM()
	if err != nil {
		return b, "", err
	}
	sealed, err := ring.Seal(ring.Latest(), sealedCA, caKey)
	if err != nil {
		return b, "", fmt.Errorf("seal the CA key: %w", err)
	}
	b.Sealed = []fsm.PutSealed{{Name: sealedCA, Sealed: sealed, Public: ca.CertPEM(), OnlyIfAbsent: true}}
	add := func(kind fsm.TokenKind, name, purpose, secret string, ttl time.Duration) error {
		mac, err := ring.MAC(ring.Latest(), purpose, secret)
		if err != nil {
			return fmt.Errorf("MAC of the %s token: %w", purpose, err)
		}
		b.Tokens = append(b.Tokens, fsm.PutToken{Kind: kind, Name: name, MAC: mac, ExpiresInMS: ttl.Milliseconds(), OnlyIfAbsent: true})
		return nil
	}
	if cfg.AdminToken != "" {
		err = errors.Join(err, add(fsm.TokenAdmin, firstTokenName, PurposeAdmin, cfg.AdminToken, 0))
	}
	if cfg.ReplicationToken != "" {
		err = errors.Join(err, add(fsm.TokenReplication, firstTokenName, PurposeReplication, cfg.ReplicationToken, 0))
	}
	token := ""
	if cfg.PeerAdvertise != "" {
		orDefault(&cfg.JoinTokenTTL, time.Hour)
		t := peer.Token{ClusterID: res.ClusterID, Addrs: []string{cfg.PeerAdvertise}, CASHA256: ca.Hash(), Name: "join-" + uuid.NewString(), Secret: newSecret()}
		err = errors.Join(err, add(fsm.TokenJoin, t.Name, PurposeJoin, t.Secret, cfg.JoinTokenTTL))
		token = t.String()
	}
	return b, token, err
}

// newSecret is 256 random bits in base64url.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// seedCommands are the first commands of a new cluster, or none when they have
// been applied. Repeating them is harmless.
func (d *dataDir) seedCommands() ([]fsm.Envelope, error) {
	raw, err := os.ReadFile(d.file(fileBootstrap))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var b bootstrapFile
	if err := json.Unmarshal(raw, &b); err != nil || b.Init.ClusterID == "" {
		return nil, fmt.Errorf("%s is damaged: initialise again in an empty directory", d.file(fileBootstrap))
	}
	var cmds []fsm.Envelope
	add := func(code protocol.Code, body any) {
		env, encErr := envelope(code, body)
		err = errors.Join(err, encErr)
		cmds = append(cmds, env)
	}
	add(fsm.KindClusterInit, b.Init)
	for _, s := range b.Sealed {
		add(fsm.KindPutSealed, s)
	}
	for _, t := range b.Tokens {
		add(fsm.KindPutToken, t)
	}
	return cmds, err
}

// seeded forgets the first commands once they are applied.
func (d *dataDir) seeded() error { return d.remove(fileBootstrap) }
