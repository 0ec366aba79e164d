// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"crypto/sha256"
	"strconv"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// retention bounds a class of events. Whichever bound is met first cuts the
// oldest events; constants, because every member has to cut alike.
type retention struct {
	count uint64
	bytes uint64
	age   int64 // milliseconds
}

const dayMS = 24 * 60 * 60 * 1000

var retentions = [2]retention{
	{count: 200_000, bytes: 64 << 20, age: 400 * dayMS}, // security
	{count: 100_000, bytes: 32 << 20, age: 30 * dayMS},  // activity
}

// maxCutsPerEvent bounds how many old events one new event may cut, so that
// no entry is slow. It is more than one, so a backlog shrinks.
const maxCutsPerEvent = 8

// Event is an entry of the event log.
type Event = protocol.AuditEvent

// Attr is an attribute of an event.
type Attr = protocol.AuditAttr

// Chain describes the hash chain of a class of events.
type Chain struct {
	// HeadSeq and Head are of the newest event, zero when there was none.
	HeadSeq uint64
	Head    [32]byte
	// AnchorSeq and Anchor are of the newest event that was cut off, zero
	// when none was: the first event left continues from Anchor.
	AnchorSeq uint64
	Anchor    [32]byte
	// Count and Bytes are of the events left; Cut counts those cut off.
	Count, Bytes, Cut uint64
}

type chain struct{ Chain }

func (c *chain) append(dst []byte) []byte {
	dst = table.AppendUvarint(dst, c.HeadSeq)
	dst = append(dst, c.Head[:]...)
	dst = table.AppendUvarint(dst, c.AnchorSeq)
	dst = append(dst, c.Anchor[:]...)
	dst = table.AppendUvarint(dst, c.Count)
	dst = table.AppendUvarint(dst, c.Bytes)
	return table.AppendUvarint(dst, c.Cut)
}

func readChain(d *table.Decoder) (c chain) {
	c.HeadSeq, c.Head = d.Uvarint(), d.Hash()
	c.AnchorSeq, c.Anchor = d.Uvarint(), d.Hash()
	c.Count, c.Bytes, c.Cut = d.Uvarint(), d.Uvarint(), d.Uvarint()
	return c
}

// eventRecord is an event as it is stored: its chain hash, then its canonical
// record. Events are many and rarely read, so they stay encoded.
type eventRecord string

func (e eventRecord) AppendTo(dst []byte, _ uint32) []byte { return append(dst, e...) }

// time reads the event's time without decoding the rest.
func (e eventRecord) time() int64 {
	var head [32 + 1 + 2*10]byte // chain hash, class, sequence number, time
	d := table.NewDecoder(head[:copy(head[:], e)])
	d.Raw(33)
	d.Uvarint()
	return d.Varint()
}

// origin reads who acted, and from where.
func (e eventRecord) origin() (actor, source string) {
	d := table.NewDecoder([]byte(e))
	d.Raw(33) // chain hash and class
	d.Uvarint()
	d.Varint()
	d.Uvarint()
	actor = d.Text()
	return actor, d.Text()
}

func readEventRecord(d *table.Decoder, _ uint32) eventRecord {
	e := eventRecord(d.Raw(d.Left()))
	if _, ok := decodeEvent(0, protocol.ClassSecurity, e); !ok {
		d.Fail()
	}
	return e
}

func classIndex(c protocol.EventClass) int {
	if c == protocol.ClassSecurity {
		return 0
	}
	return 1
}

func decodeEvent(seq uint64, class protocol.EventClass, r eventRecord) (Event, bool) {
	d := table.NewDecoder([]byte(r))
	e := Event{Chain: d.Hash(), Class: protocol.EventClass(d.Uint8()), Seq: d.Uvarint(), Time: d.Varint(), Index: d.Uvarint()}
	e.Actor, e.Source, e.Action = d.Text(), d.Text(), d.Text()
	for !d.Failed() && d.Left() > 0 {
		e.Attrs = append(e.Attrs, readAttr(d))
	}
	return e, !d.Failed() && (seq == 0 || e.Seq == seq && e.Class == class)
}

// eventWriter builds one event of the command being applied.
type eventWriter struct {
	x     *txn
	class protocol.EventClass
	seq   uint64
	// buf is the previous hash and the canonical record, what the chain hashes.
	buf []byte
	// kept is the record as it is stored where that differs, with the salts and
	// values of what can be erased; empty until there is such an attribute.
	kept []byte
}

