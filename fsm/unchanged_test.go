// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// alwaysChange are the writes that have no way to change nothing: a second one
// is refused, makes something new, or is a sign of life.
var alwaysChange = map[string]string{
	"register": "a sign of life", "heartbeat": "a sign of life", "beacon_register": "a sign of life",
	"create_network": "makes another or is refused", "join_network": "refused", "leave_network": "refused", "delete_network": "refused",
	"kick_member": "refused", "promote_member": "refused, or gives the role longer", "demote_member": "refused", "transfer_ownership": "refused",
	"respond_invite": "refused", "revoke_trust": "refused", "request_handshake": "refused", "respond_handshake": "another answer in the peer's queue",
	"recover_identity": "counts once",
	"rotate_key":       "counts", "poll_handshakes": "proposed only when there is something to take",
	"directory_sync": "its time and counts are shown", "audit_replay": "delivers again", "audit_sink_delete": "refused", "cluster_join_token_revoke": "refused",
	"dlq_retry": "asks for another try", "dlq_drop": "refused when there is nothing",
}

// repeatable are writes that say how something is to be.
func repeatable(w *world) map[string]func() any {
	a := w.register(1)
	b := w.register(2)
	net := w.network("company", a, "invite", true)
	delta, score, text := 0.0, 7.0, "hello"
	do := func(name string, body protocol.Body, by who) func() any {
		return func() any { return w.do(name, body, by) }
	}
	return map[string]func() any{
		"set_hostname":           do("set_hostname", &protocol.SetHostname{NodeID: a, Hostname: "alpha"}, as(a)),
		"set_tags":               do("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"x", "y"}}, as(a)),
		"set_task_exec":          do("set_task_exec", &protocol.SetTaskExec{NodeID: a, Enabled: true}, as(a)),
		"set_visibility":         do("set_visibility", &protocol.SetVisibility{NodeID: a, Public: true}, as(a)),
		"set_signed_register":    do("set_signed_register", &protocol.SetSignedRegister{NodeID: a, Required: true}, as(a)),
		"set_key_expiry":         do("set_key_expiry", &protocol.SetKeyExpiry{NodeID: a, ExpiresAt: "2027-03-01T08:00:00Z"}, as(a)),
		"set_setting":            do("set_setting", &protocol.SetSetting{Name: protocol.SettingTrustMode, Value: protocol.TrustMutual}, admin),
		"set_external_id":        do("set_external_id", &protocol.SetExternalID{NodeID: a, ExternalID: "a@example.com"}, admin),
		"person_forget":          do("person_forget", &protocol.PersonRequest{ExternalID: "b@example.com"}, admin),
		"set_polo_score":         do("set_polo_score", &protocol.SetPoloScore{NodeID: a, PoloScore: &score}, nil),
		"update_polo_score":      do("update_polo_score", &protocol.UpdatePoloScore{NodeID: a, Delta: &delta}, nil),
		"report_trust":           do("report_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a)),
		"deregister":             do("deregister", &protocol.NodeRequest{NodeID: 999}, nobody),
		"invite_to_network":      do("invite_to_network", &protocol.InviteToNetwork{InviterID: a, NetworkID: net, TargetNodeID: b}, as(a)),
		"submit_badge":           do("submit_badge", badgeFor(a), as(a)),
		"enroll_recovery":        do("enroll_recovery", enrolmentOf(a, "c0ffee"), as(a)),
		"set_expr_policy":        do("set_expr_policy", &protocol.SetExprPolicy{NodeID: a, NetworkID: net, ExprPolicy: &text}, as(a)),
		"set_member_tags":        do("set_member_tags", &protocol.SetMemberTags{NodeID: a, NetworkID: net, TargetNodeID: a, Tags: []string{"gpu"}}, as(a)),
		"rename_network":         do("rename_network", &protocol.RenameNetwork{NodeID: a, NetworkID: net, Name: "firm"}, as(a)),
		"set_network_policy":     do("set_network_policy", &protocol.SetNetworkPolicy{NodeID: a, NetworkID: net, Description: &text}, as(a)),
		"set_network_enterprise": do("set_network_enterprise", &protocol.SetNetworkEnterprise{NetworkID: net, Enterprise: true}, admin),
		"set_idp_config":         do("set_idp_config", &protocol.SetIDPConfig{ProviderType: "oidc", URL: "https://id.example.com/keys", Issuer: "https://id.example.com", ClientID: "c"}, admin),
		"set_identity_webhook":   do("set_identity_webhook", &protocol.SetIdentityWebhook{URL: "https://id.example.com/verify"}, admin),
		"set_webhook":            do("set_webhook", &protocol.SetWebhook{URL: "https://hook.example.com/"}, admin),
		"set_audit_export":       do("set_audit_export", &protocol.SetAuditExport{Format: "json", Endpoint: "https://siem.example.com/"}, admin),
		"audit_sink_put": do("audit_sink_put", &protocol.AuditSinkPut{
			Name: "siem", Kind: protocol.SinkExport, Format: "json", Endpoint: "https://siem.example.com/2", Required: true}, admin),
		"provision_network": do("provision_network", &protocol.ProvisionNetwork{Blueprint: &protocol.Blueprint{Name: "lab", JoinRule: "open", Enterprise: true}}, admin),
	}
}

// What a write says is so already: it is answered the same, changes nothing,
// causes no event, and the dry run foresees it. The harness compares the dry run.
func TestUnchangedWritesChangeNothing(t *testing.T) {
	w := newWorld(t)
	repeats := repeatable(w)
	for i := range protocol.Commands {
		row := &protocol.Commands[i]
		again, repeats := repeats[row.Name]
		if row.Mode != protocol.ModeWrite || row.Name == "set_motto" {
			continue
		}
		if why, changes := alwaysChange[row.Name]; changes == repeats {
			t.Errorf("%s: say either how to repeat it or why it always changes something (%q)", row.Name, why)
			continue
		}
		if !repeats {
			continue
		}
		again()
		before, events := w.contents(), w.m.Root().meta.eventSeq
		again()
		again()
		if w.contents() != before {
			t.Errorf("%s: the repetition changed the state", row.Name)
		}
		if w.m.Root().meta.eventSeq != events {
			t.Errorf("%s: the repetition is an event", row.Name)
		}
	}
}

// A node that reports what is so already, its trust in itself for example,
// flushes nobody's security events.
func TestRepeatedReportsFlushNoSecurityEvents(t *testing.T) {
	w := newWorld(t)
	a, b := w.register(1), w.register(2)
	w.do("report_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a))
	before := w.m.Root().Chain(protocol.ClassSecurity)
	for range 100 {
		w.do("report_trust", &protocol.Trust{NodeID: a, PeerID: a}, as(a))
		w.do("report_trust", &protocol.Trust{NodeID: a, PeerID: b}, as(a))
		w.do("report_trust", &protocol.Trust{NodeID: b, PeerID: a}, as(b))
	}
	if w.m.Root().Chain(protocol.ClassSecurity) != before {
		t.Error("reports that change nothing are security events")
	}
}
