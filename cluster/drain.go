// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
)

const (
	transferTries = 3
	// drainLimit bounds the wait for proposals in flight when ctx does not.
	drainLimit = 5 * time.Second
)

// Shutdown leaves service without hurting clients: it refuses new proposals,
// waits for those in flight, hands leadership over, waits until the new leader
// is known, and stops. It does not leave the cluster. ctx bounds the polite
// part; the member stops in any case.
func (n *Member) Shutdown(ctx context.Context) error {
	var err error
	n.stopOnce.Do(func() {
		n.draining.Store(true)
		n.changed.signal()
		if _, bad := n.Quarantined(); !bad {
			n.drain(ctx)
			n.handOver(ctx)
		}
		err = n.stop()
	})
	return err
}

func (n *Member) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	for n.inflight.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (n *Member) handOver(ctx context.Context) {
	for try := 0; try < transferTries && n.raft.State() == raft.Leader && len(n.voters()) > 1 && ctx.Err() == nil; try++ {
		if err := n.raft.LeadershipTransfer().Error(); err != nil {
			n.log.Warn("leadership was not handed over", "try", try+1, "error", err)
			continue
		}
		fault.Hit(fault.DrainTransferAfter)
		n.awaitSuccessor(ctx)
	}
}

// awaitSuccessor waits until another leader is known, so that members that
// still ask this one are sent on.
func (n *Member) awaitSuccessor(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*n.cfg.Timeouts.Election)
	defer cancel()
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	for leader := n.leaderID(); leader == "" || leader == n.id; leader = n.leaderID() {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

const (
	// raftStopPatience is how long replication under way may take to end by
	// itself, raftStopLimit how long raft may take to stop altogether.
	raftStopPatience = 250 * time.Millisecond
	raftStopLimit    = 5 * time.Second
)

// stopRaft ends raft. A replication that waits for the answer of a peer that
// does not answer ends with its connection.
func (n *Member) stopRaft() error {
	stopped := make(chan error, 1)
	go func() { stopped <- n.raft.Shutdown().Error() }()
	select {
	case err := <-stopped:
		return errors.Join(err, n.trans.Close())
	case <-time.After(raftStopPatience):
	}
	closed := n.trans.Close()
	select {
	case err := <-stopped:
		return errors.Join(err, closed)
	case <-time.After(raftStopLimit): // a bug of raft's must not keep the process
		return errors.New("raft did not stop in time")
	}
}

// stop ends everything, in an order in which nothing waits for what is gone:
// the goroutines that use raft, raft, the network, the disk.
func (n *Member) stop() error {
	n.stopping.Store(true)
	n.cancel()
	failures := []error{}
	if err := n.stopRaft(); err != nil {
		failures = append(failures, fmt.Errorf("stop raft: %w", err))
	}
	close(n.dead)
	n.changed.signal()
	n.client.Close()
	n.server.Close()
	n.wg.Wait()
	n.rounds.wg.Wait()
	n.metrics.unregister(n)
	failures = append(failures, n.store.Close(), n.dir.remove(filePeerAddr))
	n.dir.close()
	n.log.Info("member stopped", "member", n.id)
	return errors.Join(failures...)
}
