// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Clients read these bytes; recorded conversations have them in this order.
func TestAReplyIsEncodedToTheByte(t *testing.T) {
	body := protocol.HeartbeatReply{Time: 5, Type: "heartbeat_ok"}
	refusal := protocol.NotAppliedf(protocol.CodeNoLeader, "no leader")
	for _, x := range []struct {
		reply Reply
		want  string
	}{
		{Reply{Body: body}, `{"time":5,"type":"heartbeat_ok"}`},
		{Reply{Body: &body, Index: 7}, `{"time":5,"type":"heartbeat_ok","index":7}`},
		{Reply{Body: protocol.Rendered(`{"type":"x_ok"}`)}, `{"type":"x_ok"}`},
		{Reply{Body: protocol.Rendered(`{"type":"x_ok"}`), Index: 7, Replayed: true}, `{"type":"x_ok","index":7,"replayed":true}`},
		{Reply{Body: body, Index: 7, Stale: true, Age: 90 * time.Millisecond}, `{"time":5,"type":"heartbeat_ok","index":7,"data_age_ms":90}`},
		{Reply{Body: body, Stale: true}, `{"time":5,"type":"heartbeat_ok","data_age_ms":0}`},
		{Reply{Err: refusal}, `{"code":"no_leader","error":"no leader","outcome":"not_applied","type":"error"}`},
		{Reply{Body: body, Err: refusal, Index: 7, Replayed: true, countsUntil: 9},
			`{"code":"no_leader","error":"no leader","outcome":"not_applied","type":"error","index":7,"replayed":true,"counts_until":9}`},
	} {
		if got, err := x.reply.JSON(); string(got) != x.want || err != nil {
			t.Errorf("got %s, %v\nwant %s", got, err, x.want)
		}
	}
}

// A shared reply that one connection adds something to stays what it is for the others.
func TestARenderedReplyIsNotChanged(t *testing.T) {
	const text = `{"type":"x_ok"}`
	shared := append(make(protocol.Rendered, 0, 200), text...)
	reply := Reply{Body: shared, Index: 1, Stale: true}
	if _, err := reply.JSON(); err != nil || string(shared) != text || string(shared[:cap(shared)][len(text)]) != "\x00" {
		t.Errorf("%q, %v", shared[:cap(shared)], err)
	}
}

// Who took a refusal of a signed request for the end of it would be wrong:
// the refusal says until when the request may still take effect.
func TestARefusalSaysUntilWhenASignedRequestCounts(t *testing.T) {
	const ts = 1_800_000_000_000
	signed := func(name string) *protocol.Request {
		return &protocol.Request{Type: name, Command: protocol.Must(name), Signed: &protocol.Signed{TS: ts}}
	}
	plain := &protocol.Request{Type: "set_tags", Command: protocol.Must("set_tags")}
	refusal := func(code string, outcome protocol.Outcome, index uint64) Reply {
		return Reply{Err: &protocol.Error{Code: code, Text: `"type":"x"`, Outcome: outcome}, Index: index}
	}
	decidedBefore := refusal(protocol.CodeNotFound, "", 7)
	decidedBefore.Replayed = true
	for _, x := range []struct {
		name  string
		req   *protocol.Request
		reply Reply
		until bool
	}{
		{"success", signed("set_tags"), Reply{Body: protocol.Rendered(`{"type":"set_tags_ok"}`), Index: 7}, false},
		{"decided", signed("set_tags"), refusal(protocol.CodeNotFound, "", 7), false},
		{"decided before", signed("set_tags"), decidedBefore, false},
		{"too old", signed("set_tags"), refusal(protocol.CodeSignatureExpired, "", 0), false},
		{"read from the state", signed("set_tags"), refusal(protocol.CodeNotFound, "", 0), true},
		{"signed in the future", signed("set_tags"), refusal(protocol.CodeSignatureEarly, "", 0), true},
		{"signed in the future, says Apply", signed("set_tags"), refusal(protocol.CodeSignatureEarly, "", 7), true},
		{"a sink is behind", signed("set_tags"), refusal(protocol.CodeAuditBehind, protocol.OutcomeNotApplied, 7), true},
		{"overloaded", signed("set_tags"), refusal(protocol.CodeOverloaded, protocol.OutcomeNotApplied, 0), true},
		{"rate limited", signed("register"), refusal(protocol.CodeRateLimited, protocol.OutcomeNotApplied, 0), true},
		{"the id of another request", signed("set_tags"), refusal(protocol.CodeRequestIDReused, "", 7), true},
		{"unknown", signed("set_tags"), refusal(protocol.CodeOutcomeUnknown, protocol.OutcomeUnknown, 0), true},
		{"a poll takes something away", signed("poll_handshakes"), refusal(protocol.CodeNoLeader, protocol.OutcomeNotApplied, 0), true},
		{"a read", signed("resolve"), refusal(protocol.CodeNotFound, "", 0), false},
		{"a heartbeat", signed("heartbeat"), refusal(protocol.CodeNotFound, "", 0), false},
		{"not signed", plain, refusal(protocol.CodeNotFound, "", 0), false},
	} {
		before := text(t, x.reply)
		x.reply.noteCounts(x.req)
		got := text(t, x.reply)
		var reply map[string]any
		if err := json.Unmarshal([]byte(got), &reply); err != nil {
			t.Fatalf("%s: %s: %v", x.name, got, err)
		}
		if until, has := reply["counts_until"]; has != x.until || has && until != float64(ts+protocol.SignedWindowMS) {
			t.Errorf("%s: %s", x.name, got)
		}
		if !x.until && got != before {
			t.Errorf("%s: %s became %s", x.name, before, got)
		}
		if code := x.reply.Code(); (code == "") != (reply["type"] != "error") {
			t.Errorf("%s: code %q of %s", x.name, code, got)
		}
	}
}

func text(t *testing.T, r Reply) string {
	t.Helper()
	b, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
