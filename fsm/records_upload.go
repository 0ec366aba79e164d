// SPDX-License-Identifier: Apache-2.0

package fsm

import "github.com/pilotregistry/pilotregistry/protocol"

// staged is something that is kept for a short time only: what is known of
// an upload, one of its parts, or a page of a long reply. The first byte of
// its key says which.
type staged struct {
	// at is when it was last touched; it goes stagedTTL later. Parts go with
	// their upload and have none.
	at int64
	// scope is what an upload is for, parts how many parts it has.
	scope string
	parts uint32
	// received and bytes are of an upload's parts so far.
	received uint32
	bytes    int64
	// index is the log index of the command whose reply a page continues.
	index uint64
	data  string
}

// stagedTTL is how long uploads wait for their next part, and pages to be fetched.
const stagedTTL = protocol.UploadMinutes * 60 * 1000

// First bytes of keys.
const (
	stagedUpload = 'u'
	stagedPart   = 'p'
	stagedPage   = 'r'
)

func (s *staged) appendTo(dst []byte, _ uint32) []byte {
	dst = appendString(appendVarint(dst, s.at), s.scope)
	dst = appendUvarint(appendUvarint(dst, uint64(s.parts)), uint64(s.received))
	dst = appendUvarint(appendVarint(dst, s.bytes), s.index)
	return appendString(dst, s.data)
}

func readStaged(d *decoder, _ uint32) *staged {
	s := &staged{at: d.varint(), scope: d.str(), parts: d.uvarint32(), received: d.uvarint32(), bytes: d.varint(), index: d.uvarint(), data: d.str()}
	if s.at < 0 || s.at > maxTime || s.bytes < 0 {
		d.fail()
	}
	return s
}

var stagedSchema = schema[string, *staged]{kindStaged, appendKeyStr, readStagedKey, readStaged}

func readStagedKey(d *decoder) string {
	k := d.str()
	if k == "" || k[0] != stagedUpload && k[0] != stagedPart && k[0] != stagedPage {
		d.fail()
	}
	return k
}

// uploadKey names an upload of a token; partKey one of its parts.
func uploadKey(token, id string) string {
	return string(appendString(appendString([]byte{stagedUpload}, token), id))
}

func partKey(upload string, part uint32) string {
	return string(appendKey32(append([]byte{stagedPart}, upload[1:]...), part))
}

// pageKey names a page of the last sync of a network, counted from 1.
func pageKey(net uint16, page uint32) string {
	return string(appendKey32(appendKey16([]byte{stagedPage}, net), page))
}

// stagedDue is when a record's time is over, "" for those that go with another.
func stagedDue(key string, s *staged) string {
	if s.at == 0 {
		return ""
	}
	return dueKey(s.at+stagedTTL, dueStaged, []byte(key))
}

// stagedCost is what a record counts against the bound of uploads; pages
// are bounded by the commands that make them.
func stagedCost(key string, s *staged) int64 {
	if key[0] == stagedPage {
		return 0
	}
	return int64(64 + len(key) + len(s.scope) + len(s.data))
}

func (x *txn) putStaged(key string, s *staged) {
	x.dropStaged(key)
	x.staged.put(x, key, s)
	x.stagedBytes += stagedCost(key, s)
	if k := stagedDue(key, s); k != "" {
		x.byDue.put(k, nothing{})
	}
}

func (x *txn) dropStaged(key string) {
	s, had := x.staged.get(key)
	if !had {
		return
	}
	x.staged.drop(x, key)
	x.stagedBytes -= stagedCost(key, s)
	if k := stagedDue(key, s); k != "" {
		x.byDue.drop(k)
	}
}

func loadStaged(x *txn, d *decoder, level uint32) bool {
	k, s, ok := x.staged.decode(d, level)
	if !ok || x.staged.holds(k) {
		return false
	}
	x.putStaged(k, s)
	return true
}
