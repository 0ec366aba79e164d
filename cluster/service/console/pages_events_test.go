// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// logged is a site whose audit log has these events, newest first, in pages as
// the registry gives them.
func logged(t *testing.T, entries []protocol.AuditEntry) (*site, string) {
	s := newSite(t)
	s.answer = map[string]func(*protocol.Request) any{"get_audit_log": func(r *protocol.Request) any {
		asked := r.Body.(*protocol.GetAuditLog)
		from, _ := strconv.Atoi(r.Cursor)
		all := slices.DeleteFunc(slices.Clone(entries), func(e protocol.AuditEntry) bool { return asked.Class != "" && e.Class != asked.Class })
		end := min(from+r.Limit, len(all))
		reply := &protocol.GetAuditLogReply{Entries: slices.Clone(all[from:end])}
		if end < len(all) {
			reply.NextCursor = strconv.Itoa(end)
		}
		return reply
	}}
	return s, s.login()
}

// seqsOf are the events that a page lists, and where it leads on.
func seqsOf(page string) (seqs []string, next string) {
	_, trail, _ := strings.Cut(page, `<div id="trail">`)
	trail, _, _ = strings.Cut(trail, "<section>")
	for _, part := range strings.Split(trail, `<td class="n"><a href="/audit/`)[1:] {
		seq, _, _ := strings.Cut(part, `"`)
		seqs = append(seqs, seq)
	}
	return seqs, html.UnescapeString(between(trail, `<a rel="next" href="`))
}

// All events of an actor are found, each once, however far back they are and
// wherever a page ends.
func TestEventsOfAnActor(t *testing.T) {
	const events = 2500
	var entries []protocol.AuditEntry
	var want []string
	for seq := events; seq > 0; seq-- {
		e := protocol.AuditEntry{Seq: uint64(seq), Class: "activity", Actor: "system"}
		if seq%20 >= 7 && seq%20 <= 9 { // neighbours: a page may end between them
			e.Actor = "node:7"
			want = append(want, strconv.Itoa(seq))
		}
		entries = append(entries, e)
	}
	s, cookie := logged(t, entries)
	for _, actor := range []string{"7", "node:7", "node:*"} {
		var got []string
		for next, pages := "/audit?actor="+actor, 0; next != ""; pages++ {
			if pages > 10 {
				t.Fatal("the pages do not end")
			}
			w := s.get(next, cookie)
			var seqs []string
			if seqs, next = seqsOf(w.Body.String()); w.Code != http.StatusOK || len(seqs) > perPage {
				t.Fatalf("%d, %d events", w.Code, len(seqs))
			}
			got = append(got, seqs...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d events, want %d: %v", actor, len(got), len(want), got)
		}
	}
	body := s.get("/audit?actor=node:7", cookie).Body.String()
	for _, part := range []string{`data-follow="after=2500&amp;actor=node%3A7"`, "pilotctl audit list --all -o json | jq &#39;.entries[] | select(.actor == &#34;node:7&#34;)&#39;"} {
		if !strings.Contains(body, part) {
			t.Errorf("no %q in %s", part, body)
		}
	}
	s.asked = nil
	if body := s.get("/audit?actor=nobody", cookie).Body.String(); !strings.Contains(body, "No event matches") {
		t.Error(body)
	}
	if len(s.asked) > trailParts+2 {
		t.Errorf("the log was asked %d times", len(s.asked))
	}
}

// What retention has cut off is shown where it was, and only where no filter
// leaves events out.
func TestGapsAreShown(t *testing.T) {
	var entries []protocol.AuditEntry
	for _, seq := range []uint64{20, 19, 15, 13} {
		entries = append(entries, protocol.AuditEntry{Seq: seq, Class: "security", Actor: "system"})
	}
	s, cookie := logged(t, entries)
	body := s.get("/audit", cookie).Body.String()
	for _, want := range []string{"3 events, 16 to 18, are not kept any more", "Event 14 is not kept any more", "12 events, 1 to 12, are not kept any more"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if seqs, _ := seqsOf(body); fmt.Sprint(seqs) != "[20 19 15 13]" {
		t.Errorf("events %v", seqs)
	}
	if body := s.get("/audit?class=security", cookie).Body.String(); strings.Contains(body, "not kept any more") {
		t.Errorf("a filter makes gaps: %s", body)
	}
}

// A page that follows an actor is told of nobody else.
func TestTailOfAnActor(t *testing.T) {
	s := newSite(t)
	cookie := s.login()
	s.replies["get_audit_log"] = &protocol.GetAuditLogReply{Entries: []protocol.AuditEntry{{Seq: 8, Actor: "node:7"}, {Seq: 9, Actor: "system"}}}
	r := must(http.NewRequest(http.MethodGet, "http://localhost/live?after=7&actor=node:7", nil))
	r.AddCookie(&http.Cookie{Name: cookieName, Value: cookie})
	tail := s.c.tailOf(r)
	if event := tail.event(100); !strings.Contains(event, `"n":1`) || !strings.Contains(event, "/audit/8") || strings.Contains(event, "/audit/9") || tail.fields["after_seq"] != uint64(9) {
		t.Errorf("told %q", event)
	}
}
