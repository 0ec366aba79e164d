// SPDX-License-Identifier: Apache-2.0

package fsm

import "math"

// second is a second of log time: a live node's last sign of life, never 0.
// It is the hottest write of the registry, so it has a dense table of its own.
type second uint32

// seconds converts log time in milliseconds.
func seconds(ms int64) second { return second(min(max(ms/1000, 1), math.MaxUint32)) }

func (s second) appendTo(dst []byte, _ uint32) []byte { return appendUvarint(dst, uint64(s)) }

func readSecond(d *decoder, _ uint32) second { return second(d.uvarint32()) }

var seenSchema = schema[uint32, second]{kindSeen, appendKey32, readKey32, readSecond}

// lastSeen renders a live node's last sign of life.
func (v *view) lastSeen(id uint32) string {
	sec, _ := v.seen.get(id)
	return utc(int64(sec) * 1000)
}

// markSeen notes a sign of life of a node.
func (x *txn) markSeen(id uint32) {
	now := seconds(x.meta.now)
	if last, _ := x.seen.get(id); last != now {
		x.seen.put(x, id, now)
	}
}
