// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/cluster/service/ops"
)

// The history has what happened between two samples, an hour of it and no more.
func TestHistoryIsAnHour(t *testing.T) {
	h := &history{}
	now := time.Date(2026, 3, 31, 10, 0, 0, 0, time.UTC)
	counts := ops.Durations{}
	h.add(now, counts, 100, 0, "m1", nil)
	if len(h.list()) > 0 {
		t.Error("a sample before anything was counted")
	}
	for i := range samples + 5 {
		counts[3] += 20 // half a millisecond at most
		leader := "m1"
		if i == samples {
			leader = "m2"
		}
		if i > samples {
			leader = "" // nobody leads, which is no change
		}
		h.add(now.Add(time.Duration(i+1)*sampleEvery), counts, 100+uint64(i+1)*50, uint64(i), leader, nil)
	}
	list := h.list()
	first, last := list[0], list[len(list)-1]
	if len(list) != samples || first.At != now.Add(6*sampleEvery).UnixMilli() || last.At != now.Add((samples+5)*sampleEvery).UnixMilli() {
		t.Fatalf("%d samples from %d to %d", len(list), first.At, last.At)
	}
	if last.Requests != 2 || last.Commits != 5 || last.Lag != samples+4 || last.P50 <= 0.25 || last.P99 >= 1 {
		t.Errorf("%+v", last)
	}
	changes := 0
	for _, s := range list {
		if s.Leader == "m2" {
			changes++
		}
	}
	if changes != 1 {
		t.Errorf("%d changes of the leader", changes)
	}
	rows := rowsOf(list)
	if len(rows) != samples/perRow || rows[0].Requests != "2" || rows[0].Commits != "5" || rows[0].Leaders != 1 || rows[1].Leaders != 0 {
		t.Errorf("%+v", rows)
	}
	plots := plotsOf(list, now.Add((samples+5)*sampleEvery))
	if len(plots) != 4 || plots[0].Last != "2 /s" || len(plots[0].Marks) != 1 || strings.Count(plots[1].Lines[1].Points, ",") != samples {
		t.Errorf("%+v", plots[0])
	}
}

// Times without requests have no latency, and the plots say so.
func TestHistoryWithoutRequests(t *testing.T) {
	s := newSite(t)
	s.c.observe(t.Context())
	s.now = s.now.Add(sampleEvery)
	s.c.observe(t.Context())
	cookie := s.login()
	if page := s.get("/cluster", cookie).Body.String(); !strings.Contains(page, "no requests") || !strings.Contains(page, "The same as a table") {
		t.Error(page)
	}
	var got series
	w := s.get("/history", cookie)
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.At) != 1 || got.P99[0] != nil || *got.Requests[0] != 0 {
		t.Errorf("%v %s", err, w.Body)
	}
	if w := s.get("/history", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("the history without a session: %d", w.Code)
	}
}
