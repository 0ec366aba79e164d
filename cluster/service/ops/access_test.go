// SPDX-License-Identifier: Apache-2.0

package ops_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// listener is a handler with something behind each path.
func listener(change func(*ops.Config)) http.Handler {
	c := ops.Config{
		Gatherer: prometheus.NewRegistry(), Pprof: true,
		Ready: func(context.Context) []ops.Check {
			return []ops.Check{{Name: "quorum", OK: true, Detail: "member 7f3a leads"}}
		},
		Health: func() ops.Health { return ops.Health{} },
		Status: func(context.Context) any { return "member 7f3a" },
		Stats: func(details bool) ops.Stats {
			s := ops.Stats{TotalNodes: 3, ActiveNodes: 2, TrustLinks: 1, TotalRequests: 57, UniqueTags: 2, TaskExecutors: 1, Uptime: 5}
			if details {
				s.Nodes = []ops.StatsNode{{Address: "0:0000.0000.0001", Tags: []string{"ml"}, Online: true, TrustLinks: 1, PoloScore: 5}}
				s.Edges = []ops.StatsEdge{{Source: "0:0000.0000.0001", Target: "0:0000.0000.0002"}}
			}
			return s
		},
		Snapshot: func(context.Context) error { return nil },
		Admin: func(_ context.Context, source string, token protocol.Secret) *protocol.Error {
			switch {
			case source == guesser:
				return protocol.NotAppliedf(protocol.CodeRateLimited, "too many wrong tokens")
			case token != "right":
				return protocol.Refusef(protocol.CodeAdminToken, "invalid admin token")
			}
			return nil
		},
	}
	if change != nil {
		change(&c)
	}
	return ops.Handler(c)
}

func ask(h http.Handler, method, from, path string, head map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, nil)
	r.RemoteAddr = from
	for k, v := range head {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const here, away, guesser = "127.0.0.1:1", "203.0.113.7:1", "203.0.113.66:1"

// What names members, addresses or people is for callers on the machine and for
// administrators. A proxy on the machine does not lend callers its place.
func TestStrangersReadNothingPrivate(t *testing.T) {
	h := listener(nil)
	bearer := func(token string) map[string]string { return map[string]string{"Authorization": "Bearer " + token} }
	for _, c := range []struct {
		from string
		head map[string]string
		want int
	}{
		{here, nil, http.StatusOK},
		{"[::1]:1", nil, http.StatusOK},
		{here, map[string]string{"X-Real-IP": "127.0.0.1"}, http.StatusOK},
		{here, map[string]string{"X-Real-IP": "203.0.113.9"}, http.StatusForbidden},
		{here, map[string]string{"X-Real-IP": "nobody"}, http.StatusForbidden},
		{here, map[string]string{"X-Forwarded-For": "127.0.0.1, 203.0.113.9"}, http.StatusForbidden},
		{here, map[string]string{"Forwarded": "for=203.0.113.9"}, http.StatusForbidden},
		{away, nil, http.StatusForbidden},
		{away, map[string]string{"X-Real-IP": "127.0.0.1"}, http.StatusForbidden},
		{away, bearer("right"), http.StatusOK},
		{away, map[string]string{"Authorization": "bearer right"}, http.StatusOK},
		{away, map[string]string{"Authorization": "Basic right"}, http.StatusUnauthorized},
		{away, bearer("wrong"), http.StatusUnauthorized},
		{away, bearer(""), http.StatusUnauthorized},
		{here, bearer("wrong"), http.StatusUnauthorized},
		{guesser, bearer("right"), http.StatusTooManyRequests},
	} {
		for _, path := range []string{"/status", "/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/api/snapshot"} {
			method := http.MethodGet
			if path == "/api/snapshot" {
				method = http.MethodPost
			}
			w := ask(h, method, c.from, path, c.head)
			if w.Code != c.want {
				t.Errorf("%s from %s with %v: %d, want %d", path, c.from, c.head, w.Code, c.want)
			}
			if c.want != http.StatusOK && strings.Contains(w.Body.String(), "7f3a") {
				t.Errorf("%s from %s: a refusal shows the page", path, c.from)
			}
		}
	}
	for _, c := range []struct{ from, want string }{{here, "member 7f3a leads"}, {away, "[+] quorum: ok\n"}} {
		if w := ask(h, http.MethodGet, c.from, "/readyz?verbose", nil); !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("/readyz?verbose from %s: %q", c.from, w.Body)
		}
	}
}

