// SPDX-License-Identifier: Apache-2.0

package console

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// A page that shows the trail is told what comes to it, once, and only what its
// filter lets through is asked for.
func TestTailTellsWhatIsNew(t *testing.T) {
	s := newSite(t)
	cookie := s.login()
	s.replies["get_audit_log"] = &protocol.GetAuditLogReply{Entries: []protocol.AuditEntry{{Seq: 8, Action: "a.<b>"}, {Seq: 9, Action: "a.c"}}}
	r := must(http.NewRequest(http.MethodGet, "http://localhost/live?after=7&action=a.*", nil))
	r.AddCookie(&http.Cookie{Name: cookieName, Value: cookie})
	tail := s.c.tailOf(r)
	event := tail.event(100)
	if !strings.HasPrefix(event, "event: audit\nid: 9\ndata: {") || !strings.Contains(event, `"n":2`) || strings.Contains(event, "a.<b>") || strings.Index(event, "/audit/9") > strings.Index(event, "/audit/8") {
		t.Errorf("told %q", event)
	}
	asked := s.asked[len(s.asked)-1].Body.(*protocol.GetAuditLog)
	if asked.Action != "a.*" || asked.AfterSeq != 7 {
		t.Errorf("asked %+v", asked)
	}
	n := len(s.asked)
	if event := tail.event(100); event != "" || len(s.asked) != n {
		t.Errorf("nothing was committed, but the trail was read, and told %q", event)
	}
	s.replies["get_audit_log"] = &protocol.GetAuditLogReply{}
	if event := tail.event(101); event != "" || s.asked[len(s.asked)-1].Body.(*protocol.GetAuditLog).AfterSeq != 9 {
		t.Errorf("told %q, asked %+v", event, s.asked[len(s.asked)-1].Body)
	}
	r.Header.Set("Last-Event-ID", "12")
	if got := s.c.tailOf(r).fields["after_seq"]; got != uint64(12) {
		t.Errorf("a stream that goes on begins after %v", got)
	}
	if s.c.tailOf(must(http.NewRequest(http.MethodGet, "http://localhost/live", nil))).event(1) != "" {
		t.Error("a page without the trail is told of it")
	}
}

func must(r *http.Request, err error) *http.Request {
	if err != nil {
		panic(err)
	}
	return r
}

// The chain is verified by computing it, and what was changed is named.
func TestVerifiedMarkIsComputed(t *testing.T) {
	var entries []protocol.AuditEntry
	var prev [32]byte
	for seq := uint64(1); seq <= 3; seq++ {
		e := protocol.AuditEvent{Seq: seq, Class: protocol.ClassSecurity, Time: 1000, Index: seq, Actor: "system", Action: "network.created", Attrs: []protocol.AuditAttr{{Key: "name", Value: "prod"}}}
		e.Chain = chainOf(prev, &e)
		prev = e.Chain
		entries = append(entries, e.Entry())
	}
	if v := verify(entries); v.Broken != "" || v.From != 1 || v.To != 3 {
		t.Errorf("%+v", v)
	}
	s := newSite(t)
	cookie := s.login()
	newest := []protocol.AuditEntry{entries[2], entries[1], entries[0]}
	s.replies["audit_chain"] = &protocol.AuditChainReply{Chains: []protocol.AuditChainEnd{{Class: "security", HeadSeq: 3, Head: entries[2].Chain}}}
	s.replies["get_audit_log"] = &protocol.GetAuditLogReply{Entries: append([]protocol.AuditEntry(nil), newest...)}
	if page := s.get("/audit", cookie).Body.String(); !strings.Contains(page, ">verified</span> from") {
		t.Error(page)
	}
	s.replies["audit_chain"] = &protocol.AuditChainReply{Chains: []protocol.AuditChainEnd{{Class: "security", HeadSeq: 3, Head: strings.Repeat("0", 64)}}}
	s.replies["get_audit_log"] = &protocol.GetAuditLogReply{Entries: append([]protocol.AuditEntry(nil), newest...)}
	if page := s.get("/audit", cookie).Body.String(); !strings.Contains(page, "is not the head of the chain") {
		t.Error(page)
	}
	entries[1].Attrs = [][2]string{{"name", "other"}}
	entries[1].Details = "name=other"
	if v := verify(entries); !strings.Contains(v.Broken, "broken at event 2") {
		t.Errorf("%+v", v)
	}
	s.replies["get_audit_log"] = &protocol.GetAuditLogReply{Entries: entries[2:]}
	if w := s.get("/audit/3", cookie); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "What was event 3?") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := s.get("/audit/2", cookie); w.Code != http.StatusNotFound {
		t.Errorf("an event that is not kept: %d", w.Code)
	}
}

// chainOf is the hash of an event, computed from its canonical record.
func chainOf(prev [32]byte, e *protocol.AuditEvent) [32]byte {
	buf := protocol.AppendAuditHead(prev[:], e)
	for _, a := range e.Attrs {
		for _, s := range []string{a.Key, a.Canonical()} {
			buf = append(append(buf, byte(len(s))), s...)
		}
	}
	return sha256.Sum256(buf)
}

func TestTheme(t *testing.T) {
	s := newSite(t)
	for theme, want := range map[string]string{"dark": `data-theme="dark"`, "light": `data-theme="light"`, "system": `<html lang="en">`, `"><script>`: `<html lang="en">`} {
		w := s.post("/theme", "", url.Values{"theme": {theme}, "next": {"/"}})
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" {
			t.Errorf("%s: %d to %s", theme, w.Code, w.Header().Get("Location"))
		}
		r := must(http.NewRequest(http.MethodGet, "http://localhost/", nil))
		for _, c := range w.Result().Cookies() {
			r.AddCookie(c)
		}
		if page := s.send(r, "").Body.String(); !strings.Contains(page, want) {
			t.Errorf("%s: %s", theme, page)
		}
	}
	if w := s.post("/theme", "", url.Values{"theme": {"dark"}, "next": {"//evil.example"}}); w.Header().Get("Location") != "/cluster" {
		t.Errorf("sent to %s", w.Header().Get("Location"))
	}
}

// A token that is looked at is not shown again.
func TestTokenChecker(t *testing.T) {
	d := newDesk(t)
	d.replies["get_idp_config"] = &protocol.GetIDPConfigReply{Configured: true, IDPType: "oidc"}
	d.replies["validate_token"] = &protocol.ValidateTokenReply{Error: "token is expired"}
	w := d.post("/identity/check", d.cookie, url.Values{"csrf": {d.csrf}, "token": {"eyJ.secret.token"}})
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "token is expired") || strings.Contains(w.Body.String(), "eyJ.secret.token") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	d.steps = []identity.Step{{Name: "form"}, {Name: "expiry", Problem: "token expired"}, {Name: "signature", Skipped: true}}
	body := d.post("/identity/check", d.cookie, url.Values{"csrf": {d.csrf}, "token": {" eyJ.secret.token "}}).Body.String()
	for _, want := range []string{`<td>Form</td><td><span class="ok dot">passes</span></td>`, `<td>Expiry</td><td><span class="bad dot">fails</span></td><td class="wrap">token expired</td>`, `<td>Signature</td><td><span class="none dot">not checked</span></td>`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if d.explained != "eyJ.secret.token" || strings.Contains(body, "eyJ") && strings.Contains(body, "secret.token") {
		t.Errorf("looked at %q: %s", d.explained, body)
	}
	if w := d.post("/identity/check", d.cookie, url.Values{"token": {"x"}}); w.Code != http.StatusForbidden {
		t.Errorf("without the token of the session: %d", w.Code)
	}
}
