// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
)

func functions(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"rooms":   func() any { return rooms },
		"count":   count,
		"tile":    ops.Short,
		"title":   func(word string) string { return strings.ToUpper(word[:1]) + word[1:] },
		"short":   shortID,
		"ago":     func(t any) template.HTML { return ago(now(), t) },
		"span":    span,
		"join":    func(list []string) string { return strings.Join(list, ", ") },
		"actor":   actorLink,
		"query":   url.QueryEscape,
		"list":    func(words ...string) []string { return words },
		"nodeid":  nodeOf,
		"bytes":   bytesText,
		"offset":  func(d time.Duration) string { return fmt.Sprintf("%+d ms", d.Milliseconds()) },
		"seconds": func(unix int64) template.HTML { return ago(now(), time.Unix(unix, 0)) },
		"signed": func(ms *int64) string {
			if ms == nil {
				return ""
			}
			return fmt.Sprintf("%+d ms", *ms)
		},
	}
}

// count writes a number with thousands separators.
func count(n any) string {
	var digits string
	switch v := n.(type) {
	case int:
		digits = strconv.Itoa(v)
	case int64:
		digits = strconv.FormatInt(v, 10)
	case *int64:
		digits = strconv.FormatInt(*v, 10)
	case uint64:
		digits = strconv.FormatUint(v, 10)
	case uint32:
		digits = strconv.FormatUint(uint64(v), 10)
	default:
		return fmt.Sprint(n)
	}
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// bytesText writes a size with three digits that count.
func bytesText(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, unit := float64(n), 0
	for ; v >= 1024 && unit < len(units)-1; unit++ {
		v /= 1024
	}
	return amount(v) + " " + units[unit]
}

// shortID shortens an id in the middle. The page has the whole of it as title.
func shortID(id string) string {
	if len(id) <= 12 {
		return id
	}
	return id[:6] + "…" + id[len(id)-4:]
}

// ago writes a time as its distance from now, with the exact time on hover.
func ago(now time.Time, at any) template.HTML {
	var t time.Time
	switch v := at.(type) {
	case time.Time:
		t = v
	case int64: // Unix milliseconds
		if v > 0 {
			t = time.UnixMilli(v)
		}
	case string:
		t, _ = time.Parse(time.RFC3339, v)
	}
	if t.IsZero() {
		return `<span class="none">never</span>`
	}
	exact := t.UTC().Format(time.RFC3339)
	text := ""
	if d := now.Sub(t); d >= 0 {
		text = span(d) + " ago"
	} else {
		text = "in " + span(-d)
	}
	return template.HTML(`<time datetime="` + exact + `" title="` + exact + `">` + template.HTMLEscapeString(text) + `</time>`)
}

// span writes a duration in its two largest units.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return "0 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d < 2*365*24*time.Hour:
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	}
	return fmt.Sprintf("%d years", d/(365*24*time.Hour))
}

// actorLink names who caused an event, with a link to the node or to what the
// actor did.
func actorLink(actor string) template.HTML {
	if id, ok := strings.CutPrefix(actor, "node:"); ok {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			return template.HTML(fmt.Sprintf(`<a href="/nodes/%d">node %d</a>`, n, n))
		}
	}
	return template.HTML(fmt.Sprintf(`<a href="/audit?actor=%s">%s</a>`, url.QueryEscape(actor), template.HTMLEscapeString(actor)))
}

// uptime writes an age in days, hours and minutes, without those that are zero
// in front.
func uptime(d time.Duration) string {
	days, hours, minutes := int(d/(24*time.Hour)), int(d%(24*time.Hour)/time.Hour), int(d%time.Hour/time.Minute)
	switch {
	case days > 0:
		return fmt.Sprintf("%dd %dh %dm", days, hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%dh %dm", hours, minutes)
	}
	return fmt.Sprintf("%dm", minutes)
}
