// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// ImportConfig says what a cluster is made from.
type ImportConfig struct {
	// InitConfig is what a new cluster starts with.
	InitConfig
	// Doc is what the file of the other registry holds, checked, and Source the
	// SHA-256 of the file, in hexadecimal.
	Doc    *fsm.ReplicationDoc
	Source string
	// JoinTokens and AdminTokens are those of networks, ExportToken is that of
	// the audit export. They are hashed and sealed with the new keyring.
	JoinTokens, AdminTokens map[uint16]protocol.Secret
	ExportToken             protocol.Secret
	// Keys are the forms by which external ids are compared.
	Keys func(externalID string) protocol.IDKeys
	// WireCert and WireKey, when set, are what clients pin (PEM).
	WireCert, WireKey []byte
	// RunSinks lets the audit export begin at once.
	RunSinks bool
	// LogStore is the kind of log store that the member will run with.
	LogStore string
}

// ImportResult says what was made. JoinToken is a secret.
type ImportResult struct {
	InitResult
	Root *fsm.Root
}

// ImportState prepares the data directory of the first member of a new cluster
// that holds what the file of another registry holds. It works offline; start
// the member as usual.
func ImportState(ctx context.Context, cfg ImportConfig) (ImportResult, error) {
	var res ImportResult
	if err := CheckAdvertise(cfg.PeerAdvertise); err != nil {
		return res, err
	}
	dir, err := openNew(ctx, cfg.DataDir)
	if err != nil {
		return res, err
	}
	defer dir.close()
	orDefault(&cfg.JoinTokenTTL, 24*time.Hour)
	var ring *keyring.Keyring
	var seeds bootstrapFile
	if res.InitResult, ring, seeds, err = firstMember(dir, cfg.InitConfig); err != nil {
		return res, err
	}
	if err := ring.SetWireCert(cfg.WireCert, cfg.WireKey); err != nil {
		return res, err
	}
	machine := fsm.New()
	in, err := cfg.sealed(ring)
	if err != nil {
		return res, err
	}
	in.Init, in.Sealed, in.Tokens = seeds.Init, seeds.Sealed, seeds.Tokens
	if err := machine.Import(in); err != nil {
		return res, fmt.Errorf("the file cannot be imported: %w", err)
	}
	res.Root = machine.Root()
	if err := found(dir, machine, cfg.LogStore, res.MemberID, cfg.PeerAdvertise); err != nil {
		return res, err
	}
	return res, dir.writeMember(memberFile{ClusterID: res.ClusterID, MemberID: res.MemberID})
}

// TryImport says what would keep a file from being imported. It writes nothing.
func TryImport(cfg ImportConfig) error {
	in := &fsm.Import{Init: fsm.ClusterInit{ClusterID: "none", Level: cfg.Level}, Time: time.Now().UnixMilli(), Source: cfg.Source, Doc: cfg.Doc, Keys: cfg.Keys}
	if err := fsm.New().Import(in); err != nil {
		return fmt.Errorf("the file cannot be imported: %w", err)
	}
	return nil
}

// sealed hashes and encrypts the secrets of the file.
func (cfg *ImportConfig) sealed(ring *keyring.Keyring) (*fsm.Import, error) {
	in := &fsm.Import{Time: time.Now().UnixMilli(), Source: cfg.Source, Doc: cfg.Doc, Keys: cfg.Keys, HoldSinks: !cfg.RunSinks,
		JoinTokens: map[uint16]protocol.MAC{}, AdminTokens: map[uint16]protocol.MAC{}}
	_, _ = rand.Read(in.Seed[:]) // never fails since Go 1.24
	for _, of := range []struct {
		secrets map[uint16]protocol.Secret
		macs    map[uint16]protocol.MAC
		purpose string
	}{{cfg.JoinTokens, in.JoinTokens, PurposeNetwork}, {cfg.AdminTokens, in.AdminTokens, PurposeNetworkAdmin}} {
		for net, secret := range of.secrets {
			mac, err := ring.MAC(ring.Latest(), of.purpose, string(secret))
			if err != nil {
				return nil, err
			}
			of.macs[net] = mac
		}
	}
	if cfg.ExportToken == "" {
		return in, nil
	}
	var err error
	in.ExportToken, err = ring.Seal(ring.Latest(), protocol.SinkSecretName(protocol.SinkNameExport), []byte(cfg.ExportToken))
	return in, err
}
