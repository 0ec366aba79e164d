// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// entryFormat is the first byte of every log entry this version writes.
const entryFormat = 1

// Flags of a command in an entry: which fields follow. A flag this version
// does not know stops the member, because the command would mean something else.
const (
	flagNode        = 1 << iota // node id, key generation
	flagToken                   // token name, generation
	flagSource                  // source address
	flagRequestID               // client's request id, hash
	flagSession                 // session, sequence number, floor
	flagSameSession             // sequence number and floor in the session of the command before
	flagBody                    // body
	flagOwnBody                 // heartbeat of the signing node itself: no body
	flagsKnown      = 1<<iota - 1
)

var heartbeatCode = protocol.Must("heartbeat").Code

// logged is an envelope as Apply reads it from an entry.
type logged struct {
	Envelope
	// own is true for a heartbeat of the node in Actor: its body is implied.
	own bool
}

// AppendEntry appends the log form of an entry.
//
// The form is: format byte 1 · time (zigzag) · term · seed · number of commands · per
// command its code, flags and the fields that the flags announce. A signed
// heartbeat takes about six bytes: its body is implied by the signing node,
// and its source is left out.
func AppendEntry(dst []byte, e *Entry) []byte {
	dst = append(dst, entryFormat)
	dst = table.AppendVarint(dst, e.Time)
	dst = table.AppendUvarint(dst, e.Term)
	dst = appendSeed(dst, e.Seed)
	dst = table.AppendUvarint(dst, uint64(len(e.Envelopes)))
	var session SessionID
	for i := range e.Envelopes {
		dst = appendCommand(dst, &e.Envelopes[i], &session)
	}
	return dst
}

// appendSeed appends a seed with its length in front, which is 0 for the zero seed.
func appendSeed(dst []byte, s Seed) []byte {
	if s == (Seed{}) {
		return append(dst, 0)
	}
	return append(append(dst, byte(len(s))), s[:]...)
}

func readSeed(d *table.Decoder) (s Seed) {
	switch n := d.Uint8(); int(n) {
	case 0:
	case len(s):
		copy(s[:], d.Raw(len(s)))
	default:
		d.Fail()
	}
	return s
}

func appendCommand(dst []byte, c *Envelope, session *SessionID) []byte {
	flags := commandFlags(c, *session)
	dst = table.AppendUvarint(dst, uint64(c.Code))
	dst = table.AppendUvarint(dst, flags)
	if flags&flagNode != 0 {
		dst = table.AppendUvarint(dst, uint64(c.Actor.Node))
		dst = table.AppendUvarint(dst, uint64(c.Actor.KeyGen))
	}
	if flags&flagToken != 0 {
		dst = table.AppendString(dst, c.Actor.Token)
		dst = table.AppendUvarint(dst, uint64(c.Actor.TokenGen))
	}
	if flags&flagSource != 0 {
		dst = table.AppendString(dst, c.Source)
	}
	if flags&flagRequestID != 0 {
		dst = table.AppendString(dst, c.RequestID)
		dst = append(dst, c.Hash[:]...)
	}
	if flags&flagSession != 0 {
		dst = append(dst, c.Session[:]...)
		*session = c.Session
	}
	if flags&(flagSession|flagSameSession) != 0 {
		dst = table.AppendUvarint(dst, c.Seq)
		dst = table.AppendUvarint(dst, c.Floor)
	}
	if flags&flagBody != 0 {
		dst = table.AppendBytes(dst, c.Body)
	}
	return dst
}

func commandFlags(c *Envelope, session SessionID) uint64 {
	var flags uint64
	if c.Actor.Node != 0 || c.Actor.KeyGen != 0 {
		flags |= flagNode
	}
	if c.Actor.Token != "" || c.Actor.TokenGen != 0 {
		flags |= flagToken
	}
	if c.RequestID != "" {
		flags |= flagRequestID
	}
	if c.Session != (SessionID{}) {
		flags |= flagSession
		if c.Session == session {
			flags ^= flagSession | flagSameSession
		}
	}
	if c.Code == heartbeatCode {
		if flags&flagNode != 0 && bytes.Equal(c.Body, heartbeatBody(nil, c.Actor.Node)) {
			return flags | flagOwnBody
		}
	} else if c.Source != "" {
		flags |= flagSource
	}
	if len(c.Body) > 0 {
		flags |= flagBody
	}
	return flags
}

