// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"math"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
)

// second is a second of log time: a live node's last sign of life, never 0.
// It is the hottest write of the registry, so it has a dense table of its own.
type second uint32

// seconds converts log time in milliseconds.
func seconds(ms int64) second { return second(min(max(ms/1000, 1), math.MaxUint32)) }

func (s second) AppendTo(dst []byte, _ uint32) []byte { return table.AppendUvarint(dst, uint64(s)) }

func readSecond(d *table.Decoder, _ uint32) second { return second(d.Uvarint32()) }

var seenTable = declaration[uint32, second]{
	schema: table.Schema[uint32, second]{Kind: kindSeen, AppendKey: table.AppendKey32, ReadKey: table.ReadKey32, Read: readSecond, Map: table.Dense[second]},
	in:     func(v *view) *table.Table[uint32, second] { return &v.nodes.seen },
	fits:   func(x *txn, id uint32, sec second) bool { return sec != 0 && x.nodes.live(id) != nil },
}

// lastSeen renders a live node's last sign of life.
func (st *nodeStore) lastSeen(id uint32) string {
	sec, _ := st.seen.Get(id)
	return utc(int64(sec) * 1000)
}

// markSeen notes a sign of life of a node.
func (x *txn) markSeen(id uint32) {
	now := seconds(x.meta.now)
	if last, _ := x.nodes.seen.Get(id); last != now {
		seenTable.put(x, id, now)
	}
}
