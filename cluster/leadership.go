// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/pilotregistry/pilotregistry/cluster/base/fault"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// establishLimit is how long a new leader may take to begin its term before
// it hands leadership to somebody who can.
const establishLimit = 5 * time.Second

// Duty is work that only the leader does. Run is started after the term's
// first command has been applied here and must return soon after ctx ends,
// which is when leadership ends; the next term's duties wait for it.
type Duty interface {
	Name() string
	Run(ctx context.Context, d DutyEnv)
}

// DutyEnv is a duty's view of the cluster, bound to one term.
type DutyEnv interface {
	// Term is the term this duty runs in.
	Term() uint64
	// Now is the time the next entry would carry.
	Now() time.Time
	Root() *fsm.Root
	// Applied waits until this member's state has an index, or for ctx.
	Applied(ctx context.Context, index uint64) error
	// Propose puts a command into the log only while the term lasts. It tries
	// once: stale_term and not_leader mean that the term is over, an unknown
	// outcome that the next term's duty must look at the state.
	Propose(ctx context.Context, env fsm.Envelope) (fsm.Result, *protocol.Error)
	Logger() hclog.Logger
	// Keyring opens what the state keeps encrypted.
	Keyring() *keyring.Keyring
}

type dutyEnv struct {
	node *Member
	term uint64
	log  hclog.Logger
}

func (d dutyEnv) Term() uint64    { return d.term }
func (d dutyEnv) Now() time.Time  { return d.node.clock.now() }
func (d dutyEnv) Root() *fsm.Root { return d.node.Root() }
func (d dutyEnv) Applied(ctx context.Context, index uint64) error {
	return d.node.applied.wait(ctx, index)
}
func (d dutyEnv) Keyring() *keyring.Keyring { return d.node.ring }
func (d dutyEnv) Logger() hclog.Logger      { return d.log }

func (d dutyEnv) Propose(ctx context.Context, env fsm.Envelope) (fsm.Result, *protocol.Error) {
	return d.node.batch.submit(ctx, env, d.term)
}

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

// watchLeadership turns raft's notifications into reigns. Raft blocks on the
// channel, so a goroutine of its own drains it; what counts is the state now,
// which also covers flips that were missed: a reign belongs to its term.
func (n *Member) watchLeadership(ctx context.Context, notify <-chan bool) {
	kick := make(chan struct{}, 1)
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		for {
			select {
			case <-n.dead:
				return
			case <-notify:
				n.metrics.leaderChanges.Inc()
				n.changed.signal()
				select {
				case kick <- struct{}{}:
				default:
				}
			}
		}
	}()
	var cur *reign
	defer func() {
		if cur != nil {
			n.readyTerm.Store(0)
			cur.end()
		}
	}()
	n.observeLeaders()
	for {
		leader, term := n.raft.State() == raft.Leader, n.raft.CurrentTerm()
		if cur != nil && (!leader || cur.term != term) {
			n.readyTerm.CompareAndSwap(cur.term, 0)
			cur.end()
			cur = nil
			continue // the state may have changed while the duties ended
		}
		if leader && cur == nil {
			cur = n.reign(ctx, term)
		}
		select {
		case <-ctx.Done():
			return
		case <-kick:
		}
	}
}

func (n *Member) reign(ctx context.Context, term uint64) *reign {
	ctx, cancel := context.WithCancel(ctx)
	r := &reign{term: term, cancel: cancel}
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		if err := n.establish(ctx, term); err != nil {
			if ctx.Err() == nil && n.raft.State() == raft.Leader {
				n.log.Error("cannot begin the term, giving leadership away", "term", term, "error", err)
				_ = n.raft.LeadershipTransfer().Error()
			}
			return
		}
		n.log.Info("leading", "term", term)
		for _, d := range n.duties() {
			r.wg.Add(1)
			go func() {
				defer r.wg.Done()
				d.Run(ctx, dutyEnv{node: n, term: term, log: n.log.Named(d.Name())})
			}()
		}
	}()
	return r
}

