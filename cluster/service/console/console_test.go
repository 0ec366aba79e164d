// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster"
	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/server"
)

const rightToken = "the admin token"

// site is a console with a registry that answers from a table.
type site struct {
	t       *testing.T
	now     time.Time
	token   protocol.Secret // the one that is right now
	replies map[string]any
	errors  map[string]*protocol.Error
	// answer makes the replies of a command that depend on the request.
	answer map[string]func(*protocol.Request) any
	asked  []*protocol.Request
	status protocol.ClusterStatusReply
	// index is that of every reply, replayed says that it was given before.
	index    uint64
	replayed bool
	h        http.Handler
	c        *Console
	checks   []ops.Check
	hosts    map[string]cluster.MemberHost
	// summaries and details are what the state holds of nodes.
	summaries []fsm.NodeSummary
	details   map[uint32]fsm.NodeDetail
	lags      map[string]uint64
	failing   []string
	tokens    []fsm.TokenRecord
	explained protocol.Secret
	steps     []identity.Step
}

func (s *site) EachNode(f func(fsm.NodeSummary) bool) {
	for _, n := range s.summaries {
		if !f(n) {
			return
		}
	}
}

func (s *site) SinkLags() map[string]uint64 { return s.lags }

func (s *site) FailingSinks() []string { return s.failing }

func (s *site) Tokens() []fsm.TokenRecord { return s.tokens }

func (s *site) Node(id uint32, _ int) (fsm.NodeDetail, bool) {
	d, found := s.details[id]
	return d, found
}

func newSite(t *testing.T) *site {
	s := &site{t: t, now: time.Date(2026, 3, 31, 10, 20, 30, 0, time.UTC), token: rightToken, errors: map[string]*protocol.Error{},
		status: protocol.ClusterStatusReply{ClusterID: "7f3a0000-9c", MemberID: "m1", LeaderID: "m2", Ready: true, AppliedIndex: 1204331, CommitIndex: 1204331,
			Members: []protocol.ClusterMember{{ID: "m1", Suffrage: "voter", Reachable: true}, {ID: "m2", Suffrage: "voter", Reachable: true}, {ID: "m3", Suffrage: "voter", Reachable: true}}},
		replies: map[string]any{
			"list_networks": &protocol.ListNetworksReply{}, "get_audit_log": &protocol.GetAuditLogReply{}, "list_nodes": &protocol.ListNodesReply{},
			"audit_chain": &protocol.AuditChainReply{}, "audit_sink_list": &protocol.AuditSinkListReply{}, "get_idp_config": &protocol.GetIDPConfigReply{},
			"list_settings": &protocol.ListSettingsReply{}, "cluster_join_token_list": &protocol.ClusterJoinTokenListReply{},
		}}
	s.c = New(Config{
		Now:       func() time.Time { return s.now },
		Status:    func(context.Context) protocol.ClusterStatusReply { return s.status },
		Stats:     func(bool) ops.Stats { return ops.Stats{TotalNodes: 1500} },
		Durations: func() ops.Durations { return ops.Durations{} },
		Inspect:   func() Inspector { return s },
		Hosts:     func(context.Context) map[string]cluster.MemberHost { return s.hosts },
		ExplainToken: func(token protocol.Secret) []identity.Step {
			s.explained = token
			return s.steps
		},
		Checks: func() []ops.Check { return s.checks },
		Admin: func(_ context.Context, _ string, token protocol.Secret) *protocol.Error {
			if token != s.token {
				return protocol.Refusef(protocol.CodeAdminToken, "invalid admin token")
			}
			return nil
		},
		Serve: func(_ context.Context, _ *server.ConnState, req *protocol.Request) server.Reply {
			s.asked = append(s.asked, req)
			if req.AdminToken != s.token {
				return server.Reply{Err: protocol.Refusef(protocol.CodeAdminToken, "invalid admin token")}
			}
			if e := s.errors[req.Type]; e != nil && req.Consistency != protocol.Stale {
				return server.Reply{Err: e}
			}
			if s.answer[req.Type] != nil {
				return server.Reply{Body: s.answer[req.Type](req)}
			}
			return server.Reply{Body: s.replies[req.Type], Index: s.index, Replayed: s.replayed}
		},
	})
	s.h = s.c.Handler()
	return s
}

