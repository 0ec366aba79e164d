// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

type deliveryData struct {
	Sinks []sinkRow
	// Sink is the one whose dead letters are shown, "" for all.
	Sink    string
	Letters []protocol.DeadLetter
	Total   int
	turns
}

type sinkRow struct {
	protocol.AuditSink
	State, Word string
	// Host is where events go, without what may be secret in an address.
	Host string
	// Hour is the lag of the last hour, nil before the first sample.
	Hour *spark
}

// laggard is from how many events on a sink is said to lag.
const laggard = 100

func sinkRowOf(s protocol.AuditSink) sinkRow {
	row := sinkRow{AuditSink: s, State: "ok", Word: "delivers", Host: hostName(s.Endpoint)}
	switch {
	case s.Error != "":
		row.State, row.Word = "bad", "fails"
	case s.Lag > laggard:
		row.State, row.Word = "warn", "lags"
	case s.Lag > 0 && s.Delivered == 0:
		row.State, row.Word = "none", "nothing delivered yet"
	}
	return row
}

// hostName is the host of an address. Paths and queries may be secret; what is
// no URL is a file on the member that leads.
func hostName(endpoint string) string {
	at, err := url.Parse(endpoint)
	if err != nil {
		return "an address that cannot be read"
	}
	if at.Host == "" {
		return endpoint
	}
	return at.Host
}

func (c *Console) deliveryPage(v *visit) (*content, *protocol.Error) {
	list, e := ask[protocol.AuditSinkListReply](v, "audit_sink_list", nil)
	if e != nil {
		return nil, e
	}
	d := &deliveryData{Sink: v.r.URL.Query().Get("sink")}
	hour, now := c.history.list(), c.cfg.Now()
	var letters []protocol.DeadLetter
	for _, s := range list.Sinks {
		row := sinkRowOf(s)
		row.Hour = sparkOf(hour, s.Name, now)
		d.Sinks = append(d.Sinks, row)
		if s.DLQSize == 0 || d.Sink != "" && d.Sink != s.Name {
			continue
		}
		of, e := ask[protocol.DLQListReply](v, "dlq_list", map[string]any{"name": s.Name})
		if e != nil {
			return nil, e
		}
		letters = append(letters, of.Letters...)
	}
	d.Total = len(letters)
	d.Letters, d.turns = paged(letters, v.r.URL)
	return &content{Template: "delivery", Title: "Do events arrive?", Data: d, Command: "pilotctl audit sinks"}, nil
}

type letterData struct {
	Letter protocol.DeadLetter
	// Body is the event as webhooks get it.
	Body string
}

// letterPage shows a dead letter with what would be sent.
func (c *Console) letterPage(v *visit) (*content, *protocol.Error) {
	sink := v.r.PathValue("sink")
	list, e := ask[protocol.DLQListReply](v, "dlq_list", map[string]any{"name": sink})
	if e != nil {
		return nil, e
	}
	n := slices.IndexFunc(list.Letters, func(l protocol.DeadLetter) bool { return strconv.FormatUint(l.EventID, 10) == v.r.PathValue("event") })
	if n < 0 {
		return nil, protocol.Refusef(protocol.CodeNotFound, "the sink %s has no such dead letter: it was delivered, dropped, or made room for others", protocol.Quote(sink))
	}
	d := &letterData{Letter: list.Letters[n]}
	var body strings.Builder
	enc := json.NewEncoder(&body)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // the page escapes it
	if err := enc.Encode(d.Letter.WebhookEvent); err != nil {
		return nil, protocol.Errorf(protocol.CodeInternal, "the event cannot be shown: %v", err)
	}
	d.Body = body.String()
	title := fmt.Sprintf("Why did event %d not arrive?", d.Letter.EventID)
	return &content{Template: "letter", Title: title, Data: d, Command: "pilotctl webhook dlq list --sink " + quoted(sink)}, nil
}
