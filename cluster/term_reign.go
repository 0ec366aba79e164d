// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// establishLimit is how long a new leader may take to begin its term before
// it hands leadership to somebody who can.
const establishLimit = 5 * time.Second

// reign is one term of leadership on this member.
type reign struct {
	term   uint64
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func (r *reign) end() {
	r.cancel()
	r.wg.Wait()
}

// watch turns raft's notifications into reigns. Raft blocks on the channel, so
// another goroutine drains it; what counts is the state now, which also covers
// flips that were missed: a reign belongs to its term.
func (t *term) watch(ctx context.Context, notify <-chan bool) {
	kick := make(chan struct{}, 1)
	t.run(func() {
		for {
			select {
			case <-t.dead:
				return
			case <-notify:
				t.changes.Inc()
				t.changed.signal()
				select {
				case kick <- struct{}{}:
				default:
				}
			}
		}
	})
	var cur *reign
	defer func() {
		if cur != nil {
			t.readyTerm.Store(0)
			cur.end()
		}
	}()
	t.observeLeaders()
	for {
		leader, term := t.raft.State() == raft.Leader, t.raft.CurrentTerm()
		if cur != nil && (!leader || cur.term != term) {
			t.readyTerm.CompareAndSwap(cur.term, 0)
			cur.end()
			cur = nil
			continue // the state may have changed while the duties ended
		}
		if leader && cur == nil {
			cur = t.reign(ctx, term)
		}
		select {
		case <-ctx.Done():
			return
		case <-kick:
		}
	}
}

func (t *term) reign(ctx context.Context, term uint64) *reign {
	ctx, cancel := context.WithCancel(ctx)
	r := &reign{term: term, cancel: cancel}
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		if err := t.establish(ctx, term); err != nil {
			if ctx.Err() == nil && t.raft.State() == raft.Leader {
				t.log.Error("cannot begin the term, giving leadership away", "term", term, "error", err)
				_ = t.raft.LeadershipTransfer().Error()
			}
			return
		}
		t.log.Info("leading", "term", term)
		for _, d := range t.duties() {
			r.wg.Add(1)
			go func() {
				defer r.wg.Done()
				d.Run(ctx, dutyEnv{in: t, term: term, log: t.log.Named(d.Name())})
			}()
		}
	}()
	return r
}

// establish begins a term for the state machine: the voters' clocks give the
// time base, and the term's first command, once applied here, proves that the
// commit index is current and that everything committed before is in the state.
func (t *term) establish(ctx context.Context, term uint64) error {
	ctx, cancel := context.WithTimeout(ctx, establishLimit)
	defer cancel()
	t.clock.forget()
	for {
		changed := t.changed.next()
		clocks, err := t.reads.askVoters(ctx, term, clockLinger)
		if err == nil {
			logTime := t.Root().Now()
			m := median(clocks, logTime)
			t.clock.set(m, logTime)
			t.clock.compare(m)
			err = t.beginTerm(ctx, term)
		}
		if err == nil {
			t.readyTerm.Store(term)
			t.changed.signal()
			return nil
		}
		if !rest(ctx, changed, 20*time.Millisecond) || t.raft.State() != raft.Leader || t.raft.CurrentTerm() != term {
			return err
		}
	}
}

// beginTerm proposes term_start, preceded by the seeds of a new cluster.
func (t *term) beginTerm(ctx context.Context, term uint64) error {
	seeds, err := t.seeds.seedCommands()
	if err != nil {
		return err
	}
	fault.Hit(fault.TermStartBefore)
	start, err := envelope(fsm.KindTermStart, fsm.TermStart{Term: term, LeaderID: t.id, Version: t.cfg.Version})
	if err != nil {
		return err
	}
	if len(seeds) > 0 {
		// cluster_init must come before everything else.
		if err := t.applyAll(ctx, term, seeds); err != nil {
			return fmt.Errorf("seed the cluster: %w", err)
		}
	}
	if err := t.applyAll(ctx, term, []fsm.Envelope{start}); err != nil {
		return fmt.Errorf("term_start: %w", err)
	}
	fault.Hit(fault.TermStartAfter)
	if got := t.Root().ClusterID(); got != t.clusterID {
		t.health.fatal(ExitDamaged, fmt.Sprintf("the log in %s belongs to cluster %q, the certificates to %q; restore the right files, or join again with an empty directory", t.cfg.DataDir, got, t.clusterID))
		return fmt.Errorf("the log belongs to cluster %q", got)
	}
	if len(seeds) > 0 {
		return t.seeds.seeded()
	}
	return nil
}

func (t *term) applyAll(ctx context.Context, term uint64, cmds []fsm.Envelope) error {
	results, e := t.writes.applyEntry(ctx, &fsm.Entry{Time: t.clock.now().UnixMilli(), Term: term, Envelopes: cmds})
	if e != nil {
		return e
	}
	for i, r := range results {
		if r.Err != nil && !alreadyDone(cmds[i].Code, r.Err) {
			return r.Err
		}
	}
	return nil
}

// alreadyDone recognises the refusal of a seed that an earlier start applied.
func alreadyDone(code protocol.Code, e *protocol.Error) bool {
	return code == fsm.KindClusterInit && e.Code == protocol.CodeAlreadyExists
}