func (s *site) get(path, cookie string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
	return s.send(r, cookie)
}

func (s *site) post(path, cookie string, form url.Values, head ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://localhost"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	return s.send(r, cookie)
}

func (s *site) send(r *http.Request, cookie string) *httptest.ResponseRecorder {
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: cookie})
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w
}

func (s *site) login() string {
	s.t.Helper()
	w := s.post("/login", "", url.Values{"token": {rightToken}})
	cookies := w.Result().Cookies()
	if w.Code != http.StatusSeeOther || len(cookies) != 1 {
		s.t.Fatalf("login: %d %v %s", w.Code, cookies, w.Body)
	}
	return cookies[0].Value
}

var adminPages = []string{"/cluster", "/nodes", "/networks", "/trust", "/audit", "/delivery", "/identity", "/settings"}

// Nobody reads a page of administrators without a session, and no page is kept
// by the browser or shown inside another site.
func TestPagesNeedASession(t *testing.T) {
	s := newSite(t)
	for _, path := range append(adminPages, "/nodes/1", "/networks/1") {
		for _, cookie := range []string{"", "guessed"} {
			w := s.get(path, cookie)
			if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/login?next="+url.QueryEscape(path) {
				t.Errorf("%s with cookie %q: %d %s", path, cookie, w.Code, w.Header().Get("Location"))
			}
		}
	}
	if w := s.get("/live", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("news without a session: %d", w.Code)
	}
	if len(s.asked) > 0 {
		t.Errorf("the registry was asked %s", s.asked[0].Type)
	}
	cookie := s.login()
	for _, path := range append(adminPages, "/") {
		w := s.get(path, cookie)
		h := w.Header()
		if w.Code != http.StatusOK || h.Get("Cache-Control") != "no-store" || h.Get("Content-Security-Policy") != policy || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, w.Code, h)
		}
		if strings.Contains(w.Body.String(), rightToken) {
			t.Errorf("%s shows the token", path)
		}
	}
}

func TestLogin(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct{ token, next, to string }{
		{"wrong", "", ""}, {"", "", ""},
		{rightToken, "", "/cluster"}, {rightToken, "/nodes?q=a", "/nodes?q=a"},
		{rightToken, "//evil.example", "/cluster"}, {rightToken, `/\evil.example`, "/cluster"}, {rightToken, "https://evil.example", "/cluster"},
	} {
		w := s.post("/login", "", url.Values{"token": {c.token}, "next": {c.next}})
		if c.to == "" {
			if w.Code != http.StatusUnauthorized || len(w.Result().Cookies()) > 0 {
				t.Errorf("token %q: %d %v", c.token, w.Code, w.Result().Cookies())
			}
			continue
		}
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != c.to {
			t.Errorf("next %q: %d to %s, want %s", c.next, w.Code, w.Header().Get("Location"), c.to)
		}
		cookie := w.Result().Cookies()[0]
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Secure {
			t.Errorf("cookie over plain HTTP: %+v", cookie)
		}
	}
	w := s.post("/login", "", url.Values{"token": {rightToken}}, "Sec-Fetch-Site", "cross-site")
	if w.Code != http.StatusForbidden || len(w.Result().Cookies()) > 0 {
		t.Errorf("a login by a page of another site: %d", w.Code)
	}
}

