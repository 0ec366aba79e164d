// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Whoever looks at a sink that does not get on is told what the collector
// said, in words that say what to do, and nothing that it repeats.
func TestTheCollectorsCodesAreExplained(t *testing.T) {
	const sent = "hunter2"
	for _, c := range []struct {
		status         int
		body           string
		want           string
		final, content bool
	}{
		{200, `{"text":"Success","code":0}`, "", false, false},
		{200, `{"text":"` + sent + `","code":9}`, "the collector answered 200 with code 9: it is busy", false, false},
		{200, `<html>` + sent, "the answer is a page (HTML or XML), where an event collector says code 0: check the endpoint, and what stands before it", false, false},
		{200, ``, "the answer is empty, where an event collector says code 0: check the endpoint, and what stands before it", false, false},
		{400, `{"text":"Data channel is missing","code":10}`, "the collector answered 400 with code 10: the token wants indexer acknowledgement: set ack", true, false},
		{400, `{"text":"Incorrect index","code":7,"invalid-event-number":1}`, "the collector answered 400 with code 7: the index is wrong, or the token may not write to it: check index, or allow it for the token", true, false},
		{400, `{"text":"Invalid data format","code":6}`, "the collector answered 400 with code 6: it does not like the data", true, true},
		{403, `{"text":"Invalid token","code":4}`, "the collector answered 403 with code 4: it does not know the token: check it", true, false},
		{503, `{"text":"Server is busy","code":9}`, "the collector answered 503 with code 9: it is busy", false, false},
		{503, sent, "the receiver answered 503 Service Unavailable", false, false},
		{400, `{"code":999}`, "the receiver answered 400 Bad Request", true, false},
	} {
		r := receive(t, func(_ int, w http.ResponseWriter, _ request) {
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		})
		_, err := open(t, export(protocol.FormatSplunk, r.URL)).Deliver(t.Context(), some(1, 1))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want || strings.Contains(got, sent) {
			t.Errorf("%d %s: %q, want %q", c.status, c.body, got, c.want)
		}
		if a := Meaning(err); a.Final != c.final || a.Content != c.content {
			t.Errorf("%d %s: judged %+v", c.status, c.body, a)
		}
	}
}

func TestRetryAfterIsRead(t *testing.T) {
	now := time.Date(2026, 3, 31, 10, 20, 30, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "20": 20 * time.Second, "0": 0, "-5": 0, "soon": 0, "99999999999": 0,
		"Tue, 31 Mar 2026 10:21:00 GMT": 30 * time.Second, "Tue, 31 Mar 2026 10:20:00 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	r := receive(t, func(_ int, w http.ResponseWriter, _ request) {
		w.Header().Set("Retry-After", "20")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, err := open(t, export(protocol.FormatJSON, r.URL)).Deliver(t.Context(), some(1, 1))
	if a := Meaning(err); a.After != 20*time.Second || a.Final || a.Gone {
		t.Errorf("judged %+v", a)
	}
}

// Receivers of lines see every message at once: none has a line break or NUL itself.
func TestSyslogFraming(t *testing.T) {
	for framing, end := range map[string]byte{protocol.FramingNewline: '\n', protocol.FramingNUL: 0} {
		addr, peers := listen(t, nil)
		o := export(protocol.FormatCEF, "tcp://"+addr)
		o.Sink.Framing = framing
		events := some(1, 3)
		events[1].Attrs = append(events[1].Attrs, protocol.AuditAttr{Key: "name", Value: "two\nlines\x00and a NUL"})
		done := make(chan error, 1)
		x := open(t, o)
		go func() {
			_, err := x.Deliver(t.Context(), events)
			done <- err
		}()
		p := next(t, peers)
		for i := range events {
			line, err := p.r.ReadBytes(end)
			if err != nil || !bytes.HasPrefix(line, []byte("<")) || bytes.Count(line, []byte{'\n'})+bytes.Count(line, []byte{0}) != 1 {
				t.Errorf("%s: message %d is %q, %v", framing, i, line, err)
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// An answer that cannot be read is described: what is wrong is mostly between
// here and the collector.
func TestAnAnswerThatCannotBeReadIsDescribed(t *testing.T) {
	const tail = ", where an event collector says code 0: check the endpoint, and what stands before it"
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write([]byte(`{"text":"Success","code":0}`))
	_ = zip.Close()
	for name, c := range map[string]struct {
		header map[string]string
		body   string
		want   string
	}{
		"packed":              {map[string]string{"Content-Encoding": "gzip"}, packed.String(), "the answer is compressed (gzip), which nobody asked for"},
		"packed, not said":    {nil, packed.String(), "the answer is compressed (gzip), which nobody asked for"},
		"packed otherwise":    {map[string]string{"Content-Encoding": "br"}, "\x0b\x02\x80", "the answer is compressed (br), which nobody asked for"},
		"the token as a form": {map[string]string{"Content-Encoding": "hunter2"}, "hunter2", "the answer is not JSON"},
		"connection lost":     {map[string]string{"Content-Length": "100"}, `{"text":"Suc`, "the answer broke off after 12 bytes"},
		"cut off before":      {nil, `{"text":"Suc`, "the answer ends in the middle of its JSON"},
		"another service":     {nil, `{"status":"ok"}`, "the answer is JSON without a code"},
		"a list":              {nil, `[0]`, "the answer is JSON without a code"},
		"text":                {nil, `OK`, "the answer is not JSON"},
	} {
		r := receive(t, func(_ int, w http.ResponseWriter, _ request) {
			for k, v := range c.header {
				w.Header().Set(k, v)
			}
			_, _ = w.Write([]byte(c.body))
		})
		client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
		o := export(protocol.FormatSplunk, r.URL)
		o.Client = client
		done, err := open(t, o).Deliver(t.Context(), some(1, 1))
		if done != 0 || err == nil || err.Error() != c.want+tail {
			t.Errorf("%s: %d delivered, %v, want %s", name, done, err, c.want)
		}
		client.CloseIdleConnections()
	}
}
