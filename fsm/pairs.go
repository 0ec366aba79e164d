// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// sides says what each of two nodes has said about trusting the other. Both
// modes of trust keep all of it, so that the mode can be changed at any time.
type sides uint8

const (
	reportedLow  sides = 1 << 0 // the node with the lower id has reported trust, or accepted
	reportedHigh sides = 1 << 1
	askedLow     sides = 1 << 2 // it has asked for a handshake, and was not turned down
	askedHigh    sides = 1 << 3

	reportedBoth = reportedLow | reportedHigh
)

// own are the sides of a node in a pair with another.
func own(node, peer uint32) (reported, asked sides) {
	if node <= peer {
		return reportedLow, askedLow
	}
	return reportedHigh, askedHigh
}

// mutual reports whether both have spoken, and one of them more than asked.
func (s sides) mutual() bool {
	return s&reportedBoth != 0 && s&(reportedLow|askedLow) != 0 && s&(reportedHigh|askedHigh) != 0
}

// appendTo encodes a pair of which both have reported as nothing: most have.
func (s sides) AppendTo(dst []byte, _ uint32) []byte {
	if s == reportedBoth {
		return dst
	}
	return append(dst, byte(s))
}

func readSides(d *table.Decoder, _ uint32) sides {
	if d.Left() == 0 {
		return reportedBoth
	}
	s := sides(d.Uint8())
	if s == 0 || s > reportedBoth|askedLow|askedHigh || s == reportedBoth {
		d.Fail()
	}
	return s
}

func trustKey(a, b uint32) uint64 {
	if a > b {
		a, b = b, a
	}
	return uint64(a)<<32 | uint64(b)
}

func pairOf(node, peer uint32) uint64 { return uint64(node)<<32 | uint64(peer) }

// sides are what two nodes have said about each other, 0 for nothing.
func (st *trustStore) sides(a, b uint32) sides {
	s, _ := st.pairs.Get(trustKey(a, b))
	return s
}

// counts reports whether what was said makes trust in the mode of the cluster.
func (v *view) counts(s sides) bool {
	if v.cluster.setting(protocol.SettingTrustMode) == protocol.TrustMutual {
		return s.mutual()
	}
	return s&reportedBoth != 0
}

// trusts reports whether two nodes form a trust pair.
func (v *view) trusts(a, b uint32) bool { return v.counts(v.trust.sides(a, b)) }

// maxOffers bounds the pairs in which a node has spoken. What others say about
// a node is counted for them.
const maxOffers = 4096

// mayOffer refuses a node another pair when it has too many.
func (st *trustStore) mayOffer(node, peer uint32) *protocol.Error {
	reported, asked := own(node, peer)
	if n, _ := st.offers.Get(node); n < maxOffers || st.sides(node, peer)&(reported|asked) != 0 {
		return nil
	}
	return protocol.Refusef(protocol.CodeLimitReached, "node %d has %d trust pairs, which is the most; revoke one first", node, maxOffers)
}

// forgetPairs ends all trust of a node that goes.
func forgetPairs(x *txn, node uint32) {
	for _, p := range x.trust.peers(node) {
		x.setSides(node, p, 0)
	}
}

// peers are the nodes with which a node has a trust pair, ascending.
func (st *trustStore) peers(node uint32) (peers []uint32) {
	st.byPeer.Ascend(pairOf(node, 0), func(k uint64, _ nothing) bool {
		if uint32(k>>32) != node {
			return false
		}
		peers = append(peers, uint32(k))
		return true
	})
	return peers
}
