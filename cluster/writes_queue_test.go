// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

func writeFrom(source string) *queued {
	return &queued{env: fsm.Envelope{Code: protocol.Must("update_polo_score").Code, Source: source}}
}

// Some machines with as many connections to each member as they get keep the
// leader's queue full. Other writers must still find a place.
func TestWritersThatFillTheQueueLeaveOthersAPlace(t *testing.T) {
	for name, flood := range map[string]func(i int) string{
		"one machine":    func(int) string { return "203.0.113.1:1" },
		"four machines":  func(i int) string { return fmt.Sprintf("203.0.113.%d:1", i%4) },
		"ten machines":   func(i int) string { return fmt.Sprintf("203.0.113.%d:1", i%10) },
		"one IPv6 site":  func(i int) string { return fmt.Sprintf("[2001:db8:1:%x::1]:1", i%3000) },
		"one IPv6 /64":   func(i int) string { return fmt.Sprintf("[2001:db8:1:1::%x]:1", i) },
		"nobody we know": func(int) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			q := newQueue(Limits{Queue: 8192, QueueBytes: 64 << 20, BatchCommands: 256, BatchBytes: 512 << 10}, nil)
			refused := 0
			for i := range 30_000 {
				if e := q.push(writeFrom(flood(i))); e != nil {
					refused++
					if e.Code != protocol.CodeRateLimited {
						t.Fatalf("write %d: %v (%s)", i, e, e.Code)
					}
				}
			}
			if refused == 0 {
				t.Error("nothing of the flood was refused")
			}
			for i := range 50 {
				if e := q.push(writeFrom("192.0.2.7:4000")); e != nil {
					t.Fatalf("write %d of somebody else, with %d waiting: %v", i, len(q.items), e)
				}
			}
		})
	}
}

// The cluster itself and exempt addresses meet the total only.
func TestTheClusterAndExemptSourcesHaveTheWholeQueue(t *testing.T) {
	own := func() *queued { return &queued{env: fsm.Envelope{Code: fsm.KindTick}} }
	for name, write := range map[string]func() *queued{"the cluster": own, "exempt": func() *queued { return writeFrom("[::ffff:10.1.2.3]:1") }} {
		q := newQueue(Limits{Queue: 100, QueueBytes: 1 << 20, BatchCommands: 10}, share.Ranges{netip.MustParsePrefix("10.0.0.0/8")})
		for i := range 100 {
			if e := q.push(write()); e != nil {
				t.Fatalf("%s: write %d: %v", name, i, e)
			}
		}
		if e := q.push(write()); e == nil || e.Code != protocol.CodeOverloaded {
			t.Errorf("%s: beyond the total: %v", name, e)
		}
	}
}

// Whatever way a command leaves, its place is free again.
func TestPlacesInTheQueueComeBack(t *testing.T) {
	q := newQueue(Limits{Queue: 64, QueueBytes: 1 << 20, BatchCommands: 8, BatchBytes: 1 << 20}, nil)
	for range 100 {
		var pushed []*queued
		for range 20 {
			it := writeFrom("203.0.113.1:1")
			if e := q.push(it); e != nil {
				t.Fatal(e)
			}
			pushed = append(pushed, it)
		}
		pushed[3].state.Store(writeCancelled) // its caller gave up, and drops it later
		if got := len(q.next()); got != 8 {
			t.Fatalf("%d claimed, want 8", got)
		}
		q.remove(pushed[3])
		q.remove(pushed[15])
		if got := len(q.all()); got != 10 {
			t.Fatalf("%d left, want 10", got)
		}
		if q.bytes != 0 || q.places.Total() != 0 || len(q.items) != 0 {
			t.Fatalf("%d bytes, %d places, %d commands are left", q.bytes, q.places.Total(), len(q.items))
		}
	}
}
