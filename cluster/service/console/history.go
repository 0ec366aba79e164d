// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
)

const (
	// sampleEvery and samples make an hour.
	sampleEvery = 10 * time.Second
	samples     = 360
	// perRow is how many samples a row of the table sums up.
	perRow = 30
)

// sample is what a member did in the time before At.
type sample struct {
	At int64 // Unix milliseconds
	// Requests and Commits are a second. P50 and P99 are in milliseconds, -1
	// when there was no request. Lag is that of the voter that lags most.
	Requests, Commits, P50, P99, Lag float64
	// Leader is set when another member leads than before, From is that one.
	Leader, From string
	// Sinks are the lags of the sinks, by name.
	Sinks map[string]uint64
}

// history is the last hour of a member, of a fixed size.
type history struct {
	mu   sync.Mutex
	ring [samples]sample
	next int
	full bool

	// What was counted when the last sample was taken.
	counts ops.Durations
	commit uint64
	leader string
	at     time.Time
}

// add takes a sample from what has been counted up to now. The first call only
// notes where counting begins.
func (h *history) add(now time.Time, counts ops.Durations, commit, lag uint64, leader string, sinks map[string]uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	seconds := now.Sub(h.at).Seconds()
	if !h.at.IsZero() && seconds > 0 {
		since := counts.Since(h.counts)
		s := sample{At: now.UnixMilli(), Requests: float64(since.Total()) / seconds, P50: -1, P99: -1, Lag: float64(lag), Sinks: sinks}
		if commit > h.commit {
			s.Commits = float64(commit-h.commit) / seconds
		}
		if since.Total() > 0 {
			s.P50, s.P99 = since.Quantile(0.5)*1000, since.Quantile(0.99)*1000
		}
		if leader != "" && h.leader != "" && leader != h.leader {
			s.Leader, s.From = leader, h.leader
		}
		h.ring[h.next] = s
		h.next = (h.next + 1) % samples
		h.full = h.full || h.next == 0
	}
	h.at, h.counts, h.commit = now, counts, commit
	if leader != "" {
		h.leader = leader
	}
}

// list has the samples, oldest first.
func (h *history) list() []sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.full {
		return append([]sample(nil), h.ring[:h.next]...)
	}
	return append(append([]sample(nil), h.ring[h.next:]...), h.ring[:h.next]...)
}

// Watch keeps the history until ctx ends.
func (c *Console) Watch(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		c.observe(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Console) observe(ctx context.Context) {
	status := c.status(ctx)
	c.history.add(c.cfg.Now(), c.cfg.Durations(), status.CommitIndex, healthOf(status).Lag, status.LeaderID, c.cfg.Inspect().SinkLags())
}

// series are the samples as the browser draws them: a list a line, times in seconds.
type series struct {
	At                               []float64
	Requests, P50, P99, Commits, Lag []*float64
	Leaders                          []leaderMark
}

type leaderMark struct {
	At     float64
	Leader string
}

func seriesOf(list []sample) series {
	s := series{At: []float64{}, Leaders: []leaderMark{}}
	some := func(v float64) *float64 {
		if v < 0 {
			return nil
		}
		return &v
	}
	for _, p := range list {
		at := float64(p.At) / 1000
		s.At = append(s.At, at)
		s.Requests, s.Commits, s.Lag = append(s.Requests, some(p.Requests)), append(s.Commits, some(p.Commits)), append(s.Lag, some(p.Lag))
		s.P50, s.P99 = append(s.P50, some(p.P50)), append(s.P99, some(p.P99))
		if p.Leader != "" {
			s.Leaders = append(s.Leaders, leaderMark{at, p.Leader})
		}
	}
	return s
}

// historyData answers the scripts of the cluster page.
func (c *Console) historyData(w http.ResponseWriter, r *http.Request) {
	if c.sessions.of(r, false) == nil {
		http.Error(w, "log in first", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(seriesOf(c.history.list())) // the browser has gone
}

// plot is a picture of a part of the history that needs no script.
type plot struct {
	Name, Title, Unit string
	Lines             []plotLine
	Marks             []float64
	// Last is the newest value in words, Peak the highest.
	Last, Peak string
}

type plotLine struct{ Name, Points string }

const plotWidth, plotHeight = 320, 80

var plotted = []struct {
	name, title, unit string
	lines             []string
	of                func(sample) []float64
}{
	{"requests", "Requests", "/s", []string{"requests"}, func(s sample) []float64 { return []float64{s.Requests} }},
	{"latency", "Latency", "ms", []string{"p50", "p99"}, func(s sample) []float64 { return []float64{s.P50, s.P99} }},
	{"commits", "Commits", "/s", []string{"commits"}, func(s sample) []float64 { return []float64{s.Commits} }},
	{"lag", "Lag of the slowest voter", "entries", []string{"lag"}, func(s sample) []float64 { return []float64{s.Lag} }},
}

// plotsOf draws the history: an hour from left to right, from 0 to the peak.
func plotsOf(list []sample, now time.Time) []plot {
	var out []plot
	begin := float64(now.Add(-samples*sampleEvery).UnixMilli()) / 1000
	x := func(at int64) float64 {
		return max(0, (float64(at)/1000-begin)/(samples*sampleEvery.Seconds())*plotWidth)
	}
	for _, def := range plotted {
		p := plot{Name: def.name, Title: def.title, Unit: def.unit, Last: "no data yet"}
		peak, last := 0.0, -1.0
		for _, s := range list {
			for _, v := range def.of(s) {
				peak = max(peak, v)
				last = v
			}
		}
		if last >= 0 {
			p.Last = amount(last) + " " + def.unit
		} else if len(list) > 0 {
			p.Last = "no requests"
		}
		p.Peak = amount(peak) + " " + def.unit
		for i, name := range def.lines {
			var b strings.Builder
			for _, s := range list {
				if v := def.of(s)[i]; v >= 0 {
					fmt.Fprintf(&b, "%.1f,%.1f ", x(s.At), plotHeight-2-v/max(peak, 1e-9)*(plotHeight-6))
				}
			}
			p.Lines = append(p.Lines, plotLine{name, b.String()})
		}
		for _, s := range list {
			if s.Leader != "" {
				p.Marks = append(p.Marks, x(s.At))
			}
		}
		out = append(out, p)
	}
	return out
}

// amount writes a measured number with three digits that count.
func amount(v float64) string {
	switch {
	case v >= 100:
		return count(int64(v + 0.5))
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v == float64(int64(v)):
		return count(int64(v))
	}
	return fmt.Sprintf("%.2f", v)
}

// historyRow sums up five minutes.
type historyRow struct {
	From                        time.Time
	Requests, P50, P99, Commits string
	Lag                         string
	Leaders                     int
}

// rowsOf sums the history up for those who read it as a table, newest first.
func rowsOf(list []sample) (rows []historyRow) {
	for end := len(list); end > 0; end -= perRow {
		part := list[max(end-perRow, 0):end]
		row := historyRow{From: time.UnixMilli(part[0].At)}
		var requests, commits, lag float64
		p50, p99 := -1.0, -1.0
		for _, s := range part {
			requests, commits, lag = requests+s.Requests, commits+s.Commits, max(lag, s.Lag)
			p50, p99 = max(p50, s.P50), max(p99, s.P99)
			if s.Leader != "" {
				row.Leaders++
			}
		}
		n := float64(len(part))
		row.Requests, row.Commits, row.Lag = amount(requests/n), amount(commits/n), count(int64(lag))
		if p50 >= 0 {
			row.P50, row.P99 = amount(p50), amount(p99)
		}
		rows = append(rows, row)
	}
	return rows
}
