// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/fsm/internal/table"

// invite is an invite in a node's inbox. Inboxes are keyed like handshake
// queues, by node and a global sequence number.
type invite struct {
	net     uint16
	inviter uint32
	at      int64
	// span is how long the membership lasts once accepted, in seconds, 0 for good.
	span uint32
}

func (i *invite) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendUvarint(dst, uint64(i.net))
	dst = table.AppendUvarint(dst, uint64(i.inviter))
	dst = table.AppendVarint(dst, i.at)
	return table.AppendUvarint(dst, uint64(i.span))
}

func readInvite(d *table.Decoder, _ uint32) *invite {
	net := d.Uvarint()
	i := &invite{net: uint16(net), inviter: d.Uvarint32(), at: d.Varint(), span: d.Uvarint32()}
	if net > 0xffff || i.at < 0 || i.at > maxTime {
		d.Fail()
	}
	return i
}

// Keys of the index of invites by network and by inviter. Both end with the
// key of the invite.
func inviteByNetwork(net uint16, key string) string {
	return string(append(table.AppendKey16([]byte{'n'}, net), key...))
}

func inviteByInviter(inviter uint32, net uint16, key string) string {
	return string(append(table.AppendKey16(table.AppendKey32([]byte{'i'}, inviter), net), key...))
}

// preAssign is a role that waits for a node with an external id. key is the
// external id as it is compared, kept beside the id as written so that
// another rule of folding would not change what an entry means.
type preAssign struct {
	external, key string
	role          role
}

func (p *preAssign) AppendTo(dst []byte, _ uint32) []byte {
	return append(table.AppendString(table.AppendString(dst, p.external), p.key), byte(p.role))
}

func readPreAssign(d *table.Decoder, _ uint32) *preAssign {
	p := &preAssign{external: d.Text(), key: d.Text(), role: role(d.Uint8())}
	if p.role < roleMember || p.role > roleOwner {
		d.Fail()
	}
	return p
}

func preAssignKey(net uint16, seq uint64) string {
	return string(table.AppendKey64(table.AppendKey16(make([]byte, 0, 10), net), seq))
}

// networkOfKey is the network of a pre-assignment.
func networkOfKey(k string) uint16 { return table.NewDecoder([]byte(k)).Key16() }

func readPreAssignKey(d *table.Decoder) string {
	k := d.Text()
	if len(k) != 10 {
		d.Fail()
	}
	return k
}

// preAssignIndex finds a network's pre-assignment by folded external id.
func preAssignIndex(net uint16, key string) string {
	return string(append(table.AppendKey16(make([]byte, 0, 2+len(key)), net), key...))
}

// stage is a notice of an end that comes closer, as a number of days before it.
type stage uint8

// stages of notice, the earliest first.
var stages = [...]stage{30, 7, 1}

func readStage(d *table.Decoder) stage {
	s := stage(d.Uint8())
	if s != 0 && s != 30 && s != 7 && s != 1 {
		d.Fail()
	}
	return s
}

// stageAt is the last stage that has come at now, 0 for none.
func stageAt(end, now int64) (s stage) {
	for _, next := range stages {
		if end-int64(next)*dayMS <= now {
			s = next
		}
	}
	return s
}

// next is the stage after s, 0 when there is none.
func (s stage) next() stage {
	switch s {
	case 0:
		return 30
	case 30:
		return 7
	case 7:
		return 1
	}
	return 0
}
