// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// logSink writes events to the structured log.
type logSink func(msg string, args ...any)

func openLog(o Options) (Exporter, error) {
	if o.Log == nil {
		return nil, errors.New("there is no log to write to")
	}
	return logSink(o.Log), nil
}

// Deliver writes a line an event. It says "audit": that selects these lines.
func (l logSink) Deliver(_ context.Context, events []protocol.AuditEvent) (int, error) {
	for i := range events {
		l("audit", logArgs(&events[i])...)
	}
	return len(events), nil
}

// Close does nothing: the log is not the sink's.
func (logSink) Close() error { return nil }

func logArgs(e *protocol.AuditEvent) []any {
	args := []any{"audit_action", e.Action, "seq", e.Seq, "actor", logText(e.Actor)}
	if e.Source != "" {
		args = append(args, "source", logText(e.Source))
	}
	for _, a := range e.Attrs {
		key, value := a.Key, a.AttrValue()
		switch key {
		case "audit_action", "seq", "actor", "source":
			key = "attr_" + key // a second one would hide the first in a JSON object
		}
		if s, ok := value.(string); ok {
			value = logText(s)
		}
		args = append(args, key, value)
	}
	return args
}

var logBreaks = strings.NewReplacer("\n", `\n`, "\r", `\r`)

// logText is a text on one line without control characters: not every form
// of the log quotes them.
func logText(s string) string {
	return strings.Map(plain, logBreaks.Replace(strings.ToValidUTF8(s, "\ufffd")))
}
