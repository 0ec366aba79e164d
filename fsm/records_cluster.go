// SPDX-License-Identifier: Apache-2.0

package fsm

// token is a stored token. spentBy names the member that used a join token up,
// spentKey is the hash of its key.
type token struct {
	TokenRecord
	spentBy  string
	spentKey string
}

func (t *token) appendTo(dst []byte, _ uint32) []byte {
	dst = appendUvarint(dst, uint64(t.Generation))
	dst = appendMAC(dst, t.MAC)
	dst = appendVarint(dst, t.Expires)
	dst = append(dst, boolByte(t.NonVoter))
	dst = appendString(dst, t.spentBy)
	return appendString(dst, t.spentKey)
}

func readToken(d *decoder, _ uint32) *token {
	t := &token{}
	t.Generation, t.MAC, t.Expires, t.NonVoter = d.uvarint32(), readMAC(d), d.varint(), d.bool()
	t.spentBy, t.spentKey = d.str(), d.str()
	return t
}

var tokenSchema = schema[string, *token]{kindToken, appendKeyStr, readTokenKey, readToken}

func tokenKey(kind TokenKind, name string) string { return string(rune(kind)) + name }

func readTokenKey(d *decoder) string {
	k := d.str()
	if k == "" || k[0] < byte(TokenAdmin) || k[0] > byte(TokenJoin) {
		d.fail()
	}
	return k
}

// sealed is an encrypted secret with a public part beside it.
type sealed struct {
	Sealed
	public []byte
}

func (s *sealed) appendTo(dst []byte, _ uint32) []byte {
	dst = appendUvarint(dst, uint64(s.Key))
	dst = appendBytes(dst, s.Nonce)
	dst = appendBytes(dst, s.Ciphertext)
	return appendBytes(dst, s.public)
}

func readSealed(d *decoder, _ uint32) *sealed {
	s := &sealed{}
	s.Key = d.uvarint32()
	s.Nonce = append([]byte(nil), d.bytes()...)
	s.Ciphertext = append([]byte(nil), d.bytes()...)
	s.public = append([]byte(nil), d.bytes()...)
	return s
}

var sealedSchema = schema[string, *sealed]{kindSealed, appendKeyStr, readKeyStr, readSealed}

// clusterMember is a member of the cluster.
type clusterMember struct {
	MemberRecord
	// counted is how many requests the member had answered since boot, its last
	// start, when it last said so.
	boot    string
	counted uint64
}

func (s *clusterMember) appendTo(dst []byte, _ uint32) []byte {
	dst = appendString(dst, s.Peer)
	dst = appendString(dst, s.Wire)
	dst = appendString(dst, s.Ops)
	dst = appendString(dst, s.Version)
	dst = appendUvarint(dst, uint64(s.LevelMin))
	dst = appendUvarint(dst, uint64(s.LevelMax))
	dst = append(dst, boolByte(s.NonVoter))
	dst = appendUvarint(dst, uint64(len(s.Keys)))
	for _, k := range s.Keys {
		dst = appendUvarint(dst, uint64(k))
	}
	return appendUvarint(appendString(dst, s.boot), s.counted)
}

func readClusterMember(d *decoder, _ uint32) *clusterMember {
	s := &clusterMember{}
	s.Peer, s.Wire, s.Ops, s.Version = d.str(), d.str(), d.str(), d.str()
	s.LevelMin, s.LevelMax, s.NonVoter = d.uvarint32(), d.uvarint32(), d.bool()
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return s
	}
	for range n {
		s.Keys = append(s.Keys, d.uvarint32())
	}
	s.boot, s.counted = d.str(), d.uvarint()
	return s
}

var clusterMemberSchema = schema[string, *clusterMember]{kindClusterMember, appendKeyStr, readKeyStr, readClusterMember}