// establish begins a term for the state machine: the voters' clocks give the
// time base, and the term's first command, once applied here, proves that the
// commit index is current and that everything committed before is in the state.
func (n *Member) establish(ctx context.Context, term uint64) error {
	ctx, cancel := context.WithTimeout(ctx, establishLimit)
	defer cancel()
	n.clock.forget()
	for {
		changed := n.changed.next()
		clocks, err := n.confirmRound(ctx, term, clockLinger)
		if err == nil {
			logTime := n.Root().Now()
			m := median(clocks, logTime)
			n.clock.set(m, logTime)
			n.clock.compare(m)
			err = n.beginTerm(ctx, term)
		}
		if err == nil {
			n.readyTerm.Store(term)
			n.changed.signal()
			return nil
		}
		if !rest(ctx, changed, 20*time.Millisecond) || n.raft.State() != raft.Leader || n.raft.CurrentTerm() != term {
			return err
		}
	}
}

// beginTerm proposes term_start, preceded by the seeds of a new cluster.
func (n *Member) beginTerm(ctx context.Context, term uint64) error {
	seeds, err := n.seedCommands()
	if err != nil {
		return err
	}
	fault.Hit(fault.TermStartBefore)
	start, err := envelope(fsm.KindTermStart, fsm.TermStart{Term: term, LeaderID: n.id, Version: n.cfg.Version})
	if err != nil {
		return err
	}
	if len(seeds) > 0 {
		// cluster_init must come before everything else.
		if err := n.applyAll(ctx, term, seeds); err != nil {
			return fmt.Errorf("seed the cluster: %w", err)
		}
	}
	if err := n.applyAll(ctx, term, []fsm.Envelope{start}); err != nil {
		return fmt.Errorf("term_start: %w", err)
	}
	fault.Hit(fault.TermStartAfter)
	if got := n.Root().ClusterID(); got != n.clusterID {
		n.fatal(ExitDamaged, fmt.Sprintf("the log in %s belongs to cluster %q, the certificates to %q; restore the right files, or join again with an empty directory", n.dir.path, got, n.clusterID))
		return fmt.Errorf("the log belongs to cluster %q", got)
	}
	if len(seeds) > 0 {
		return n.dir.remove(fileBootstrap)
	}
	return nil
}

func (n *Member) applyAll(ctx context.Context, term uint64, cmds []fsm.Envelope) error {
	results, perr := n.applyEntry(ctx, &fsm.Entry{Time: n.clock.now().UnixMilli(), Term: term, Commands: cmds})
	if perr != nil {
		return perr
	}
	for i, r := range results {
		if r.Err != nil && !alreadyDone(cmds[i].Code, r.Err) {
			return r.Err
		}
	}
	return nil
}

// alreadyDone recognises the refusal of a seed that an earlier start applied.
func alreadyDone(code protocol.Code, err *protocol.Error) bool {
	return code == fsm.KindClusterInit && err.Code == protocol.CodeAlreadyExists
}

// leading reports whether this member leads the term and may serve it.
func (n *Member) leading(term uint64) bool {
	return n.raft.State() == raft.Leader && n.raft.CurrentTerm() == term && n.readyTerm.Load() == term
}

// awaitTerm waits, for as long as this member leads a term that has not begun
// for the state machine, so that callers need not ask again and again.
func (n *Member) awaitTerm(ctx context.Context) {
	for {
		changed := n.changed.next()
		if n.raft.State() != raft.Leader || n.readyTerm.Load() == n.raft.CurrentTerm() {
			return
		}
		if !rest(ctx, changed, retryMax) {
			return
		}
	}
}

// observeLeaders wakes those who wait for a leader when raft learns of one.
func (n *Member) observeLeaders() {
	seen := make(chan raft.Observation, 8)
	n.raft.RegisterObserver(raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	}))
	n.run(func() {
		for {
			select {
			case <-n.dead:
				return
			case <-seen:
				n.changed.signal()
			}
		}
	})
}
