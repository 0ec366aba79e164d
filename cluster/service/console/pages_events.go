// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

type auditData struct {
	Filter map[string]string
	Rows   []auditRow
	Chains []chainRow
	Next   string
	// Searched says that the search for an actor ended before the oldest event.
	Searched bool
	// Follow is what the page asks to be told, "" for nothing.
	Follow string
	// newest is the newest event that was looked at.
	newest uint64
}

// auditRow is an event, with the events between it and the newer one above it
// that are not kept.
type auditRow struct {
	protocol.AuditEntry
	Gap gap
	// Only says that there is no event, but a gap alone.
	Only bool
}

// gap is a run of events that retention has cut off.
type gap struct{ From, To, Count uint64 }

// chainRow is the end of a chain, with what was verified of it.
type chainRow struct {
	protocol.AuditChainEnd
	Verified *verified
}

// auditFilters are the fields of get_audit_log that the page filters by. The
// actor is no such field: the page looks for it itself.
var auditFilters = []string{"action", "node_id", "network_id", "external_id", "class", "since", "until"}

const filterActor = "actor"

// auditFilter reads the filter in an address: as it is, and as fields of get_audit_log.
func auditFilter(q url.Values) (filter map[string]string, fields map[string]any, e *protocol.Error) {
	filter, fields = map[string]string{}, map[string]any{}
	for _, name := range auditFilters {
		value := strings.TrimSpace(q.Get(name))
		if value == "" {
			continue
		}
		filter[name], fields[name] = value, value
		if name == "node_id" || name == "network_id" {
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return nil, nil, protocol.Errorf(protocol.CodeInvalid, "invalid %s: %s is not a number", name, protocol.Quote(value))
			}
			fields[name] = n
		}
	}
	if actor := strings.TrimSpace(q.Get(filterActor)); actor != "" {
		if _, err := strconv.ParseUint(actor, 10, 32); err == nil {
			actor = "node:" + actor
		}
		filter[filterActor] = actor
	}
	return filter, fields, nil
}

// byActor reports whether an actor is meant: by its name, or the beginning of it
// before a star. Everybody is when there is no filter.
func byActor(filter, actor string) bool {
	if head, ok := strings.CutSuffix(filter, "*"); ok {
		return strings.HasPrefix(actor, head)
	}
	return filter == "" || filter == actor
}

func (c *Console) auditPage(v *visit) (*content, *protocol.Error) {
	at := v.r.URL.Query()
	filter, fields, e := auditFilter(at)
	if e != nil {
		return nil, e
	}
	d := &auditData{Filter: filter}
	if e := v.trail(d, v.r.URL.Query(), fields); e != nil {
		return nil, e
	}
	if at.Get("cursor") == "" && at.Get("before") == "" && filter["until"] == "" { // the newest are shown, so others may come
		d.Follow = "after=" + strconv.FormatUint(d.newest, 10)
		for name, value := range filter {
			d.Follow += "&" + name + "=" + url.QueryEscape(value)
		}
	}
	chain, e := ask[protocol.AuditChainReply](v, "audit_chain", nil)
	if e != nil {
		return nil, e
	}
	for _, end := range chain.Chains {
		row := chainRow{AuditChainEnd: end}
		if row.Verified, e = v.verifyEnd(end); e != nil {
			return nil, e
		}
		d.Chains = append(d.Chains, row)
	}
	return &content{Template: "audit", Title: "What happened?", Data: d, Command: auditCommand(d.Filter)}, nil
}

const (
	// trailPart is how many events are looked through at a time for those of an
	// actor, trailParts how often for one page.
	trailPart  = 1000
	trailParts = 20
)

// trail reads the events of a page, newest first. With an actor it looks
// through several pages of the log; the next page begins within one of them.
func (v *visit) trail(d *auditData, q url.Values, fields map[string]any) *protocol.Error {
	actor, cursor := d.Filter[filterActor], q.Get("cursor")
	before, err := strconv.ParseUint(q.Get("before"), 10, 53)
	if err != nil { // there is none
		before = math.MaxUint64
	}
	parts, limit := 1, perPage
	if actor != "" {
		parts, limit = trailParts, trailPart
	}
	fields["limit"] = limit
	for range parts {
		if cursor != "" {
			fields["cursor"] = cursor
		}
		log, e := ask[protocol.GetAuditLogReply](v, "get_audit_log", fields)
		if e != nil {
			return e
		}
		for _, entry := range log.Entries {
			d.newest = max(d.newest, entry.Seq)
			if entry.Seq >= before || !byActor(actor, entry.Actor) {
				continue
			}
			if len(d.Rows) == perPage {
				d.Next = linkOlder(v.r.URL.Path, q, cursor, entry.Seq+1)
				return nil
			}
			d.Rows = append(d.Rows, auditRow{AuditEntry: entry})
		}
		if len(d.Filter) == 0 {
			d.noteGaps(log.NextCursor == "")
		}
		if cursor = log.NextCursor; cursor == "" {
			return nil
		}
	}
	d.Next, d.Searched = linkOlder(v.r.URL.Path, q, cursor, 0), actor != ""
	return nil
}

// linkOlder leads to the events from a cursor on, of these to those before a number.
func linkOlder(path string, q url.Values, cursor string, before uint64) string {
	q.Del("before")
	q.Del("cursor")
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	if before > 0 {
		q.Set("before", strconv.FormatUint(before, 10))
	}
	return (&url.URL{Path: path, RawQuery: q.Encode()}).String()
}

// noteGaps marks where numbers are missing. All events have consecutive
// numbers, but the two classes are kept for different times. On the page with
// the oldest event, last, the gap after it reaches back to the first.
func (d *auditData) noteGaps(last bool) {
	for i := 1; i < len(d.Rows); i++ {
		if newer, seq := d.Rows[i-1].Seq, d.Rows[i].Seq; newer > seq+1 {
			d.Rows[i].Gap = gap{seq + 1, newer - 1, newer - seq - 1}
		}
	}
	if n := len(d.Rows); last && n > 0 && d.Rows[n-1].Seq > 1 {
		oldest := d.Rows[n-1].Seq - 1
		d.Rows = append(d.Rows, auditRow{Gap: gap{1, oldest, oldest}, Only: true})
	}
}

// auditCommand shows the same events on the command line. Those of a person are
// part of what the registry knows of that person.
func auditCommand(filter map[string]string) string {
	if person := filter["external_id"]; person != "" {
		return "pilotctl person export " + quoted(person)
	}
	command := "pilotctl audit list"
	for _, name := range auditFilters {
		if value := filter[name]; value != "" {
			command += " --" + strings.TrimSuffix(name, "_id") + " " + quoted(value)
		}
	}
	if actor := filter[filterActor]; actor != "" {
		head, begins := strings.CutSuffix(actor, "*")
		name, err := json.Marshal(head)
		if err != nil { // texts always encode
			panic(err)
		}
		want := fmt.Sprintf(".actor == %s", name)
		if begins {
			want = fmt.Sprintf(".actor | startswith(%s)", name)
		}
		command += " --all -o json | jq " + quoted(".entries[] | select("+want+")")
	}
	return command
}

// quoted is a word for a shell. What stands in the address of a page may come
// from a link of somebody else's, and the command is there to be copied.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
