// SPDX-License-Identifier: Apache-2.0

package integration

// trail plays the commands of the audit log, its sinks and webhooks. The
// address is one where nobody listens; afterwards the configuration is as before.
func (s *story) trail() {
	type m = map[string]any
	nobody := "http://127.0.0.1:9/x"
	name := s.tag + "-sink"
	s.call(m{"type": "set_webhook", "url": nobody, "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "admin_token": s.admin})
	s.call(m{"type": "set_webhook", "url": "ftp://x", "admin_token": s.admin})
	s.call(m{"type": "get_webhook_dlq", "admin_token": "wrong"})
	s.quiet(m{"type": "get_webhook_dlq", "admin_token": s.admin})
	s.quiet(m{"type": "dlq_list", "admin_token": s.admin})
	s.quiet(m{"type": "dlq_retry", "admin_token": s.admin})
	s.quiet(m{"type": "dlq_drop", "admin_token": s.admin})
	s.call(m{"type": "set_webhook", "url": "", "admin_token": s.admin})
	s.call(m{"type": "get_webhook", "admin_token": s.admin})
	s.call(m{"type": "set_audit_export", "format": "splunk_hec", "endpoint": nobody, "token": "hec", "index": "i", "admin_token": s.admin})
	s.quiet(m{"type": "get_audit_export", "admin_token": s.admin})
	s.call(m{"type": "set_audit_export", "admin_token": s.admin})
	s.call(m{"type": "set_audit_export", "format": "morse", "endpoint": nobody, "admin_token": s.admin})
	s.quiet(m{"type": "audit_sink_put", "name": name, "kind": "export", "format": "json", "endpoint": nobody, "actions": []string{"member.*"}, "admin_token": s.admin})
	s.quiet(m{"type": "audit_replay", "name": name, "from_seq": 1, "admin_token": s.admin})
	s.call(m{"type": "audit_replay", "name": "nobody", "from_seq": 1, "admin_token": s.admin})
	s.call(m{"type": "audit_sink_delete", "name": name, "admin_token": s.admin})
	s.call(m{"type": "audit_sink_delete", "name": name, "admin_token": s.admin})
	s.quiet(m{"type": "get_audit_log", "limit": 5, "admin_token": s.admin})
	s.call(m{"type": "get_audit_log"})
}

// quiet plays a command whose reply depends on what else the cluster does;
// only that it is answered is looked at.
func (s *story) quiet(fields map[string]any) {
	s.t.Helper()
	name := fields["type"].(string)
	reply := s.call(fields)
	s.replies[len(s.replies)-1] = name
	if want := replyType(name); reply["type"] != want {
		s.t.Errorf("%s: %v, want %s", name, reply, want)
	}
}

func replyType(name string) string {
	if name == "get_webhook_dlq" {
		return "webhook_dlq_ok"
	}
	return name + "_ok"
}
