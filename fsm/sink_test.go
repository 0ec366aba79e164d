// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// deliver reports that a sink was given what it is to be given next.
func (w *world) deliver(name string, limit int) SinkBatch {
	w.t.Helper()
	b, ok := w.m.Root().SinkBatch(name, limit)
	if !ok {
		w.t.Fatalf("no sink %s", name)
	}
	p := b.Progress
	p.Term, p.Delivered = w.m.Root().LeaderTerm(), uint64(len(b.Events))
	w.internal(KindSinkProgress, p)
	return b
}

func (w *world) sink(name string) Sink {
	w.t.Helper()
	for _, s := range w.m.Root().Sinks() {
		if s.Name == name {
			return s
		}
	}
	w.t.Fatalf("no sink %s", name)
	return Sink{}
}

func actions(events []Event) string {
	out := ""
	for i := range events {
		out += events[i].Action + " "
	}
	return out
}

func TestSinksGoOnWhereTheyWere(t *testing.T) {
	w := newWorld(t)
	if got := w.deliver(protocol.SinkNameLog, 10); actions(got.Events) != "cluster.token_seeded " {
		t.Errorf("a new cluster logs %s", actions(got.Events))
	}
	w.register(1)
	w.do("set_webhook", &protocol.SetWebhook{URL: "https://hook"}, admin)
	w.do("set_audit_export", &protocol.SetAuditExport{Format: "json", Endpoint: "https://siem"}, admin)
	w.register(2)
	w.do("set_external_id", &protocol.SetExternalID{NodeID: 1, ExternalID: "a"}, admin)
	if got := actions(w.deliver(protocol.SinkNameWebhook, 2).Events); got != "audit_export.configured node.registered " {
		t.Errorf("the webhook gets %s", got)
	}
	if got := actions(w.deliver(protocol.SinkNameWebhook, 9).Events); got != "identity.external_id_set " {
		t.Errorf("then %s", got)
	}
	if got := actions(w.deliver(protocol.SinkNameExport, 9).Events); got != "audit_export.configured node.registered identity.external_id_set " {
		t.Errorf("the export gets %s", got)
	}
	if got := actions(w.deliver(protocol.SinkNameLog, 9).Events); got != "node.registered webhook.configured audit_export.configured node.registered identity.external_id_set " {
		t.Errorf("the log gets %s", got)
	}
	reply := w.do("get_audit_export", &protocol.GetAuditExport{}, admin).(*protocol.GetAuditExportReply)
	if *reply.Delivered != 3 || *reply.Exported != 3 || *reply.Dropped != 0 || *reply.Lag != 0 {
		t.Errorf("%+v", reply)
	}
	if got := actions(w.deliver(protocol.SinkNameLog, 9).Events); got != "" {
		t.Errorf("again: %s", got)
	}
}

// A counter that falls makes a graph show the same events twice.
func TestExportTotalsNeverFall(t *testing.T) {
	w := newWorld(t)
	total := uint64(0)
	step := func(what string, more uint64) {
		t.Helper()
		if total += more; w.m.Root().Exported() != total {
			t.Errorf("%s: %d events exported, want %d", what, w.m.Root().Exported(), total)
		}
	}
	w.do("set_audit_export", &protocol.SetAuditExport{Format: "json", Endpoint: "https://siem"}, admin)
	w.do("audit_sink_put", &protocol.AuditSinkPut{Name: "second", Kind: protocol.SinkExport, Format: "json", Endpoint: "https://second"}, admin)
	w.register(1)
	step("one export", uint64(len(w.deliver(protocol.SinkNameExport, 9).Events)))
	step("two", uint64(len(w.deliver("second", 9).Events)))
	w.deliver(protocol.SinkNameLog, 9)
	step("the log is no export", 0)
	w.do("set_audit_export", &protocol.SetAuditExport{Format: "json", Endpoint: "https://elsewhere"}, admin)
	step("another address", 0)
	step("at the other address", uint64(len(w.deliver(protocol.SinkNameExport, 9).Events)))
	w.do("audit_sink_delete", &protocol.SinkName{Name: "second"}, admin)
	step("one deleted", 0)
	w.do("set_audit_export", &protocol.SetAuditExport{}, admin)
	step("switched off", 0)
}

