// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// A load balancer that asks /healthz keeps a member that serves and leaves out
// one that does not.
func TestHealthSaysWhetherTheMemberServes(t *testing.T) {
	ready := true
	h := Handler(Config{
		Gatherer: prometheus.NewRegistry(),
		Ready:    func(context.Context) []Check { return []Check{{Name: "disk", OK: true}, {Name: "quorum", OK: ready}} },
		Health:   func() Health { return Health{NodesOnline: 3, Uptime: 5, Version: "1.2.3"} },
	})
	for _, c := range []struct {
		ready  bool
		status int
		body   string
	}{
		{true, http.StatusOK, `{"nodes_online":3,"status":"ok","uptime_seconds":5,"version":"1.2.3"}`},
		{false, http.StatusServiceUnavailable, `{"nodes_online":3,"status":"unhealthy","uptime_seconds":5,"version":"1.2.3"}`},
	} {
		ready = c.ready
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/healthz", nil))
		if w.Code != c.status || w.Body.String() != c.body+"\n" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("ready: %t: %d %s %s", c.ready, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
	}
}
