// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"github.com/pilotregistry/pilotregistry/fsm/internal/table"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// page of a long reply: what was done, and what to know about it.
type replyPage struct{ actions, warnings []string }

// paginate cuts lists into pages of at most protocol.PartBytes of JSON each,
// actions first. There is always one.
func paginate(actions, warnings []string) []replyPage {
	pages := []replyPage{{actions: []string{}}}
	size := 0
	put := func(s string, to func(*replyPage) *[]string) {
		n := jsonSize(s)
		if size > 0 && size+n > protocol.PartBytes {
			pages, size = append(pages, replyPage{actions: []string{}}), 0
		}
		size += n
		list := to(&pages[len(pages)-1])
		*list = append(*list, s)
	}
	for _, s := range actions {
		put(s, func(p *replyPage) *[]string { return &p.actions })
	}
	for _, s := range warnings {
		put(s, func(p *replyPage) *[]string { return &p.warnings })
	}
	return pages
}

// jsonSize is at least what a text takes in JSON.
func jsonSize(s string) int {
	n := 3
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&':
			n += 6
		case c >= 0x80:
			n += 2
		default:
			n++
		}
	}
	return n
}

// keepPages keeps what does not fit the reply of a sync until it is fetched
// with directory_status, in place of that of the sync before. It returns the
// cursor of the first page kept, "" for none.
func keepPages(x *txn, net uint16, pages []replyPage) string {
	dropPages(x, net)
	for i, p := range pages {
		data := table.AppendStrings(table.AppendStrings(nil, p.actions), p.warnings)
		x.putStaged(pageKey(net, uint32(i+1)), &staged{at: x.meta.now, index: x.index, data: string(data)})
	}
	if len(pages) == 0 {
		return ""
	}
	return pageCursor(net, x.index, 1)
}

func pageCursor(net uint16, index uint64, page uint32) string {
	return makeCursor(cursorActions, net, index<<16|uint64(page))
}

func dropPages(x *txn, net uint16) {
	var keys []string
	x.uploads.records.Ascend(pageKey(net, 0), func(k string, _ *staged) bool {
		if k[0] != stagedPage || table.NewDecoder([]byte(k[1:])).Key16() != net {
			return false
		}
		keys = append(keys, k)
		return true
	})
	for _, k := range keys {
		x.dropStaged(k)
	}
}

// readPage adds the page that a cursor names.
func (st *uploadStore) readPage(cursor string, net uint16, reply *protocol.DirectoryStatusReply) *protocol.Error {
	at, e := readCursor(cursor, cursorActions, net)
	if e != nil {
		return e
	}
	page := uint32(at & 0xffff)
	s, there := st.records.Get(pageKey(net, page))
	if !there || s.index != at>>16 {
		return protocol.Refusef(protocol.CodeNotFound, "the rest of that reply is kept for %d minutes, or until the next sync, and is gone; the audit trail has the changes",
			protocol.UploadMinutes)
	}
	d := table.NewDecoder([]byte(s.data))
	reply.Actions, reply.Warnings = d.Texts(), d.Texts()
	if _, more := st.records.Get(pageKey(net, page+1)); more {
		reply.NextCursor = pageCursor(net, s.index, page+1)
	}
	return nil
}
