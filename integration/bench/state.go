// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// stateFigures measures the state machine alone, in this process: memory per
// node, and how long Apply stalls while a snapshot streams.
func stateFigures(o options) error {
	before := heap()
	m, err := filled(o.nodes)
	if err != nil {
		return err
	}
	perNode := float64(heap()-before) / float64(o.nodes)
	idle, err := stall(m, o, false)
	if err != nil {
		return err
	}
	busy, err := stall(m, o, true)
	if err != nil {
		return err
	}
	fmt.Printf("state of %d nodes: %.0f live bytes per node\n", o.nodes, perNode)
	fmt.Printf("apply of an entry with 64 writes: p50 %s ms, max %s ms; while a snapshot of %d nodes streams: p50 %s ms, max %s ms\n",
		ms(percentile(idle, 0.5)), ms(idle[len(idle)-1]), o.nodes, ms(percentile(busy, 0.5)), ms(busy[len(busy)-1]))
	return nil
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// applier feeds entries to a machine.
type applier struct {
	m     *fsm.Machine
	index uint64
	now   int64
}

func (a *applier) apply(commands []fsm.Envelope) error {
	a.index++
	a.now++
	data := fsm.AppendEntry(nil, &fsm.Entry{Time: a.now, Term: 1, Envelopes: commands})
	results, err := a.m.Apply(a.index, 1, data)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}

func envelope(code protocol.Code, actor fsm.Actor, body any) fsm.Envelope {
	raw, err := json.Marshal(body)
	if err != nil { // request types always encode
		panic(err)
	}
	return fsm.Envelope{Code: code, Actor: actor, Source: "192.0.2.1:4000", Body: raw}
}

var machines = map[*fsm.Machine]*applier{}

func filled(nodes int) (*fsm.Machine, error) {
	a := &applier{m: fsm.New(), now: 1_800_000_000_000}
	machines[a.m] = a
	if err := a.apply([]fsm.Envelope{envelope(fsm.KindClusterInit, fsm.Actor{}, fsm.ClusterInit{ClusterID: "bench", Level: 1}),
		envelope(fsm.KindTermStart, fsm.Actor{}, fsm.TermStart{Term: 1, LeaderID: "bench"})}); err != nil {
		return nil, err
	}
	register := protocol.Must("register").Code
	for done := 0; done < nodes; {
		var batch []fsm.Envelope
		for ; len(batch) < 256 && done < nodes; done++ {
			var key protocol.PublicKey
			copy(key[:], fmt.Sprintf("bench-key-%022d", done))
			batch = append(batch, envelope(register, fsm.Actor{}, &protocol.Register{PublicKey: key.String(),
				RegisterFacts: protocol.RegisterFacts{Endpoint: fmt.Sprintf("198.51.100.%d:%d", done%250, 1024+done%60000)}, Hostname: fmt.Sprintf("host-%d", done)}))
		}
		if err := a.apply(batch); err != nil {
			return nil, err
		}
	}
	return a.m, nil
}

// stall applies entries of 64 writes, in the second case until a snapshot has
// been written, and returns how long each took, sorted.
func stall(m *fsm.Machine, o options, snapshot bool) ([]time.Duration, error) {
	a := machines[m]
	written := make(chan error, 1)
	if snapshot {
		snap := m.Snapshot()
		go func() { written <- snap.Write(io.Discard) }()
	}
	code := protocol.Must("set_tags").Code
	var took []time.Duration
	node := uint32(0)
	for i := 0; ; i++ {
		select {
		case err := <-written:
			slices.Sort(took)
			return took, err
		default:
		}
		if !snapshot && i == 1000 {
			slices.Sort(took)
			return took, nil
		}
		var batch []fsm.Envelope
		for range 64 {
			node = node*7919 + 1
			id := node%uint32(o.nodes) + 1
			_, gen, _, ok := m.Root().NodeKey(id)
			if !ok {
				return nil, fmt.Errorf("node %d is missing", id)
			}
			batch = append(batch, envelope(code, fsm.Actor{Node: id, KeyGen: gen}, &protocol.SetTags{NodeID: id, Tags: []string{"bench", fmt.Sprintf("t%d", i%10)}}))
		}
		start := time.Now()
		if err := a.apply(batch); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
}
