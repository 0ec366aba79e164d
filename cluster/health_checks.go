// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Check is one named condition of readiness.
type Check struct {
	Name string
	OK   bool
	// Detail says what is missing.
	Detail string
}

// checks are the conditions under which this member should get traffic.
func (p *reporter) checks() []Check {
	check := func(name string, ok bool, detail string, args ...any) Check {
		if ok {
			return Check{Name: name, OK: true}
		}
		return Check{Name: name, Detail: fmt.Sprintf(detail, args...)}
	}
	reason, quarantined := p.health.Quarantined()
	announced, _ := p.hello.announced()
	key := p.Root().ActiveKey()
	holds := key == 0
	for _, v := range p.ring.Versions() {
		holds = holds || v == key
	}
	return []Check{
		check("serving", !p.draining.Load(), "this member is shutting down"),
		check("healthy", !quarantined, "quarantined: %s", reason),
		check("member", p.roster.has(p.id), "this member is not in the cluster's configuration yet"),
		check("leader", p.term.leaderID() != "", "no leader is known"),
		check("announced", announced, "the cluster has not recorded this member's addresses yet"),
		check("caught_up", p.caughtUp.Load(), "still replaying the log from before the restart (applied index %d)", p.applied.index.Load()),
		check("keyring", holds, "the active key version %d is missing from the keyring", key),
	}
}

func allOK(checks []Check) bool {
	for _, c := range checks {
		if !c.OK {
			return false
		}
	}
	return true
}

// ready waits until every check passes. The error names those that do not.
func (p *reporter) ready(ctx context.Context) error {
	for {
		changed := p.changed.next()
		checks := p.checks()
		if allOK(checks) {
			return nil
		}
		if rest(ctx, changed, 20*time.Millisecond) {
			continue
		}
		var missing error
		for _, c := range checks {
			if !c.OK {
				missing = errors.Join(missing, fmt.Errorf("%s: %s", c.Name, c.Detail))
			}
		}
		return fmt.Errorf("not ready: %w", missing)
	}
}

// catchUp proves once per start that this member has applied everything that
// was acknowledged before it started.
func (p *reporter) catchUp(ctx context.Context) {
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		index, e := p.reads.readIndex(attempt)
		cancel()
		if e != nil {
			continue
		}
		if p.reads.waitApplied(ctx, index) == nil {
			p.caughtUp.Store(true)
			p.changed.signal()
			return
		}
	}
}
