// SPDX-License-Identifier: Apache-2.0

package original

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// Bounds of the audit log that is taken. The original keeps 1,000 events.
const (
	maxEvents       = 10_000
	maxDetailsBytes = 16 << 10
	maxActionBytes  = 64
)

func (r *reader) readAudit() error {
	list, err := items(r.top.Audit)
	if err != nil {
		return fmt.Errorf("audit_log: %w", err)
	}
	for i, raw := range list {
		object := fmt.Sprintf("event %d", i+1)
		if len(list)-i > maxEvents {
			r.leftOut(object, "", fmt.Sprintf("the newest %d events are taken", maxEvents))
			continue
		}
		var d fsm.DocAudit
		err := decode(&r.notes, object, raw, &d)
		if err != nil {
			r.leftOut(object, "", err.Error())
			continue
		}
		if problem := r.event(object, &d); problem != "" {
			r.leftOut(object, "", problem)
			continue
		}
		r.Doc.AuditLog = append(r.Doc.AuditLog, d)
	}
	r.count("audit_log", len(list), len(r.Doc.AuditLog))
	return nil
}

// event says why an event is not taken, "" when it is.
func (r *reader) event(object string, d *fsm.DocAudit) string {
	at, ok := protocol.ParseTime(d.Timestamp)
	class := protocol.Events[d.Action]
	switch {
	case !ok || at.UnixMilli() <= 0 || at.Year() > 9999:
		return "its timestamp is not a time from 1970 to 9999 in RFC 3339"
	case d.Action == "" || len(d.Action) > maxActionBytes || protocol.HasControl(d.Action):
		return fmt.Sprintf("its action is empty, longer than %d bytes, or has a control character", maxActionBytes)
	case len(d.Details) > maxDetailsBytes:
		return fmt.Sprintf("its details have more than %d bytes", maxDetailsBytes)
	case r.now.Sub(at) > fsm.EventsKept(class):
		return fmt.Sprintf("it is older than the %d days for which such events are kept", int(fsm.EventsKept(class).Hours()/24))
	}
	d.Timestamp = at.UTC().Format("2006-01-02T15:04:05.999Z07:00")
	if !plainDetails(d.Details) {
		r.changed(object, "details", "they are not a list of key=value; the attribute details has them now")
		d.Details = "details=" + d.Details
	}
	return ""
}

// plainDetails reports whether details are attributes that give the same text again.
func plainDetails(details string) bool {
	attrs := fsm.DetailsAttrs(details)
	parts := make([]string, len(attrs))
	for i, a := range attrs {
		parts[i] = a.Key + "=" + a.Value
	}
	return strings.Join(parts, ", ") == details && !slices.ContainsFunc(attrs, func(a fsm.Attr) bool {
		return a.Key == "" || a.Key == "node_id" || a.Key == "network_id" || protocol.HasControl(a.Key)
	})
}
