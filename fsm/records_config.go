// SPDX-License-Identifier: Apache-2.0

package fsm

import (
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

func (s *settings) appendTo(dst []byte, _ uint32) []byte {
	dst = appendUvarint(dst, s.revision)
	for _, f := range []string{s.idp.Type, s.idp.URL, s.idp.Issuer, s.idp.ClientID, s.idp.TenantID, s.idp.Domain, s.identityURL, s.idp.ExternalIDClaim, s.idp.RoleClaim} {
		dst = appendString(dst, f)
	}
	dst = append(dst, boolByte(s.requireIdentity), boolByte(s.idp.RefuseHS256))
	dst = appendUvarint(dst, uint64(len(s.roleMap)))
	for _, m := range s.roleMap {
		dst = append(appendUvarint(appendString(dst, m.Value), uint64(m.NetworkID)), byte(parseRole(m.Role)))
	}
	last := len(s.chosen)
	for last > 0 && s.chosen[last-1] == 0 {
		last--
	}
	return append(dst, s.chosen[:last]...) // defaults at the end are left out
}

func readSettings(d *decoder, _ uint32) *settings {
	s := &settings{revision: d.uvarint()}
	for _, f := range []*string{&s.idp.Type, &s.idp.URL, &s.idp.Issuer, &s.idp.ClientID, &s.idp.TenantID, &s.idp.Domain, &s.identityURL, &s.idp.ExternalIDClaim, &s.idp.RoleClaim} {
		*f = d.str()
	}
	s.requireIdentity, s.idp.RefuseHS256 = d.bool(), d.bool()
	n := d.uvarint()
	if n > protocol.MaxRoleMappings {
		d.fail()
		return s
	}
	for range n {
		m := protocol.RoleMapping{Value: d.str()}
		net := d.uvarint()
		role := role(d.uint8())
		if net > 0xffff || role != roleAdmin && role != roleMember {
			d.fail()
		}
		m.NetworkID, m.Role = uint16(net), role.String()
		s.roleMap = append(s.roleMap, m)
	}
	for i := 0; len(d.b) > 0 && i < len(s.chosen); i++ {
		if s.chosen[i] = d.uint8(); int(s.chosen[i]) >= len(protocol.Settings[i].Values) || len(d.b) == 0 && s.chosen[i] == 0 {
			d.fail()
		}
	}
	return s
}

var settingsSchema = schema[uint16, *settings]{kindSettings, appendKey16, (*decoder).key16, readSettings}

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

func (s *sink) appendTo(dst []byte, _ uint32) []byte {
	dst = appendUvarint(dst, s.gen)
	for _, f := range []string{s.Kind, s.Format, s.Endpoint, s.Index, s.Source, s.Framing} {
		dst = appendString(dst, f)
	}
	dst = append(dst, boolByte(s.Ack)|boolByte(s.Batch)<<1, boolByte(s.Required))
	dst = appendUvarint(dst, uint64(s.MaxLag))
	dst = appendStrings(appendStrings(dst, s.Actions), s.Networks)
	return appendMAC(appendSealed(dst, s.secret), s.token)
}

func readSink(d *decoder, _ uint32) *sink {
	s := &sink{gen: d.uvarint()}
	for _, f := range []*string{&s.Kind, &s.Format, &s.Endpoint, &s.Index, &s.Source, &s.Framing} {
		*f = d.str()
	}
	how := d.uint8()
	if how > 3 {
		d.fail()
	}
	s.Ack, s.Batch = how&1 != 0, how&2 != 0
	s.Required, s.MaxLag = d.bool(), d.uvarint32()
	s.Actions, s.Networks = d.strs(), d.strs()
	s.secret, s.token = readSealedSecret(d), readMAC(d)
	return s
}

func appendSealed(dst []byte, s protocol.Sealed) []byte {
	dst = appendUvarint(dst, uint64(s.Key))
	return appendBytes(appendBytes(dst, s.Nonce), s.Ciphertext)
}

func readSealedSecret(d *decoder) (s protocol.Sealed) {
	s.Key = d.uvarint32()
	s.Nonce = append([]byte(nil), d.bytes()...)
	s.Ciphertext = append([]byte(nil), d.bytes()...)
	return s
}

var sinkSchema = schema[string, *sink]{kindSink, appendKeyStr, readKeyStr, readSink}

// cursor is how far a sink is in the event log.
type cursor struct {
	// seq is the newest event that is done with; passed counts, per class, the
	// events up to it since the log began. A gap is what retention has cut
	// beyond that.
	seq    uint64
	passed [2]uint64
	// problem is why the sink does not get on, since stalled (log time), after
	// so many failed tries in a row; the next one is at next, 0 when none is planned.
	problem string
	stalled int64
	tries   uint32
	next    int64
	// before is what had been counted when the sink got its address.
	before sinkCounts
}

func (c *cursor) appendTo(dst []byte, _ uint32) []byte {
	for _, n := range []uint64{c.seq, c.passed[0], c.passed[1]} {
		dst = appendUvarint(dst, n)
	}
	dst = appendVarint(appendString(dst, c.problem), c.stalled)
	dst = appendVarint(appendUvarint(dst, uint64(c.tries)), c.next)
	return c.before.appendTo(dst)
}

func readCursorRecord(d *decoder, _ uint32) *cursor {
	c := &cursor{}
	for _, n := range []*uint64{&c.seq, &c.passed[0], &c.passed[1]} {
		*n = d.uvarint()
	}
	c.problem, c.stalled, c.tries, c.next = d.str(), d.varint(), d.uvarint32(), d.varint()
	c.before = readSinkCounts(d)
	return c
}

var cursorSchema = schema[string, *cursor]{kindCursor, appendKeyStr, readKeyStr, readCursorRecord}

// letter is a dead letter: the event itself, because the event log forgets.
type letter struct {
	event    eventRecord
	reason   string
	at       int64
	attempts uint32
	retry    bool
}

func (l *letter) appendTo(dst []byte, _ uint32) []byte {
	dst = appendString(dst, string(l.event))
	dst = appendString(dst, l.reason)
	dst = appendVarint(dst, l.at)
	dst = appendUvarint(dst, uint64(l.attempts))
	return append(dst, boolByte(l.retry))
}

func readLetter(d *decoder, _ uint32) *letter {
	l := &letter{event: eventRecord(d.str()), reason: d.str(), at: d.varint(), attempts: d.uvarint32(), retry: d.bool()}
	if _, ok := decodeEvent(0, protocol.ClassSecurity, l.event); !ok {
		d.fail()
	}
	return l
}

// Dead letters are keyed by sink and sequence number.
var letterSchema = schema[string, *letter]{kindLetter, appendKeyStr, readLetterKey, readLetter}

func letterKey(sink string, seq uint64) string {
	return string(appendKey64(append([]byte(sink), 0), seq))
}

func readLetterKey(d *decoder) string {
	k := d.str()
	if len(k) < 10 || k[len(k)-9] != 0 {
		d.fail()
	}
	return k
}

func splitLetterKey(k string) (sink string, seq uint64) {
	d := decoder{b: []byte(k[len(k)-8:])}
	return k[:len(k)-9], d.key64()
}
