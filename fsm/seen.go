// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"math"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
)

// second is a second of log time: a live node's last sign of life, never 0.
// It is the hottest write of the registry, so it has a separate dense table.
type second uint32

// seconds converts log time in milliseconds.
func seconds(ms int64) second { return second(min(max(ms/1000, 1), math.MaxUint32)) }

func (s second) AppendTo(dst []byte, _ uint32) []byte { return table.AppendUvarint(dst, uint64(s)) }

func readSecond(d *table.Decoder, _ uint32) second { return second(d.Uvarint32()) }

// lastSeen renders a live node's last sign of life.
func (st *nodeStore) lastSeen(id uint32) string {
	sec, _ := st.seen.Get(id)
	return utc(int64(sec) * 1000)
}
