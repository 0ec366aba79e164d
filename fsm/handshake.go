// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/json"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/share"
)

// maxPollBytes bounds a poll_handshakes reply, so that it fits the 64 KiB
// frames of deployed clients with room for the envelope.
const maxPollBytes = 60 << 10

// inboxShares are the requests that wait for a node. One machine can register
// many nodes, which together do not fill the inbox of another.
var inboxShares = share.Parts{Total: protocol.MaxHandshakeInbox}

// waiting counts what waits for a node, of a bearer's source and of all, and says
// whether something of the sender is among it.
func (st *trustStore) waiting(to, from uint32, by *bearer) (held share.Use, pending bool) {
	st.eachRequest(to, func(_ uint64, q *request) bool {
		held.Total++
		if q.source == by.source {
			held.Own++
		}
		if by.wide != by.source && q.wide == by.wide {
			held.Group++
		}
		pending = pending || q.from == from
		return true
	})
	return held, pending
}

// handshakeSigned checks the signature of the handshake commands, which have
// texts of their own and ask nothing of a keyless sender (docs/protocol/trust.md#handshakes).
func (v *view) handshakeSigned(c *invocation, n *node, what string) *protocol.Error {
	if n.has(flagKeyless) || v.signedBy(c, n) {
		return nil
	}
	e := signatureError(c)
	switch e.Code {
	case protocol.CodeSignatureRequired:
		e.Text = "handshake " + what + " requires signature"
	case protocol.CodeSignatureInvalid:
		if e.Text == "signature verification failed" {
			e.Text = "handshake " + what + " signature verification failed"
		}
	}
	return e
}

func decideRequestHandshake(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.RequestHandshake)
	from := v.nodes.live(r.FromNodeID)
	if from == nil {
		return nil, noNode(r.FromNodeID)
	}
	if v.nodes.live(r.ToNodeID) == nil {
		return nil, noNode(r.ToNodeID)
	}
	if e := v.handshakeSigned(c, from, "request"); e != nil {
		return nil, e
	}
	by := bearerOf(r, c.actor, c.source)
	held, pending := v.trust.waiting(r.ToNodeID, from.id, &by)
	switch inboxShares.Allows(held, 1) {
	case share.Within:
	case share.WholeTotal:
		return nil, protocol.Refusef(protocol.CodeLimitReached, "handshake inbox full for node %d", r.ToNodeID)
	default:
		return nil, protocol.Refusef(protocol.CodeLimitReached, "handshake inbox full for node %d: what came from %s is as much as there is still room for; try again when the node has polled", r.ToNodeID, by.source)
	}
	if pending {
		return nil, protocol.Refusef(protocol.CodeAlreadyExists, "handshake request already pending from node %d", from.id)
	}
	if e := v.trust.mayOffer(from.id, r.ToNodeID); e != nil {
		return nil, e
	}
	return func(x *txn) any {
		if _, asked := own(from.id, r.ToNodeID); from.id != r.ToNodeID {
			x.setSides(from.id, r.ToNodeID, x.trust.sides(from.id, r.ToNodeID)|asked)
		}
		x.meta.queueSeq++
		putRequest(x, queueKey(r.ToNodeID, x.meta.queueSeq), &request{from: from.id, at: x.meta.now, justification: r.Justification, source: by.source, wide: by.wide})
		x.begin(protocol.EventHandshakeRelayed).num("from_node_id", uint64(from.id)).num("to_node_id", uint64(r.ToNodeID)).end()
		x.count(CountHandshakeRequests, 1)
		return &protocol.RequestHandshakeReply{Type: "request_handshake_ok", Status: "delivered"}
	}, nil
}

func decideRespondHandshake(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.RespondHandshake)
	n := v.nodes.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	if v.nodes.live(r.PeerID) == nil {
		return nil, noNode(r.PeerID)
	}
	if e := v.handshakeSigned(c, n, "response"); e != nil {
		return nil, e
	}
	if e := v.trust.mayOffer(r.NodeID, r.PeerID); r.Accept && e != nil {
		return nil, e
	}
	return func(x *txn) any {
		if r.NodeID != r.PeerID {
			answerAsk(x, r.NodeID, r.PeerID, r.Accept)
		}
		queueResponse(x, r.PeerID, &response{from: n.id, at: x.meta.now, accept: r.Accept})
		x.begin(protocol.EventHandshakeResponded).node(n.id).num("peer_id", uint64(r.PeerID)).bool("accept", r.Accept).end()
		return &protocol.RespondHandshakeReply{Type: "respond_handshake_ok", Accept: r.Accept, PeerID: r.PeerID}
	}, nil
}

// answerAsk notes the answer of a node to another that asked it, or did not.
func answerAsk(x *txn, node, peer uint32, accept bool) {
	s := x.trust.sides(node, peer)
	if accept {
		reported, _ := own(node, peer)
		x.setSides(node, peer, s|reported)
		return
	}
	_, asked := own(peer, node)
	x.setSides(node, peer, s&^asked)
}

// queueResponse appends to a node's responses; beyond the cap an earlier one goes.
func queueResponse(x *txn, to uint32, q *response) {
	waiting := 0
	x.trust.eachResponse(to, func(uint64, *response) bool {
		waiting++
		return true
	})
	if waiting >= protocol.MaxHandshakeResponses {
		dropResponse(x, queueKey(to, x.trust.leastMissed(to, q.from)))
	}
	x.meta.queueSeq++
	putResponse(x, queueKey(to, x.meta.queueSeq), q)
}

