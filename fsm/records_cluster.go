// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/fsm/internal/table"

// token is a stored token. spentBy names the member that used a join token up,
// spentKey is the hash of its key.
type token struct {
	TokenRecord
	spentBy  string
	spentKey string
}

func (t *token) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendUvarint(dst, uint64(t.Generation))
	dst = appendMAC(dst, t.MAC)
	dst = table.AppendVarint(dst, t.Expires)
	dst = append(dst, table.BoolByte(t.NonVoter))
	dst = table.AppendString(dst, t.spentBy)
	return table.AppendString(dst, t.spentKey)
}

func readToken(d *table.Decoder, _ uint32) *token {
	t := &token{}
	t.Generation, t.MAC, t.Expires, t.NonVoter = d.Uvarint32(), readMAC(d), d.Varint(), d.Bool()
	t.spentBy, t.spentKey = d.Text(), d.Text()
	return t
}

func tokenKey(kind TokenKind, name string) string { return string(rune(kind)) + name }

func readTokenKey(d *table.Decoder) string {
	k := d.Text()
	if k == "" || k[0] < byte(TokenAdmin) || k[0] > byte(TokenJoin) {
		d.Fail()
	}
	return k
}

// sealed is an encrypted secret with a public part beside it.
type sealed struct {
	Sealed
	public []byte
}

func (s *sealed) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendUvarint(dst, uint64(s.Key))
	dst = table.AppendBytes(dst, s.Nonce)
	dst = table.AppendBytes(dst, s.Ciphertext)
	return table.AppendBytes(dst, s.public)
}

func readSealed(d *table.Decoder, _ uint32) *sealed {
	s := &sealed{}
	s.Key = d.Uvarint32()
	s.Nonce = append([]byte(nil), d.Bytes()...)
	s.Ciphertext = append([]byte(nil), d.Bytes()...)
	s.public = append([]byte(nil), d.Bytes()...)
	return s
}

// clusterMember is a member of the cluster.
type clusterMember struct {
	MemberRecord
	// counted is how many requests the member had answered since boot, its last
	// start, when it last said so.
	boot    string
	counted uint64
}

func (s *clusterMember) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendString(dst, s.Peer)
	dst = table.AppendString(dst, s.Wire)
	dst = table.AppendString(dst, s.Ops)
	dst = table.AppendString(dst, s.Version)
	dst = table.AppendUvarint(dst, uint64(s.LevelMin))
	dst = table.AppendUvarint(dst, uint64(s.LevelMax))
	dst = append(dst, table.BoolByte(s.NonVoter))
	dst = table.AppendUvarint(dst, uint64(len(s.Keys)))
	for _, k := range s.Keys {
		dst = table.AppendUvarint(dst, uint64(k))
	}
	return table.AppendUvarint(table.AppendString(dst, s.boot), s.counted)
}

func readClusterMember(d *table.Decoder, _ uint32) *clusterMember {
	s := &clusterMember{}
	s.Peer, s.Wire, s.Ops, s.Version = d.Text(), d.Text(), d.Text(), d.Text()
	s.LevelMin, s.LevelMax, s.NonVoter = d.Uvarint32(), d.Uvarint32(), d.Bool()
	n := d.Uvarint()
	if n > uint64(d.Left()) {
		d.Fail()
		return s
	}
	for range n {
		s.Keys = append(s.Keys, d.Uvarint32())
	}
	s.boot, s.counted = d.Text(), d.Uvarint()
	return s
}
