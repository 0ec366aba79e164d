package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

func decideReportTrust(v *view, c *call) (effect, *protocol.Error) {
	r := c.body.(*protocol.Trust)
	n := v.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	if v.live(r.PeerID) == nil {
		return nil, noNode(r.PeerID)
	}
	if e := v.signed(c, n); e != nil {
		return nil, e
	}
	reply := &protocol.EmptyReply{Type: "report_trust_ok"}
	if r.NodeID == r.PeerID || v.trusts(r.NodeID, r.PeerID) {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		x.setTrust(r.NodeID, r.PeerID)
		x.begin(protocol.EventTrustCreated).num("node_a", uint64(r.NodeID)).num("node_b", uint64(r.PeerID)).end()
		return reply
	}, nil
}

func (x *txn) setTrust(a, b uint32) {
	if !x.trusts(a, b) {
		x.trust.put(x, trustKey(a, b), nothing{})
	}
}

// decideRevokeTrust does not ask whether the peer is live: trust survives a
// departure, and must be revocable after it.
func decideRevokeTrust(v *view, c *call) (effect, *protocol.Error) {
	r := c.body.(*protocol.Trust)
	n := v.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	if e := v.signed(c, n); e != nil {
		return nil, e
	}
	if !v.trusts(r.NodeID, r.PeerID) {
		return nil, protocol.Refusef(protocol.CodeNotFound, "no trust pair between %d and %d", r.NodeID, r.PeerID)
	}
	return func(x *txn) any {
		x.trust.drop(x, trustKey(r.NodeID, r.PeerID))
		x.begin(protocol.EventTrustRevoked).num("node_a", uint64(r.NodeID)).num("node_b", uint64(r.PeerID)).end()
		return &protocol.EmptyReply{Type: "revoke_trust_ok"}
	}, nil
}

func readCheckTrust(v *view, c *call) (any, *protocol.Error) {
	r := c.body.(*protocol.Trust)
	trusted := v.trusts(r.NodeID, r.PeerID)
	if !trusted && v.live(r.NodeID) != nil && v.live(r.PeerID) != nil {
		trusted = v.shareNetwork(r.NodeID, r.PeerID)
	}
	return &protocol.CheckTrustReply{Type: "check_trust_ok", Trusted: trusted}, nil
}