// leastMissed is the response to a node that makes room for another of a
// sender: the oldest of whom there are most. For anybody can respond to
// anybody; the first answer of somebody whom the node has asked does not count.
func (st *trustStore) leastMissed(to, sender uint32) (seq uint64) {
	many := map[uint32]int{sender: 1}
	st.eachResponse(to, func(_ uint64, q *response) bool {
		many[q.from]++
		return true
	})
	most := -1
	st.eachResponse(to, func(at uint64, q *response) bool {
		n := many[q.from]
		if _, asked := own(to, q.from); st.sides(to, q.from)&asked != 0 {
			n--
		}
		if n > most {
			most, seq = n, at
		}
		return true
	})
	return seq
}

func (st *trustStore) eachRequest(id uint32, f func(seq uint64, q *request) bool) {
	st.requests.Ascend(queueKey(id, 0), func(k string, q *request) bool {
		node, seq := splitQueueKey(k)
		return node == id && f(seq, q)
	})
}

func (st *trustStore) eachResponse(id uint32, f func(seq uint64, q *response) bool) {
	st.responses.Ascend(queueKey(id, 0), func(k string, q *response) bool {
		node, seq := splitQueueKey(k)
		return node == id && f(seq, q)
	})
}

// drained is what a poll takes from a node's queues: everything up to two
// sequence numbers.
type drained struct {
	reply                     *protocol.PollHandshakesReply
	upToRequest, upToResponse uint64
}

func (d *drained) found() bool { return len(d.reply.Requests)+len(d.reply.Responses) > 0 }

// drain collects, oldest first, what fits a reply and lies within the bounds.
func (st *trustStore) drain(id uint32, maxRequest, maxResponse uint64) *drained {
	d := &drained{reply: &protocol.PollHandshakesReply{
		Type: "poll_handshakes_ok", Requests: []protocol.HandshakeRequest{}, Responses: []protocol.HandshakeResponse{},
	}}
	size := 128
	st.eachRequest(id, func(seq uint64, q *request) bool {
		size += 80 + jsonLen(q.justification)
		if d.reply.More = seq > maxRequest || size > maxPollBytes; d.reply.More {
			return false
		}
		d.reply.Requests = append(d.reply.Requests, protocol.HandshakeRequest{FromNodeID: q.from, Justification: q.justification, Timestamp: q.at / 1000})
		d.upToRequest = seq
		return true
	})
	more := false
	st.eachResponse(id, func(seq uint64, q *response) bool {
		size += 80
		if more = seq > maxResponse || size > maxPollBytes; more {
			return false
		}
		d.reply.Responses = append(d.reply.Responses, protocol.HandshakeResponse{FromNodeID: q.from, Accept: q.accept, Timestamp: q.at / 1000})
		d.upToResponse = seq
		return true
	})
	d.reply.More = d.reply.More || more
	return d
}

// jsonLen is the length of a string as JSON, quotes included.
func jsonLen(s string) int {
	b, _ := json.Marshal(s) // a string always encodes
	return len(b)
}

func (v *view) pollable(c *invocation, id uint32) *protocol.Error {
	n := v.nodes.live(id)
	if n == nil {
		return noNode(id)
	}
	return v.signed(c, n)
}

// readPollHandshakes shows what a poll would take and notes in the body how
// far that goes, so that Apply takes nothing that came later.
func readPollHandshakes(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.PollHandshakes)
	if e := v.pollable(c, r.NodeID); e != nil {
		return nil, e
	}
	d := v.trust.drain(r.NodeID, 1<<64-1, 1<<64-1)
	r.UpToRequest, r.UpToResponse = d.upToRequest, d.upToResponse
	return d, nil
}

func decidePollHandshakes(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.PollHandshakes)
	if e := v.pollable(c, r.NodeID); e != nil {
		return nil, e
	}
	return func(x *txn) any {
		d := x.trust.drain(r.NodeID, r.UpToRequest, r.UpToResponse)
		eachRequestKey(x, r.NodeID, d.upToRequest, func(k string) { dropRequest(x, k) })
		eachResponseKey(x, r.NodeID, d.upToResponse, func(k string) { dropResponse(x, k) })
		return d.reply
	}, nil
}

// dropHandshakes takes out what waits for a node that goes, and what the node
// asked others, who would answer a question that nobody has any more.
func dropHandshakes(x *txn, id uint32) {
	const all = 1<<64 - 1
	eachRequestKey(x, id, all, func(k string) { dropRequest(x, k) })
	eachResponseKey(x, id, all, func(k string) { dropResponse(x, k) })
	for _, peer := range x.trust.peers(id) {
		if _, asked := own(id, peer); x.trust.sides(id, peer)&asked != 0 {
			withdrawRequests(x, id, peer)
		}
	}
}

// withdrawRequests takes out what a node asked another and waits there.
func withdrawRequests(x *txn, from, to uint32) {
	var keys []string
	x.trust.eachRequest(to, func(seq uint64, q *request) bool {
		if q.from == from {
			keys = append(keys, queueKey(to, seq))
		}
		return true
	})
	for _, k := range keys {
		dropRequest(x, k)
	}
}

// eachRequestKey visits the keys of a node's requests up to seq. They are
// collected first, because the visit may drop them.
func eachRequestKey(x *txn, id uint32, upTo uint64, f func(string)) {
	var keys []string
	x.trust.eachRequest(id, func(seq uint64, _ *request) bool {
		if seq <= upTo {
			keys = append(keys, queueKey(id, seq))
		}
		return seq <= upTo
	})
	for _, k := range keys {
		f(k)
	}
}

func eachResponseKey(x *txn, id uint32, upTo uint64, f func(string)) {
	var keys []string
	x.trust.eachResponse(id, func(seq uint64, _ *response) bool {
		if seq <= upTo {
			keys = append(keys, queueKey(id, seq))
		}
		return seq <= upTo
	})
	for _, k := range keys {
		f(k)
	}
}
