// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"crypto/sha256"
	"slices"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Bounds of what members say: the names of members, tokens and secrets, an
// encrypted secret with its public part, a member's addresses and version.
const (
	maxNameBytes   = 128
	maxSecretBytes = 1 << 20
	maxHelloBytes  = 4 << 10
)

// sortedKeys lists a map's keys in ascending order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m { //determinism:sorted the keys are sorted before anybody sees them
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func checkName(kind, name string) *protocol.Error {
	if name == "" || len(name) > maxNameBytes {
		return protocol.Errorf(protocol.CodeInvalid, "invalid %s: want a name of 1 to %d bytes", kind, maxNameBytes)
	}
	return nil
}

// decideMemberHello records what a member says about itself at every boot.
func decideMemberHello(v *view, b *MemberRecord) (effect, *protocol.Error) {
	if e := checkName("member_hello", b.ID); e != nil {
		return nil, e
	}
	if b.LevelMin > b.LevelMax || len(b.Keys) > 1024 || len(b.Peer)+len(b.Wire)+len(b.Ops)+len(b.Version) > maxHelloBytes {
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid member_hello: its levels, keys or addresses make no sense")
	}
	for _, text := range []string{b.ID, b.Peer, b.Wire, b.Ops, b.Version} {
		if protocol.HasControl(text) {
			return nil, protocol.Errorf(protocol.CodeInvalid, "invalid member_hello: it holds a control character")
		}
	}
	if level := v.meta.level; level != 0 && (b.LevelMin > level || b.LevelMax < level) {
		return nil, protocol.Refusef(protocol.CodeConflict,
			"member %s supports feature levels %d to %d and the cluster is at %d; run a version that supports it", b.ID, b.LevelMin, b.LevelMax, level)
	}
	return func(x *txn) any {
		next := clusterMember{MemberRecord: *b}
		if old, known := x.cluster.members.Get(b.ID); known {
			next.NonVoter = old.NonVoter // decided by the token that let it in
			next.boot, next.counted = old.boot, old.counted
		} else {
			x.begin(protocol.EventMemberJoined).str("member_id", b.ID).str("peer", b.Peer).str("version", b.Version).end()
		}
		if len(b.Keys) > 0 {
			voidJoinTokens(x, b.ID)
		}
		slices.Sort(next.Keys)
		next.Keys = slices.Compact(next.Keys)
		putClusterMember(x, b.ID, &next)
		return ok("member_hello")
	}, nil
}

func decideMemberForget(v *view, b *MemberForget) (effect, *protocol.Error) {
	return func(x *txn) any {
		voidJoinTokens(x, b.ID)
		if _, known := x.cluster.members.Get(b.ID); known {
			dropClusterMember(x, b.ID)
			x.begin(protocol.EventMemberRemoved).str("member_id", b.ID).end()
		}
		return ok("member_forget")
	}, nil
}

func decidePutToken(v *view, b *PutToken) (effect, *protocol.Error) {
	if e := checkName("put_token", b.Name); e != nil {
		return nil, e
	}
	if b.Kind < TokenAdmin || b.Kind > TokenJoin || len(b.MAC.Sum) != sha256.Size || b.ExpiresInMS < 0 || b.ExpiresInMS > 100*366*dayMS {
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid put_token: want a known kind, a 32-byte MAC and a life of at most 100 years")
	}
	key := tokenKey(b.Kind, b.Name)
	if old, exists := v.cluster.tokens.Get(key); exists && b.OnlyIfAbsent && !v.expired(old) {
		return func(*txn) any { return ok("put_token") }, nil
	}
	return func(x *txn) any {
		x.meta.tokenGen++
		t := &token{TokenRecord: TokenRecord{Kind: b.Kind, Name: b.Name, Generation: x.meta.tokenGen, MAC: b.MAC, NonVoter: b.NonVoter}}
		if b.ExpiresInMS > 0 {
			t.Expires = x.meta.now + b.ExpiresInMS
		}
		putToken(x, key, t)
		x.begin(protocol.EventClusterTokenSeeded).str("kind", b.Kind.String()).str("name", b.Name).num("generation", uint64(t.Generation)).end()
		return ok("put_token")
	}, nil
}

// String names a kind of token.
func (k TokenKind) String() string {
	switch k {
	case TokenAdmin:
		return "admin"
	case TokenReplication:
		return "replication"
	case TokenJoin:
		return "join"
	}
	return "unknown"
}

func decidePutSealed(v *view, b *PutSealed) (effect, *protocol.Error) {
	if e := checkName("put_sealed", b.Name); e != nil {
		return nil, e
	}
	if len(b.Sealed.Nonce)+len(b.Sealed.Ciphertext)+len(b.Public) > maxSecretBytes {
		return nil, protocol.Errorf(protocol.CodeTooLarge, "the secret is too large (max %d bytes)", maxSecretBytes)
	}
	if _, exists := v.cluster.sealed.Get(b.Name); exists && b.OnlyIfAbsent {
		return func(*txn) any { return ok("put_sealed") }, nil
	}
	return func(x *txn) any {
		putSealed(x, b.Name, &sealed{Sealed: b.Sealed, public: b.Public})
		return ok("put_sealed")
	}, nil
}

// decideLeadershipTransferred notes a change of leader that somebody asked for.
// Who leads is not part of the state, so there is nothing else to decide.
func decideLeadershipTransferred(_ *view, b *LeadershipTransferred) (effect, *protocol.Error) {
	for _, id := range []string{b.From, b.To, b.AskedAt} {
		if e := checkName("leadership_transferred", id); e != nil {
			return nil, e
		}
	}
	return func(x *txn) any {
		x.begin(protocol.EventLeadershipTransferred).str("from", b.From).str("to", b.To).str("asked_at", b.AskedAt).end()
		return ok("leadership_transferred")
	}, nil
}

// decideMemberPromoted notes a vote that somebody asked for. Who votes is
// not part of the state either.
func decideMemberPromoted(_ *view, b *MemberPromoted) (effect, *protocol.Error) {
	for _, id := range []string{b.MemberID, b.AskedAt} {
		if e := checkName("member_promoted", id); e != nil {
			return nil, e
		}
	}
	return func(x *txn) any {
		x.begin(protocol.EventClusterMemberPromoted).str("member_id", b.MemberID).str("asked_at", b.AskedAt).end()
		return ok("member_promoted")
	}, nil
}

// decideActivateKey switches to a keyring version that every member holds.
func decideActivateKey(v *view, b *ActivateKey) (effect, *protocol.Error) {
	if e := v.fenced(b.Term); e != nil {
		return nil, e
	}
	var lacking string
	v.cluster.members.Scan(func(id string, s *clusterMember) bool {
		if !slices.Contains(s.Keys, b.Key) {
			lacking = id
		}
		return lacking == ""
	})
	switch {
	case b.Key == 0:
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid activate_key: keyring versions begin at 1")
	case len(b.AskedAt) > maxNameBytes:
		return nil, protocol.Errorf(protocol.CodeInvalid, "invalid activate_key: the name of the member that was asked is longer than %d bytes", maxNameBytes)
	case lacking != "":
		return nil, protocol.Refusef(protocol.CodeConflict, "cannot activate keyring version %d: member %s does not hold it yet", b.Key, lacking)
	}
	return func(x *txn) any {
		if was := x.meta.activeKey; was != b.Key { // else the rotation is repeated, to be finished
			x.begin(protocol.EventKeyringRotated).num("from", uint64(was)).num("to", uint64(b.Key)).str("asked_at", b.AskedAt).end()
		}
		x.meta.activeKey = b.Key
		return ok("activate_key")
	}, nil
}
