// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/harness"
)

// agent is a registered node with its frames prepared, so that the load
// generator spends nothing on signing and encoding.
type agent struct{ harness.Agent }

// writes alternates between two tag sets: each one changes state.
func (a agent) writes() [][]byte {
	sig := a.Sign(fmt.Sprintf("set_tags:%d", a.ID))
	one := func(tag string) []byte {
		return harness.Frame(map[string]any{"type": "set_tags", "node_id": a.ID, "tags": []string{tag, "bench"}, "signature": sig})
	}
	return [][]byte{one("even"), one("odd")}
}

func (a agent) heartbeats() [][]byte {
	return [][]byte{harness.Frame(map[string]any{"type": "heartbeat", "node_id": a.ID, "signature": a.Sign(fmt.Sprintf("heartbeat:%d", a.ID))})}
}

func lookups(level string) func(agent) [][]byte {
	return func(a agent) [][]byte {
		m := map[string]any{"type": "lookup", "node_id": a.ID, "consistency": level}
		if level == "bounded" {
			m["max_staleness_ms"] = 100
		}
		return [][]byte{harness.Frame(m)}
	}
}

var errorMark = []byte(`"type":"error"`)

// call sends a prepared frame; an error reply is an error.
func call(w *harness.Wire, frame []byte, timeout time.Duration) error {
	reply, err := w.Exchange(frame, timeout)
	if err == nil && bytes.Contains(reply, errorMark) {
		err = errors.New(string(reply))
	}
	return err
}

// registerPool registers n nodes, spread over the members.
func registerPool(addrs []string, n int) ([]agent, error) {
	var conns []*harness.Wire
	for _, a := range addrs {
		w, err := harness.Dial(a)
		if err != nil {
			return nil, err
		}
		defer w.Close()
		conns = append(conns, w)
	}
	pool := make([]agent, n)
	for i := range pool {
		a, err := conns[i%len(conns)].Register()
		if err != nil {
			return nil, err
		}
		pool[i] = agent{a}
	}
	return pool, nil
}

type result struct {
	rate     float64
	p50, p99 time.Duration
}

// drive runs one connection per agent against addr for d.
func drive(addr string, pool []agent, load func(agent) [][]byte, d time.Duration) (result, error) {
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	start := time.Now()
	end := start.Add(d)
	for _, a := range pool {
		w, err := harness.Dial(addr)
		if err != nil {
			return result{}, err
		}
		defer w.Close()
		frames := load(a)
		wg.Add(1)
		go func() {
			defer wg.Done()
			var took []time.Duration
			var err error
			for i := 0; time.Now().Before(end) && err == nil; i++ {
				t := time.Now()
				err = call(w, frames[i%len(frames)], 10*time.Second)
				took = append(took, time.Since(t))
			}
			mu.Lock()
			defer mu.Unlock()
			all, failed = append(all, took...), errors.Join(failed, err)
		}()
	}
	wg.Wait()
	if failed != nil {
		return result{}, failed
	}
	elapsed := time.Since(start)
	slices.Sort(all)
	return result{rate: float64(len(all)) / elapsed.Seconds(), p50: percentile(all, 0.5), p99: percentile(all, 0.99)}, nil
}
