// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// RestoreConfig says what a cluster is restored from.
type RestoreConfig struct {
	// DataDir must not hold a member yet.
	DataDir string
	// Backup is a state as `pilotctl cluster snapshot save` writes it, decrypted.
	Backup io.Reader
	// Keyring is the exported keyring of the cluster that was backed up, of the
	// backup's time or later.
	Keyring []byte
	// PeerAdvertise is where other members will reach this one. It goes into
	// the first join token, valid for JoinTokenTTL (24 h when 0).
	PeerAdvertise string
	JoinTokenTTL  time.Duration
	// LogStore is the kind of log store that the member will run with.
	LogStore string
	// RunSinks lets audit exports and webhooks go on where the backup was.
	RunSinks bool
}

// RestoreResult says what was restored. JoinToken is a secret.
type RestoreResult struct {
	InitResult
	// From is the state in the backup, Root the first one of the new cluster.
	From, Root *fsm.Root
}

// Restore prepares the data directory of the first member of a new cluster
// that holds the state of a backup: nodes, networks, tokens and the audit
// trail as they were, with another cluster id, another cluster CA and no
// member but this one. It works offline; start the member as usual.
func Restore(ctx context.Context, cfg RestoreConfig) (RestoreResult, error) {
	var res RestoreResult
	if err := CheckAdvertise(cfg.PeerAdvertise); err != nil {
		return res, err
	}
	dir, err := openNew(ctx, cfg.DataDir)
	if err != nil {
		return res, err
	}
	defer dir.close()
	machine := fsm.New()
	if err := machine.Restore(cfg.Backup); err != nil {
		return res, fmt.Errorf("the backup cannot be used: %w", err)
	}
	res.From = machine.Root()
	if err := ctx.Err(); err != nil {
		return res, err
	}
	ring, err := dir.importKeyring(cfg.Keyring, res.From)
	if err != nil {
		return res, err
	}
	res.ClusterID, res.MemberID = uuid.NewString(), uuid.NewString()
	if res.JoinToken, err = refoundAsNew(dir, machine, ring, &cfg, res.InitResult); err != nil {
		return res, err
	}
	res.Root = machine.Root()
	if err := found(dir, machine, cfg.LogStore, res.MemberID, cfg.PeerAdvertise); err != nil {
		return res, err
	}
	return res, dir.writeMember(memberFile{ClusterID: res.ClusterID, MemberID: res.MemberID})
}

// importKeyring takes a keyring over after it has opened the CA key of the
// state: a keyring of another cluster would make every token invalid.
func (d *dataDir) importKeyring(exported []byte, root *fsm.Root) (*keyring.Keyring, error) {
	if err := os.Remove(d.file(fileKeyring)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err // left over from a restore that did not finish
	}
	ring, err := keyring.Import(d.file(fileKeyring), exported)
	if err != nil {
		return nil, fmt.Errorf("the keyring cannot be used: %w", err)
	}
	if sealed, _, ok := root.Sealed(sealedCA); ok {
		if _, err := ring.Unseal(sealed, sealedCA); err != nil {
			return nil, fmt.Errorf("the keyring is not that of the cluster that was backed up, or older than the backup: %w", err)
		}
	}
	return ring, nil
}

// refoundAsNew gives the state a new cluster id and CA, writes this member's
// certificate and returns the join token of the next member.
func refoundAsNew(dir *dataDir, machine *fsm.Machine, ring *keyring.Keyring, cfg *RestoreConfig, id InitResult) (string, error) {
	ca, err := peer.NewCA(id.ClusterID)
	if err != nil {
		return "", err
	}
	if err := writeOwnCert(dir, ca, id); err != nil {
		return "", err
	}
	orDefault(&cfg.JoinTokenTTL, 24*time.Hour)
	init := InitConfig{PeerAdvertise: cfg.PeerAdvertise, JoinTokenTTL: cfg.JoinTokenTTL}
	seeds, token, err := makeSeeds(init, ca, ring, id)
	if err != nil {
		return "", err
	}
	seeds.Sealed[0].OnlyIfAbsent = false
	root := machine.Root()
	return token, machine.Refound(&fsm.Refounding{ClusterID: id.ClusterID, Time: time.Now().UnixMilli(), Term: root.Term() + 1,
		Action: protocol.EventClusterRestored, Sealed: seeds.Sealed, Token: &seeds.Tokens[0], HoldSinks: !cfg.RunSinks})
}

// found makes a state the whole log of a data directory: a snapshot whose only
// member is this one, an empty log, and the state's term.
func found(dir *dataDir, machine *fsm.Machine, logStore, member, advertise string) error {
	snap := machine.Snapshot()
	var failed error
	snaps, err := store.OpenSnapshots(dir.path, 2, hclog.NewNullLogger(), func(err error) { failed = errors.Join(failed, err) })
	if err != nil {
		return err
	}
	conf := raft.Configuration{Servers: []raft.Server{{ID: raft.ServerID(member), Address: raft.ServerAddress(advertise), Suffrage: raft.Voter}}}
	_, trans := raft.NewInmemTransport("") // encodes addresses only
	sink, err := snaps.Create(1, snap.Index(), snap.Term(), conf, snap.Index(), trans)
	if err != nil {
		return err
	}
	if err := snap.Write(sink); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	if err := errors.Join(sink.Close(), failed); err != nil {
		return err
	}
	if logStore == "" {
		logStore = store.KindBolt
	}
	logs, err := store.Open(dir.file(dirRaft), logStore, store.Options{Member: member})
	if err != nil {
		return err
	}
	return errors.Join(logs.SetUint64([]byte("CurrentTerm"), snap.Term()), logs.Close())
}
