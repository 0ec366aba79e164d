// SPDX-License-Identifier: Apache-2.0

//go:build linux

package soak

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/integration/fault/lab"
	"github.com/pilotregistry/pilotregistry/integration/fault/nemesis"
	"github.com/pilotregistry/pilotregistry/integration/fault/workload"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// gate stops operations from beginning while digests are compared.
type gate struct {
	mu   sync.Mutex
	open chan struct{}
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

// shut closes the gate and returns how to open it again.
func (g *gate) shut() (open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ch := make(chan struct{})
	g.open = ch
	return sync.OnceFunc(func() { close(ch) })
}

func (g *gate) pass() {
	g.mu.Lock()
	ch := g.open
	g.mu.Unlock()
	<-ch
}

// workSite is the site whose links the workloads use.
const workSite = 0

// load is the clients' side of a run.
type load struct {
	lab      *lab.Lab
	recorder *history.Recorder
	suite    *workload.Suite
	gate     *gate
	env      *workload.Env
}

func newLoad(c *Config, l *lab.Lab, dir string) (*load, error) {
	rec, err := history.NewRecorder(dir)
	if err != nil {
		return nil, err
	}
	ld := &load{lab: l, recorder: rec, gate: newGate()}
	works, err := workload.New(c.Workloads...)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: time.Second}
	ld.env = &workload.Env{Members: func() []workload.Member { ld.gate.pass(); return ld.reach(l.Members()) },
		Removed:  func() []workload.Member { return ld.reach(l.Removed()) },
		Recorder: rec, Seed: c.Seed, Clients: c.Clients, Rate: c.Rate, Status: ld.status, AdminToken: l.AdminToken,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) }}
	ld.suite, err = workload.NewSuite(ld.env, works...)
	return ld, err
}

// reach names members with the addresses at which clients reach them.
func (ld *load) reach(members []*lab.Member) []workload.Member {
	var out []workload.Member
	for _, m := range members {
		out = append(out, workload.Member{Name: m.Name, Addr: ld.lab.ClientLink(workSite, m.Slot).Addr()})
	}
	return out
}

func (ld *load) status(ctx context.Context, member string) (protocol.ClusterStatusReply, error) {
	m := ld.lab.ByName(member)
	if m == nil {
		return protocol.ClusterStatusReply{}, fmt.Errorf("there is no member %s", member)
	}
	return ld.lab.Status(ctx, m)
}

func (ld *load) ended() int64 {
	c := ld.recorder.Counts()
	return c.OK + c.Fail + c.Unknown
}

// rateLimit bounds the wait for the load to flow.
const rateLimit = 12 * time.Second

// calm lets a period's calm time pass and returns when, within one second,
// enough operations have ended.
func (ld *load) calm(ctx context.Context, p nemesis.Period) error {
	least := time.NewTimer(time.Duration(p.CalmMS) * time.Millisecond)
	defer least.Stop()
	deadline := time.Now().Add(time.Duration(p.CalmMS)*time.Millisecond + rateLimit)
	best := int64(0)
	for passed := false; !passed || best < MinRate; {
		before := ld.ended()
		t := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-least.C:
			passed = true
			if best >= MinRate {
				t.Stop()
				return nil
			}
			<-t.C
		case <-t.C:
		}
		best = max(best, ld.ended()-before)
		if best < MinRate && time.Now().After(deadline) {
			return fmt.Errorf("only %d operations per second before the faults of period %d, at least %d are wanted", best, p.Number, MinRate)
		}
	}
	return nil
}
