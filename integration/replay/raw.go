// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// rawStep writes bytes as they are and expects replies, a closed connection,
// or both. With several expected replies, expect is a list.
func (p *play) rawStep(st *Step) string {
	a := p.actor(st.Actor)
	c, node, err := p.conn(a)
	if err != nil {
		return err.Error()
	}
	b, e := p.rawBytes(st.Raw)
	if e != "" {
		return e
	}
	c.writeRaw(b, st.Raw)
	replies, closed, err := c.rawReplies(st, p.r.timeout)
	if err != nil {
		return err.Error()
	}
	if p.r.verbose {
		fmt.Printf("      -> raw %d bytes\n      <- %s closed=%v\n", len(b), clip(compact(replies)), closed)
	}
	if closed || st.Raw.HalfClose || p.wholeDeviation(st) != "" {
		p.drop(a, node)
	}
	if p.wholeDeviation(st) != "" {
		p.r.deviating++
		return ""
	}
	p.r.compared++
	m := p.compareRaw(st, replies)
	if m == "" && st.Closed && !closed {
		m = "expected the registry to close the connection"
	}
	if m != "" {
		return fmt.Sprintf("raw frame\n    replies: %s\n    %s", clip(compact(replies)), m)
	}
	return ""
}

// writeRaw writes the bytes, in pieces with a pause between them if the step
// says so. An error shows in what the registry answers.
func (c *Conn) writeRaw(b []byte, raw *Raw) {
	chunks := max(raw.Chunks, 1)
	for piece := range slices.Chunk(b, max((len(b)+chunks-1)/chunks, 1)) {
		_, _ = c.c.Write(piece)
		if chunks > 1 {
			time.Sleep(15 * time.Millisecond)
		}
	}
	if t, ok := c.c.(*net.TCPConn); ok && raw.HalfClose {
		_ = t.CloseWrite()
	}
}

// rawReplies reads the replies that a step expects, or all there are until the
// registry closes the connection.
func (c *Conn) rawReplies(st *Step, limit time.Duration) (replies []any, closed bool, err error) {
	expected := 0
	if len(st.Expect) > 0 {
		var l []any
		expected = 1
		if json.Unmarshal(st.Expect, &l) == nil {
			expected = len(l)
		}
	}
	for (len(replies) < expected || st.Closed) && len(replies) <= 64 {
		v, err := c.readReply(limit)
		if errors.Is(err, errClosed) {
			return replies, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		replies = append(replies, v)
	}
	return replies, false, nil
}

// compareRaw compares the replies to raw bytes; "" means equal.
func (p *play) compareRaw(st *Step, replies []any) string {
	var exp any
	if len(st.Expect) > 0 {
		if err := json.Unmarshal(st.Expect, &exp); err != nil {
			return err.Error()
		}
	}
	switch l := exp.(type) {
	case nil:
		if len(replies) > 0 {
			return "expected no reply"
		}
	case []any:
		if len(replies) != len(l) {
			return fmt.Sprintf("expected %d replies, got %d", len(l), len(replies))
		}
		for i := range l {
			raw, err := json.Marshal(l[i])
			if err != nil {
				return err.Error()
			}
			if m := p.compareTo(st, raw, replies[i]); m != "" {
				return fmt.Sprintf("reply %d: %s", i+1, m)
			}
		}
	default:
		if len(replies) != 1 {
			return fmt.Sprintf("expected 1 reply, got %d", len(replies))
		}
		e := p.bind(st, replies[0])
		if m := p.compareTo(st, st.Expect, replies[0]); m != "" {
			return m
		}
		return e
	}
	return ""
}

func (p *play) rawBytes(w *Raw) ([]byte, string) {
	if len(w.Frames) > 0 {
		var b []byte
		for _, f := range w.Frames {
			x, err := p.env.expandString(f)
			if err != nil {
				return nil, err.Error()
			}
			b = append(b, frame([]byte(render(x)))...)
		}
		return b, ""
	}
	var body []byte
	switch {
	case w.Hex != "":
		h, err := hex.DecodeString(strings.ReplaceAll(w.Hex, " ", ""))
		if err != nil {
			return nil, err.Error()
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
			return nil, err.Error()
		}
		body = []byte(render(x))
	}
	if w.NoHeader {
		return body, ""
	}
	b := frame(body)
	if w.Len != nil {
		n := uint32(*w.Len)
		b[0], b[1], b[2], b[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	}
	return b, ""
}
