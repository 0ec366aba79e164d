// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func openLogSink(t *testing.T, log func(string, ...any)) Exporter {
	return open(t, Options{Sink: protocol.SinkConfig{Name: "log", Kind: protocol.SinkLog}, Log: log})
}

func TestLog(t *testing.T) {
	var got [][]any
	x := openLogSink(t, func(msg string, args ...any) { got = append(got, append([]any{msg}, args...)) })
	events := some(1, 2)
	events[1].Source = ""
	events[1].Attrs = []protocol.AuditAttr{{Key: "seq", Value: "9"}, {Key: "accept", Value: "true"}, {Key: "actor", Value: "x"}}
	deliver(t, x, events)
	want := [][]any{
		{"audit", "audit_action", "member.kicked", "seq", uint64(1), "actor", "node:7", "source", "192.0.2.9:4711",
			"target_node_id", int64(9), "network_id", int64(3), "role", "admin"},
		{"audit", "audit_action", "member.kicked", "seq", uint64(2), "actor", "node:7", "attr_seq", int64(9), "accept", true, "attr_actor", "x"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// An attribute cannot forge a line, in either form of the log.
func TestLogInjection(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var b bytes.Buffer
		log := hclog.New(&hclog.LoggerOptions{Output: &b, JSONFormat: asJSON})
		events := some(1, 1)
		events[0].Attrs[2].Value, events[0].Actor, events[0].Source = nasty, nasty, nasty
		deliver(t, openLogSink(t, log.Info), events)
		line, rest, _ := strings.Cut(b.String(), "\n")
		if rest != "" || strings.ContainsAny(line, "\r\x00\x1b\u2028\u0085") {
			t.Errorf("the log is %q", b.String())
		}
		if asJSON {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["@message"] != "audit" || fields["audit_action"] != "member.kicked" {
				t.Errorf("the line is %s, %v", line, err)
			}
		}
	}
}
