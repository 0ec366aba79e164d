// SPDX-License-Identifier: Apache-2.0

// Command bench measures a three-member cluster on this machine and prints
// one table. Load generator and members share the machine, so figures of
// different runs must not be compared; the columns of one run may be.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

type options struct {
	registry string
	point    time.Duration
	repeat   int
	kills    int
	nodes    int
	conns    []int
	only     string
	set      string
}

func main() {
	var o options
	flag.StringVar(&o.registry, "registry", "", "pilot-registry binary (default: built from this module)")
	flag.DurationVar(&o.point, "point", 2*time.Second, "length of one measurement")
	flag.IntVar(&o.repeat, "repeat", 3, "measurements per figure; the median is printed")
	flag.IntVar(&o.kills, "kills", 20, "leader kills for the fail-over gap")
	flag.IntVar(&o.nodes, "nodes", 100_000, "nodes in the snapshot and memory measurements")
	flag.StringVar(&o.only, "only", "", "measure only throughput rows whose name contains this")
	flag.StringVar(&o.set, "set", "", "a setting of every member as in ops.pprof=true")
	flag.Parse()
	o.conns = []int{1, 16, 64, 256}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	fmt.Printf("machine: %d CPUs, %s/%s, %s; load generator on the same machine; medians of %d runs of %s\n\n",
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), o.repeat, o.point)
	dir, err := os.MkdirTemp("", "pilot-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defer harness.RemoveBinaries()
	launch := harness.Options{Registry: o.registry}
	if o.set != "" {
		launch.Set = []string{o.set}
	}
	c, err := harness.Launch(dir, launch)
	if err != nil {
		return err
	}
	defer c.Stop()
	if err := throughput(o, c); err != nil {
		return err
	}
	if o.only != "" {
		return nil
	}
	if err := failover(o, c); err != nil {
		return err
	}
	if err := handover(o, c); err != nil {
		return err
	}
	c.Stop()
	return stateFigures(o)
}

// throughput prints the table of operations per second by connections.
func throughput(o options, c *harness.Cluster) error {
	ready, err := c.Ready()
	if err != nil {
		return err
	}
	leader, _ := ready.LeaderNode()
	follower := ready.Nodes[0]
	if follower.ID == leader.ID {
		follower = ready.Nodes[1]
	}
	pool, err := registerPool(c.Addrs(), slices.Max(o.conns))
	if err != nil {
		return err
	}
	if o.only != "" {
		fmt.Printf("leader %s (ops %s), follower %s (ops %s)\n", leader.ID, leader.Ops, follower.ID, follower.Ops)
	}
	fmt.Printf("%-34s", "operations/s (p50/p99 ms)")
	for _, n := range o.conns {
		fmt.Printf("%24s", fmt.Sprintf("C=%d", n))
	}
	fmt.Println()
	for _, row := range []struct {
		name string
		node harness.Member
		load func(agent) [][]byte
	}{
		{"signed write, leader", leader, agent.writes},
		{"signed write, follower", follower, agent.writes},
		{"heartbeat, leader", leader, agent.heartbeats},
		{"heartbeat, follower", follower, agent.heartbeats},
		{"lookup linearizable, leader", leader, lookups("linearizable")},
		{"lookup linearizable, follower", follower, lookups("linearizable")},
		{"lookup bounded 100 ms, follower", follower, lookups("bounded")},
		{"lookup stale, follower", follower, lookups("stale")},
	} {
		if !strings.Contains(row.name, o.only) {
			continue
		}
		fmt.Printf("%-34s", row.name)
		for _, n := range o.conns {
			var runs []result
			for range o.repeat {
				r, err := drive(row.node.Wire, pool[:n], row.load, o.point)
				if err != nil {
					return fmt.Errorf("%s at %d connections: %w", row.name, n, err)
				}
				runs = append(runs, r)
			}
			slices.SortFunc(runs, func(a, b result) int { return int(a.rate - b.rate) })
			m := runs[len(runs)/2]
			fmt.Printf("%24s", fmt.Sprintf("%.0f (%s/%s)", m.rate, ms(m.p50), ms(m.p99)))
		}
		fmt.Println()
	}
	fmt.Println()
	return nil
}

func ms(d time.Duration) string {
	s := fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond))
	return strings.TrimSuffix(s, ".00")
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}
