// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pilotregistry/pilotregistry/integration/fault/check"
	"github.com/pilotregistry/pilotregistry/integration/fault/history"
	"github.com/pilotregistry/pilotregistry/integration/fault/report"
	"github.com/pilotregistry/pilotregistry/protocol"
)

const second = int64(time.Second)

// sample is a run of ten seconds with a write every 10 ms and none between
// second 3 and second 5.
func sample() *report.Run {
	r := &report.Run{
		Meta: report.Meta{Title: "run <7>", Seed: 7, Commit: "abc", GoVersion: "go1.26", Started: time.Unix(1_800_000_000, 0), Notes: []string{"W9 waits & waits"}},
		Faults: []report.Fault{
			{Kind: "kill", Target: "n1 (leader)", Start: 3 * second, End: 3 * second, Detail: `"SIGKILL"`},
			{Kind: "partition", Target: "n2", Start: 6 * second, End: 8 * second},
			{Kind: "kill", Target: "n3", Start: 10 * second, End: 10 * second},
		},
		Leaders: []report.LeaderChange{{At: 0, Member: "n1", Term: 2}, {At: 3 * second}, {At: 4 * second, Member: "n2", Term: 3}},
	}
	for i := range int64(1000) {
		at := i * second / 100
		op := history.Op{ID: uint64(i) + 1, Client: fmt.Sprint("c", i%4), Workload: "w1", Command: "set_tags", Key: fmt.Sprint("node/", i%3), Member: "n1",
			Args: []byte(`{"tags":["<b>"]}`), Call: at, Return: at + second/200, Outcome: history.OK, Index: uint64(i) + 10, Value: "tags=[<b>]"}
		switch {
		case at >= 3*second && at < 5*second:
			op.Outcome, op.Code, op.Index = history.Unknown, history.CodeNoReply, 0
		case i%10 == 0:
			op.Command, op.Level, op.Workload = "lookup", protocol.Linearizable, "w2"
		case i%10 == 1:
			op.Outcome, op.Code, op.Index = history.Fail, "conflict", 0
		}
		r.Ops = append(r.Ops, op)
	}
	return r
}

func TestSummarize(t *testing.T) {
	s := report.Summarize(sample())
	if s.OK != 720 || s.Failed != 80 || s.Unknown != 200 || s.Acked != 640 || s.Faults["kill"] != 2 || s.Faults["partition"] != 1 {
		t.Errorf("%+v", s)
	}
	if s.WriteGap != 2030*time.Millisecond { // from the write of 2.99 s to that of 5.02 s
		t.Errorf("longest gap %s", s.WriteGap)
	}
	kill, partition, last := s.Recoveries[0], s.Recoveries[1], s.Recoveries[2]
	if kill.Outage != 2025*time.Millisecond || kill.AfterHeal != kill.Outage || kill.Never {
		t.Errorf("kill: %+v", kill)
	}
	if partition.Outage > 50*time.Millisecond || partition.AfterHeal != 25*time.Millisecond || partition.Never {
		t.Errorf("partition: %+v", partition)
	}
	if !last.Never {
		t.Errorf("writes went on after the last fault: %+v", last)
	}
	if s.OutageP50 != 30*time.Millisecond || s.OutageP99 != kill.Outage {
		t.Errorf("quantiles %s, %s", s.OutageP50, s.OutageP99)
	}
}

// element is what a test wants to know of the page.
type element struct {
	name  string
	attrs map[string]string
}

// parse reads the page strictly enough to notice anything left open.
func parse(t *testing.T, raw []byte) (out []element, text string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(raw))
	d.Entity = xml.HTMLEntity
	var all strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out, all.String()
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			e := element{x.Name.Local, map[string]string{}}
			for _, a := range x.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			out = append(out, e)
		case xml.CharData:
			all.Write(x)
		}
	}
}

func render(t *testing.T, r *report.Run) ([]element, string) {
	t.Helper()
	var buf bytes.Buffer
	if err := report.Render(&buf, r); err != nil {
		t.Fatal(err)
	}
	return parse(t, buf.Bytes())
}

func number(t *testing.T, e element, name string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(e.attrs[name], 64)
	if err != nil {
		t.Fatalf("%s of %v: %v", name, e, err)
	}
	return v
}

// drawn are the bars inside an SVG that is called so.
func drawn(elements []element, id string) (svg element, bars []element) {
	inside := false
	for _, e := range elements {
		switch {
		case e.name == "svg":
			inside = e.attrs["id"] == id || e.attrs["class"] == id
			if inside {
				svg = e
			}
		case e.name == "rect" && inside:
			bars = append(bars, e)
		case e.name == "table" || e.name == "h2":
			inside = false
		}
	}
	return svg, bars
}

