// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"crypto/sha256"
	"strings"

	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// erasableMark begins the stored key of an attribute that can be erased; its
// salt stands between key and value. No key of an attribute begins with it.
const erasableMark = "\x01"

const saltBytes = len(Seed{})

// person adds what says something of a person: the chain covers a commitment
// to it, and what it commits to can be erased. There is nothing to hide in an
// empty value.
func (w *eventWriter) person(key, value string) *eventWriter {
	if value == "" {
		return w.str(key, value)
	}
	if len(w.kept) == 0 {
		w.kept = append(w.kept, w.buf...)
	}
	a := Attr{Key: key, Value: value, Salt: salt(w.x, w.seq, key)}
	w.kept = appendAttr(w.kept, a)
	w.buf = table.AppendString(table.AppendString(w.buf, key), a.Canonical())
	return w
}

// salt is unknown to anybody who has neither the entry nor the event.
func salt(x *txn, seq uint64, key string) string {
	b := table.AppendString(table.AppendUvarint(append(x.buf[:0], x.seed[:]...), seq), key)
	x.buf = b
	sum := sha256.Sum256(b)
	return string(sum[:saltBytes])
}

func appendAttr(dst []byte, a Attr) []byte {
	if a.Salt == "" {
		return table.AppendString(table.AppendString(dst, a.Key), a.Value)
	}
	dst = table.AppendString(dst, erasableMark+a.Key)
	dst = append(dst, a.Salt...)
	return table.AppendString(dst, a.Value)
}

func readAttr(d *table.Decoder) (a Attr) {
	a.Key = d.Text()
	if key, erasable := strings.CutPrefix(a.Key, erasableMark); erasable {
		a.Key, a.Salt = key, string(d.Raw(saltBytes))
	}
	a.Value = d.Text()
	return a
}

// encodeEvent is the record of an event as it is stored.
func encodeEvent(e *Event) eventRecord {
	dst := protocol.AppendAuditHead(append([]byte(nil), e.Chain[:]...), e)
	for _, a := range e.Attrs {
		dst = appendAttr(dst, a)
	}
	return eventRecord(dst)
}

// erase takes the values of attributes out of a stored event, those that
// goes says, and reports whether there were any. The chain does not change.
func (e eventRecord) erase(goes func(*Event, Attr) bool) (eventRecord, bool) {
	event, ok := decodeEvent(0, 0, e)
	if !ok {
		return e, false
	}
	changed := false
	for i, a := range event.Attrs {
		if a.Salt != "" && goes(&event, a) {
			event.Attrs[i], changed = Attr{Key: a.Key, Value: a.Canonical()}, true
		}
	}
	if !changed {
		return e, false
	}
	return encodeEvent(&event), true
}

// action reads what happened, without decoding the rest.
func (e eventRecord) action() string {
	d := table.NewDecoder([]byte(e))
	d.Raw(33) // chain hash and class
	d.Uvarint()
	d.Varint()
	d.Uvarint()
	d.Text()
	d.Text()
	return d.Text()
}

// erasable are the actions whose events have attributes that can be erased.
func erasable(action string) bool {
	switch action {
	case protocol.EventExternalIDSet, protocol.EventHostnameChanged, protocol.EventNodeReleased:
		return true
	}
	return false
}

// eraseEvents erases what goes says, in the log and in dead letters, and
// returns in how many events of the log.
func eraseEvents(x *txn, goes func(*Event, Attr) bool) (events int) {
	for c := range x.audit.events {
		type change struct {
			seq      uint64
			old, new eventRecord
		}
		var changes []change
		x.audit.events[c].Ascend(0, func(seq uint64, r eventRecord) bool {
			if erasable(r.action()) {
				if n, changed := r.erase(goes); changed {
					changes = append(changes, change{seq, r, n})
				}
			}
			return true
		})
		for _, ch := range changes {
			replaceEvent(x, c, ch.seq, ch.old, ch.new)
		}
		events += len(changes)
	}
	var letters []string
	x.audit.letters.Ascend("", func(k string, l *letter) bool {
		if erasable(l.event.action()) {
			letters = append(letters, k)
		}
		return true
	})
	for _, k := range letters {
		l, _ := x.audit.letters.Get(k)
		if r, changed := l.event.erase(goes); changed {
			next := *l
			next.event = r
			putLetter(x, k, &next)
		}
	}
	return events
}

// replaceEvent stores another record of an event and keeps what is counted.
func replaceEvent(x *txn, c int, seq uint64, old, record eventRecord) {
	ch := &x.meta.chains[c]
	ch.Bytes += uint64(len(record)) - uint64(len(old))
	putEvent(x, c, seq, record)
}
