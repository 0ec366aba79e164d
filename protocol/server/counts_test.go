// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Who took a refusal of a signed request for the end of it would be wrong:
// the refusal says until when the request may still take effect.
func TestARefusalSaysUntilWhenASignedRequestCounts(t *testing.T) {
	const ts = 1_800_000_000_000
	signed := func(name string) *protocol.Request {
		return &protocol.Request{Type: name, Command: protocol.Must(name), Signed: &protocol.Signed{TS: ts}}
	}
	plain := &protocol.Request{Type: "set_tags", Command: protocol.Must("set_tags")}
	refusal := func(code string, outcome protocol.Outcome, index string) string {
		b := protocol.EncodeError(&protocol.Error{Code: code, Text: `"type":"x"`, Outcome: outcome})
		return string(b[:len(b)-1]) + index + "}"
	}
	for _, x := range []struct {
		name  string
		req   *protocol.Request
		reply string
		until bool
	}{
		{"success", signed("set_tags"), `{"type":"set_tags_ok","index":7}`, false},
		{"decided", signed("set_tags"), refusal(protocol.CodeNotFound, "", `,"index":7`), false},
		{"decided before", signed("set_tags"), refusal(protocol.CodeNotFound, "", `,"index":7,"replayed":true`), false},
		{"too old", signed("set_tags"), refusal(protocol.CodeSignatureExpired, "", ""), false},
		{"read from the state", signed("set_tags"), refusal(protocol.CodeNotFound, "", ""), true},
		{"signed in the future", signed("set_tags"), refusal(protocol.CodeSignatureEarly, "", ""), true},
		{"signed in the future, says Apply", signed("set_tags"), refusal(protocol.CodeSignatureEarly, "", `,"index":7`), true},
		{"a sink is behind", signed("set_tags"), refusal(protocol.CodeAuditBehind, protocol.OutcomeNotApplied, `,"index":7`), true},
		{"overloaded", signed("set_tags"), refusal(protocol.CodeOverloaded, protocol.OutcomeNotApplied, ""), true},
		{"rate limited", signed("register"), refusal(protocol.CodeRateLimited, protocol.OutcomeNotApplied, ""), true},
		{"the id of another request", signed("set_tags"), refusal(protocol.CodeRequestIDReused, "", `,"index":7`), true},
		{"unknown", signed("set_tags"), refusal(protocol.CodeOutcomeUnknown, protocol.OutcomeUnknown, ""), true},
		{"a poll takes something away", signed("poll_handshakes"), refusal(protocol.CodeNoLeader, protocol.OutcomeNotApplied, ""), true},
		{"a read", signed("resolve"), refusal(protocol.CodeNotFound, "", ""), false},
		{"a heartbeat", signed("heartbeat"), refusal(protocol.CodeNotFound, "", ""), false},
		{"not signed", plain, refusal(protocol.CodeNotFound, "", ""), false},
	} {
		before := x.reply
		got := stillCounts(x.req, []byte(x.reply))
		var reply map[string]any
		if err := json.Unmarshal(got, &reply); err != nil {
			t.Fatalf("%s: %s: %v", x.name, got, err)
		}
		if until, has := reply["counts_until"]; has != x.until || has && until != float64(ts+protocol.SignedWindowMS) {
			t.Errorf("%s: %s", x.name, got)
		}
		if x.reply != before || !x.until && string(got) != before {
			t.Errorf("%s: %s became %s", x.name, before, got)
		}
		if code := errorCode(got); (code == "") != (reply["type"] != "error") {
			t.Errorf("%s: code %q of %s", x.name, code, got)
		}
	}
}