// A session ends with the rest of its browser, with its token, after half a
// day, and when it logs out by a form of its own.
func TestSessionsEnd(t *testing.T) {
	s := newSite(t)
	alive := func(cookie string) bool { return s.get("/nodes", cookie).Code == http.StatusOK }
	cookie := s.login()
	s.now = s.now.Add(idle)
	if !alive(cookie) {
		t.Error("the session ended while it was used")
	}
	s.now = s.now.Add(idle + time.Second)
	if alive(cookie) {
		t.Error("a session that rests lives on")
	}
	cookie = s.login()
	for range int(lifetime/idle) + 1 {
		s.now = s.now.Add(idle)
		_ = alive(cookie)
	}
	if alive(cookie) {
		t.Error("a session outlives half a day")
	}
	cookie = s.login()
	s.token = "another token"
	if alive(cookie) {
		t.Error("a session outlives its token")
	}
	s.token = rightToken
	if alive(cookie) {
		t.Error("a session that ended with its token is back")
	}
	cookie = s.login()
	s.post("/logout", cookie, url.Values{"csrf": {"guessed"}})
	if !alive(cookie) {
		t.Error("a foreign form has logged the browser out")
	}
	page := s.get("/nodes", cookie).Body.String()
	csrf := page[strings.Index(page, `name="csrf" value="`)+len(`name="csrf" value="`):]
	s.post("/logout", cookie, url.Values{"csrf": {csrf[:strings.IndexByte(csrf, '"')]}})
	if alive(cookie) {
		t.Error("the session outlives its logout")
	}
}

// Sessions are bounded: the one that rested longest makes room.
func TestSessionsAreBounded(t *testing.T) {
	s := newSite(t)
	first := s.login()
	s.now = s.now.Add(time.Second)
	second := s.login()
	for range maxSessions - 1 {
		s.now = s.now.Add(time.Millisecond)
		s.login()
	}
	if s.get("/nodes", first).Code == http.StatusOK || s.get("/nodes", second).Code != http.StatusOK {
		t.Error("not the session that rested longest made room")
	}
}

// Without a leader pages show what this member has, and say so.
func TestPagesWithoutALeaderAreStale(t *testing.T) {
	s := newSite(t)
	cookie := s.login()
	s.replies["list_nodes"] = &protocol.ListNodesReply{Nodes: []protocol.ListedNode{{NodeID: 7, Hostname: "alice"}}}
	s.errors["list_nodes"] = protocol.NotAppliedf(protocol.CodeNoLeader, "no leader")
	s.status.LeaderID, s.status.Ready = "", false
	w := s.get("/nodes", cookie)
	for _, want := range []string{"Stale.", "alice", "no leader: writes and confirmed reads fail", `class="bar bad"`} {
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d without %q: %s", w.Code, want, w.Body)
		}
	}
}

// What clients chose cannot act in an administrator's browser.
func TestNamesAreOnlyText(t *testing.T) {
	s := newSite(t)
	cookie := s.login()
	const evil = `"><script>alert(1)</script>`
	s.replies["list_nodes"] = &protocol.ListNodesReply{Nodes: []protocol.ListedNode{{NodeID: 7, Hostname: evil, Tags: []string{evil}, ExternalID: evil, Version: evil}}}
	s.replies["list_networks"] = &protocol.ListNetworksReply{Networks: []protocol.ListedNetwork{{ID: 3, Name: evil}}}
	s.replies["get_audit_log"] = &protocol.GetAuditLogReply{Entries: []protocol.AuditEntry{{Action: evil, Actor: evil, Details: evil, Chain: evil}}}
	s.errors["get_idp_config"] = protocol.Errorf(protocol.CodeInvalid, "%s", evil)
	for _, path := range []string{"/nodes", "/nodes?q=" + url.QueryEscape(evil), "/networks", "/audit", "/audit?action=" + url.QueryEscape(evil), "/identity"} {
		body := s.get(path, cookie).Body.String()
		if strings.Contains(body, "<script>alert") || !strings.Contains(body, "alert(1)") {
			t.Errorf("%s: %s", path, body)
		}
	}
}