// begin starts an event; end must follow.
func (x *txn) begin(action string) *eventWriter {
	w := &x.event
	x.meta.eventSeq++
	actor := x.actorName()
	w.x, w.class, w.seq = x, eventClass(x, action, actor), x.meta.eventSeq
	w.buf = append(w.buf[:0], x.meta.chains[classIndex(w.class)].Head[:]...)
	head := Event{Seq: w.seq, Class: w.class, Time: x.meta.now, Index: x.index, Actor: actor, Source: x.by.source, Action: action}
	w.buf = protocol.AppendAuditHead(w.buf, &head)
	w.kept = w.kept[:0]
	return w
}

func (x *txn) actorName() string {
	switch {
	case x.by.system && x.by.actor.Token == "": // otherwise an operator asked a member for it
		return "system"
	case x.by.actor.Node != 0:
		return "node:" + strconv.FormatUint(uint64(x.by.actor.Node), 10)
	case x.by.actor.Token != "":
		return "token:" + x.by.actor.Token
	case x.call.via != "":
		return x.call.via
	}
	return "anonymous"
}

func (w *eventWriter) str(key, value string) *eventWriter {
	w.buf = table.AppendString(table.AppendString(w.buf, key), value)
	if len(w.kept) > 0 {
		w.kept = table.AppendString(table.AppendString(w.kept, key), value)
	}
	return w
}

func (w *eventWriter) num(key string, value uint64) *eventWriter {
	var b [20]byte
	return w.bytes(key, strconv.AppendUint(b[:0], value, 10))
}

func (w *eventWriter) int(key string, value int64) *eventWriter {
	var b [20]byte
	return w.bytes(key, strconv.AppendInt(b[:0], value, 10))
}

func (w *eventWriter) bytes(key string, value []byte) *eventWriter {
	w.buf = table.AppendBytes(table.AppendString(w.buf, key), value)
	if len(w.kept) > 0 {
		w.kept = table.AppendBytes(table.AppendString(w.kept, key), value)
	}
	return w
}

func (w *eventWriter) node(id uint32) *eventWriter { return w.num("node_id", uint64(id)) }

func (w *eventWriter) network(id uint16) *eventWriter { return w.num("network_id", uint64(id)) }

func (w *eventWriter) bool(key string, value bool) *eventWriter {
	return w.str(key, strconv.FormatBool(value))
}

// end chains and stores the event and cuts what retention no longer allows.
// The buffer begins with the previous hash, which is what the chain hashes
// over; in what is stored the new hash takes its place.
func (w *eventWriter) end() {
	x, c := w.x, classIndex(w.class)
	sum := sha256.Sum256(w.buf)
	record := w.buf
	if len(w.kept) > 0 {
		record = w.kept
	}
	copy(record, sum[:])
	ch := &x.meta.chains[c]
	ch.HeadSeq, ch.Head = w.seq, sum
	ch.Count++
	ch.Bytes += uint64(len(record))
	r := eventRecord(record)
	putEvent(x, c, w.seq, r)
	inBacklogs(x, w.seq, r, 1)
	cutEvents(x, c)
}

func cutEvents(x *txn, c int) {
	ch, keep := &x.meta.chains[c], retentions[c]
	for range maxCutsPerEvent {
		seq, r, ok := x.audit.events[c].First()
		if !ok || seq == ch.HeadSeq {
			return
		}
		if ch.Count <= keep.count && ch.Bytes <= keep.bytes && x.meta.now-r.time() <= keep.age {
			return
		}
		ch.AnchorSeq = seq
		copy(ch.Anchor[:], r)
		ch.Count--
		ch.Bytes -= uint64(len(r))
		ch.Cut++
		inBacklogs(x, seq, r, -1)
		dropEvent(x, c, seq)
	}
}

// Events returns at most limit events of a class whose sequence numbers are
// greater than after, oldest first. When after is older than the chain's AnchorSeq,
// events between them have been cut off.
func (r *Root) Events(class protocol.EventClass, after uint64, limit int) []Event {
	if class != protocol.ClassSecurity && class != protocol.ClassActivity || after+1 == 0 {
		return nil
	}
	var out []Event
	r.audit.events[classIndex(class)].Ascend(after+1, func(seq uint64, rec eventRecord) bool {
		if len(out) >= limit {
			return false
		}
		if e, ok := decodeEvent(seq, class, rec); ok {
			out = append(out, e)
		}
		return true
	})
	return out
}

// Chain describes the hash chain of a class of events.
func (r *Root) Chain(class protocol.EventClass) Chain { return r.meta.chains[classIndex(class)].Chain }
