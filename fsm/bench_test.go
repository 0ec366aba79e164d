// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// populate fills a machine with n registered nodes in batches.
func populate(tb testing.TB, n int) *world {
	w := newWorld(tb)
	var batch []Envelope
	for i := range n {
		c := w.call("register", &protocol.Register{
			PublicKey: testKey(i).String(), RegisterFacts: protocol.RegisterFacts{Endpoint: fmt.Sprintf("203.0.113.%d:4000", i%250)}, Owner: fmt.Sprintf("agent-%d@example.org", i),
			Hostname: fmt.Sprintf("agent-%d", i), LANAddrs: []string{"10.0.0.4:4000"}, Version: "1.9.2",
		}, nil)
		if batch = append(batch, envelope(c)); len(batch) == 1024 || i == n-1 {
			w.apply(batch...)
			batch = batch[:0]
		}
	}
	return w
}

func benchApply(b *testing.B, nodes int, make func(w *world, i int) Envelope) {
	w := populate(b, nodes)
	const batch = 256
	var entries [][]byte
	for e := range 64 {
		var cmds []Envelope
		for i := range batch {
			c := make(w, e*batch+i)
			if !protocol.ByCode(c.Code).Soft {
				c.Session, c.Seq, c.Floor = SessionID{1}, uint64(e*batch+i+1), uint64(max(0, e-2)*batch)
			}
			cmds = append(cmds, c)
		}
		entries = append(entries, AppendEntry(nil, &Entry{Time: w.now, Term: 1, Envelopes: cmds}))
	}
	b.ReportMetric(float64(len(entries[0]))/batch, "entrybytes/op")
	b.ReportAllocs()
	b.ResetTimer()
	seq := 0
	for i := 0; i < b.N; i += batch {
		data := entries[seq%len(entries)]
		if seq++; seq%len(entries) == 0 {
			b.StopTimer()
			for j := range entries { // the same commands with fresh sequence numbers, a second later
				e, _ := ParseEntry(entries[j])
				e.Time += 1000
				for k := range e.Envelopes {
					if c := &e.Envelopes[k]; c.Seq != 0 {
						c.Seq += uint64(len(entries) * batch)
						c.Floor += uint64(len(entries) * batch)
					}
				}
				entries[j] = AppendEntry(nil, e)
			}
			b.StartTimer()
		}
		w.index++
		rs, err := w.m.Apply(w.index, 1, data)
		if err != nil || rs[0].Err != nil {
			b.Fatal(err, rs[0].Err)
		}
	}
}

func scatter(i, nodes int) uint32 { return uint32(uint64(i)*2654435761%uint64(nodes)) + 1 }

func BenchmarkApplySetTags(b *testing.B) {
	const nodes = 100_000
	benchApply(b, nodes, func(w *world, i int) Envelope {
		id := scatter(i, nodes)
		return envelope(w.call("set_tags", &protocol.SetTags{NodeID: id, Tags: []string{"web", fmt.Sprint("t", i%50)}}, as(id)))
	})
}

func BenchmarkApplyHeartbeat(b *testing.B) {
	const nodes = 100_000
	benchApply(b, nodes, func(w *world, i int) Envelope {
		id := scatter(i, nodes)
		return envelope(w.call("heartbeat", &protocol.NodeRequest{NodeID: id}, as(id)))
	})
}

func BenchmarkSnapshot100k(b *testing.B) {
	w := populate(b, 100_000)
	b.ResetTimer()
	var n countingWriter
	for b.Loop() {
		n = 0
		if err := w.m.Snapshot().Write(&n); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/100_000, "bytes/node")
}

func BenchmarkRestore100k(b *testing.B) {
	w := populate(b, 100_000)
	var buf bytes.Buffer
	if err := w.m.Snapshot().Write(&buf); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		if err := New().Restore(bytes.NewReader(buf.Bytes())); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBytesPerNode measures the resident memory of a registered node
// with hostname, owner and one LAN address.
func BenchmarkBytesPerNode(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				before := heap()
				w := populate(b, n)
				b.ReportMetric(float64(heap()-before)/float64(n), "bytes/node")
				runtime.KeepAlive(w)
			}
		})
	}
}

func BenchmarkSweepCandidates1M(b *testing.B) {
	w := populate(b, 1_000_000)
	r := w.m.Root()
	b.ResetTimer()
	for b.Loop() {
		r.SweepCandidates(w.now, 1024)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

type countingWriter int64

func (c *countingWriter) Write(p []byte) (int, error) {
	*c += countingWriter(len(p))
	return len(p), nil
}

var _ io.Writer = (*countingWriter)(nil)
