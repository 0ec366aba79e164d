// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"sync/atomic"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Root is the state after one entry. It never changes: any number of
// goroutines may read it, for as long as they like.
type Root struct {
	view
	index, term uint64
	digest      [32]byte
	// sweepAt is where the next search for silent nodes begins. It belongs to
	// the machine, not to the state: where one looks does not decide anything.
	sweepAt *atomic.Uint32
}

// Index is the log index of the newest entry in this state.
func (r *Root) Index() uint64 { return r.index }

// Term is the raft term of the newest entry in this state.
func (r *Root) Term() uint64 { return r.term }

// Now is log time in Unix milliseconds.
func (r *Root) Now() int64 { return r.meta.now }

// Level is the feature level, 0 before the cluster was initialised.
func (r *Root) Level() uint32 { return r.meta.level }

// Digest is the sum modulo 2^256 of the SHA-256 hashes of all records. Two
// members with the same index and level have the same digest.
func (r *Root) Digest() [32]byte { return r.digest }

// ClusterID is the cluster's id, empty before it was initialised.
func (r *Root) ClusterID() string { return r.meta.clusterID }

// LeaderTerm is the newest term that began with a KindTermStart.
func (r *Root) LeaderTerm() uint64 { return r.meta.leaderTerm }

// ActiveKey is the version of the cluster keyring to use for new secrets.
func (r *Root) ActiveKey() uint32 { return r.meta.activeKey }

// Age is how long ago the cluster was made, in milliseconds of log time.
func (r *Root) Age() int64 {
	if r.meta.began == 0 {
		return 0
	}
	return max(r.meta.now-r.meta.began, 0)
}

// NodeCount is the number of live nodes.
func (r *Root) NodeCount() int { return r.nodes.liveIDs.Len() }

// NodeKey returns the key to verify node id's signatures with and its
// generation. It knows live and offline nodes, because an offline node may
// sign a heartbeat or deregister; whether a command may come from an offline
// node is for its handler to say.
func (r *Root) NodeKey(id uint32) (key protocol.PublicKey, gen uint32, keyless, ok bool) {
	n, had := r.nodes.records.Get(id)
	if !had || !n.reachable() {
		return key, 0, false, false
	}
	return n.key, n.keyGen, n.has(flagKeyless), true
}

// GoneKey is NodeKey for a node that has been deregistered: its key stays
// bound to its id. Who sends its deregistration again can still be recognised.
func (r *Root) GoneKey(id uint32) (key protocol.PublicKey, gen uint32, ok bool) {
	n, had := r.nodes.records.Get(id)
	if !had || n.state != stateDeregistered || n.has(flagKeyless) {
		return key, 0, false
	}
	return n.key, n.keyGen, true
}

// UnsignedIdentity reports whether a registration binds an existing node to a
// person only because compat.unsigned_identity is on.
func (r *Root) UnsignedIdentity(b *protocol.Register) bool {
	if !b.UnsignedIdentity || b.SignedRequest || b.ExternalID == "" {
		return false
	}
	key, err := protocol.ParsePublicKey(b.PublicKey)
	if err != nil {
		return false
	}
	id, known := r.KeyOwner(key)
	n, _ := r.nodes.records.Get(id)
	return known && n.externalID == ""
}

// KnownKey reports whether a public key is bound to a node id, live or not.
func (r *Root) KnownKey(key protocol.PublicKey) bool {
	_, ok := r.KeyOwner(key)
	return ok
}

// KeyOwner is the node id that a public key is bound to, live or not.
func (r *Root) KeyOwner(key protocol.PublicKey) (node uint32, ok bool) {
	return r.nodes.byKey.Get(string(key[:]))
}

// Tokens lists the stored tokens of a kind by name. A join token that was used
// stays listed until its member has announced itself or is removed, so that
// the member can try again.
func (r *Root) Tokens(kind TokenKind) []TokenRecord {
	var out []TokenRecord
	r.cluster.tokens.Ascend(tokenKey(kind, ""), func(_ string, t *token) bool {
		if t.Kind != kind {
			return false
		}
		out = append(out, t.TokenRecord)
		return true
	})
	return out
}

// Token finds a stored token.
func (r *Root) Token(kind TokenKind, name string) (TokenRecord, bool) {
	if t, ok := r.cluster.tokens.Get(tokenKey(kind, name)); ok {
		return t.TokenRecord, true
	}
	return TokenRecord{}, false
}

// NetworkTokenKey says under which keyring version the join token of a
// network is stored; ok is false when the network has none.
func (r *Root) NetworkTokenKey(net uint16) (keyVersion uint32, ok bool) {
	n, had := r.networks.records.Get(net)
	if !had || n.token.IsZero() {
		return 0, false
	}
	return n.token.Key, true
}

// NetworkAdminToken is the MAC of a network's own admin token; ok is false
// when it has none.
func (r *Root) NetworkAdminToken(net uint16) (mac protocol.MAC, ok bool) {
	n, had := r.networks.records.Get(net)
	if !had || n.admin.IsZero() {
		return protocol.MAC{}, false
	}
	return n.admin, true
}

// Members lists the records of the cluster's members by id. The slices in
// them must not be changed.
func (r *Root) Members() []MemberRecord {
	out := make([]MemberRecord, 0, r.cluster.members.Len())
	r.cluster.members.Scan(func(_ string, s *clusterMember) bool {
		out = append(out, s.MemberRecord)
		return true
	})
	return out
}

// Sealed finds an encrypted secret and the public part beside it. The slices
// must not be changed.
func (r *Root) Sealed(name string) (secret Sealed, public []byte, ok bool) {
	s, had := r.cluster.sealed.Get(name)
	if !had {
		return Sealed{}, nil, false
	}
	return s.Sealed, s.public, true
}