// Who switches a sink off, or deletes it and makes it again, does not lose what
// it had been given before.
func TestTotalsOfASinkOutliveIt(t *testing.T) {
	w := newWorld(t)
	webhook := func() protocol.GetWebhookReply {
		return *w.do("get_webhook", &protocol.GetWebhook{}, admin).(*protocol.GetWebhookReply)
	}
	export := func() protocol.GetAuditExportReply {
		return *w.do("get_audit_export", &protocol.GetAuditExport{}, admin).(*protocol.GetAuditExportReply)
	}
	check := func(when string, delivered, failed, exported uint64) {
		t.Helper()
		h, e := webhook(), export()
		if h.DeliveredTotal != delivered || h.FailedTotal != failed || h.Delivered > delivered {
			t.Errorf("%s: webhook delivered %d, failed %d", when, h.Delivered, h.Failed)
		}
		if e.DeliveredTotal != exported || e.DroppedTotal != 0 || e.Enabled && *e.Delivered > exported {
			t.Errorf("%s: export %+v", when, e)
		}
		for _, s := range w.m.Root().SinkTotals() {
			if s.Name == protocol.SinkNameWebhook && (s.Delivered != delivered || s.Failed != failed) {
				t.Errorf("%s: totals %+v", when, s)
			}
		}
		copied, err := clone(w.m)
		if err != nil || copied.Root().Digest() != w.m.Root().Digest() {
			t.Errorf("%s: the snapshot is not the state: %v", when, err)
		}
	}
	w.do("set_webhook", &protocol.SetWebhook{URL: "https://hook"}, admin)
	w.do("set_audit_export", &protocol.SetAuditExport{Format: "json", Endpoint: "https://siem"}, admin)
	w.register(1)
	w.deliver(protocol.SinkNameWebhook, 1)
	w.deadLetters(protocol.SinkNameWebhook)
	w.deliver(protocol.SinkNameExport, 9)
	check("at first", 1, 1, 2)
	w.do("set_webhook", &protocol.SetWebhook{URL: "https://other"}, admin)
	w.do("set_audit_export", &protocol.SetAuditExport{Format: "syslog_cef", Endpoint: "tcp://siem:514"}, admin)
	check("at another address", 1, 1, 2)
	if h := webhook(); h.Delivered+h.Failed != 0 {
		t.Errorf("the new address is said to have got what the old one got: %+v", h)
	}
	w.do("set_webhook", &protocol.SetWebhook{}, admin)
	w.do("set_audit_export", &protocol.SetAuditExport{}, admin)
	check("switched off", 1, 1, 2)
	w.do("set_webhook", &protocol.SetWebhook{URL: "https://hook"}, admin)
	w.do("audit_sink_put", &protocol.AuditSinkPut{Name: protocol.SinkNameExport, Kind: protocol.SinkExport, Format: "json", Endpoint: "https://siem"}, admin)
	check("made again", 1, 1, 2)
	w.register(2)
	more := uint64(len(w.deliver(protocol.SinkNameWebhook, 9).Events))
	check("going on", 1+more, 1, 2)
	w.do("audit_sink_delete", &protocol.SinkName{Name: protocol.SinkNameWebhook}, admin)
	check("deleted", 1+more, 1, 2)
}

func TestSinksAreBounded(t *testing.T) {
	w := newWorld(t)
	put := func(name string) *protocol.AuditSinkPut {
		return &protocol.AuditSinkPut{Name: name, Kind: protocol.SinkExport, Format: "json", Endpoint: "https://siem"}
	}
	for i := range protocol.MaxSinks - 1 { // one is there from the beginning
		w.do("audit_sink_put", put(fmt.Sprintf("sink-%02d", i)), admin)
	}
	w.refused("audit_sink_put", put("one-more"), admin, protocol.CodeLimitReached, "too many sinks (max 32): delete one first")
	w.do("audit_sink_put", put("sink-00"), admin)
}

