// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// badge is a picture of one number.
type badge struct {
	path, label string
	value       func(*Stats) uint64
	color, zero string
}

const gray = "#9f9f9f"

// badges are the pictures under /api/badge/.
var badges = []badge{
	{"nodes", "online nodes", func(s *Stats) uint64 { return s.ActiveNodes }, "#4c1", gray},
	{"trust", "trust links", func(s *Stats) uint64 { return s.TrustLinks }, "#58a6ff", gray},
	{"requests", "requests", func(s *Stats) uint64 { return s.TotalRequests }, "#a855f7", "#a855f7"},
	{"tags", "tags", func(s *Stats) uint64 { return s.UniqueTags }, "#f59e0b", gray},
	{"task-executors", "task executors", func(s *Stats) uint64 { return s.TaskExecutors }, "#4c1", gray},
}

var badgeSVG = template.Must(template.New("badge").Parse(
	`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="20" role="img" aria-label="{{.Text}}">` +
		`<title>{{.Text}}</title><clipPath id="r"><rect width="{{.Width}}" height="20" rx="3" fill="#fff"/></clipPath>` +
		`<g clip-path="url(#r)"><rect width="{{.Left}}" height="20" fill="#555"/><rect x="{{.Left}}" width="{{.Right}}" height="20" fill="{{.Color}}"/></g>` +
		`<g fill="#fff" text-anchor="middle" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">` +
		`<text x="{{.LeftMiddle}}" y="14">{{.Label}}</text><text x="{{.RightMiddle}}" y="14">{{.Value}}</text></g></svg>` + "\n"))

func (b *badge) serve(stats func(bool) Stats) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		s := stats(false)
		n := b.value(&s)
		value, color := Short(n), b.color
		if n == 0 {
			color = b.zero
		}
		left, right := badgePart(b.label), badgePart(value)
		h := w.Header()
		h.Set("Content-Type", "image/svg+xml")
		h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("X-Content-Type-Options", "nosniff")
		_ = badgeSVG.Execute(w, map[string]any{ // the client has gone
			"Text": b.label + ": " + value, "Label": b.label, "Value": value, "Color": color,
			"Left": left, "Right": right, "Width": left + right,
			"LeftMiddle": half(left), "RightMiddle": half(2*left + right),
		})
	}
}

// badgePart is the width of one part in pixels.
func badgePart(text string) int { return utf8.RuneCountInString(text)*13/2 + 10 }

// half is n/2 without rounding.
func half(n int) string {
	return strings.TrimSuffix(strconv.FormatFloat(float64(n)/2, 'f', 1, 64), ".0")
}

// Short writes a number as badges and tiles do: plain below 1000, then with one
// decimal and K, M or B.
func Short(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10)
	}
	f, unit := float64(n), ""
	for _, unit = range []string{"K", "M", "B"} {
		f /= 1000
		if f < 999.95 {
			break
		}
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + unit
}
