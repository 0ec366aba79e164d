// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// settings is the registry-wide configuration, one record under key 0.
type settings struct {
	// revision grows with every change of the record or of a sink.
	revision        uint64
	idp             protocol.IDP
	identityURL     string
	requireIdentity bool
	roleMap         []protocol.RoleMapping
	// chosen are the values of protocol.Settings, by their place in the list.
	chosen [len(settingNames)]uint8
}

func (s *settings) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendUvarint(dst, s.revision)
	for _, f := range []string{s.idp.Type, s.idp.URL, s.idp.Issuer, s.idp.ClientID, s.idp.TenantID, s.idp.Domain, s.identityURL, s.idp.ExternalIDClaim, s.idp.RoleClaim} {
		dst = table.AppendString(dst, f)
	}
	dst = append(dst, table.BoolByte(s.requireIdentity), table.BoolByte(s.idp.RefuseHS256))
	dst = table.AppendUvarint(dst, uint64(len(s.roleMap)))
	for _, m := range s.roleMap {
		dst = append(table.AppendUvarint(table.AppendString(dst, m.Value), uint64(m.NetworkID)), byte(parseRole(m.Role)))
	}
	last := len(s.chosen)
	for last > 0 && s.chosen[last-1] == 0 {
		last--
	}
	return append(dst, s.chosen[:last]...) // defaults at the end are left out
}

func readSettings(d *table.Decoder, _ uint32) *settings {
	s := &settings{revision: d.Uvarint()}
	for _, f := range []*string{&s.idp.Type, &s.idp.URL, &s.idp.Issuer, &s.idp.ClientID, &s.idp.TenantID, &s.idp.Domain, &s.identityURL, &s.idp.ExternalIDClaim, &s.idp.RoleClaim} {
		*f = d.Text()
	}
	s.requireIdentity, s.idp.RefuseHS256 = d.Bool(), d.Bool()
	n := d.Uvarint()
	if n > protocol.MaxRoleMappings {
		d.Fail()
		return s
	}
	for range n {
		m := protocol.RoleMapping{Value: d.Text()}
		net := d.Uvarint()
		role := role(d.Uint8())
		if net > 0xffff || role != roleAdmin && role != roleMember {
			d.Fail()
		}
		m.NetworkID, m.Role = uint16(net), role.String()
		s.roleMap = append(s.roleMap, m)
	}
	for i := 0; d.Left() > 0 && i < len(s.chosen); i++ {
		if s.chosen[i] = d.Uint8(); int(s.chosen[i]) >= len(protocol.Settings[i].Values) || d.Left() == 0 && s.chosen[i] == 0 {
			d.Fail()
		}
	}
	return s
}

// sink is a consumer of the event log as it is configured.
type sink struct {
	protocol.SinkConfig
	secret protocol.Sealed
	// token is the MAC of the secret when a blueprint brought it, so that the
	// same blueprint is known to change nothing.
	token protocol.MAC
	// gen is another one with every configuration and replay: what a leader
	// reports about an older one does not count.
	gen uint64
}

func (s *sink) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendUvarint(dst, s.gen)
	for _, f := range []string{s.Kind, s.Format, s.Endpoint, s.Index, s.Source, s.Framing} {
		dst = table.AppendString(dst, f)
	}
	dst = append(dst, table.BoolByte(s.Ack)|table.BoolByte(s.Batch)<<1, table.BoolByte(s.Required))
	dst = table.AppendUvarint(dst, uint64(s.MaxLag))
	dst = table.AppendStrings(table.AppendStrings(dst, s.Actions), s.Networks)
	return appendMAC(appendSealed(dst, s.secret), s.token)
}

func readSink(d *table.Decoder, _ uint32) *sink {
	s := &sink{gen: d.Uvarint()}
	for _, f := range []*string{&s.Kind, &s.Format, &s.Endpoint, &s.Index, &s.Source, &s.Framing} {
		*f = d.Text()
	}
	how := d.Uint8()
	if how > 3 {
		d.Fail()
	}
	s.Ack, s.Batch = how&1 != 0, how&2 != 0
	s.Required, s.MaxLag = d.Bool(), d.Uvarint32()
	s.Actions, s.Networks = d.Texts(), d.Texts()
	s.secret, s.token = readSealedSecret(d), readMAC(d)
	return s
}

func appendSealed(dst []byte, s protocol.Sealed) []byte {
	dst = table.AppendUvarint(dst, uint64(s.Key))
	return table.AppendBytes(table.AppendBytes(dst, s.Nonce), s.Ciphertext)
}

func readSealedSecret(d *table.Decoder) (s protocol.Sealed) {
	s.Key = d.Uvarint32()
	s.Nonce = append([]byte(nil), d.Bytes()...)
	s.Ciphertext = append([]byte(nil), d.Bytes()...)
	return s
}

// cursor is how far a sink is in the event log.
type cursor struct {
	// seq is the newest event that is done with; passed counts, per class, the
	// events up to it since the log began. A gap is what retention has cut
	// beyond that.
	seq    uint64
	passed [2]uint64
	// problem is why the sink fails, since stalled (log time). tries counts the failed
	// tries in a row; the next one is at next, 0 when none is planned.
	problem string
	stalled int64
	tries   uint32
	next    int64
	// before is what had been counted when the sink got its address.
	before sinkCounts
}

func (c *cursor) AppendTo(dst []byte, _ uint32) []byte {
	for _, n := range []uint64{c.seq, c.passed[0], c.passed[1]} {
		dst = table.AppendUvarint(dst, n)
	}
	dst = table.AppendVarint(table.AppendString(dst, c.problem), c.stalled)
	dst = table.AppendVarint(table.AppendUvarint(dst, uint64(c.tries)), c.next)
	return c.before.appendTo(dst)
}

func readCursorRecord(d *table.Decoder, _ uint32) *cursor {
	c := &cursor{}
	for _, n := range []*uint64{&c.seq, &c.passed[0], &c.passed[1]} {
		*n = d.Uvarint()
	}
	c.problem, c.stalled, c.tries, c.next = d.Text(), d.Varint(), d.Uvarint32(), d.Varint()
	c.before = readSinkCounts(d)
	return c
}

// letter is a dead letter: the event itself, because the event log forgets.
type letter struct {
	event    eventRecord
	reason   string
	at       int64
	attempts uint32
	retry    bool
}

func (l *letter) AppendTo(dst []byte, _ uint32) []byte {
	dst = table.AppendString(dst, string(l.event))
	dst = table.AppendString(dst, l.reason)
	dst = table.AppendVarint(dst, l.at)
	dst = table.AppendUvarint(dst, uint64(l.attempts))
	return append(dst, table.BoolByte(l.retry))
}

func readLetter(d *table.Decoder, _ uint32) *letter {
	l := &letter{event: eventRecord(d.Text()), reason: d.Text(), at: d.Varint(), attempts: d.Uvarint32(), retry: d.Bool()}
	if _, ok := decodeEvent(0, protocol.ClassSecurity, l.event); !ok {
		d.Fail()
	}
	return l
}

func letterKey(sink string, seq uint64) string {
	return string(table.AppendKey64(append([]byte(sink), 0), seq))
}

func readLetterKey(d *table.Decoder) string {
	k := d.Text()
	if len(k) < 10 || k[len(k)-9] != 0 {
		d.Fail()
	}
	return k
}

func splitLetterKey(k string) (sink string, seq uint64) {
	d := table.NewDecoder([]byte(k[len(k)-8:]))
	return k[:len(k)-9], d.Key64()
}
