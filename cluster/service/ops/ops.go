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

	"github.com/pilotregistry/pilotregistry/protocol"
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
	// Stats counts what the state holds, with details also its nodes and trust pairs.
	Stats func(details bool) Stats
	// Snapshot writes the state to disk and returns when it is there.
	Snapshot func(ctx context.Context) error
	// Admin checks the admin token that a source, "host:port", brings, and
	// counts wrong ones.
	Admin func(ctx context.Context, source string, token protocol.Secret) *protocol.Error
	// Console serves every other path; nil for none.
	Console http.Handler
	// Pprof serves /debug/pprof/.
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

// Handler serves the paths of the listener. Health, counts and badges are for
// everybody; the rest is for callers on this machine and the admin token.
func Handler(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", c.readyz)
	mux.HandleFunc("GET /healthz", c.healthz)
	mux.HandleFunc("GET /api/stats", c.stats)
	for i := range badges {
		b := &badges[i]
		mux.HandleFunc("GET /api/badge/"+b.path, b.serve(c.Stats))
		mux.HandleFunc("GET /api/badge/"+b.path+".svg", b.serve(c.Stats))
	}
	mux.HandleFunc("/api/snapshot", c.private(c.snapshot))
	mux.HandleFunc("GET /status", c.private(c.status))
	metrics := promhttp.HandlerFor(c.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true})
	mux.HandleFunc("GET /metrics", c.private(metrics.ServeHTTP))
	if c.Pprof {
		for path, show := range map[string]http.HandlerFunc{"": pprof.Index, "cmdline": pprof.Cmdline,
			"profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace} {
			mux.HandleFunc("/debug/pprof/"+path, c.private(show))
		}
	}
	if c.Console != nil {
		mux.Handle("/", c.Console)
	}
	return checkHost(c.Hosts, mux)
}

func (c *Config) status(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(c.Status(ctx)) // the client has gone
}

// readyz answers 200 or 503. With ?verbose it lists every condition, and with
// ?exclude=NAME, which may be repeated, it leaves conditions out. Strangers
// read the names of the conditions and not the details.
func (c *Config) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	details := isLocal(r)
	if !details {
		details, _ = c.authorized(r) // probes are answered, whatever they send
	}
	query := r.URL.Query()
	excluded := query["exclude"]
	status, text := http.StatusOK, ""
	for _, check := range c.Ready(ctx) {
		mark, detail := "+", check.Detail
		switch n := slices.Index(excluded, check.Name); {
		case n >= 0:
			excluded = slices.Delete(excluded, n, n+1)
			detail = "excluded: " + detail
		case !check.OK:
			mark, status = "-", http.StatusServiceUnavailable
		}
		if !details {
			detail = map[string]string{"+": "ok", "-": "failed"}[mark]
		}
		text += fmt.Sprintf("[%s] %s: %s\n", mark, check.Name, detail)
	}
	for _, name := range excluded {
		text += fmt.Sprintf("[ ] %s: there is no such condition\n", protocol.Quote(name))
	}
	if !query.Has("verbose") && status == http.StatusOK {
		text = "ok\n"
	}
	plain(w, status, text)
}

// healthz answers in JSON for load balancers and probes that read it: 503 when
// the member is not ready, so that they can do without.
func (c *Config) healthz(w http.ResponseWriter, r *http.Request) {
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
