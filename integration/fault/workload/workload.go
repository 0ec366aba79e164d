// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
)

// Workload is one kind of load.
type Workload interface {
	// Name is what its operations are recorded under.
	Name() string
	// Weight is its share of clients and rate beside others.
	Weight() int
	// Setup makes the first keys. The cluster is healthy.
	Setup(ctx context.Context, env *Env) error
	// Step makes about one operation. Many clients call it at the same time.
	Step(ctx context.Context, c *Client)
	// Final reads what was written from every member. The cluster is healthy
	// again and Step is not called any more.
	Final(ctx context.Context, env *Env) error
	// Models are the specifications that its histories are searched under.
	Models() []check.Model
}

// Judge is a workload that saw what is not in the history, such as what a
// receiver was sent, and judges that itself.
type Judge interface {
	// Judge is called after Final, with the history of all workloads. The
	// summary says on a line what was looked at.
	Judge(ops []history.Op) (summary string, found []check.Violation)
}

// Suite is some workloads on one cluster.
type Suite struct {
	env       *Env
	workloads []Workload
}

// NewSuite puts workloads together.
func NewSuite(env *Env, workloads ...Workload) (*Suite, error) {
	if len(workloads) == 0 {
		return nil, errors.New("no workload given")
	}
	if err := env.setDefaults(); err != nil {
		return nil, err
	}
	return &Suite{env: env, workloads: workloads}, nil
}

// Models are the models of all workloads by kind, for check.LinearOptions.
func (s *Suite) Models() map[string]check.Model {
	out := map[string]check.Model{}
	for _, w := range s.workloads {
		for _, m := range w.Models() {
			out[m.Kind] = m
		}
	}
	return out
}

// Judge has the workloads judge what only they saw: a line each, and what
// they found.
func (s *Suite) Judge(ops []history.Op) (lines []string, found []check.Violation) {
	for _, w := range s.workloads {
		if j, ok := w.(Judge); ok {
			line, list := j.Judge(ops)
			lines, found = append(lines, w.Name()+": "+line), append(found, list...)
		}
	}
	return lines, found
}

// Close ends what workloads keep running until after Final. It may be called again.
func (s *Suite) Close() error {
	var failed []error
	for _, w := range s.workloads {
		if c, ok := w.(io.Closer); ok {
			failed = append(failed, c.Close())
		}
	}
	return errors.Join(failed...)
}

// Setup prepares all workloads.
func (s *Suite) Setup(ctx context.Context) error {
	for _, w := range s.workloads {
		if err := w.Setup(ctx, s.env); err != nil {
			return fmt.Errorf("%s: %w", w.Name(), err)
		}
	}
	return nil
}

// Run makes operations until ctx ends and returns when the last one has ended.
func (s *Suite) Run(ctx context.Context) {
	total := 0
	for _, w := range s.workloads {
		total += w.Weight()
	}
	var wg sync.WaitGroup
	for _, w := range s.workloads {
		pace := &pacer{}
		if s.env.Rate > 0 {
			pace.every = time.Duration(float64(time.Second) * float64(total) / (s.env.Rate * float64(w.Weight())))
		}
		for i := range max(1, s.env.Clients*w.Weight()/total) {
			wg.Add(1)
			go func() {
				defer wg.Done()
				c := NewClient(s.env, fmt.Sprintf("%s-%d", w.Name(), i))
				defer c.Close()
				for pace.wait(ctx) {
					w.Step(ctx, c)
				}
			}()
		}
	}
	wg.Wait()
}

// Final makes the final reads of all workloads, one after the other, and waits
// for every member to answer: a member that does not is an error.
func (s *Suite) Final(ctx context.Context) error {
	if err := awaitMembers(ctx, s.env); err != nil {
		return err
	}
	for _, w := range s.workloads {
		if err := w.Final(ctx, s.env); err != nil {
			return fmt.Errorf("%s: %w", w.Name(), err)
		}
	}
	return nil
}

// pacer spreads operations over time. What clients could not do in time they
// do not catch up on: a cluster that comes back is not met by a flood.
type pacer struct {
	every time.Duration
	mu    sync.Mutex
	next  time.Time
}

// wait returns when it is time for an operation, false when ctx has ended.
func (p *pacer) wait(ctx context.Context) bool {
	if p.every == 0 {
		return ctx.Err() == nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	at := p.next
	p.next = p.next.Add(p.every)
	p.mu.Unlock()
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}
