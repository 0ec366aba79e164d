// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

// tailed is how many new events a page is told at a time.
const tailed = 50

// tail follows the audit trail for a page that shows it.
type tail struct {
	c      *Console
	r      *http.Request
	fields map[string]any
	actor  string
	index  uint64
}

// more are the rows of the events that came since, newest first, and how many.
// Nothing is asked while nothing was committed.
func (t *tail) more(index uint64) (rows string, n int, e *protocol.Error) {
	if index == t.index {
		return "", 0, nil
	}
	s := t.c.sessions.of(t.r, false)
	if s == nil {
		return "", 0, nil
	}
	ctx, cancel := context.WithTimeout(t.r.Context(), askTime)
	defer cancel()
	v := &visit{c: t.c, r: t.r.WithContext(ctx), session: s, conn: server.ConnState{Source: t.r.RemoteAddr}}
	log, e := ask[protocol.GetAuditLogReply](v, "get_audit_log", t.fields)
	if e != nil {
		return "", 0, e
	}
	t.index = index
	if n = len(log.Entries); n == 0 {
		return "", 0, nil
	}
	t.fields["after_seq"] = log.Entries[n-1].Seq
	if n == tailed {
		t.index = 0 // there may be more
	}
	var b bytes.Buffer
	shown := 0
	for i := n - 1; i >= 0; i-- {
		if !byActor(t.actor, log.Entries[i].Actor) {
			continue
		}
		shown++
		if err := t.c.views.pages["audit"].ExecuteTemplate(&b, "event", log.Entries[i]); err != nil {
			return "", 0, protocol.Errorf(protocol.CodeInternal, "%v", err)
		}
	}
	return b.String(), shown, nil
}

// tailOf reads what a page follows: the filters of the trail, and the newest
// event that it has.
func (c *Console) tailOf(r *http.Request) *tail {
	q := r.URL.Query()
	if !q.Has("after") {
		return nil
	}
	filter, fields, e := auditFilter(q)
	if e != nil {
		return nil
	}
	from := q.Get("after")
	if last := r.Header.Get("Last-Event-ID"); last != "" { // the stream ended, and the browser goes on
		from = last
	}
	after, err := strconv.ParseUint(from, 10, 53)
	if err != nil {
		return nil
	}
	fields["after_seq"], fields["limit"] = after, tailed
	return &tail{c: c, r: r, fields: fields, actor: filter[filterActor]}
}

// event is a line of a stream, none when there is nothing new.
func (t *tail) event(index uint64) string {
	if t == nil {
		return ""
	}
	rows, n, e := t.more(index)
	if e != nil || n == 0 {
		return "" // it is asked for again
	}
	raw, err := json.Marshal(map[string]any{"rows": rows, "n": n})
	if err != nil { // texts and numbers always encode
		panic(err)
	}
	return fmt.Sprintf("event: audit\nid: %v\ndata: %s\n\n", t.fields["after_seq"], raw)
}
