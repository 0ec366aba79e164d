// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/cluster/base/termguard"
)

// openRaft opens the store and starts raft, bootstrapping a new cluster.
func (n *Member) openRaft(notify chan<- bool) error {
	var err error
	if n.store, err = store.Open(n.dir.file(dirRaft), n.cfg.LogStore, n.storeOptions()); err != nil {
		return n.refuseDamage(err)
	}
	cached, err := raft.NewLogCache(512, n.store)
	if err != nil {
		return err
	}
	snaps, err := store.OpenSnapshots(n.dir.path, 2, n.log.Named("snapshot"), n.storeFailed)
	if err != nil {
		return err
	}
	n.terms = termguard.New(termguard.Options{
		Member: n.id, OnFork: n.forked, OnPhantom: n.mustRestart, Applied: n.applied.index.Load, Logger: n.log.Named("term"),
		Overtake: n.cfg.hooks.overtake,
	})
	n.trans = n.terms.Transport(raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		// One request in flight: raft's pipeline can wedge for good on a stalled peer.
		ServerAddressProvider: addressProvider{n}, Stream: n.server.Raft(n.cfg.hooks.dial), MaxPool: 3, MaxRPCsInFlight: 1,
		Timeout: 10 * time.Second, Logger: n.log.Named("raft-net"), MsgpackUseNewTimeFormat: true,
	}))
	conf := n.raftConfig(notify)
	known := n.store.Applied() // before a snapshot that is restored sets it
	if err := n.bootstrap(conf, cached, snaps); err != nil {
		return err
	}
	if n.raft, err = n.newRaft(conf, n.terms.Logs(cached), snaps); err != nil {
		return n.refuseDamage(fmt.Errorf("start raft: %w", err))
	}
	n.terms.Watch(n.raft)
	return n.refuseDamage(n.fsm.reapply(cached, known))
}

// noteApplied remembers how far the log is known to be committed.
func (n *Member) noteApplied(index uint64) {
	if err := n.store.SetApplied(index); err != nil {
		n.storeFailed(err)
	}
}

// forked ends the member before it applies anything more: its log holds what
// the log of the member that leads does not hold.
func (n *Member) forked(reason string) {
	n.fsm.stopApplying()
	n.fatal(ExitDamaged, reason+"; move the data directory away and join the cluster again; if more than one member says so, keep all data directories")
}

// mustRestart ends the member so that it reads its configuration from the log again.
func (n *Member) mustRestart(reason string) {
	n.fatal(ExitStalled, reason+"; nothing is lost: start the member again")
}

// refuseDamage ends the member when the error says that its data must not be used.
func (n *Member) refuseDamage(err error) error {
	var damage *store.DamageError
	if errors.As(err, &damage) {
		n.fatal(ExitDamaged, err.Error())
	}
	return err
}

// newRaft starts raft. Without a usable snapshot that reaches the log, raft
// fails without saying why, or panics on the first entry that is not there.
func (n *Member) newRaft(conf *raft.Config, logs raft.LogStore, snaps *store.Snapshots) (r *raft.Raft, err error) {
	defer func() {
		p := recover()
		if cause, ok := p.(error); ok && errors.Is(cause, raft.ErrLogNotFound) {
			r, err = nil, &store.DamageError{Path: n.dir.path, Reason: "the log begins later than the newest usable snapshot ends"}
		} else if p != nil {
			panic(p)
		}
		if err != nil && snaps.Damage() != nil {
			err = snaps.Damage()
		}
	}()
	if r, err = raft.NewRaft(conf, n.fsm, logs, n.terms.Stable(n.store), snaps, n.trans); err != nil {
		return nil, err
	}
	return r, dropReplaced(logs, snaps)
}

// dropReplaced finishes what a crash interrupted: the removal of a log that a
// snapshot from the leader has replaced. It is called before other members can
// send anything.
func dropReplaced(logs raft.LogStore, snaps *store.Snapshots) error {
	metas, err := snaps.List()
	if err != nil || len(metas) == 0 {
		return err
	}
	first, err := logs.FirstIndex()
	if err != nil || first == 0 {
		return err
	}
	last, err := logs.LastIndex()
	if err != nil || last > metas[0].Index {
		return err
	}
	var end raft.Log
	if err := logs.GetLog(last, &end); err != nil || (last == metas[0].Index && end.Term == metas[0].Term) {
		return err
	}
	return logs.DeleteRange(first, last)
}

func (n *Member) raftConfig(notify chan<- bool) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(n.id)
	c.HeartbeatTimeout, c.ElectionTimeout = n.cfg.Timeouts.Heartbeat, n.cfg.Timeouts.Election
	c.LeaderLeaseTimeout, c.CommitTimeout = n.cfg.Timeouts.LeaderLease, n.cfg.Timeouts.Commit
	c.MaxAppendEntries = 512
	c.TrailingLogs, c.SnapshotThreshold, c.SnapshotInterval = n.cfg.Snapshots.TrailingLogs, n.cfg.Snapshots.Threshold, n.cfg.Snapshots.Interval
	// A removed member stays up to say that it was removed; it has no vote.
	c.ShutdownOnRemove = false
	c.NotifyCh = notify
	c.NoLegacyTelemetry = true
	c.Logger = n.log.Named("raft")
	return c
}

// bootstrap writes the first configuration of a new cluster: this member alone.
func (n *Member) bootstrap(conf *raft.Config, logs raft.LogStore, snaps raft.SnapshotStore) error {
	if _, err := os.Stat(n.dir.file(fileBootstrap)); err != nil {
		return nil
	}
	exists, err := raft.HasExistingState(logs, n.store, snaps)
	if err != nil || exists {
		return err
	}
	self := raft.Server{ID: raft.ServerID(n.id), Address: raft.ServerAddress(n.cfg.PeerAdvertise), Suffrage: raft.Voter}
	return raft.BootstrapCluster(conf, logs, n.store, snaps, n.trans, raft.Configuration{Servers: []raft.Server{self}})
}