// Names of deleted sinks do not pile up.
func TestTotalsOfDeletedSinksAreBounded(t *testing.T) {
	w := newWorld(t)
	for i := range maxGoneTotals + 5 {
		name := fmt.Sprintf("sink-%03d", i)
		w.do("audit_sink_put", &protocol.AuditSinkPut{Name: name, Kind: protocol.SinkExport, Format: "json", Endpoint: "https://siem"}, admin)
		w.deliver(name, 9)
		w.tick(minute)
		w.do("audit_sink_delete", &protocol.SinkName{Name: name}, admin)
	}
	got := w.m.Root().SinkTotals()
	if len(got) != 1+maxGoneTotals || got[1].Name != "sink-005" {
		t.Errorf("%d names are kept, the oldest is %s", len(got), got[1].Name)
	}
}

// A report counts once, for the configuration and position it was made for.
func TestSinkProgressIsCheckedAgain(t *testing.T) {
	w := newWorld(t)
	w.do("set_audit_export", &protocol.SetAuditExport{Format: "json", Endpoint: "https://siem"}, admin)
	w.register(1)
	b, _ := w.m.Root().SinkBatch(protocol.SinkNameExport, 10)
	good := b.Progress
	good.Term, good.Delivered = w.m.Root().LeaderTerm(), 2
	for name, spoil := range map[string]func(*SinkProgress){
		"fewer passed": func(p *SinkProgress) { p.Passed[0]-- },
		"more passed":  func(p *SinkProgress) { p.Passed[1]++ },
		"lost":         func(p *SinkProgress) { p.Lost[1]++ },
		"too far":      func(p *SinkProgress) { p.To++ },
		"backwards":    func(p *SinkProgress) { p.To = p.From - 1 },
	} {
		bad := good
		spoil(&bad)
		if r := w.tryInternal(KindSinkProgress, bad); r.Err == nil || r.Err.Code != protocol.CodeInvalid {
			t.Errorf("%s: %+v", name, r.Err)
		}
	}
	old := good
	old.Term--
	w.internalErr(KindSinkProgress, old, protocol.CodeStaleTerm)
	w.internal(KindSinkProgress, good)
	w.internalErr(KindSinkProgress, good, protocol.CodeConflict)
	w.register(2)
	b, _ = w.m.Root().SinkBatch(protocol.SinkNameExport, 10)
	w.do("audit_replay", &protocol.AuditReplay{Name: protocol.SinkNameExport, FromSeq: b.Progress.From + 1}, admin)
	b.Progress.Term = w.m.Root().LeaderTerm()
	w.internalErr(KindSinkProgress, b.Progress, protocol.CodeConflict)
}

// What retention cuts off before a sink has got it becomes a counted gap.
func TestSinkGaps(t *testing.T) {
	defer func(old [2]retention) { retentions = old }(retentions)
	retentions[1] = retention{count: 10, bytes: 1 << 20, age: dayMS}
	w := newWorld(t)
	w.do("set_audit_export", &protocol.SetAuditExport{Format: "json", Endpoint: "https://siem"}, admin)
	w.deliver(protocol.SinkNameExport, 100)
	for i := range 30 {
		w.register(i)
		if i == 20 { // delivered, but reported only after more has been cut
			b, _ := w.m.Root().SinkBatch(protocol.SinkNameExport, 100)
			b.Progress.Term = w.m.Root().LeaderTerm()
			defer func(p SinkProgress) { w.internalErr(KindSinkProgress, p, protocol.CodeConflict) }(b.Progress)
		}
	}
	b := w.deliver(protocol.SinkNameExport, 5)
	if len(b.Events) != 5 || b.Progress.Lost != [2]uint64{0, 20} {
		t.Errorf("%d events, lost %v", len(b.Events), b.Progress.Lost)
	}
	if got := w.lastEvent(protocol.EventAuditGap); got != "system name=audit_export first=3 count=20" {
		t.Error(got)
	}
	if s := w.sink(protocol.SinkNameExport); s.Dropped != 20 || s.Delivered != 1+5 {
		t.Errorf("%+v", s)
	}
	checkSinks(t, &w.m.Root().view)
	for len(w.deliver(protocol.SinkNameExport, 5).Events) > 0 {
	}
	if s := w.sink(protocol.SinkNameExport); s.Dropped != 20 || s.Delivered != 1+10+1 || s.Lag != 0 {
		t.Errorf("at the end: %+v", s)
	}
}

