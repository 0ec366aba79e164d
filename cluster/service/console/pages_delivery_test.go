// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// hooked is a desk with a webhook that fails and an export that works.
func hooked(t *testing.T) *desk {
	d := newDesk(t)
	d.replies["audit_sink_list"] = &protocol.AuditSinkListReply{Sinks: []protocol.AuditSink{
		{SinkConfig: protocol.SinkConfig{Name: "audit_export", Kind: protocol.SinkExport, Endpoint: "https://siem.example.org:8088/in"}, Seq: 70},
		{SinkConfig: protocol.SinkConfig{Name: "audit_webhook", Kind: protocol.SinkWebhook, Endpoint: "https://hooks.example.org/T0/s3cret?key=s3cret"}, Seq: 40, Lag: 30, DLQSize: 60,
			SinkTrouble: protocol.SinkTrouble{Error: "it answered 503"}},
	}}
	var letters []protocol.DeadLetter
	for i := range 60 {
		letters = append(letters, protocol.DeadLetter{Sink: "audit_webhook", Reason: "it answered 422", Attempts: 4,
			WebhookEvent: protocol.WebhookEvent{EventID: uint64(i + 1), Action: "member.kicked", Details: map[string]any{"note": "<b>"}}})
	}
	d.replies["dlq_list"] = &protocol.DLQListReply{Letters: letters}
	d.replies["audit_replay"] = &protocol.AuditSinkReply{}
	return d
}

// Sinks show their lag with its last hour, where events go without what may be
// secret in the address, and dead letters a page at a time.
func TestDeliveryPage(t *testing.T) {
	d := hooked(t)
	for _, lag := range []uint64{0, 1200, 30} {
		d.lags = map[string]uint64{"audit_webhook": lag}
		d.c.observe(t.Context())
		d.now = d.now.Add(sampleEvery)
	}
	body := d.get("/delivery", d.cookie).Body.String()
	for _, want := range []string{"<code>hooks.example.org</code>", "now 30, at most 1,200", "no sample yet", "60 dead letters", `rel="next" href="/delivery?page=2"`, "Events do not arrive at audit_webhook", `href="/do/replay?sink=audit_export"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if strings.Contains(body, "s3cret") || strings.Count(body, `aria-label="Drop event`) != perPage {
		t.Errorf("%d letters: %s", strings.Count(body, `aria-label="Drop event`), body)
	}
	if body := d.get("/delivery?sink=audit_export", d.cookie).Body.String(); strings.Contains(body, `aria-label="Drop event`) {
		t.Errorf("letters of another sink: %s", body)
	}
}

func TestDeadLetterPage(t *testing.T) {
	d := hooked(t)
	body := d.get("/delivery/audit_webhook/7", d.cookie).Body.String()
	for _, want := range []string{"it answered 422", "&#34;event_id&#34;: 7,", "&#34;note&#34;: &#34;&lt;b&gt;&#34;", "/do/retry-letters?sink=audit_webhook&amp;event=7", "/audit/7"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if w := d.get("/delivery/audit_webhook/700", d.cookie); w.Code != http.StatusNotFound {
		t.Errorf("a letter that is none: %d", w.Code)
	}
}

// A test sends what the sink has got once more, and never skips anything.
func TestReplay(t *testing.T) {
	d := hooked(t)
	if body := d.get("/do/replay?sink=audit_export", d.cookie).Body.String(); !strings.Contains(body, `name="from" value="70"`) {
		t.Error(body)
	}
	if w := d.get("/do/replay?sink=none", d.cookie); w.Code != http.StatusNotFound {
		t.Errorf("no such sink: %d", w.Code)
	}
	for _, from := range []string{"", "0", "72", "x"} {
		if w := d.post("/do/replay", d.cookie, url.Values{"csrf": {d.csrf}, "sink": {"audit_export"}, "from": {from}}); w.Code != http.StatusBadRequest {
			t.Errorf("from %q: %d", from, w.Code)
		}
	}
	id, page := d.plan("replay", url.Values{"sink": {"audit_webhook"}, "from": {"40"}})
	if !strings.Contains(page, "event 40, then all after it") || !strings.Contains(page, "it answered 503") {
		t.Error(page)
	}
	if code, page := d.confirm("replay", id, ""); code != http.StatusOK || fmt.Sprint(d.writes()) != "[audit_replay "+id+"]" {
		t.Errorf("%d %v %s", code, d.writes(), page)
	}
}

func TestSpark(t *testing.T) {
	now := time.UnixMilli(7200_000)
	list := []sample{{At: 3600_000, Sinks: map[string]uint64{"a": 4}}, {At: 5400_000}, {At: 7200_000, Sinks: map[string]uint64{"a": 2, "b": 0}}}
	for sink, want := range map[string]string{"a": "&{0.0,2.0 120.0,12.0  2 4}", "b": "&{120.0,22.0 120.0,22.0  0 0}", "c": "<nil>"} {
		if got := fmt.Sprint(sparkOf(list, sink, now)); got != want {
			t.Errorf("%s: %s, want %s", sink, got, want)
		}
	}
}