// A page that cannot be made says what failed.
func TestFailedPagesSayWhy(t *testing.T) {
	s := newSite(t)
	cookie := s.login()
	for path, status := range map[string]int{"/nodes/abc": http.StatusBadRequest, "/networks/99": http.StatusNotFound, "/networks/x": http.StatusBadRequest, "/trust?node=x": http.StatusBadRequest, "/audit?node_id=x": http.StatusBadRequest} {
		if w := s.get(path, cookie); w.Code != status || !strings.Contains(w.Body.String(), "This page could not be made") {
			t.Errorf("%s: %d, want %d: %s", path, w.Code, status, w.Body)
		}
	}
}

// The picture is the same however often it is drawn, and everybody is in it.
func TestTrustPictureIsStable(t *testing.T) {
	stats := ops.Stats{}
	for i := range uint32(50) {
		stats.Nodes = append(stats.Nodes, ops.StatsNode{Address: protocol.Address{Node: i + 1}.String(), TrustLinks: 1})
		stats.Edges = append(stats.Edges, ops.StatsEdge{Source: protocol.Address{Node: i + 1}.String(), Target: protocol.Address{Node: (i*7+3)%50 + 1}.String()})
	}
	draw := func() *trustData {
		d := &trustData{Width: 960, Height: 640}
		d.draw(append([]ops.StatsNode(nil), stats.Nodes...), stats.Edges)
		return d
	}
	a, b := draw(), draw()
	stats.Nodes[0].Network, stats.Nodes[1].Network = 1, tints+2
	if tinted := draw(); tinted.Dots[0].Tint != 1 || tinted.Dots[1].Tint != 2 || tinted.Dots[2].Tint != 0 {
		t.Errorf("tints %d, %d, %d", tinted.Dots[0].Tint, tinted.Dots[1].Tint, tinted.Dots[2].Tint)
	}
	if len(a.Dots) != 50 || len(a.Lines) != 50 {
		t.Fatalf("%d nodes, %d lines", len(a.Dots), len(a.Lines))
	}
	for i := range a.Dots {
		if a.Dots[i] != b.Dots[i] || a.Dots[i].X < 0 || a.Dots[i].X > 960 || a.Dots[i].Y < 0 || a.Dots[i].Y > 640 {
			t.Errorf("%+v, then %+v", a.Dots[i], b.Dots[i])
		}
	}
	if nodes, _ := neighbours(stats, 1, 1); len(nodes) < 2 || len(nodes) > 10 {
		t.Errorf("the neighbours of a node are %d", len(nodes))
	}
}

func TestNumbersAndTimes(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1204331: "1,204,331", -5000: "-5,000"} {
		if got := count(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0m", 59 * time.Second: "0m", 3*time.Hour + 4*time.Minute: "3h 4m", 48*time.Hour + 3*time.Hour + 4*time.Minute: "2d 3h 4m"} {
		if got := uptime(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
	now := time.Date(2026, 3, 31, 10, 20, 30, 0, time.UTC)
	for at, want := range map[string]string{"2026-03-31T10:20:00Z": ">30 s ago<", "2026-03-31T07:10:30Z": ">3 h 10 min ago<", "2026-04-10T10:20:30Z": ">in 10 d<", "": ">never<"} {
		if got := string(ago(now, at)); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

// A command is there to be copied into a shell: a link of somebody else's must
// not put another command into it, and its flags exist.
func TestCommandsOfThePageAreQuoted(t *testing.T) {
	for want, filter := range map[string]map[string]string{
		"pilotctl audit list": {},
		`pilotctl audit list --action 'member.*' --node '7' --since '2026-03-31T10:20:30Z'`: {"action": "member.*", "node_id": "7", "since": "2026-03-31T10:20:30Z"},
		`pilotctl audit list --action '$(id); '\''x'`:                                       {"action": "$(id); 'x"},
		`pilotctl person export 'alice@example.com'`:                                        {"external_id": "alice@example.com", "action": "member.*"},
	} {
		if got := auditCommand(filter); got != want {
			t.Errorf("%v: %s, want %s", filter, got, want)
		}
	}
}
