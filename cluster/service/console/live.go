// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	// pulse is how often an open page is told what changed.
	pulse = time.Second
	// liveTime ends a stream, so that one nobody reads does not stay; browsers
	// open it again.
	liveTime = 5 * time.Minute
	// maxLive bounds the streams of a member.
	maxLive = 64
)

// news is what an open page is told.
type news struct {
	State  string `json:"state"`
	Word   string `json:"word"`
	Leader string `json:"leader"`
	Up     int    `json:"up"`
	Voters int    `json:"voters"`
	Lag    uint64 `json:"lag"`
	Index  uint64 `json:"index"`
	Next   string `json:"next"`
}

// live sends the state of the bar, and the index that shows whether a page has
// become old, as server-sent events. A page that shows the audit trail is sent
// what comes to it.
func (c *Console) live(w http.ResponseWriter, r *http.Request) {
	s := c.sessions.of(r, false)
	if s == nil {
		http.Error(w, "log in first", http.StatusUnauthorized)
		return
	}
	if n := c.streams.Add(1); n > maxLive {
		c.streams.Add(-1)
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer c.streams.Add(-1)
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // the request has been read; its deadline would end the stream
	w.Header().Set("Content-Type", "text/event-stream")
	end := time.After(liveTime)
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	last, follow := "", c.tailOf(r)
	for {
		h := c.health(r.Context())
		raw, err := json.Marshal(news{h.State, h.Word, h.Leader, h.Up, h.Voters, h.Lag, h.Index, h.Next})
		if err != nil { // texts and numbers always encode
			panic(err)
		}
		text := ": \n\n" // shows whether somebody still listens
		if string(raw) != last {
			text, last = fmt.Sprintf("data: %s\n\n", raw), string(raw)
		}
		text += follow.event(h.Index)
		_ = out.SetWriteDeadline(c.cfg.Now().Add(10 * time.Second)) // not every writer has deadlines
		if _, err := w.Write([]byte(text)); err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-end:
			return
		case <-tick.C:
			if c.sessions.of(r, false) == nil {
				return
			}
		}
	}
}
