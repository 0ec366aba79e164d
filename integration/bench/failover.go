// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// attemptTimeout is how long a writer of the fail-over measurement waits
// before it tries the next member.
const attemptTimeout = 300 * time.Millisecond

// prober writes without pause, on another member as soon as one fails, and
// remembers the longest time between two acknowledged writes.
type prober struct {
	addrs  []string
	frames [][]byte
	last   atomic.Int64 // Unix nanoseconds of the newest acknowledgement
	worst  atomic.Int64 // nanoseconds
	errors atomic.Int64
}

func (p *prober) run(ctx context.Context, wg *sync.WaitGroup) {
	defer wg.Done()
	var w *harness.Wire
	defer func() {
		if w != nil {
			w.Close()
		}
	}()
	for i, at := 0, 0; ctx.Err() == nil; i++ {
		if w == nil {
			var err error
			if w, err = harness.Dial(p.addrs[at%len(p.addrs)]); err != nil {
				w = nil
				at++
				time.Sleep(time.Millisecond)
				continue
			}
		}
		if err := call(w, p.frames[i%len(p.frames)], attemptTimeout); err != nil {
			p.errors.Add(1)
			w.Close()
			w = nil
			at++
			continue
		}
		now := time.Now().UnixNano()
		if before := p.last.Swap(now); before != 0 {
			for gap := now - before; ; {
				worst := p.worst.Load()
				if gap <= worst || p.worst.CompareAndSwap(worst, gap) {
					break
				}
			}
		}
	}
}

// failover kills the leader again and again and prints the longest time
// between two acknowledged writes of one client of another member, which is the
// time from the signal to its first acknowledged write, and a little more.
func failover(o options, c *harness.Cluster) error {
	pool, err := registerPool(c.Addrs(), 4)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var gaps []time.Duration
	for range o.kills {
		gap, err := oneKill(ctx, c, pool)
		if err != nil {
			return err
		}
		gaps = append(gaps, gap)
	}
	slices.Sort(gaps)
	fmt.Printf("fail-over, SIGKILL of the leader to first acknowledged write, %d kills: p50 %s ms, p99 %s ms, max %s ms\n",
		len(gaps), ms(percentile(gaps, 0.5)), ms(percentile(gaps, 0.99)), ms(gaps[len(gaps)-1]))
	return nil
}

func oneKill(ctx context.Context, c *harness.Cluster, pool []agent) (time.Duration, error) {
	r, err := c.Await(ctx, settled)
	if err != nil {
		return 0, err
	}
	leader, _ := r.LeaderNode()
	survivors := others(r, leader.ID)
	run, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	probe := make([]*prober, len(pool))
	for i, a := range pool {
		probe[i] = &prober{addrs: append([]string{}, survivors...), frames: a.writes()}
		wg.Add(1)
		go probe[i].run(run, &wg)
	}
	defer wg.Wait()
	defer stop()
	if err := awaitAck(ctx, probe, time.Now().UnixNano()); err != nil {
		return 0, err
	}
	if err := syscall.Kill(leader.PID, syscall.SIGKILL); err != nil {
		return 0, err
	}
	// A write that the dead leader had committed may still be acknowledged;
	// the first one that a new leader took is what counts.
	if _, err := c.Await(ctx, func(r harness.Ready) bool { return r.Leader != leader.ID }); err != nil {
		return 0, err
	}
	if err := awaitAck(ctx, probe, time.Now().UnixNano()); err != nil {
		return 0, err
	}
	worst := time.Duration(0)
	for _, p := range probe {
		worst = max(worst, time.Duration(p.worst.Load()))
	}
	_, err = c.Await(ctx, settled)
	return worst, err
}

// awaitAck waits until some prober was acknowledged after a moment.
func awaitAck(ctx context.Context, probe []*prober, after int64) error {
	for {
		for _, p := range probe {
			if p.last.Load() > after {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

func settled(r harness.Ready) bool {
	for _, n := range r.Nodes {
		if n.PID == 0 {
			return false
		}
		if s, err := n.Status(); err != nil || !s.Ready {
			return false
		}
	}
	_, ok := r.LeaderNode()
	return ok
}

func others(r harness.Ready, id string) []string {
	var out []string
	for _, n := range r.Nodes {
		if n.ID != id {
			out = append(out, n.Wire)
		}
	}
	return out
}

// handover moves leadership by command and prints the longest write gap and
// the errors that clients of the other members saw.
func handover(o options, c *harness.Cluster) error {
	pool, err := registerPool(c.Addrs(), 4)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var gaps []time.Duration
	failures := int64(0)
	for range max(3, o.kills/4) {
		gap, errors, err := oneHandover(ctx, c, pool)
		if err != nil {
			return err
		}
		gaps, failures = append(gaps, gap), failures+errors
	}
	slices.Sort(gaps)
	fmt.Printf("planned hand-over (SIGTERM of the leader), %d times: write gap p50 %s ms, max %s ms, client errors at other members %d\n\n",
		len(gaps), ms(percentile(gaps, 0.5)), ms(gaps[len(gaps)-1]), failures)
	return nil
}

func oneHandover(ctx context.Context, c *harness.Cluster, pool []agent) (time.Duration, int64, error) {
	r, err := c.Await(ctx, settled)
	if err != nil {
		return 0, 0, err
	}
	leader, _ := r.LeaderNode()
	run, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	probe := make([]*prober, len(pool))
	for i, a := range pool {
		probe[i] = &prober{addrs: others(r, leader.ID), frames: a.writes()}
		wg.Add(1)
		go probe[i].run(run, &wg)
	}
	defer wg.Wait()
	defer stop()
	if err := awaitAck(ctx, probe, time.Now().UnixNano()); err != nil {
		return 0, 0, err
	}
	if err := syscall.Kill(leader.PID, syscall.SIGTERM); err != nil {
		return 0, 0, err
	}
	if _, err := c.Await(ctx, func(r harness.Ready) bool { return r.Leader != leader.ID }); err != nil {
		return 0, 0, err
	}
	if err := awaitAck(ctx, probe, time.Now().UnixNano()); err != nil {
		return 0, 0, err
	}
	var worst time.Duration
	var failures int64
	for _, p := range probe {
		worst, failures = max(worst, time.Duration(p.worst.Load())), failures+p.errors.Load()
	}
	_, err = c.Await(ctx, settled)
	return worst, failures, err
}
