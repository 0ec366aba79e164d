// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
)

// audits is W9: nodes are changed as in W1, and at the end the audit log is
// read from every member and held against the writes of all workloads.
type audits struct {
	registers
	trails []*trail
}

func newAudits() Workload { return &audits{registers: registers{name: "w9-audit"}} }

func (w *audits) Weight() int { return 2 }

func (w *audits) Final(ctx context.Context, env *Env) error {
	if err := w.registers.Final(ctx, env); err != nil {
		return err
	}
	members := env.Members()
	c := NewClient(env, w.name+"-trail")
	defer c.Close()
	index, err := c.present(ctx, members[0])
	if err != nil {
		return err
	}
	trails, failed := make([]*trail, len(members)), make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := NewClient(env, w.name+"-trail")
			defer c.Close()
			trails[i], failed[i] = c.readTrail(ctx, m, index)
		}()
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	w.trails = trails
	return nil
}

func (w *audits) Judge(ops []history.Op) (summary string, out []check.Violation) {
	if len(w.trails) == 0 { // Final did not get there
		return "the audit log was not read", nil
	}
	var found map[string]int
	for i, t := range w.trails {
		list := check.Trail(t.entries, t.chains)
		if i == 0 {
			n, missing := check.Audited(ops, t.entries)
			found, list = n, append(list, missing...)
		} else {
			list = append(list, check.SameTrail(w.trails[0].entries, t.entries)...)
		}
		out = append(out, named(list, w.name, "member "+t.member)...)
	}
	if len(found) == 0 {
		out = append(out, idle(w.name, "no acknowledged write was found in the audit log"))
	}
	writes := 0
	for _, n := range found {
		writes += n
	}
	return fmt.Sprintf("%d events in the audit logs of %d members, %d acknowledged writes of %d commands among them", len(w.trails[0].entries), len(w.trails), writes, len(found)), out
}

// named says whose violations these are, where they do not.
func named(list []check.Violation, workload, key string) []check.Violation {
	for i := range list {
		list[i].Workload = workload
		if list[i].Key == "" {
			list[i].Key = key
		}
	}
	return list
}

// idle is the violation of a workload that did nothing.
func idle(workload, text string) check.Violation {
	return check.Violation{Checker: check.CheckerInvariant, Workload: workload, Rule: check.RuleCoverage, Text: text}
}
