// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/pilotregistry/pilotregistry/cluster/base/store"
)

// serving tells whether this member may answer at all.
type serving interface {
	Quarantined() (reason string, yes bool)
}

// health says whether this member may serve, and ends it when it
// cannot continue: what is found by the watchdog, by the comparison of digests and by the
// disk comes together here.
type health struct {
	*self
	// quarantined shows the quarantine in the metrics.
	quarantined interface{ Set(v float64) }

	quarantine atomic.Pointer[string]
	// diverged stops writes: no majority agrees on a digest.
	diverged  atomic.Pointer[string]
	fatalOnce sync.Once
}

// Quarantined says whether and why this member has stopped serving.
func (h *health) Quarantined() (reason string, yes bool) {
	if r := h.quarantine.Load(); r != nil {
		return *r, true
	}
	return "", false
}

// writesStopped says whether and why no member may write.
func (h *health) writesStopped() (reason string, yes bool) {
	if r := h.diverged.Load(); r != nil {
		return *r, true
	}
	return "", false
}

// stopWrites stops writes for a reason, or allows them again when it is empty.
func (h *health) stopWrites(reason string) {
	if reason == "" {
		h.diverged.Store(nil)
		return
	}
	h.diverged.Store(&reason)
}

// quarantineSelf takes this member out of service: it answers no read or
// write. Status and health stay, so that the operator learns why. It reports
// whether the member was in service before.
func (h *health) quarantineSelf(reason string) bool {
	if !h.quarantine.CompareAndSwap(nil, &reason) {
		return false
	}
	h.log.Error("this member is quarantined", "reason", reason)
	h.quarantined.Set(1)
	h.changed.signal()
	return true
}

// storeFailed ends the member: after a failed write or fsync nobody knows what
// is on the disk, and damaged data must not vote. Entries that arrive damaged
// over the network are not a failure of this disk.
func (h *health) storeFailed(err error) {
	var damage *store.DamageError
	switch {
	case errors.As(err, &damage):
		h.fatal(ExitDamaged, err.Error())
	case h.stopping.Load():
	default:
		h.fatal(ExitStalled, fmt.Sprintf("the disk failed: %v; check the disk of %s, then start the member again", err, h.cfg.DataDir))
	}
}

// refuseDamage ends the member when the error says that its data must not be used.
func (h *health) refuseDamage(err error) error {
	var damage *store.DamageError
	if errors.As(err, &damage) {
		h.fatal(ExitDamaged, err.Error())
	}
	return err
}

// fatal reports once and hands the process's end to the configured hook.
func (h *health) fatal(code int, reason string) {
	h.fatalOnce.Do(func() {
		h.log.Error("this member must stop", "exit_code", code, "reason", reason)
		h.quarantine.CompareAndSwap(nil, &reason)
		h.cfg.Fatal(code, reason)
	})
}
