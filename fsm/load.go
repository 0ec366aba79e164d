// SPDX-License-Identifier: Apache-2.0

package fsm

// loaders add a decoded record of each kind to a state that is being
// restored, with its indexes. They report false for what does not decode or
// contradicts a record that was loaded before.
var loaders = withNextLoaders(map[kind]func(x *txn, d *decoder, level uint32) bool{
	kindNode:          loadNode,
	kindSeen:          loadSeen,
	kindNetwork:       loadNetwork,
	kindMembership:    loadMembership,
	kindToken:         loadToken,
	kindClusterMember: loadClusterMember,
	kindResult:        loadResult,
	kindTrust:         loadTrust,
	kindRequest:       plain(func(x *txn) *table[string, *request] { return &x.handshakeRequests }),
	kindResponse:      plain(func(x *txn) *table[string, *response] { return &x.responses }),
	kindBeacon:        loadBeacon,
	kindSealed:        plain(func(x *txn) *table[string, *sealed] { return &x.sealed }),
	kindSession:       plain(func(x *txn) *table[string, session] { return &x.sessions }),
	kindMinted:        plain(func(x *txn) *table[string, *result] { return &x.minted }),
	kindSecurity:      loadSecurity,
	kindActivity:      plain(func(x *txn) *table[uint64, eventRecord] { return &x.events[1] }),
	kindBlocked:       plain(func(x *txn) *table[uint32, millis] { return &x.blocked }),

	kindInvite:     loadInvite,
	kindPreAssign:  loadPreAssign,
	kindSettings:   plain(func(x *txn) *table[uint16, *settings] { return &x.settings }),
	kindSink:       loadSink,
	kindCursor:     loadCursor,
	kindSinkTotals: loadSinkTotals,
	kindLetter:     loadLetter,
	kindJWKS:       plain(func(x *txn) *table[string, *jwks] { return &x.jwks }),
	kindStaged:     loadStaged,
	kindMemberTag:  loadMemberTags,
	kindNetDocs:    loadNetworkDocs,
	kindRejected:   plain(func(x *txn) *table[uint32, millis] { return &x.rejected }),
	kindProvenKey:  plain(func(x *txn) *table[string, nothing] { return &x.provenKeys }),
})

// plain loads tables without indexes.
func plain[K tableKey, V record](of func(*txn) *table[K, V]) func(*txn, *decoder, uint32) bool {
	return func(x *txn, d *decoder, level uint32) bool {
		t := of(x)
		k, v, ok := t.decode(d, level)
		if !ok || t.holds(k) {
			return false
		}
		t.put(x, k, v)
		return true
	}
}

func loadNode(x *txn, d *decoder, level uint32) bool {
	id, n, ok := x.nodes.decode(d, level)
	if !ok || id == 0 || x.nodes.holds(id) || x.meta.nextNode != 0 && id >= x.meta.nextNode {
		return false
	}
	n.id = id
	if _, taken := x.byKey.get(string(n.key[:])); taken && !n.has(flagKeyless) {
		return false
	}
	if _, taken := x.byHost.get(n.hostname); taken {
		return false
	}
	x.setNode(nil, n)
	return true
}

func loadBeacon(x *txn, d *decoder, level uint32) bool {
	id, b, ok := x.beacons.decode(d, level)
	if !ok || x.beacons.holds(id) {
		return false
	}
	x.putBeacon(id, b)
	return true
}

func loadSeen(x *txn, d *decoder, level uint32) bool {
	id, sec, ok := x.seen.decode(d, level)
	if !ok || sec == 0 || x.live(id) == nil || x.seen.holds(id) {
		return false
	}
	x.seen.put(x, id, sec)
	return true
}

func loadNetwork(x *txn, d *decoder, level uint32) bool {
	id, n, ok := x.networks.decode(d, level)
	if _, taken := x.byName.get(n.nameOrNone()); !ok || taken || x.networks.holds(id) || x.meta.nextNet != 0 && id >= x.meta.nextNet {
		return false
	}
	x.setNetwork(id, n)
	return true
}

func (n *network) nameOrNone() string {
	if n == nil {
		return ""
	}
	return n.name
}

