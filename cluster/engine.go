// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/peer"
	"github.com/pilotregistry/pilotregistry/cluster/base/store"
	"github.com/pilotregistry/pilotregistry/cluster/base/termguard"
)

// engine is raft and what it stands on: the log, the transport, the connections
// between members, and the state machine it drives.
type engine struct {
	*self
	dir     *dataDir
	health  *health
	metrics *metrics
	ops     *storeOps
	marks   *marks
	confirm *confirmation
	// address is where a member can be reached.
	address func(id string) (string, bool)

	fsm    *adapter
	store  *store.Store
	snaps  *store.Snapshots
	terms  *termguard.Guard
	trans  *termguard.Transport
	raft   *raft.Raft
	server *peer.Server
	client *peer.Client
}

// addressProvider tells raft where a member is and, for Dial, which member it means.
type addressProvider func(id string) (string, bool)

// ServerAddr is called for every dial.
func (p addressProvider) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	addr, ok := p(string(id))
	if !ok {
		return "", fmt.Errorf("no address known for member %s", id)
	}
	return peer.RaftAddress(string(id), addr), nil
}

// open opens the store and starts raft, bootstrapping a new cluster.
func (e *engine) open(notify chan<- bool) error {
	var err error
	if e.store, err = store.Open(e.dir.file(dirRaft), e.cfg.LogStore, e.storeOptions()); err != nil {
		return e.health.refuseDamage(err)
	}
	cached, err := raft.NewLogCache(512, e.store)
	if err != nil {
		return err
	}
	snaps, err := store.OpenSnapshots(e.dir.path, 2, e.log.Named("snapshot"), e.health.storeFailed)
	if err != nil {
		return err
	}
	e.snaps = snaps
	e.terms = termguard.New(termguard.Options{
		Member: e.id, OnFork: e.forked, OnStale: e.mustRestart, Applied: e.applied.index.Load, Logger: e.log.Named("term"),
		Withheld: e.confirm.withheld, Acknowledged: e.marks.acknowledged,
		Overtake: e.cfg.hooks.overtake,
	})
	e.trans = e.terms.Transport(raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		// One request in flight: raft's pipeline can wedge for good on a stalled peer.
		ServerAddressProvider: addressProvider(e.address), Stream: e.server.Raft(e.cfg.hooks.dial), MaxPool: 3, MaxRPCsInFlight: 1,
		Timeout: 10 * time.Second, Logger: e.log.Named("raft-net"), MsgpackUseNewTimeFormat: true,
	}))
	conf := e.raftConfig(notify)
	known := e.store.Applied() // before a snapshot that is restored sets it
	if err := e.bootstrap(conf, cached, snaps); err != nil {
		return err
	}
	if e.raft, err = e.newRaft(conf, e.terms.Logs(cached), snaps); err != nil {
		return e.health.refuseDamage(fmt.Errorf("start raft: %w", err))
	}
	e.terms.Watch(e.raft)
	return e.health.refuseDamage(e.fsm.reapply(cached, known))
}

// storeOptions lets the watchdog and the metrics see every disk operation.
func (e *engine) storeOptions() store.Options {
	return store.Options{
		Member: e.id,
		OnOp: func(name string) func(error) {
			end := e.ops.begin(name)
			if e.cfg.hooks.storeOp != nil {
				e.cfg.hooks.storeOp(name)
			}
			return func(error) { e.metrics.storeOp(name, end()) }
		},
		OnFailure: e.health.storeFailed,
	}
}

// noteApplied remembers how far the log is known to be committed.
func (e *engine) noteApplied(index uint64) {
	if err := e.store.SetApplied(index); err != nil {
		e.health.storeFailed(err)
	}
}

// forked ends the member before it applies anything more: its log holds what
// the log of the member that leads does not hold.
func (e *engine) forked(reason string) {
	e.fsm.stopApplying()
	e.health.fatal(ExitDamaged, reason+"; move the data directory away and join the cluster again; if more than one member says so, keep all data directories")
}

// mustRestart ends the member so that raft reads again what its log holds.
func (e *engine) mustRestart(reason string) {
	e.health.fatal(ExitStalled, reason+"; nothing is lost: start the member again")
}

