// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// kicked is an event with ordinary values.
func kicked() *protocol.AuditEvent {
	e := &protocol.AuditEvent{
		Seq: 47, Class: protocol.ClassSecurity, Time: 1774952430123, Index: 90, Actor: "node:7", Source: "192.0.2.9:4711",
		Action: protocol.EventMemberKicked,
		Attrs:  []protocol.AuditAttr{{Key: "target_node_id", Value: "9"}, {Key: "network_id", Value: "3"}, {Key: "role", Value: "admin"}},
	}
	e.Chain[0] = 0xab
	return e
}

var chainHex = "ab" + strings.Repeat("0", 62)

func wantText(t *testing.T, got []byte, want string) {
	t.Helper()
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestJSON(t *testing.T) {
	e := kicked()
	e.Attrs[2].Value = "<a&b>\n\x1b"
	wantText(t, JSON(e), `{"timestamp":"2026-03-31T10:20:30Z","action":"member.kicked","network_id":3,`+
		`"details":"target_node_id=9, role=<a&b>\n\u001b","seq":47,"class":"security","time_ms":1774952430123,"index":90,`+
		`"actor":"node:7","source":"192.0.2.9:4711","attrs":[["target_node_id","9"],["network_id","3"],["role","<a&b>\n\u001b"]],`+
		`"chain":"`+chainHex+`"}`)
}

func TestHEC(t *testing.T) {
	wantText(t, HEC(kicked(), "", ""), `{"time":1774952430,"source":"pilot-registry","sourcetype":"pilot:audit",`+
		`"event":{"action":"member.kicked","network_id":3,"node_id":0,"details":"target_node_id=9, role=admin",`+
		`"seq":47,"actor":"node:7","source_addr":"192.0.2.9:4711","class":"security","chain":"`+chainHex+`"}}`)
	bare := &protocol.AuditEvent{Seq: 1, Class: protocol.ClassActivity, Action: protocol.EventKeyRotated,
		Attrs: []protocol.AuditAttr{{Key: "node_id", Value: "7"}}}
	wantText(t, HEC(bare, "east", "pilot_audit"), `{"time":0,"source":"east","sourcetype":"pilot:audit","index":"pilot_audit",`+
		`"event":{"action":"key.rotated","network_id":0,"node_id":7,"seq":1,"class":"activity","chain":"`+strings.Repeat("0", 64)+`"}}`)
}

func TestWebhookBody(t *testing.T) {
	e := kicked()
	e.Attrs = append(e.Attrs, protocol.AuditAttr{Key: "accepted", Value: "true"}, protocol.AuditAttr{Key: "name", Value: "7"})
	wantText(t, Webhook(e), `{"event_id":47,"action":"member.kicked","timestamp":"2026-03-31T10:20:30.123Z",`+
		`"details":{"accepted":true,"name":"7","network_id":3,"role":"admin","target_node_id":9}}`)
	e.Attrs = nil
	wantText(t, Webhook(e), `{"event_id":47,"action":"member.kicked","timestamp":"2026-03-31T10:20:30.123Z"}`)
}

func TestCEF(t *testing.T) {
	const head = "CEF:0|Pilot|Registry|1.0|member.kicked|member.kicked|6|dvc=pilot-registry dvchost=registry " +
		"cs1=member.kicked cs1Label=action cn1=3 cn1Label=network_id cn2=0 cn2Label=node_id"
	wantText(t, CEF(kicked()), head+` msg=target_node_id\=9, role\=admin`)
	wantText(t, fullCEF(kicked()), head+` msg=target_node_id\=9, role\=admin externalId=47 rt=1774952430123 suser=node:7 src=192.0.2.9`)
	e := kicked()
	e.Attrs, e.Actor, e.Source = e.Attrs[1:2], "", "pipe"
	wantText(t, fullCEF(e), head+` externalId=47 rt=1774952430123`)
}

func TestCEFSource(t *testing.T) {
	for source, want := range map[string]string{
		"192.0.2.9:1": "192.0.2.9", "[2001:db8::1]:1": "2001:db8::1", "[::ffff:192.0.2.9]:1": "192.0.2.9",
		"[fe80::1%eth0]:1": "fe80::1", "192.0.2.9": "192.0.2.9", "1 suser=admin": "invalid IP", "": "invalid IP",
	} {
		if got := sourceIP(source).String(); got != want {
			t.Errorf("source %q: src is %q, want %q", source, got, want)
		}
	}
}

func TestSeverity(t *testing.T) {
	want := map[string]int{
		protocol.EventMemberKicked: 6, protocol.EventNetworkDeleted: 6, protocol.EventSinkDeleted: 6,
		protocol.EventMemberPromoted: 4, protocol.EventMemberDemoted: 4, protocol.EventClusterMemberPromoted: 4,
	}
	for action := range protocol.Events {
		w := want[action]
		if w == 0 {
			w = 3
		}
		if got := Severity(action); got != w {
			t.Errorf("severity of %s is %d, want %d", action, got, w)
		}
	}
}

func TestSyslog(t *testing.T) {
	e := kicked()
	wantText(t, Syslog(e, "reg 1\n"), "<108>1 2026-03-31T10:20:30.123Z reg?1? pilot-registry - member.kicked - "+string(fullCEF(e)))
	e.Action, e.Time = protocol.EventMemberPromoted, 0
	wantText(t, Syslog(e, ""), "<109>1 1970-01-01T00:00:00.000Z - pilot-registry - member.promoted - "+string(fullCEF(e)))
	e.Action = protocol.EventKeyRotated
	if got := string(Syslog(e, "")); !strings.HasPrefix(got, "<110>1 ") {
		t.Errorf("an ordinary event is %q, want it informational", got)
	}
	wantText(t, AppendFrame([]byte("3 abc"), []byte("ä\n")), "3 abc3 ä\n")
}

// A message id has at most 32 bytes; no action may lose its end.
func TestActionsFitMessageID(t *testing.T) {
	for action := range protocol.Events {
		if got := appendSyslogName(nil, action, 32); string(got) != action {
			t.Errorf("the message id of %s is %s", action, got)
		}
	}
}

func TestDatagram(t *testing.T) {
	for name, c := range map[string]struct {
		msg  string
		want int
	}{
		"short":            {strings.Repeat("x", MaxDatagram), MaxDatagram},
		"long":             {strings.Repeat("x", MaxDatagram+1), MaxDatagram},
		"inside character": {strings.Repeat("x", MaxDatagram-1) + "äää", MaxDatagram - 1},
		"inside escape":    {strings.Repeat("x", MaxDatagram-1) + `\=y`, MaxDatagram - 1},
		"behind escape":    {strings.Repeat("x", MaxDatagram-2) + `\\y`, MaxDatagram},
	} {
		if got := Datagram([]byte(c.msg)); len(got) != c.want || !strings.HasPrefix(c.msg, string(got)) {
			t.Errorf("%s: cut to %d bytes, want %d", name, len(got), c.want)
		}
	}
}

// nasty has what breaks out of fields when it is not escaped.
const nasty = "x\nCEF:0|forged|a=b\\ suser=admin\r\n<13>1 \x00\x1b[2J\u2028\u202e\u0085\xff\" }"

// What is in an attribute stays in its field, in every form.
func TestInjection(t *testing.T) {
	e := kicked()
	e.Attrs[2].Value, e.Actor = nasty, "token:"+nasty
	for name, line := range map[string][]byte{
		"CEF": CEF(e), "syslog": Syslog(e, nasty), "JSON": JSON(e), "HEC": HEC(e, nasty, nasty), "webhook": Webhook(e),
	} {
		for _, c := range line {
			if c < ' ' {
				t.Errorf("%s: there is a control character %#x in %q", name, c, line)
				break
			}
		}
	}
	_, ext, err := parseCEF(string(fullCEF(e)))
	if err != nil {
		t.Fatalf("a CEF parser refuses the line: %v", err)
	}
	if want := "target_node_id=9, role=" + neutral(nasty); ext["msg"] != want {
		t.Errorf("msg is %q, want %q", ext["msg"], want)
	}
	if want := "token:" + neutral(nasty); ext["suser"] != want {
		t.Errorf("suser is %q, want %q", ext["suser"], want)
	}
	var entry protocol.AuditEntry
	if err := json.Unmarshal(JSON(e), &entry); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(nasty, "\ufffd"); entry.Attrs[2][1] != want {
		t.Errorf("the attribute is %q, want %q", entry.Attrs[2][1], want)
	}
}
