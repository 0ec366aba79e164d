// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
)

const (
	memoryAuto = "auto"
	memoryOff  = "off"
	// memoryShare of a cgroup's limit is the process's: the kernel counts
	// pages of files there as well.
	memoryShare = 0.9
	// leastMemory is below what a member needs to start, in MiB.
	leastMemory = 64
)

type memoryConfig struct {
	Limit string `yaml:"limit" help:"memory within which the garbage collector keeps the member: auto (nine tenths of what its cgroup allows, or GOMEMLIMIT when that is set), a number of MiB (at least 64), or off. Near it, requests that nothing proves are refused"`
}

func (m *memoryConfig) validate(p *problems) {
	if m.Limit == memoryAuto || m.Limit == memoryOff {
		return
	}
	if n, err := strconv.ParseInt(m.Limit, 10, 32); err != nil || n < leastMemory {
		p.add("memory.limit: %q is not auto, off or a number of MiB from %d on", m.Limit, leastMemory)
	}
}

// apply tells the garbage collector its limit and returns it, in bytes, 0 for none.
func (m *memoryConfig) apply(log hclog.Logger) int64 {
	limit, from := m.find()
	if limit <= 0 || limit == math.MaxInt64 {
		log.Info("no limit of memory", "from", from)
		return 0
	}
	debug.SetMemoryLimit(limit)
	log.Info("limit of memory", "bytes", limit, "from", from)
	return limit
}

// watchMemory tells the log when memory is short, until ctx ends.
func (c *config) watchMemory(ctx context.Context, log hclog.Logger) *ops.Memory {
	memory := ops.NewMemory(c.Memory.apply(log))
	go memory.Watch(ctx, func(short bool) {
		if short {
			log.Warn("memory is short: requests that nothing proves are refused until there is room")
		} else {
			log.Info("memory has room again")
		}
	})
	return memory
}

// find is the limit and what says so.
func (m *memoryConfig) find() (limit int64, from string) {
	switch m.Limit {
	case memoryOff:
		return 0, "memory.limit"
	case memoryAuto:
	default:
		n, _ := strconv.ParseInt(m.Limit, 10, 32) // was checked
		return n << 20, "memory.limit"
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return debug.SetMemoryLimit(-1), "GOMEMLIMIT"
	}
	allowed, err := memlimit.FromCgroup()
	if err != nil || allowed > math.MaxInt64 {
		return 0, "cgroup"
	}
	return int64(float64(allowed) * memoryShare), "cgroup"
}