func heartbeatBody(dst []byte, node uint32) []byte {
	dst = append(dst, `{"node_id":`...)
	dst = strconv.AppendUint(dst, uint64(node), 10)
	return append(dst, '}')
}

// ParseEntry reads the log form of an entry. It accepts codes it does not
// know: Apply decides about those. The error is a *HaltError without an index.
func ParseEntry(data []byte) (*Entry, error) {
	p, reason := parseEntry(data, nil)
	if reason != "" {
		return nil, &HaltError{Reason: "the entry " + reason}
	}
	e := &Entry{Time: p.time, Term: p.term, Seed: p.seed, Envelopes: make([]Envelope, len(p.commands))}
	for i := range p.commands {
		e.Envelopes[i] = p.commands[i].Envelope
		c := &e.Envelopes[i]
		if p.commands[i].own {
			c.Body = heartbeatBody(nil, c.Actor.Node)
		} else {
			c.Body = bytes.Clone(c.Body)
		}
	}
	return e, nil
}

type parsedEntry struct {
	time     int64
	term     uint64
	seed     Seed
	commands []logged
}

// parseEntry reads an entry; bodies alias data. Commands are appended to
// scratch. The reason, when not empty, continues "entry 7 ".
func parseEntry(data []byte, scratch []logged) (p parsedEntry, reason string) {
	if len(data) == 0 {
		return p, "is damaged: it is empty"
	}
	if data[0] != entryFormat {
		return p, fmt.Sprintf("has format %d, which this version does not know; upgrade this member", data[0])
	}
	d := table.NewDecoder(data[1:])
	p.time = d.Varint()
	p.term = d.Uvarint()
	p.seed = readSeed(d)
	count := d.Uvarint()
	if d.Failed() || count > uint64(d.Left()) { // a command takes at least two bytes
		return p, "is damaged: its header does not fit its length"
	}
	p.commands = scratch[:0]
	var session SessionID
	for range count {
		p.commands = append(p.commands, logged{})
		c := &p.commands[len(p.commands)-1]
		if reason := readCommand(d, c, &session); reason != "" {
			return p, reason
		}
	}
	if !d.Done() {
		return p, "is damaged: it has bytes after its last command"
	}
	return p, ""
}

func readCommand(d *table.Decoder, c *logged, session *SessionID) (reason string) {
	code := d.Uvarint()
	flags := d.Uvarint()
	if d.Failed() || code > 0xffff {
		return "is damaged: a command in it is cut short"
	}
	c.Code = protocol.Code(code)
	if flags&^uint64(flagsKnown) != 0 {
		return fmt.Sprintf("holds a command of code %d with fields that this version does not know; upgrade this member", code)
	}
	if flags&flagNode != 0 {
		c.Actor.Node, c.Actor.KeyGen = d.Uvarint32(), d.Uvarint32()
	}
	if flags&flagToken != 0 {
		c.Actor.Token, c.Actor.TokenGen = d.Text(), d.Uvarint32()
	}
	if flags&flagSource != 0 {
		c.Source = d.Text()
	}
	if flags&flagRequestID != 0 {
		c.RequestID, c.Hash = d.Text(), d.Hash()
	}
	if flags&flagSession != 0 {
		copy(session[:], d.Raw(len(session)))
	}
	if flags&(flagSession|flagSameSession) != 0 {
		c.Session, c.Seq, c.Floor = *session, d.Uvarint(), d.Uvarint()
	}
	if flags&flagBody != 0 {
		c.Body = d.Bytes()
	}
	c.own = flags&flagOwnBody != 0
	if d.Failed() || c.own && (c.Code != heartbeatCode || flags&(flagNode|flagBody) != flagNode) {
		return "is damaged: a command in it is cut short or contradicts itself"
	}
	return ""
}
