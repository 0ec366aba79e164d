// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/fsm/internal/table"

// trustStore holds the trust pairs and the handshakes that lead to them.
type trustStore struct {
	pairs     table.Table[uint64, sides]
	requests  table.Table[string, *request]
	responses table.Table[string, *response]

	byPeer table.Index[uint64, nothing] // node, the other of a trust pair
	offers table.Index[uint32, int]     // node -> trust pairs in which it has spoken
	counts table.Value[pairCounts]
}

// pairCounts counts the pairs that are trust in each mode of the cluster.
type pairCounts struct{ reported, mutual int }

// Pairs are keyed by the smaller id in the upper half.
var trustTable = declaration[uint64, sides]{
	schema: table.Schema[uint64, sides]{Kind: kindTrust, AppendKey: table.AppendKey64, ReadKey: table.ReadKey64, Read: readSides},
	in:     func(v *view) *table.Table[uint64, sides] { return &v.trust.pairs },
	indexes: []place{
		func(v *view) table.Part { return &v.trust.byPeer },
		func(v *view) table.Part { return &v.trust.offers },
		func(v *view) table.Part { return &v.trust.counts },
	},
	fits:    func(_ *txn, k uint64, _ sides) bool { return uint32(k>>32) <= uint32(k) },
	enter:   func(x *txn, k uint64, s sides) { reindexPair(x, k, 0, s) },
	leave:   func(x *txn, k uint64, s sides) { reindexPair(x, k, s, 0) },
	replace: reindexPair,
}

var requestTable = declaration[string, *request]{
	schema: table.Schema[string, *request]{Kind: kindRequest, AppendKey: table.AppendKeyString, ReadKey: readQueueKey, Read: readRequest},
	in:     func(v *view) *table.Table[string, *request] { return &v.trust.requests },
}

var responseTable = declaration[string, *response]{
	schema: table.Schema[string, *response]{Kind: kindResponse, AppendKey: table.AppendKeyString, ReadKey: readQueueKey, Read: readResponse},
	in:     func(v *view) *table.Table[string, *response] { return &v.trust.responses },
}

// setSides stores what two nodes have said, 0 for nothing.
func (x *txn) setSides(a, b uint32, s sides) {
	if s == 0 {
		trustTable.drop(x, trustKey(a, b))
	} else if s != x.trust.sides(a, b) {
		trustTable.put(x, trustKey(a, b), s)
	}
}

// reindexPair keeps the indexes when what two nodes have said changes.
func reindexPair(x *txn, key uint64, old, s sides) {
	low, high := uint32(key>>32), uint32(key)
	now := x.trust.counts.Get()
	if was, is := old&reportedBoth != 0, s&reportedBoth != 0; was != is {
		now.reported += step(is)
	}
	if old.mutual() != s.mutual() {
		now.mutual += step(s.mutual())
	}
	if now != x.trust.counts.Get() {
		x.trust.counts.Set(&x.w, now)
	}
	for _, n := range [2]struct {
		id, peer uint32
		own      sides
	}{{low, high, reportedLow | askedLow}, {high, low, reportedHigh | askedHigh}} {
		countOffer(x, n.id, old&n.own != 0, s&n.own != 0)
		if s == 0 {
			x.trust.byPeer.Drop(&x.w, pairOf(n.id, n.peer))
		} else if old == 0 {
			x.trust.byPeer.Put(&x.w, pairOf(n.id, n.peer), nothing{})
		}
	}
}

func countOffer(x *txn, node uint32, before, after bool) {
	if before == after {
		return
	}
	n, _ := x.trust.offers.Get(node)
	if after {
		n++
	} else {
		n--
	}
	if n == 0 {
		x.trust.offers.Drop(&x.w, node)
		return
	}
	x.trust.offers.Put(&x.w, node, n)
}

func putRequest(x *txn, key string, q *request) { requestTable.put(x, key, q) }

func dropRequest(x *txn, key string) { requestTable.drop(x, key) }

func putResponse(x *txn, key string, q *response) { responseTable.put(x, key, q) }

func dropResponse(x *txn, key string) { responseTable.drop(x, key) }
