// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// standing is what few nodes have besides their record. A record is never
// changed in place: change makes another one.
type standing struct {
	// former is the key that rotate_key or recover_identity replaced last, zero
	// for none. All it is good for is to hear again that it was replaced.
	former protocol.PublicKey

	badge, badgeSig, badgeProvider string
	verified                       int64

	commitment, recoveryProvider string
	// nonces are those of recoveries that could be sent again.
	nonces []usedNonce
}

// usedNonce is the nonce of a recovery until that ends, in Unix seconds.
type usedNonce struct {
	text string
	ends int64
}

var noStanding standing

// rare is the node's standing, the zero one when it has none.
func (n *node) rare() *standing {
	if n.standing != nil {
		return n.standing
	}
	return &noStanding
}

// change replaces the node's standing by a changed copy.
func (n *node) change(with func(*standing)) {
	s := *n.rare()
	with(&s)
	n.standing = &s
}

func (s *standing) appendTo(dst []byte) []byte {
	dst = append(dst, table.BoolByte(s != nil))
	if s == nil {
		return dst
	}
	dst = append(dst, s.former[:]...)
	for _, text := range []string{s.badge, s.badgeSig, s.badgeProvider, s.commitment, s.recoveryProvider} {
		dst = table.AppendString(dst, text)
	}
	dst = table.AppendVarint(dst, s.verified)
	dst = table.AppendUvarint(dst, uint64(len(s.nonces)))
	for _, n := range s.nonces {
		dst = table.AppendVarint(table.AppendString(dst, n.text), n.ends)
	}
	return dst
}

func readStanding(d *table.Decoder) *standing {
	if !d.Bool() {
		return nil
	}
	s := &standing{}
	copy(s.former[:], d.Raw(len(s.former)))
	s.badge, s.badgeSig, s.badgeProvider, s.commitment, s.recoveryProvider = d.Text(), d.Text(), d.Text(), d.Text(), d.Text()
	s.verified = d.Varint()
	count := d.Uvarint()
	if count > uint64(d.Left()) {
		d.Fail()
		return nil
	}
	for range count {
		s.nonces = append(s.nonces, usedNonce{d.Text(), d.Varint()})
	}
	return s
}
