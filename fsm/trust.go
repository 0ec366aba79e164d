// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/protocol"
)

func decideReportTrust(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.Trust)
	n := v.nodes.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	if v.nodes.live(r.PeerID) == nil {
		return nil, noNode(r.PeerID)
	}
	if e := v.signed(c, n); e != nil {
		return nil, e
	}
	reply := &protocol.EmptyReply{Type: "report_trust_ok"}
	reported, _ := own(r.NodeID, r.PeerID)
	if r.NodeID == r.PeerID || v.trust.sides(r.NodeID, r.PeerID)&reported != 0 {
		return c.unchanged(reply)
	}
	if e := v.trust.mayOffer(r.NodeID, r.PeerID); e != nil {
		return nil, e
	}
	return func(x *txn) any {
		before := x.trusts(r.NodeID, r.PeerID)
		x.setSides(r.NodeID, r.PeerID, x.trust.sides(r.NodeID, r.PeerID)|reported)
		action := protocol.EventTrustOffered
		if !before && x.trusts(r.NodeID, r.PeerID) {
			action = protocol.EventTrustCreated
		}
		x.begin(action).num("node_a", uint64(r.NodeID)).num("node_b", uint64(r.PeerID)).end()
		x.count(CountTrustReports, 1)
		return reply
	}, nil
}

// decideRevokeTrust does not ask whether the peer is live: a silent peer is
// still trusted. Revoking by either side ends the pair for both.
func decideRevokeTrust(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.Trust)
	n := v.nodes.live(r.NodeID)
	if n == nil {
		return nil, noNode(r.NodeID)
	}
	if e := v.signed(c, n); e != nil {
		return nil, e
	}
	_, asked := own(r.NodeID, r.PeerID)
	if v.trust.sides(r.NodeID, r.PeerID)&(reportedBoth|asked) == 0 {
		return nil, protocol.Refusef(protocol.CodeNotFound, "no trust pair between %d and %d", r.NodeID, r.PeerID)
	}
	return func(x *txn) any {
		x.setSides(r.NodeID, r.PeerID, 0)
		withdrawRequests(x, r.NodeID, r.PeerID)
		x.begin(protocol.EventTrustRevoked).num("node_a", uint64(r.NodeID)).num("node_b", uint64(r.PeerID)).end()
		x.count(CountTrustRevocations, 1)
		return &protocol.EmptyReply{Type: "revoke_trust_ok"}
	}, nil
}

func readCheckTrust(v *view, c *invocation) (any, *protocol.Error) {
	r := c.body.(*protocol.Trust)
	trusted := v.trusts(r.NodeID, r.PeerID)
	if !trusted && v.nodes.live(r.NodeID) != nil && v.nodes.live(r.PeerID) != nil {
		trusted = v.networks.shared(r.NodeID, r.PeerID)
	}
	return &protocol.CheckTrustReply{Type: "check_trust_ok", Trusted: trusted}, nil
}