// A probe can leave out a condition, and reads when it names one that there is not.
func TestReadyzLeavesOutWhatIsExcluded(t *testing.T) {
	h := listener(func(c *ops.Config) {
		c.Ready = func(context.Context) []ops.Check {
			return []ops.Check{{Name: "disk", OK: true, Detail: "fine"}, {Name: "quorum", Detail: "no leader"}}
		}
	})
	for _, c := range []struct {
		query string
		code  int
		body  string
	}{
		{"", http.StatusServiceUnavailable, "[+] disk: fine\n[-] quorum: no leader\n"},
		{"?exclude=quorum", http.StatusOK, "ok\n"},
		{"?verbose&exclude=quorum&exclude=nothing", http.StatusOK, "[+] disk: fine\n[+] quorum: excluded: no leader\n[ ] \"nothing\": there is no such condition\n"},
		{"?exclude=disk", http.StatusServiceUnavailable, "[+] disk: excluded: fine\n[-] quorum: no leader\n"},
	} {
		if w := ask(h, http.MethodGet, here, "/readyz"+c.query, nil); w.Code != c.code || w.Body.String() != c.body {
			t.Errorf("/readyz%s: %d %q, want %d %q", c.query, w.Code, w.Body, c.code, c.body)
		}
	}
}

// Everybody reads the counts, for pages that show them; who is connected with
// whom is shown to administrators.
func TestStatsShowNodesToAdministratorsOnly(t *testing.T) {
	h := listener(nil)
	const counts = `{"total_nodes":3,"active_nodes":2,"total_trust_links":1,"total_requests":57,"unique_tags":2,"task_executors":1,`
	const lists = `"nodes":[{"address":"0:0000.0000.0001","tags":["ml"],"online":true,"trust_links":1,"task_exec":false,"polo_score":5}],"edges":[{"source":"0:0000.0000.0001","target":"0:0000.0000.0002"}]`
	for _, c := range []struct {
		from, token, body, cors string
		code                    int
	}{
		{here, "", counts + `"nodes":[],"edges":[],"uptime_secs":5}` + "\n", "*", http.StatusOK},
		{away, "", counts + `"nodes":[],"edges":[],"uptime_secs":5}` + "\n", "*", http.StatusOK},
		{away, "right", counts + lists + `,"uptime_secs":5}` + "\n", "", http.StatusOK},
		{away, "wrong", "invalid admin token\n", "", http.StatusUnauthorized},
	} {
		head := map[string]string{}
		if c.token != "" {
			head["Authorization"] = "Bearer " + c.token
		}
		w := ask(h, http.MethodGet, c.from, "/api/stats", head)
		if w.Code != c.code || w.Body.String() != c.body || w.Header().Get("Access-Control-Allow-Origin") != c.cors {
			t.Errorf("from %s with %q: %d %q %s", c.from, c.token, w.Code, w.Header().Get("Access-Control-Allow-Origin"), w.Body)
		}
	}
}

func TestSnapshotOnRequest(t *testing.T) {
	taken := 0
	var fails error
	h := listener(func(c *ops.Config) {
		c.Snapshot = func(context.Context) error { taken++; return fails }
	})
	for _, c := range []struct {
		method, from string
		head         map[string]string
		code         int
		body         string
		fails        error
		takes        int
	}{
		{http.MethodPost, here, nil, http.StatusOK, `{"message":"snapshot saved successfully","status":"ok"}` + "\n", nil, 1},
		{http.MethodGet, here, nil, http.StatusMethodNotAllowed, "Method not allowed\n", nil, 0},
		{http.MethodGet, away, nil, http.StatusForbidden, "Forbidden", nil, 0},
		{http.MethodPost, here, map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden, "Forbidden", nil, 0},
		{http.MethodPost, here, map[string]string{"Origin": "http://evil.example"}, http.StatusForbidden, "Forbidden", nil, 0},
		{http.MethodPost, here, nil, http.StatusInternalServerError, "snapshot failed: the disk is full\n", errors.New("the disk is full"), 1},
	} {
		taken, fails = 0, c.fails
		w := ask(h, c.method, c.from, "/api/snapshot", c.head)
		if w.Code != c.code || !strings.HasPrefix(w.Body.String(), c.body) || taken != c.takes {
			t.Errorf("%s from %s with %v: %d %q, %d taken", c.method, c.from, c.head, w.Code, w.Body, taken)
		}
	}
}
