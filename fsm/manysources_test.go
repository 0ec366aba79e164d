// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// A dozen greedy sources, with a key each, leave room for one that has little.
func TestAFewSourcesCannotStopWritesOfAnotherTogether(t *testing.T) {
	old := idShares
	idShares.Total = 4 << 20 // a sixteenth of the real one, for time
	defer func() { idShares = old }()
	w := newWorld(t)
	victim := w.register(1)
	for s := range 16 {
		id := w.register(100 + s)
		for i := range 30000 {
			c := from(fmt.Sprintf("198.51.%d.1:1", s), w.call("set_tags", &protocol.SetTags{NodeID: id, Tags: []string{fmt.Sprintf("t%d", i)}}, as(id)))
			c.Options.RequestID = fmt.Sprint("r", i)
			if w.apply(envelope(c))[0].Err != nil {
				break
			}
		}
		for i := range 10 {
			c := from("192.0.2.200:1", w.call("set_tags", &protocol.SetTags{NodeID: victim, Tags: []string{fmt.Sprintf("v%d-%d", i, s)}}, as(victim)))
			c.Options.RequestID = fmt.Sprintf("v%d-%d", s, i)
			if r := w.apply(envelope(c))[0]; r.Err != nil {
				t.Fatalf("after %d sources write %d of the victim: %v", s+1, i, r.Err)
			}
		}
	}
}
