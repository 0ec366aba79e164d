// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/pprof"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check is one named condition of readiness.
type Check struct {
	Name string
	OK   bool
	// Detail says what is wrong and what to do, or what was found.
	Detail string
}

// Config is what the listener shows.
type Config struct {
	Gatherer prometheus.Gatherer
	// Ready evaluates the conditions of readiness.
	Ready func(ctx context.Context) []Check
	// Health is what /healthz tells beside whether the member is ready.
	Health func() Health
	// Status is shown as JSON under /status.
	Status func(ctx context.Context) any
	// Pprof serves /debug/pprof/ to this machine.
	Pprof bool
	// Hosts are the names under which the listener may be asked, beside
	// localhost and IP addresses.
	Hosts []string
}

// Health is the answer of /healthz; Status is "ok" or "unhealthy".
type Health struct {
	NodesOnline int    `json:"nodes_online"`
	Status      string `json:"status"`
	Uptime      int64  `json:"uptime_seconds"`
	Version     string `json:"version"`
}

// checkTimeout bounds the evaluation of readiness and status.
const checkTimeout = 2 * time.Second

// Handler serves /livez, /readyz, /healthz, /status, /metrics and /debug/pprof/.
func Handler(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { readyz(w, r, c.Ready) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { healthz(w, r, c) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		_ = enc.Encode(c.Status(ctx)) // the client has gone
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	if c.Pprof {
		for path, show := range map[string]http.HandlerFunc{"": pprof.Index, "cmdline": pprof.Cmdline,
			"profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace} {
			mux.Handle("/debug/pprof/"+path, onlyHere(show))
		}
	}
	return checkHost(c.Hosts, mux)
}

// readyz answers 200 or 503; ?verbose lists every condition.
func readyz(w http.ResponseWriter, r *http.Request, ready func(context.Context) []Check) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	status, text := http.StatusOK, ""
	for _, c := range ready(ctx) {
		mark := "+"
		if !c.OK {
			mark, status = "-", http.StatusServiceUnavailable
		}
		text += fmt.Sprintf("[%s] %s: %s\n", mark, c.Name, c.Detail)
	}
	switch {
	case r.URL.Query().Has("verbose") || status != http.StatusOK:
		plain(w, status, text)
	default:
		plain(w, status, "ok\n")
	}
}

// healthz answers in JSON for load balancers and probes that read it: 503 when
// the member is not ready, so that they can do without.
func healthz(w http.ResponseWriter, r *http.Request, c Config) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	h, status := c.Health(), http.StatusOK
	h.Status = "ok"
	if slices.ContainsFunc(c.Ready(ctx), func(c Check) bool { return !c.OK }) {
		h.Status, status = "unhealthy", http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(h) // the client has gone
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client has gone
}
