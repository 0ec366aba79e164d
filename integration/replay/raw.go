// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// rawStep writes bytes as they are and expects replies, a closed connection,
// or both. With several expected replies, expect is a list.
func (p *play) rawStep(st *Step, round int) string {
	a := p.actor(st.Actor)
	c, node, err := p.conn(a)
	if err != nil {
		return err.Error()
	}
	b, want, e := p.rawBytes(st.Raw)
	if e != "" {
		return e
	}
	if st.Raw.Chunks > 1 {
		size := (len(b) + st.Raw.Chunks - 1) / st.Raw.Chunks
		for len(b) > 0 {
			n := min(size, len(b))
			c.c.Write(b[:n])
			b = b[n:]
			time.Sleep(15 * time.Millisecond)
		}
	} else {
		c.c.Write(b)
	}
	if st.Raw.HalfClose {
		if t, ok := c.c.(*net.TCPConn); ok {
			t.CloseWrite()
		}
	}
	var replies []any
	closed := false
	expectN := want
	if !p.r.record && len(st.Expect) > 0 {
		var l []any
		if json.Unmarshal(st.Expect, &l) == nil {
			expectN = len(l)
		} else {
			expectN = 1
		}
	} else if !p.r.record {
		expectN = 0
	}
	limit := p.r.timeout
	if p.r.record {
		limit = 2 * time.Second
	}
	for len(replies) < expectN || st.Closed || (p.r.record && want == 0) {
		v, err := c.readReply(limit)
		if errors.Is(err, errClosed) {
			closed = true
			break
		}
		if err != nil {
			if p.r.record {
				break
			}
			return err.Error()
		}
		replies = append(replies, v)
		if len(replies) > 64 {
			break
		}
	}
	if p.r.record && !closed && len(replies) >= want {
		// does the registry keep the connection?
		if _, err := c.readReply(150 * time.Millisecond); errors.Is(err, errClosed) {
			closed = true
		}
	}
	if p.r.verbose {
		fmt.Printf("      -> raw %d bytes\n      <- %s closed=%v\n", len(b), clip(compact(replies)), closed)
	}
	if closed || st.Raw.HalfClose || p.wholeDeviation(st) != "" {
		p.drop(a, node)
	}
	if p.r.record {
		st.Closed, st.Expect = closed, nil
		rc := p.recorder(st)
		var l []any
		for _, v := range replies {
			t := rc.value("", "", v)
			if m, ok := t.(map[string]any); ok && want > 1 && m["error"] == maskedText {
				m["error"] = matcher("$type", "string")
			}
			l = append(l, t)
		}
		if len(l) == 1 && want <= 1 {
			st.Expect = orderedReply(l[0])
		} else if len(l) > 0 {
			st.Expect = json.RawMessage(compact(l))
		}
		if strings.Contains(string(st.Expect), `"error":"`+maskedText+`"`) && st.Deviation == nil {
			if len(l) == 1 {
				st.Deviation = map[string]any{"error": maskedWhy}
			}
		}
		return ""
	}
	if p.wholeDeviation(st) != "" {
		p.r.deviating++
		return ""
	}
	p.r.compared++
	var exp any
	if len(st.Expect) > 0 {
		json.Unmarshal(st.Expect, &exp)
	}
	what := fmt.Sprintf("raw frame\n    replies: %s\n    ", clip(compact(replies)))
	switch l := exp.(type) {
	case nil:
		if len(replies) > 0 {
			return what + "expected no reply"
		}
	case []any:
		if len(replies) != len(l) {
			return what + fmt.Sprintf("expected %d replies, got %d", len(l), len(replies))
		}
		for i := range l {
			raw, _ := json.Marshal(l[i])
			if m := p.compareTo(st, raw, replies[i]); m != "" {
				return what + fmt.Sprintf("reply %d: %s", i+1, m)
			}
		}
	default:
		if len(replies) != 1 {
			return what + fmt.Sprintf("expected 1 reply, got %d", len(replies))
		}
		e := p.bind(st, replies[0])
		if m := p.compareTo(st, st.Expect, replies[0]); m != "" {
			return what + m
		}
		if e != "" {
			return what + e
		}
	}
	if st.Closed && !closed {
		return what + "expected the registry to close the connection"
	}
	return ""
}

func (p *play) rawBytes(w *Raw) ([]byte, int, string) {
	if len(w.Frames) > 0 {
		var b []byte
		for _, f := range w.Frames {
			x, err := p.env.expandString(f)
			if err != nil {
				return nil, 0, err.Error()
			}
			b = append(b, frame([]byte(render(x)))...)
		}
		return b, len(w.Frames), ""
	}
	var body []byte
	switch {
	case w.Hex != "":
		h, err := hex.DecodeString(strings.ReplaceAll(w.Hex, " ", ""))
		if err != nil {
			return nil, 0, err.Error()
		}
		body = h
	case w.Fill != nil:
		n := w.Fill.N
		if w.Fill.Size > 0 {
			n = (w.Fill.Size - len(w.Fill.Before) - len(w.Fill.After)) / max(len(w.Fill.With), 1)
		}
		body = []byte(w.Fill.Before + strings.Repeat(w.Fill.With, n) + w.Fill.After)
	default:
		x, err := p.env.expandString(w.Text)
		if err != nil {
			return nil, 0, err.Error()
		}
		body = []byte(render(x))
	}
	if w.NoHeader {
		return body, 1, ""
	}
	b := frame(body)
	if w.Len != nil {
		n := uint32(*w.Len)
		b[0], b[1], b[2], b[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	}
	return b, 1, ""
}
