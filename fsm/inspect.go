// SPDX-License-Identifier: Apache-2.0

package fsm

// Inspection shows operators what the state holds of nodes and sinks and no
// command tells. It has no secret, and its owner has checked who looks.
type Inspection struct{ v *view }

// Inspect looks at this state.
func (r *Root) Inspect() Inspection { return Inspection{&r.view} }

// SinkLags are how many events each sink has still to be given, by name.
func (i Inspection) SinkLags() map[string]uint64 {
	lags := map[string]uint64{}
	i.v.audit.sinks.Scan(func(name string, _ *sink) bool {
		c, _ := i.v.audit.cursors.Get(name)
		lags[name] = i.v.lag(c)
		return true
	})
	return lags
}

// FailingSinks are the sinks whose last try failed, by name.
func (i Inspection) FailingSinks() (names []string) {
	i.v.audit.sinks.Scan(func(name string, _ *sink) bool {
		if c, _ := i.v.audit.cursors.Get(name); c.problem != "" {
			names = append(names, name)
		}
		return true
	})
	return names
}

// Tokens are the tokens of administrators and of replication, without what
// they are recognised by.
func (i Inspection) Tokens() (out []TokenRecord) {
	i.v.cluster.tokens.Scan(func(_ string, t *token) bool {
		if t.Kind == TokenAdmin || t.Kind == TokenReplication {
			out = append(out, TokenRecord{Kind: t.Kind, Name: t.Name, Generation: t.Generation, Expires: t.Expires})
		}
		return true
	})
	return out
}

// NodeSummary is a node in a list. Times are Unix milliseconds of log time, 0
// for none.
type NodeSummary struct {
	ID uint32
	// Online nodes were heard of lately. Released ones have been silent for so
	// long that they gave up hostname and tags.
	Online, Released  bool
	Hostname, Version string
	OfflineSince      int64
	KeyMade, KeyEnds  int64
	// Ends is when the first of its memberships, or of the roles in them, ends.
	Ends int64
	// Networks counts its memberships.
	Networks int
}

// EachNode visits the nodes that are not deregistered, by id, until f returns false.
func (i Inspection) EachNode(f func(NodeSummary) bool) {
	i.v.nodes.records.Ascend(0, func(_ uint32, n *node) bool {
		return !n.reachable() || f(i.summary(n))
	})
}

func (i Inspection) summary(n *node) NodeSummary {
	s := NodeSummary{ID: n.id, Online: n.live(), Released: n.state == stateReleased, Hostname: n.hostname, Version: n.version,
		OfflineSince: n.offlineAt, KeyMade: n.created, KeyEnds: n.expires}
	i.eachMembership(n.id, func(m NodeMembership) {
		s.Networks++
		for _, at := range []int64{m.Ends, m.RoleEnds} {
			if at != 0 && (s.Ends == 0 || at < s.Ends) {
				s.Ends = at
			}
		}
	})
	return s
}

// NodeMembership is a node's place in a network. Ends is when it leaves,
// RoleEnds when its role falls back to member.
type NodeMembership struct {
	Network        uint16
	Name, Role     string
	Ends, RoleEnds int64
}

func (i Inspection) eachMembership(id uint32, f func(NodeMembership)) {
	for _, net := range i.v.networks.of(id) {
		m, _ := i.v.networks.member(net, id)
		n, ok := i.v.networks.records.Get(net)
		if !ok {
			continue
		}
		f(NodeMembership{Network: net, Name: n.name, Role: m.role.String(), Ends: m.until, RoleEnds: m.roleUntil})
	}
}

// TrustSides are what a node and a peer have said about trusting each other:
// reported is a report of trust or the acceptance of a handshake.
type TrustSides struct {
	Peer                      uint32
	Reported, PeerReported    bool
	Asked, PeerAsked, Trusted bool
}

// NodeHandshake waits for a node to poll: a request of another node, or its
// answer. What the other node wrote is between the two.
type NodeHandshake struct {
	From             uint32
	At               int64
	Answer, Accepted bool
}

// NodeDetail is everything that is shown of one node.
type NodeDetail struct {
	NodeSummary
	PublicKey   string
	Memberships []NodeMembership
	// Trust has the first of the node's pairs by peer, Peers counts all.
	Trust []TrustSides
	Peers int
	// Waiting are the first handshakes that wait for the node, oldest first,
	// requests before answers; Handshakes counts all.
	Waiting    []NodeHandshake
	Handshakes int
}

// Node shows one node, with lists of up to most entries.
func (i Inspection) Node(id uint32, most int) (d NodeDetail, found bool) {
	n, had := i.v.nodes.records.Get(id)
	if !had || !n.reachable() {
		return d, false
	}
	d.NodeSummary = i.summary(n)
	if !n.has(flagKeyless) {
		d.PublicKey = n.key.String()
	}
	i.eachMembership(id, func(m NodeMembership) { d.Memberships = append(d.Memberships, m) })
	peers := i.v.trust.peers(id)
	d.Peers = len(peers)
	for _, peer := range peers[:min(len(peers), most)] {
		d.Trust = append(d.Trust, i.sides(id, peer))
	}
	keep := func(h NodeHandshake) bool {
		if d.Handshakes++; d.Handshakes <= most {
			d.Waiting = append(d.Waiting, h)
		}
		return true
	}
	i.v.trust.eachRequest(id, func(_ uint64, q *request) bool {
		return keep(NodeHandshake{From: q.from, At: q.at})
	})
	i.v.trust.eachResponse(id, func(_ uint64, q *response) bool {
		return keep(NodeHandshake{From: q.from, At: q.at, Answer: true, Accepted: q.accept})
	})
	return d, true
}

func (i Inspection) sides(id, peer uint32) TrustSides {
	s := i.v.trust.sides(id, peer)
	reported, asked := own(id, peer)
	peerReported, peerAsked := own(peer, id)
	return TrustSides{Peer: peer, Reported: s&reported != 0, PeerReported: s&peerReported != 0,
		Asked: s&asked != 0, PeerAsked: s&peerAsked != 0, Trusted: i.v.counts(s)}
}
