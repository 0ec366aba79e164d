// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// benchCluster has three members with the default timeouts.
func benchCluster(b *testing.B) (c *cluster, leader, follower *member, node uint32) {
	b.Helper()
	c = newCluster(b, 3, func(_ int, cfg *Config) { cfg.Timeouts = Timeouts{} })
	leader = c.leader()
	return c, leader, c.others(leader)[0], c.node(leader)
}

// spread runs b.N calls on n goroutines.
func spread(b *testing.B, n int, call func()) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	start := time.Now()
	for range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for left.Add(-1) >= 0 {
				call()
			}
		}()
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "op/s")
}

func BenchmarkPropose(b *testing.B) {
	_, leader, follower, node := benchCluster(b)
	for _, via := range []struct {
		name string
		m    *member
	}{{"leader", leader}, {"follower", follower}} {
		for _, n := range []int{1, 16, 64, 256} {
			b.Run(fmt.Sprintf("%s/%d", via.name, n), func(b *testing.B) {
				e := increment(b, node, "")
				spread(b, n, func() {
					if _, perr := via.m.Propose(context.Background(), e); perr != nil {
						b.Error(perr)
					}
				})
			})
		}
	}
}

func BenchmarkReadIndex(b *testing.B) {
	_, leader, follower, _ := benchCluster(b)
	for _, via := range []struct {
		name string
		m    *member
	}{{"leader", leader}, {"follower", follower}} {
		for _, n := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/%d", via.name, n), func(b *testing.B) {
				spread(b, n, func() {
					index, e := via.m.ReadIndex(context.Background())
					if e == nil {
						e = via.m.WaitApplied(context.Background(), index)
					}
					if e != nil {
						b.Error(e)
					}
				})
			})
		}
	}
}