// newRaft starts raft. Without a usable snapshot that reaches the log, raft
// fails without saying why, or panics on the first entry that is not there.
func (e *engine) newRaft(conf *raft.Config, logs raft.LogStore, snaps *store.Snapshots) (r *raft.Raft, err error) {
	defer func() {
		p := recover()
		if cause, ok := p.(error); ok && errors.Is(cause, raft.ErrLogNotFound) {
			r, err = nil, &store.DamageError{Path: e.dir.path, Reason: "the log begins later than the newest usable snapshot ends"}
		} else if p != nil {
			panic(p)
		}
		if err != nil && snaps.Damage() != nil {
			err = snaps.Damage()
		}
	}()
	if err := dropReplaced(logs, snaps); err != nil {
		return nil, err
	}
	return raft.NewRaft(conf, e.fsm, logs, e.terms.Stable(e.store), snaps, e.trans)
}

// dropReplaced finishes what a crash interrupted: the removal of a log that a
// snapshot from the leader has replaced. It is called before raft reads where
// its log ends.
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
	if err != nil || first > metas[0].Index {
		return err
	}
	var end raft.Log
	if err := logs.GetLog(min(last, metas[0].Index), &end); err != nil || (end.Index == metas[0].Index && end.Term == metas[0].Term) {
		return err
	}
	_, snapshot, err := snaps.Open(metas[0].ID)
	if err != nil {
		return nil // damaged: raft looks for an older one, which may need this log
	}
	return errors.Join(snapshot.Close(), logs.DeleteRange(first, last))
}

func (e *engine) raftConfig(notify chan<- bool) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(e.id)
	c.HeartbeatTimeout, c.ElectionTimeout = e.cfg.Timeouts.Heartbeat, e.cfg.Timeouts.Election
	c.LeaderLeaseTimeout, c.CommitTimeout = e.cfg.Timeouts.LeaderLease, e.cfg.Timeouts.Commit
	c.MaxAppendEntries = 512
	c.TrailingLogs, c.SnapshotThreshold, c.SnapshotInterval = e.cfg.Snapshots.TrailingLogs, e.cfg.Snapshots.Threshold, e.cfg.Snapshots.Interval
	// A removed member stays up to say that it was removed; it has no vote.
	c.ShutdownOnRemove = false
	c.NotifyCh = notify
	c.NoLegacyTelemetry = true
	c.Logger = e.log.Named("raft")
	return c
}

// bootstrap writes the first configuration of a new cluster: this member alone.
func (e *engine) bootstrap(conf *raft.Config, logs raft.LogStore, snaps raft.SnapshotStore) error {
	if _, err := os.Stat(e.dir.file(fileBootstrap)); err != nil {
		return nil
	}
	exists, err := raft.HasExistingState(logs, e.store, snaps)
	if err != nil || exists {
		return err
	}
	self := raft.Server{ID: raft.ServerID(e.id), Address: raft.ServerAddress(e.cfg.PeerAdvertise), Suffrage: raft.Voter}
	return raft.BootstrapCluster(conf, logs, e.store, snaps, e.trans, raft.Configuration{Servers: []raft.Server{self}})
}

// cutOff closes the listener and every connection, without waiting.
func (e *engine) cutOff() {
	e.server.Abort()
	e.client.CloseConns()
}

const (
	// raftStopPatience is how long replication under way may take to end by
	// itself, raftStopLimit how long raft may take to stop altogether.
	raftStopPatience = 250 * time.Millisecond
	raftStopLimit    = 5 * time.Second
)

// stop ends raft. A replication that waits for the answer of a peer that
// does not answer ends with its connection.
func (e *engine) stop() error {
	stopped := make(chan error, 1)
	go func() { stopped <- e.raft.Shutdown().Error() }()
	select {
	case err := <-stopped:
		return errors.Join(err, e.trans.Close())
	case <-time.After(raftStopPatience):
	}
	closed := e.trans.Close()
	select {
	case err := <-stopped:
		return errors.Join(err, closed)
	case <-time.After(raftStopLimit): // a bug of raft's must not keep the process
		return errors.New("raft did not stop in time")
	}
}

// abandon closes what a start that failed half-way has opened.
func (e *engine) abandon() {
	if e.raft != nil {
		_ = e.raft.Shutdown().Error()
	}
	if e.server != nil {
		e.server.Close()
	}
	if e.client != nil {
		e.client.Close()
	}
	if e.trans != nil {
		_ = e.trans.Close()
	}
	if e.store != nil {
		_ = e.store.Close()
	}
}
