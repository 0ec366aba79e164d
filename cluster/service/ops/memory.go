// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"context"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol/server"
)

const (
	// memoryEvery is how often the memory is looked at.
	memoryEvery = 250 * time.Millisecond
	// Memory is short from shortAt of its limit on, and until it is below shortUntil.
	shortAt, shortUntil = 0.90, 0.80
)

// Memory watches what a process keeps in memory against its limit. Without a
// limit it is never short.
type Memory struct {
	limit int64
	kept  func() int64

	used  atomic.Int64
	short atomic.Bool
}

// NewMemory watches against a limit in bytes; 0 is none.
func NewMemory(limit int64) *Memory { return &Memory{limit: limit, kept: keptMemory} }

// Watch looks until ctx ends, and calls changed when memory gets short or has
// room again.
func (m *Memory) Watch(ctx context.Context, changed func(short bool)) {
	if m.limit <= 0 {
		return
	}
	t := time.NewTicker(memoryEvery)
	defer t.Stop()
	for {
		m.look(changed)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (m *Memory) look(changed func(short bool)) {
	used, was := m.kept(), m.short.Load()
	m.used.Store(used)
	bound := shortAt
	if was {
		bound = shortUntil
	}
	if short := float64(used) >= bound*float64(m.limit); short != was {
		m.short.Store(short)
		changed(short)
	}
}

// Short reports whether memory is short.
func (m *Memory) Short() bool { return m.short.Load() }

// Budgets is the memory as a budget; empty without a limit.
func (m *Memory) Budgets() []server.Budget {
	if m.limit <= 0 {
		return nil
	}
	return []server.Budget{{Name: "memory", Used: m.used.Load(), Limit: m.limit}}
}

// keptSamples are what keptMemory adds up and takes off.
var keptSamples = []string{"/gc/heap/live:bytes", "/memory/classes/total:bytes", "/memory/classes/heap/released:bytes",
	"/memory/classes/heap/free:bytes", "/memory/classes/heap/unused:bytes", "/memory/classes/heap/objects:bytes"}

// keptMemory is what the collector cannot give back: the objects that it found
// alive when it last ran, and what is not heap. The whole heap says nothing:
// garbage may fill it up to the limit at any time.
func keptMemory() int64 {
	samples := make([]metrics.Sample, len(keptSamples))
	for i, name := range keptSamples {
		samples[i].Name = name
	}
	metrics.Read(samples)
	live, total := int64(samples[0].Value.Uint64()), int64(samples[1].Value.Uint64())
	for _, s := range samples[2:] {
		total -= int64(s.Value.Uint64())
	}
	return live + max(total, 0)
}
