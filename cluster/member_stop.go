// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
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
		n.self.draining.Store(true)
		n.self.changed.signal()
		if _, bad := n.health.Quarantined(); !bad {
			n.writes.drain(ctx)
			n.term.handOver(ctx)
		}
		err = n.stop()
	})
	return err
}

// stop ends everything, in an order in which nothing waits for what is gone:
// the goroutines that use raft, raft, the network, the disk.
func (n *Member) stop() error {
	n.self.stopping.Store(true)
	n.cancel()
	failures := []error{}
	if err := n.engine.stop(); err != nil {
		failures = append(failures, fmt.Errorf("stop raft: %w", err))
	}
	close(n.self.dead)
	n.self.changed.signal()
	n.engine.client.Close()
	n.engine.server.Close()
	n.self.wg.Wait()
	n.reads.rounds.wg.Wait()
	n.metrics.unregister(n)
	failures = append(failures, n.engine.store.Close(), n.marks.save(), n.dir.remove(filePeerAddr))
	n.dir.close()
	n.self.log.Info("member stopped", "member", n.self.id)
	return errors.Join(failures...)
}
