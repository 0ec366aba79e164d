// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// A web page that gives its name this machine's address must not read the
// status in a visitor's browser.
func TestForeignNamesReadNothing(t *testing.T) {
	h := Handler(Config{
		Gatherer: prometheus.NewRegistry(), Hosts: []string{"Registry-1.example."}, Pprof: true,
		Ready:  func(context.Context) []Check { return nil },
		Health: func() Health { return Health{} },
		Status: func(context.Context) any { return map[string]string{"member_id": "secret"} },
	})
	for _, c := range []struct {
		host, path string
		want       int
	}{
		{"127.0.0.1:9080", "/status", http.StatusOK},
		{"[::1]:9080", "/status", http.StatusOK},
		{"[::1]", "/status", http.StatusOK},
		{"192.0.2.1", "/metrics", http.StatusOK},
		{"localhost:9080", "/status", http.StatusOK},
		{"LOCALHOST", "/status", http.StatusOK},
		{"registry-1.example:9080", "/status", http.StatusOK},
		{"registry-1.example", "/metrics", http.StatusOK},
		{"evil.example:9080", "/status", http.StatusMisdirectedRequest},
		{"evil.example", "/metrics", http.StatusMisdirectedRequest},
		{"localhost.evil.example", "/status", http.StatusMisdirectedRequest},
		{"127.0.0.1.evil.example", "/status", http.StatusMisdirectedRequest},
		{"evil.example", "/debug/pprof/", http.StatusMisdirectedRequest},
		{"", "/status", http.StatusMisdirectedRequest},
		{"evil.example", "/livez", http.StatusOK},
		{"evil.example", "/readyz", http.StatusOK},
		{"evil.example", "/healthz", http.StatusOK},
		{"evil.example", "/status/../livez", http.StatusMisdirectedRequest},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://x"+c.path, nil)
		r.Host, r.RemoteAddr = c.host, "127.0.0.1:1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s of %q: %d, want %d", c.path, c.host, w.Code, c.want)
		}
		if w.Code == http.StatusMisdirectedRequest && (strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), "ops.hosts")) {
			t.Errorf("%s of %q: %s", c.path, c.host, w.Body)
		}
	}
}
