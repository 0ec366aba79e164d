// SPDX-License-Identifier: Apache-2.0

package ops_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
)

func TestBadges(t *testing.T) {
	stats := ops.Stats{ActiveNodes: 2, TrustLinks: 1, TotalRequests: 1500, UniqueTags: 0, TaskExecutors: 1}
	h := listener(func(c *ops.Config) { c.Stats = func(bool) ops.Stats { return stats } })
	for _, c := range []struct{ path, text, color, width string }{
		{"nodes", "online nodes: 2", "#4c1", `width="104"`}, // 6.5*12+10 and 6.5+10, without fractions
		{"trust", "trust links: 1", "#58a6ff", `width="97"`},
		{"requests", "requests: 1.5K", "#a855f7", `width="98"`},
		{"tags", "tags: 0", "#9f9f9f", `width="52"`},
		{"task-executors", "task executors: 1", "#4c1", `width="117"`},
	} {
		for _, suffix := range []string{"", ".svg"} {
			w := ask(h, http.MethodGet, away, "/api/badge/"+c.path+suffix, nil)
			head := w.Header()
			if w.Code != http.StatusOK || head.Get("Content-Type") != "image/svg+xml" || head.Get("Access-Control-Allow-Origin") != "*" ||
				head.Get("Cache-Control") != "no-cache, no-store, must-revalidate" {
				t.Errorf("%s: %d %v", c.path, w.Code, head)
			}
			body := w.Body.String()
			for _, want := range []string{`role="img"`, `aria-label="` + c.text + `"`, "<title>" + c.text + "</title>", `fill="` + c.color + `"`, c.width, `height="20"`} {
				if !strings.Contains(body, want) {
					t.Errorf("%s: no %s in %s", c.path, want, body)
				}
			}
			for d := xml.NewDecoder(strings.NewReader(body)); ; {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", c.path, err)
				}
			}
		}
	}
	if w := ask(h, http.MethodGet, away, "/api/badge/owners", nil); w.Code != http.StatusNotFound {
		t.Errorf("a badge that there is not: %d", w.Code)
	}
}

func TestShortNumbers(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1.0K", 1500: "1.5K", 12_345: "12.3K", 999_949: "999.9K", 999_950: "1.0M",
		2_500_000: "2.5M", 1_000_000_000: "1.0B", 5_000_000_000_000: "5000.0B"} {
		if got := ops.Short(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
