// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"math"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// The score commands answer "not found" in words of their own (docs/protocol/nodes.md#set_polo_score).
// They say nothing about a node being alive, so they leave its last sign of
// life alone.

func noPoloNode(id uint32) *protocol.Error {
	return protocol.Refusef(protocol.CodeNotFound, "node %d not found", id)
}

func poloReply(kind string, id uint32, score int32) any {
	return &protocol.PoloScoreReply{Type: kind, NodeID: id, Address: address(0, id), PoloScore: int64(score)}
}

func decideUpdatePolo(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.UpdatePoloScore)
	n := v.nodes.live(r.NodeID)
	if n == nil {
		return nil, noPoloNode(r.NodeID)
	}
	delta := int32(math.Trunc(*r.Delta))
	score := min(max(n.polo+delta, -protocol.MaxPoloScore), protocol.MaxPoloScore)
	if n.polo == score {
		return c.unchanged(poloReply("update_polo_score_ok", n.id, score))
	}
	return func(x *txn) any {
		x.edit(n, func(n *node) { n.polo = score })
		x.begin(protocol.EventPoloUpdated).node(n.id).int("delta", int64(delta)).int("new_score", int64(score)).end()
		return poloReply("update_polo_score_ok", n.id, score)
	}, nil
}

func decideSetPolo(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetPoloScore)
	n := v.nodes.live(r.NodeID)
	if n == nil {
		return nil, noPoloNode(r.NodeID)
	}
	score := int32(math.Trunc(*r.PoloScore))
	if n.polo == score {
		return c.unchanged(poloReply("set_polo_score_ok", n.id, score))
	}
	return func(x *txn) any {
		x.edit(n, func(n *node) { n.polo = score })
		x.begin(protocol.EventPoloSet).node(n.id).int("polo_score", int64(score)).end()
		return poloReply("set_polo_score_ok", n.id, score)
	}, nil
}

func readPolo(v *view, c *invocation) (any, *protocol.Error) {
	id := c.body.(*protocol.NodeRequest).NodeID
	n := v.nodes.live(id)
	if n == nil {
		return nil, noPoloNode(id)
	}
	return poloReply("get_polo_score_ok", id, n.polo), nil
}