func TestThePageShowsTheRun(t *testing.T) {
	elements, text := render(t, sample())
	svg, bars := drawn(elements, "timeline")
	count := map[string]int{}
	for _, b := range bars {
		count[b.attrs["class"]]++
		x, w := number(t, b, "x"), number(t, b, "width")
		y, h := number(t, b, "y"), number(t, b, "height")
		if w <= 0 || h <= 0 || x < 0 || y < 0 || x+w > number(t, svg, "width") || y+h > number(t, svg, "height") {
			t.Errorf("bar outside the drawing: %v", b)
		}
	}
	if count["ok"] == 0 || count["unknown"] == 0 || count["fail"] == 0 || count["fault"] != 3 || count["m0"] != 1 || count["m1"] != 1 {
		t.Errorf("bars %v", count)
	}
	for _, want := range []string{"run <7>", "not checked", "W9 waits & waits", "kill", "partition", "n2 leads", "w1", "w2", "never", "1000"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// A run in which only something beside the checkers was wrong has not passed.
func TestThePageShowsOtherFindings(t *testing.T) {
	r := sample()
	r.Result = &check.Result{}
	for _, found := range [][]string{nil, {"m4 ended by itself"}} {
		r.Meta.Found = found
		var out strings.Builder
		if err := report.Render(&out, r); err != nil {
			t.Fatal(err)
		}
		if passed := strings.Contains(out.String(), "no violation"); passed != (found == nil) || found != nil && !strings.Contains(out.String(), found[0]) {
			t.Errorf("found %v: passed %t", found, passed)
		}
	}
}

func TestThePageShowsViolations(t *testing.T) {
	dir := t.TempDir()
	artifact := filepath.Join(dir, "picture.html")
	if err := os.WriteFile(artifact, []byte(`<script>let a = "</iframe>" && 1</script>`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := sample()
	r.Result = &check.Result{
		Violations: []check.Violation{
			{Checker: check.CheckerReplay, Rule: check.RuleStaleRead, Workload: "w2", Key: "node/0", Text: "served <too> early", Ops: []uint64{31, 1}},
			{Checker: check.CheckerPorcupine, Rule: check.RuleNotLinearizable, Workload: "w1", Key: "node/1", Text: "no order", Ops: []uint64{2, 5}, Artifact: artifact},
			{Checker: check.CheckerReplay, Rule: check.RuleLog, Text: "logs disagree"},
		},
		Totals: map[check.Rule]int{check.RuleStaleRead: 41, check.RuleNotLinearizable: 1, check.RuleLog: 1},
	}
	elements, text := render(t, r)
	for _, want := range []string{"43 violations", "served <too> early", "logs disagree", "stale_read", "41", "History of node/0", "History of node/1", "not run"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	_, bars := drawn(elements, "key")
	blamed, frames := 0, 0
	for _, b := range bars {
		if strings.Contains(b.attrs["class"], "blamed") {
			blamed++
		}
	}
	for _, e := range elements {
		if e.name == "iframe" {
			frames++
			if !strings.Contains(e.attrs["srcdoc"], `"</iframe>" && 1`) || e.attrs["sandbox"] != "allow-scripts" {
				t.Errorf("frame %v", e.attrs)
			}
		}
	}
	if len(bars) != 334+333 || blamed != 2 || frames != 1 {
		t.Errorf("%d bars, %d blamed, %d frames", len(bars), blamed, frames)
	}
}

// One file that needs nothing else.
func TestThePageIsSelfContained(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.html")
	r := sample()
	r.Result = &check.Result{}
	if err := report.Write(path, r); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	elements, text := parse(t, raw)
	if !strings.Contains(text, "no violation") || !strings.Contains(text, "prefers-color-scheme: dark") {
		t.Error("no verdict, or no dark colours")
	}
	for _, e := range elements {
		for name := range e.attrs {
			if name == "src" || name == "href" || strings.HasPrefix(name, "on") {
				t.Errorf("%s of %s", name, e.name)
			}
		}
		if e.name == "script" || e.name == "link" {
			t.Errorf("%s in the page", e.name)
		}
	}
	for _, bad := range []string{"url(", "@import", "http://", "https://"} {
		if strings.Contains(string(raw), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".report-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAnEmptyRunHasAPage(t *testing.T) {
	_, text := render(t, &report.Run{Meta: report.Meta{Title: "nothing"}})
	if !strings.Contains(text, "No fault was injected") {
		t.Error("the page of an empty run says nothing")
	}
}

// A long key is shown where it hurts.
func TestLongKeysAreCut(t *testing.T) {
	r := sample()
	for i := range r.Ops {
		r.Ops[i].Key = "node/0"
	}
	r.Result = &check.Result{Violations: []check.Violation{{Checker: check.CheckerReplay, Rule: check.RuleWrongRead, Key: "node/0", Ops: []uint64{901}}}, Totals: map[check.Rule]int{check.RuleWrongRead: 1}}
	elements, text := render(t, r)
	_, bars := drawn(elements, "key")
	blamed := false
	for _, b := range bars {
		blamed = blamed || strings.Contains(b.attrs["class"], "blamed")
	}
	if !blamed || len(bars) != 400 || !strings.Contains(text, "400 of 1000 operations") {
		t.Errorf("%d bars, blamed among them: %t", len(bars), blamed)
	}
}
