// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// A sink that can write nothing is refused where it is set, by every command that sets one.
func TestFileSinkElsewhereIsRefusedWhenSet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ dir, path, want string }{
		{"/var/lib/pilot/export", "/var/lib/pilot/export/audit.jsonl", ""},
		{"/var/lib/pilot/export", "/tmp/audit.jsonl", "below /var/lib/pilot/export only"},
		{"/var/lib/pilot/export", "/var/lib/pilot/export/../../../../etc/cron.d/x", "below /var/lib/pilot/export only"},
		{"/var/lib/pilot/export", "/var/lib/pilot/export", "below /var/lib/pilot/export only"},
		{"", "/tmp/audit.jsonl", "set outbound.file_dir"},
	} {
		outside := (&outbound{}).gateway(nil, c.dir)
		for _, body := range []protocol.TargetBody{
			&protocol.AuditSinkPut{Name: "archive", Kind: protocol.SinkExport, Format: protocol.FormatFile, Endpoint: c.path},
			&protocol.SetAuditExport{Format: protocol.FormatFile, Endpoint: c.path},
		} {
			targets := body.Targets()
			if len(targets) != 1 || !targets[0].File {
				t.Fatalf("%T is not asked about its file: %+v", body, targets)
			}
			e := outside.CheckTarget(targets[0])
			if (e == nil) != (c.want == "") || e != nil && (e.Code != protocol.CodeInvalid || !strings.Contains(e.Text, c.want) || !strings.Contains(e.Text, "endpoint: ")) {
				t.Errorf("%T of %q with %q: %v", body, c.path, c.dir, e)
			}
		}
	}
}