func loadMembership(x *txn, d *decoder, level uint32) bool {
	k, m, ok := x.memberships.decode(d, level)
	if !ok || k>>48 != 0 || x.memberships.holds(k) {
		return false
	}
	net := uint16(k >> 32)
	if _, taken := x.byOrder.get(orderKey(net, m.order)); taken {
		return false
	}
	if _, owned := x.owners.get(net); owned && m.role == roleOwner {
		return false
	}
	x.putMembership(net, uint32(k), m)
	return true
}

func loadInvite(x *txn, d *decoder, level uint32) bool {
	k, i, ok := x.invites.decode(d, level)
	if !ok || x.invites.holds(k) {
		return false
	}
	x.putInvite(k, i)
	return true
}

func loadPreAssign(x *txn, d *decoder, level uint32) bool {
	k, p, ok := x.preAssign.decode(d, level)
	if !ok || x.preAssign.holds(k) {
		return false
	}
	net := (&decoder{b: []byte(k)}).key16()
	if _, taken := x.byAssign.get(preAssignIndex(net, p.key)); taken {
		return false
	}
	x.putPreAssign(net, k, p)
	return true
}

func loadSink(x *txn, d *decoder, level uint32) bool {
	k, s, ok := x.sinks.decode(d, level)
	if !ok || x.sinks.holds(k) {
		return false
	}
	s.Name = k
	if s.Required {
		x.requiredSinks++
	}
	x.sinks.put(x, k, s)
	return true
}

func loadCursor(x *txn, d *decoder, level uint32) bool {
	k, c, ok := x.cursors.decode(d, level)
	if !ok || !x.sinks.holds(k) || x.cursors.holds(k) {
		return false
	}
	x.cursors.put(x, k, c)
	return true
}

// loadSinkTotals comes after what it has to fit to.
func loadSinkTotals(x *txn, d *decoder, level uint32) bool {
	k, t, ok := x.totals.decode(d, level)
	if !ok || x.totals.holds(k) || x.sinks.holds(k) != (t.gone == 0) {
		return false
	}
	if cur, ok := x.cursors.get(k); ok && (cur.before.delivered > t.delivered || cur.before.failed > t.failed || cur.before.dropped > t.dropped) {
		return false
	}
	x.totals.put(x, k, t)
	return true
}

func loadLetter(x *txn, d *decoder, level uint32) bool {
	k, l, ok := x.letters.decode(d, level)
	if !ok || x.letters.holds(k) {
		return false
	}
	if name, _ := splitLetterKey(k); !x.sinks.holds(name) {
		return false
	}
	x.letters.put(x, k, l)
	return true
}

func loadToken(x *txn, d *decoder, level uint32) bool {
	k, t, ok := x.tokens.decode(d, level)
	if !ok || x.tokens.holds(k) {
		return false
	}
	t.Kind, t.Name = TokenKind(k[0]), k[1:]
	x.tokens.put(x, k, t)
	return true
}

func loadClusterMember(x *txn, d *decoder, level uint32) bool {
	k, s, ok := x.clusterMembers.decode(d, level)
	if !ok || x.clusterMembers.holds(k) {
		return false
	}
	s.ID = k
	x.clusterMembers.put(x, k, s)
	return true
}

func loadResult(x *txn, d *decoder, level uint32) bool {
	k, r, ok := x.results.decode(d, level)
	if !ok || x.results.holds(k) {
		return false
	}
	x.addResult(k, r)
	return true
}

// consistent checks what the decoders of single records cannot see.
func (x *txn) consistent() error {
	switch {
	case x.seen.len() != x.liveNodes.len():
		return damaged("%d nodes are live and %d have a last sign of life", x.liveNodes.len(), x.seen.len())
	case x.meta.clusterID != "" && !x.networks.holds(0):
		return damaged("it has no backbone network")
	}
	for i := range x.events {
		if uint64(x.events[i].len()) != x.meta.chains[i].Count {
			return damaged("events are missing")
		}
	}
	if x.sinks.len() != x.cursors.len() {
		return damaged("%d sinks have %d positions", x.sinks.len(), x.cursors.len())
	}
	return nil
}
