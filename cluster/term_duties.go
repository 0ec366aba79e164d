// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/pilotregistry/pilotregistry/cluster/base/keyring"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

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
	in   *term
	term uint64
	log  hclog.Logger
}

func (d dutyEnv) Term() uint64 { return d.term }

func (d dutyEnv) Now() time.Time { return d.in.clock.now() }

func (d dutyEnv) Root() *fsm.Root { return d.in.Root() }

func (d dutyEnv) Applied(ctx context.Context, index uint64) error {
	return d.in.applied.wait(ctx, index)
}

func (d dutyEnv) Keyring() *keyring.Keyring { return d.in.ring }

func (d dutyEnv) Logger() hclog.Logger { return d.log }

func (d dutyEnv) Propose(ctx context.Context, env fsm.Envelope) (fsm.Result, *protocol.Error) {
	return d.in.writes.submit(ctx, env, d.term)
}

// dutyFunc makes a duty of a function that is called at an interval.
type dutyFunc struct {
	name  string
	every time.Duration
	do    func(ctx context.Context, d DutyEnv)
}

// Name of the duty, for logs.
func (f dutyFunc) Name() string { return f.name }

// Run calls the function until leadership ends.
func (f dutyFunc) Run(ctx context.Context, d DutyEnv) {
	t := time.NewTicker(f.every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f.do(ctx, d)
		}
	}
}

// proposeDuty proposes for a duty; failures are logged unless the term is over.
func proposeDuty(ctx context.Context, d DutyEnv, code protocol.Code, body any) bool {
	env, err := envelope(code, body)
	if err != nil {
		d.Logger().Error("cannot encode a command", "error", err)
		return false
	}
	res, e := d.Propose(ctx, env)
	if e == nil {
		e = res.Err
	}
	if e != nil && ctx.Err() == nil {
		d.Logger().Debug("not proposed", "code", e.Code, "error", e.Text)
	}
	return e == nil
}

// sweepLimit bounds the ids in one sweep.
const sweepLimit = 1024

// sweep proposes what time has overtaken. Apply checks every id again.
func sweep(ctx context.Context, d DutyEnv) {
	for range 16 {
		s := d.Root().SweepCandidates(d.Now().UnixMilli(), sweepLimit)
		found := len(s.Offline) + len(s.Release) + len(s.Beacons) + s.Due
		if found == 0 && !s.Sessions {
			return
		}
		s.Term = d.Term()
		if !proposeDuty(ctx, d, fsm.KindSweep, s) || found < sweepLimit {
			return
		}
	}
}
