// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/json"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Members add what they have answered: each count once, however often it is
// told, also over restarts, and all of them together.
func TestRequestsOfAllMembersAreCountedOnce(t *testing.T) {
	w := newWorld(t)
	hello := func(id string) {
		w.internal(KindMemberHello, MemberRecord{ID: id, Peer: id + ":1", LevelMin: LevelMin, LevelMax: LevelMax, Keys: []uint32{1}})
	}
	hello("m1")
	hello("m2")
	tell := func(member, boot string, total, want uint64) {
		t.Helper()
		w.internal(KindCountRequests, CountRequests{Member: member, Boot: boot, Total: total})
		if got := w.m.Root().TotalRequests(); got != want {
			t.Errorf("%s in boot %s has %d: %d in all, want %d", member, boot, total, got, want)
		}
	}
	tell("m1", "a", 5, 5)
	tell("m1", "a", 5, 5)
	tell("m1", "a", 7, 7)
	tell("m1", "a", 6, 7) // an older copy
	tell("m2", "b", 10, 17)
	hello("m1")
	tell("m1", "a", 7, 17)
	tell("m1", "c", 3, 20) // restarted
	w.internalErr(KindCountRequests, CountRequests{Member: "m9", Boot: "x", Total: 1}, protocol.CodeNotFound)
	w.internalErr(KindCountRequests, CountRequests{Member: "m1", Total: 1}, protocol.CodeInvalid)
	w.internalErr(KindCountRequests, CountRequests{Member: "m1", Boot: "d", Total: 1 << 60}, protocol.CodeInvalid)
}

// A standby of the original form finds the configuration and the totals, and
// no secret.
func TestReplicationDocumentHasConfigurationAndTotals(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	w.register(2)
	w.do("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{"x", "y"}}, as(a))
	w.do("set_tags", &protocol.SetTags{NodeID: 2, Tags: []string{"y"}}, as(2))
	w.do("set_task_exec", &protocol.SetTaskExec{NodeID: a, Enabled: true}, as(a))
	w.do("set_idp_config", &protocol.SetIDPConfig{IDPType: "oidc", URL: "https://id.example/keys?token=hush", Issuer: "https://id.example"}, admin)
	w.do("set_audit_export", &protocol.SetAuditExport{Format: "splunk_hec", Endpoint: "https://siem.example/x?token=hush", Index: "i", ExportFacts: protocol.ExportFacts{TokenSealed: protocol.Sealed{Key: 1, Ciphertext: []byte("hush")}}}, admin)
	raw, err := json.Marshal(w.m.Root().ReplicationDocument())
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		UniqueTags    int       `json:"unique_tags"`
		TaskExecutors int       `json:"task_executors"`
		StartTime     string    `json:"start_time"`
		Term          uint64    `json:"term"`
		IDP           DocIDP    `json:"idp_config"`
		Export        DocExport `json:"audit_export_config"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	if d.UniqueTags != 2 || d.TaskExecutors != 1 || d.StartTime == "" || d.Term != w.m.Root().LeaderTerm() ||
		d.IDP != (DocIDP{Type: "oidc", URL: "https://id.example/keys?[redacted]", Issuer: "https://id.example"}) ||
		d.Export != (DocExport{Format: "splunk_hec", Endpoint: "https://siem.example/x?[redacted]", Index: "i"}) {
		t.Errorf("document %s", raw)
	}
}