func TestDeadLetters(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	w.do("set_webhook", &protocol.SetWebhook{URL: "https://hook"}, admin)
	for i := range 130 {
		w.do("set_task_exec", &protocol.SetTaskExec{NodeID: a, Enabled: i%2 == 0}, as(a))
		if i%50 == 49 {
			w.deadLetters(protocol.SinkNameWebhook)
		}
	}
	seqs := w.deadLetters(protocol.SinkNameWebhook)
	list := w.do("get_webhook_dlq", &protocol.GetWebhookDLQ{}, admin).(*protocol.GetWebhookDLQReply)
	if list.Count != 100 || len(list.Events) != 100 || list.Events[99].EventID != seqs[len(seqs)-1] || list.Events[99].Details["new_enabled"] != false || list.Events[99].Details["node_id"] != int64(1) {
		t.Fatalf("%d %+v", list.Count, list.Events[len(list.Events)-1])
	}
	first, second := list.Events[0].EventID, list.Events[1].EventID
	w.do("dlq_drop", &protocol.DeadLetters{Name: protocol.SinkNameWebhook, EventID: first}, admin)
	w.refused("dlq_drop", &protocol.DeadLetters{Name: protocol.SinkNameWebhook, EventID: first}, admin, protocol.CodeNotFound, fmt.Sprintf(`dead letter %d of sink "audit_webhook": not found`, first))
	w.do("dlq_retry", &protocol.DeadLetters{Name: protocol.SinkNameWebhook}, admin)
	b, _ := w.m.Root().SinkBatch(protocol.SinkNameWebhook, 0)
	if len(b.Retry) != 99 || len(b.Events) != 0 {
		t.Fatalf("%d to retry, %d events", len(b.Retry), len(b.Events))
	}
	p := b.Progress
	p.Term, p.To, p.Passed = w.m.Root().LeaderTerm(), p.From, [2]uint64{}
	p.Retried = []Letter{{Seq: second}, {Seq: second + 1, Reason: "status 500", Attempts: 4}, {Seq: 1 << 40}}
	w.internal(KindSinkProgress, p)
	letters := w.do("dlq_list", &protocol.DeadLetters{Name: protocol.SinkNameWebhook}, admin).(*protocol.DLQListReply).Letters
	if len(letters) != 98 || letters[0].EventID != second+1 || letters[0].Attempts != 5 || letters[0].Retrying || !letters[1].Retrying || letters[0].Reason != "status 500" {
		t.Errorf("%d %+v", len(letters), letters[0])
	}
	w.do("set_webhook", &protocol.SetWebhook{URL: "https://other"}, admin)
	if got := w.do("get_webhook", &protocol.GetWebhook{}, admin).(*protocol.GetWebhookReply); got.DLQSize != 0 || got.Failed != 0 || got.FailedTotal != 130 || got.URL != "https://other" {
		t.Errorf("a new address keeps what belongs to the old one, or the totals do not: %+v", got)
	}
}

