// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/json"
	"strings"
	"time"
)

// NetworkRules are what the daemons of a managed network keep to. The registry
// stores and shows them.
type NetworkRules struct {
	Links   int64  `json:"links"`
	Cycle   string `json:"cycle"`
	Prune   int64  `json:"prune"`
	PruneBy string `json:"prune_by"`
	Fill    int64  `json:"fill"`
	FillHow string `json:"fill_how"`
	Grace   string `json:"grace,omitempty"`
}

// maxSpanText bounds a duration as text.
const maxSpanText = 64

func badRules(format string, args ...any) *Error {
	return Errorf(CodeInvalid, "rules: "+format, args...)
}

// readRules reads rules as clients send them, as text or as an object, and
// refuses what daemons cannot keep: what is in the log has been read so.
func readRules(raw any) (*NetworkRules, *Error) {
	text := documentText(raw)
	switch {
	case raw == nil, text != nil && *text == "":
		return nil, nil
	case text == nil:
		return nil, badRules("invalid JSON: want an object, or one as text")
	}
	r, e := ParseNetworkRules(*text)
	if e == nil {
		e = r.Check()
	}
	return r, e
}

// bounded refuses texts that no rules have.
func (r *NetworkRules) bounded() *Error {
	for _, text := range []string{r.Cycle, r.PruneBy, r.FillHow, r.Grace} {
		if len(text) > maxSpanText {
			return badRules("too long: %d bytes in one text (max %d)", len(text), maxSpanText)
		}
	}
	return nil
}

// ParseNetworkRules reads rules as JSON text; see Check for what they say.
func ParseNetworkRules(text string) (*NetworkRules, *Error) {
	r := &NetworkRules{}
	if err := json.Unmarshal([]byte(text), r); err != nil {
		return nil, badRules("invalid JSON: %s", JSONProblem(err, []byte(text)))
	}
	return r, nil
}

// Check refuses rules that daemons cannot keep.
func (r *NetworkRules) Check() *Error {
	if r.Links < 1 {
		return badRules("links must be >= 1 (got %d)", r.Links)
	}
	if e := r.checkCycle(); e != nil {
		return e
	}
	switch {
	case r.Prune < 0:
		return badRules("prune must be >= 0 (got %d)", r.Prune)
	case r.Fill < 0:
		return badRules("fill must be >= 0 (got %d)", r.Fill)
	case r.Prune > r.Links:
		return badRules("prune (%d) cannot exceed links (%d)", r.Prune, r.Links)
	case r.Fill > r.Links:
		return badRules("fill (%d) cannot exceed links (%d)", r.Fill, r.Links)
	case r.PruneBy == "":
		return badRules("prune_by is required")
	case r.PruneBy != "score" && r.PruneBy != "age" && r.PruneBy != "activity":
		return badRules("unknown prune_by strategy %s (want score|age|activity)", Quote(r.PruneBy))
	case r.FillHow == "":
		return badRules("fill_how is required")
	case r.FillHow != "random":
		return badRules("unknown fill_how strategy %s (want random)", Quote(r.FillHow))
	}
	if r.Grace == "" {
		return nil
	}
	grace, e := parseSpan(r.Grace)
	switch {
	case e != nil:
		return badRules("invalid grace duration %s: %v", Quote(r.Grace), e)
	case grace < 0:
		return badRules("grace must be >= 0")
	}
	return nil
}

func (r *NetworkRules) checkCycle() *Error {
	if r.Cycle == "" {
		return badRules("cycle is required")
	}
	cycle, e := parseSpan(r.Cycle)
	switch {
	case e != nil:
		return badRules("invalid cycle duration %s: %v", Quote(r.Cycle), e)
	case cycle < time.Minute:
		return badRules("cycle must be >= 1m (got %s)", cycle)
	}
	return nil
}

// parseSpan reads a span as Go programs write it, as in 24h or 1h30m. The rule
// is fixed here: members of every version have to read it alike.
func parseSpan(s string) (time.Duration, *Error) {
	if len(s) > maxSpanText {
		return 0, Errorf(CodeInvalid, "too long (max %d bytes)", maxSpanText)
	}
	bad := Errorf(CodeInvalid, "time: invalid duration %s", Quote(s))
	if s == "0" {
		return 0, nil
	}
	rest, negative := strings.CutPrefix(s, "-")
	total := int64(0)
	if rest == "" {
		return 0, bad
	}
	for rest != "" {
		n, scale, after, ok := spanNumber(rest)
		if !ok {
			return 0, bad
		}
		unit, after := spanUnit(after)
		if unit == 0 || n > maxSpan/unit {
			return 0, bad
		}
		if total += n * unit / scale; total > maxSpan {
			return 0, bad
		}
		rest = after
	}
	if negative {
		total = -total
	}
	return time.Duration(total), nil
}

// maxSpan keeps sums of two spans from overflowing, in nanoseconds: 146 years.
const maxSpan = 1 << 62

// spanNumber reads digits with up to six after a point, as n/scale.
func spanNumber(s string) (n, scale int64, rest string, ok bool) {
	scale = 1
	i, digits, point := 0, 0, false
	for ; i < len(s); i++ {
		c := s[i]
		if c == '.' && !point {
			point = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		if n > 1<<40 || scale >= 1e6 {
			return 0, 0, "", false
		}
		n = n*10 + int64(c-'0')
		digits++
		if point {
			scale *= 10
		}
	}
	return n, scale, s[i:], digits > 0
}

// spanUnit reads a unit, in nanoseconds; 0 for none.
func spanUnit(s string) (ns int64, rest string) {
	for _, u := range []struct {
		name string
		ns   int64
	}{{"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"h", 3600e9}, {"m", 60e9}, {"s", 1e9}} {
		if rest, is := strings.CutPrefix(s, u.name); is {
			return u.ns, rest
		}
	}
	return 0, s
}