// Writes wait for a required sink, except those that mend it.
func TestRequiredSink(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.register(1), w.register(2), w.register(3)
	w.do("set_audit_export", &protocol.SetAuditExport{Format: "json", Endpoint: "https://siem", Required: true, MaxLag: 3}, admin)
	for i := range 3 { // each has its own part
		n := []uint32{a, b, c}[i]
		w.do("set_task_exec", &protocol.SetTaskExec{NodeID: n, Enabled: true}, comingFrom(fmt.Sprintf("198.51.100.%d:1", i), as(n)))
	}
	text := "the required audit sink audit_export is 4 events behind (bound 3): writes wait until it catches up; audit_sink_list says what stops it"
	w.refused("set_task_exec", &protocol.SetTaskExec{NodeID: a}, as(a), protocol.CodeAuditBehind, text)
	r := w.apply(envelope(withID(w.call("set_task_exec", &protocol.SetTaskExec{NodeID: a}, as(a)), "again", 1)))[0]
	if r.Err == nil || r.Err.Code != protocol.CodeAuditBehind || r.Err.Outcome != protocol.OutcomeNotApplied {
		t.Errorf("%+v", r.Err)
	}
	w.beat(a)
	w.do("set_webhook", &protocol.SetWebhook{URL: "https://hook"}, admin)
	for len(w.deliver(protocol.SinkNameExport, 2).Events) > 0 {
	}
	// The refusal was no decision: the same request id is served now.
	if r := w.apply(envelope(withID(w.call("set_task_exec", &protocol.SetTaskExec{NodeID: a}, as(a)), "again", 1)))[0]; r.Err != nil || r.Replayed {
		t.Errorf("%+v", r)
	}
	w.do("set_audit_export", &protocol.SetAuditExport{}, admin)
	for range 10 {
		w.do("set_task_exec", &protocol.SetTaskExec{NodeID: a}, as(a))
	}
}

// A page fits the frames of all clients, however much was asked for.
func TestAuditPagesFitEveryClient(t *testing.T) {
	w := newWorld(t)
	a := w.register(1)
	for i := range 600 {
		w.do("set_tags", &protocol.SetTags{NodeID: a, Tags: []string{fmt.Sprintf("a-tag-of-some-length-%d", i)}}, as(a))
	}
	c := w.call("get_audit_log", &protocol.GetAuditLog{}, admin)
	c.Options.Limit = 1000
	got, e := w.m.Root().Read(c)
	if e != nil {
		t.Fatal(e)
	}
	page := got.Reply.(*protocol.GetAuditLogReply)
	if raw, err := json.Marshal(page); err != nil || len(raw) > protocol.MaxRequestBytes || len(raw) < 32<<10 || page.NextCursor == "" {
		t.Errorf("a page of %d bytes, next cursor %q, %v", len(raw), page.NextCursor, err)
	}
}

func TestAuditLogQueries(t *testing.T) {
	w := newWorld(t)
	for i := range 6 {
		w.register(i)
	}
	net := w.network("lab", 1, "open", true)
	w.tick(60_000)
	for id := uint32(2); id <= 6; id++ {
		w.join(net, id)
	}
	w.do("kick_member", &protocol.KickMember{NodeID: 1, NetworkID: net, TargetNodeID: 6}, as(1))
	ask := func(r protocol.GetAuditLog, limit int, cursor string) *protocol.GetAuditLogReply {
		t.Helper()
		c := w.call("get_audit_log", &r, admin)
		c.Options.Limit, c.Options.Cursor = limit, cursor
		got, e := w.m.Root().Read(c)
		if e != nil {
			t.Fatal(e)
		}
		return got.Reply.(*protocol.GetAuditLogReply)
	}
	for name, c := range map[string]struct {
		r    protocol.GetAuditLog
		want int
	}{
		"all":       {protocol.GetAuditLog{}, 1 + 6 + 1 + 5 + 1},
		"network":   {protocol.GetAuditLog{NetworkID: net}, 1 + 5 + 1},
		"action":    {protocol.GetAuditLog{Action: "member.*"}, 1},
		"node":      {protocol.GetAuditLog{NodeID: 6}, 3},
		"class":     {protocol.GetAuditLog{Class: "activity"}, 6},
		"since":     {protocol.GetAuditLog{Since: utc(w.now)}, 6},
		"until":     {protocol.GetAuditLog{Until: utc(w.now)}, 8},
		"after seq": {protocol.GetAuditLog{AfterSeq: 10}, 4},
	} {
		if got := ask(c.r, 0, ""); len(got.Entries) != c.want || got.NextCursor != "" {
			t.Errorf("%s: %d entries, want %d: %+v", name, len(got.Entries), c.want, got.Entries)
		}
	}
	newest := ask(protocol.GetAuditLog{}, 0, "").Entries[0]
	if newest.Action != "member.kicked" || newest.Details != "target_node_id=6, role=member" || newest.NetworkID != net || newest.Seq != 14 || newest.Actor != "node:1" {
		t.Errorf("%+v", newest)
	}
	for _, ascending := range []bool{false, true} {
		var seqs []uint64
		cursor := ""
		for range 10 {
			page := ask(protocol.GetAuditLog{Ascending: ascending}, 4, cursor)
			for _, e := range page.Entries {
				seqs = append(seqs, e.Seq)
			}
			if cursor = page.NextCursor; cursor == "" {
				break
			}
		}
		for i, seq := range seqs {
			if want := uint64(i + 1); ascending && seq != want || !ascending && seq != 15-want {
				t.Errorf("ascending %v: %v", ascending, seqs)
				break
			}
		}
		if len(seqs) != 14 {
			t.Errorf("ascending %v: %v", ascending, seqs)
		}
	}
}

// A map of roles in a network that was mistyped gives nobody a role.
func TestRolesOfNoNetworkAreRefused(t *testing.T) {
	w := newWorld(t)
	net := w.network("lab", w.register(1), "open", true)
	set := func(network uint16) *protocol.SetIDPConfig {
		return &protocol.SetIDPConfig{IDPType: "oidc", URL: "https://idp/keys", RoleClaim: "groups",
			RoleMap: []protocol.RoleMapping{{Value: "ops", NetworkID: net, Role: "admin"}, {Value: "ops", NetworkID: network, Role: "member"}}}
	}
	w.refused("set_idp_config", set(77), admin, protocol.CodeNotFound, "network 77: network not found")
	w.do("set_idp_config", set(net), admin)
}

func TestIdentityConfiguration(t *testing.T) {
	w := newWorld(t)
	w.do("set_idp_config", &protocol.SetIDPConfig{IDPType: "oidc", URL: "https://idp/keys", RequireIdentity: true}, admin)
	w.internal(KindPutJWKS, PutJWKS{Term: w.m.Root().LeaderTerm(), URL: "https://idp/keys", Doc: []byte("1")})
	w.internalErr(KindPutJWKS, PutJWKS{Term: w.m.Root().LeaderTerm(), URL: "https://other", Doc: []byte("1")}, protocol.CodeConflict)
	if doc, at, ok := w.m.Root().JWKS(); !ok || string(doc) != "1" || at != w.now {
		t.Errorf("%q %d %v", doc, at, ok)
	}
	if hook := w.m.Root().IdentityWebhook(); hook != "" {
		t.Errorf("tokens of oidc would be sent to %s", hook)
	}
	a, b := w.register(1), w.register(2)
	net, plain := w.network("lab", a, "open", true), w.network("plain", a, "open", false)
	w.refused("join_network", &protocol.JoinNetwork{NodeID: b, NetworkID: net}, as(b), protocol.CodeIdentityRequired,
		"node 2 has no verified identity, which is required in enterprise networks: register it with an identity_token")
	w.join(plain, b)
	w.do("set_external_id", &protocol.SetExternalID{NodeID: b, ExternalID: "b@x"}, admin)
	w.join(net, b)
	w.do("set_idp_config", &protocol.SetIDPConfig{IDPType: "ldap", URL: "https://verify"}, admin)
	if _, _, ok := w.m.Root().JWKS(); ok || w.m.Root().IdentityWebhook() != "https://verify" || w.m.Root().cluster.jwks.Len() != 0 {
		t.Error("the keys of the old provider are kept, or the webhook of the new one is not known")
	}
	w.do("set_identity_webhook", &protocol.SetIdentityWebhook{URL: "https://explicit"}, admin)
	if hook := w.m.Root().IdentityWebhook(); hook != "https://explicit" {
		t.Error(hook)
	}
	w.do("set_webhook", &protocol.SetWebhook{URL: "https://hook/x?token=hush"}, admin)
	if got := w.lastEvent(protocol.EventWebhookConfigured); got != "token:root status=enabled url=https://hook/x?[redacted]" {
		t.Error(got)
	}
	w.do("set_idp_config", &protocol.SetIDPConfig{}, admin)
	if _, ok := w.m.Root().IDP(); ok || w.lastEvent(protocol.EventIDPConfigured) != "token:root status=disabled" {
		t.Error(w.lastEvent(protocol.EventIDPConfigured))
	}
}
